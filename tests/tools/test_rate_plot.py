"""The picture of a rate curve: names are apart, and every kind of row is drawn."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tests.tools.claims import load_tool
from tests.tools.curve_rows import result, row, some

rate_plot = load_tool("rate_plot")


def test_a_picture_is_written_of_many_codecs_of_one_and_of_none(tmp_path: Path) -> None:
    for count in (9, 2, 0):
        rate_plot.draw_curve(result(*some()["rows"][:count]), tmp_path / "p.png")
        assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_names_of_lines_that_begin_together_stand_apart() -> None:
    axes = Figure((6, 5)).subplots()
    axes.plot([100, 1000], [0.5, 0.6])
    rate_plot._name(axes, [rate_plot.Start(100.0, 0.6 - 0.0001 * n, f"codec {n}", "black") for n in range(8)])
    heights = sorted(text.get_position()[1] for text in axes.texts)
    assert min(after - before for before, after in pairwise(heights)) > 0.04 and heights[-1] <= 1.0


def test_heights_are_kept_where_there_is_room_and_crowds_part_around_their_middle() -> None:
    assert rate_plot.spread([0.1, 0.5, 0.9], 0.1, 0.0, 1.0) == [0.1, 0.5, 0.9]
    assert rate_plot.spread([0.5, 0.5], 0.1, 0.0, 1.0) == pytest.approx([0.45, 0.55])
    assert rate_plot.spread([0.5, 0.52, 0.6], 0.1, 0.0, 1.0) == pytest.approx([0.44, 0.54, 0.64])
    assert rate_plot.spread([0.98, 0.99, 1.0], 0.1, 0.0, 1.0) == pytest.approx([0.8, 0.9, 1.0])
    assert rate_plot.spread([0.0, 0.0], 0.1, 0.05, 1.0) == pytest.approx([0.05, 0.15])


def test_bytes_are_short() -> None:
    assert [rate_plot._short(value) for value in (250, 4000, 2.1e6)] == ["250 ", "4 K", "2.1 M"]


def test_a_codec_that_never_spoke_is_no_line() -> None:
    silent = row("late@250", 0.5)
    silent["messages"] = 0
    axes = Figure().subplots()
    (curve,) = load_tool("rate_rows").curves_of(result(silent))
    assert rate_plot._line(axes, curve, rate_plot.Look("black", "o"), "0.5") == [] and not axes.lines
