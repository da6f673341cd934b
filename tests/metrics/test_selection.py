"""Which episodes are pooled."""

from __future__ import annotations

from dataclasses import replace

from carla_cp.metrics.selection import alike, situations

from .summaries import crossed


def test_episodes_under_other_settings_than_most_are_left_out() -> None:
    swept = replace(crossed(seed=9), settings=("link.loss=0.1",))
    plain = [crossed(seed=seed) for seed in range(2)]
    assert alike([swept, *plain]) == tuple(plain)
    assert alike([swept, plain[0]]) == (swept,)
    assert alike([]) == ()


def test_controls_are_pooled_with_nothing_but_controls() -> None:
    items = [crossed(scenario=name) for name in ("bend", "bend_clear", "bend_passive")]
    assert situations(items) == (items[0],)
    assert situations(items[1:]) == tuple(items[1:])
