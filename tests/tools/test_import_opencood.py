"""tools/import_opencood.py: a checkpoint that works, and one line for what cannot be imported."""

from __future__ import annotations

from pathlib import Path

import import_opencood
import pytest

from carla_cp.perception.checkpoint import load_detector
from tests.perception.opencood_case import write_training


def test_a_training_becomes_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given, out = write_training(tmp_path / "given", "attfuse"), tmp_path / "out"
    assert import_opencood.main([str(given), "--method", "attfuse", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "fusion attention, points moved first" in said and str(out) in said
    assert load_detector(out).config.head == "anchors"


def test_what_cannot_be_imported_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = write_training(tmp_path / "given", "late")
    for arguments in ([str(given), "--method", "v2vnet"], [str(tmp_path / "nowhere"), "--method", "late"]):
        assert import_opencood.main([*arguments, "--out", str(tmp_path / "out")]) == 2
        line = capsys.readouterr().err
        assert line.startswith("import_opencood: ") and line.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_method_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        import_opencood.main(["somewhere", "--method", "v2xvit"])
    assert "invalid choice" in capsys.readouterr().err
