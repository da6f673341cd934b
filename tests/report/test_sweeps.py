"""Sweeps, found by the settings of the episodes."""

from __future__ import annotations

from dataclasses import replace

from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.report.sweeps import plot_sweep, sweeps
from tests.metrics.summaries import crossed


def under(*settings: str, seed: int = 0, codec: str = "revqom", aware: bool = True) -> EpisodeSummary:
    return replace(crossed(codec, 2000, seed, aware), settings=settings)


def test_one_key_that_differs_is_a_sweep_by_rising_value_and_seeds_are_pooled() -> None:
    items = [under(f"link.loss={v}", "timeout_s=9", seed=s) for v in ("0.5", "0", "0.25") for s in (0, 1)]
    (found,) = sweeps([crossed(), *items])
    assert (found.keys, found.fixed) == (("link.loss",), ("timeout_s=9",))
    assert [(point.value, point.rows[0].episodes) for point in found.points] == [(0.0, 2), (0.25, 2), (0.5, 2)]
    assert found.name == "intersection_link.loss_timeout_s-9"


def test_keys_that_change_together_are_one_sweep_and_a_grid_is_several() -> None:
    together = [under(f"a.m={v}", f"a.deg={v}") for v in (1, 2)]
    grid = [under(f"b.x={x}", f"b.y={y}") for x in (1, 2) for y in (3, 4)]
    assert [(sweep.keys, sweep.fixed) for sweep in sweeps([*together, *grid])] == [
        (("a.m", "a.deg"), ()),
        (("b.x",), ("b.y=3",)),
        (("b.x",), ("b.y=4",)),
        (("b.y",), ("b.x=1",)),
        (("b.y",), ("b.x=2",)),
    ]


def test_what_is_no_number_or_never_differs_is_no_sweep() -> None:
    assert sweeps([under("link.model=ideal"), under("link.model=fixed")]) == ()
    assert sweeps([under("link.loss=0.1"), crossed()]) == ()


def test_every_codec_is_a_curve_with_its_interval_and_what_is_undefined_is_left_out() -> None:
    items = [under(f"link.loss={v}", codec=c, aware=c == "late") for v in (0, 1) for c in ("late", "early")]
    figure = plot_sweep(sweeps(items)[0])
    hit, _, aware = figure.axes
    assert hit.get_legend_handles_labels()[1] == ["late@2000", "early@2000"]
    assert aware.get_legend_handles_labels()[1] == ["late@2000"]
    assert len(hit.containers) == 2
