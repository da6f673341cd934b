"""How figures look, and their files."""

from __future__ import annotations

from lxml import etree

from carla_cp.report.drawing import codec_colours, panels, png, svg


def test_a_codec_keeps_its_colour_whatever_its_budgets_and_baselines_have_theirs() -> None:
    colours = codec_colours(["none", "revqom", "revqom", "raw"])
    assert len({colours[name] for name in ("none", "oracle", "revqom", "raw")}) == 4
    assert codec_colours(["revqom", "none", "raw"])["revqom"] == colours["revqom"]


def test_a_figure_is_the_same_svg_each_time_and_a_png() -> None:
    figure, (first, second) = panels(3.0, 2.0, 2)
    first.plot([0, 1], [1, 2])
    text = svg(figure)
    assert etree.fromstring(text.encode()).tag.endswith("svg") and text == svg(figure)
    assert png(figure).startswith(b"\x89PNG") and first is not second
