"""The protocol's options."""

from __future__ import annotations

from pathlib import Path

import pytest

from carla_cp.metrics.protocol import OPENCOOD, OURS, EvaluationProtocol
from tests.tools.claims import load_tool

evaluate = load_tool("evaluate")


def agreed(folder: Path, *options: str) -> EvaluationProtocol:
    protocol: EvaluationProtocol = evaluate.parse([str(folder), "--checkpoint", "c", "--out", "x", *options]).agreed
    return protocol


def test_presets_are_taken_whole(tmp_path: Path) -> None:
    assert agreed(tmp_path) == OURS
    assert agreed(tmp_path, "--protocol", "opencood") == OPENCOOD


def test_single_options_change_a_preset_and_its_name(tmp_path: Path) -> None:
    ranges = ["--range", "100", "40", "--inside", "corners", "--com-range", "70", "--z-range", "-3", "1"]
    filters = ["--drop-large", "6", "--objects", "all-as-one", "--include-ego", "--max-objects", "100"]
    mixed = agreed(tmp_path, *ranges, *filters, "--score", "0.2", "--order", "frame", "--bins", "20")
    assert mixed.range_m == (100.0, 40.0) and mixed.inside == "corners" and mixed.com_range_m == 70.0
    assert mixed.z_range_m == (-3.0, 1.0) and mixed.max_extent_m == 6.0 and mixed.objects == "all-as-one"
    assert mixed.include_ego and mixed.max_objects == 100 and mixed.score_threshold == 0.2
    assert mixed.order == "frame" and mixed.bins == ((0.0, 20.0), (20.0, float("inf")))
    assert mixed.name.startswith("ours with ")
    assert "include_ego False" in agreed(tmp_path, "--protocol", "opencood", "--no-include-ego").name


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--z-range", "1", "-3"], "z_range_m"),
        (["--score", "1.5"], "score_threshold"),
        (["--bins", "50", "30"], "bins_m"),
        (["--range", "0", "4"], "--range"),
        (["--delay", "-1"], "--delay"),
        (["--fusion", "magic"], "--fusion"),
    ],
)
def test_a_wrong_value_ends_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        agreed(tmp_path, *options)
    assert ended.value.code == 2 and complaint in capsys.readouterr().err
