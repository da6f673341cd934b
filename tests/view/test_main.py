"""`python -m carla_cp.view FILE.ticks`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from carla_cp.recording import write_ticks
from carla_cp.types import TickRecord
from carla_cp.view import View, ViewInfo
from carla_cp.view.__main__ import main
from tests.metrics.builders import crossing


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def test_a_recording_is_shown_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    show = View.show

    def spy(self: View, record: TickRecord, info: ViewInfo) -> bool:
        shown.append(record.tick)
        return show(self, record, info)

    monkeypatch.setattr(View, "show", spy)
    drive = crossing()
    write_ticks(tmp_path / "0.ticks", dataclasses.replace(drive, records=drive.records[:4]))
    assert main([str(tmp_path / "0.ticks")]) == 0
    assert shown == [0, 1, 2, 3]


def test_an_interrupt_ends_it_without_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: View, record: TickRecord, info: ViewInfo) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(View, "show", interrupted)
    write_ticks(tmp_path / "0.ticks", crossing())
    assert main([str(tmp_path / "0.ticks")]) == 130


@pytest.mark.parametrize("text", [None, "nonsense"])
def test_a_file_that_is_no_recording_is_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    path = tmp_path / "x.ticks"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "x.ticks" in error


def test_without_a_display_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "no-such-driver")
    write_ticks(tmp_path / "0.ticks", crossing())
    assert main([str(tmp_path / "0.ticks")]) == 2
    assert "SDL_VIDEODRIVER=dummy" in capsys.readouterr().err
