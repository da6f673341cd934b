"""The most telling episodes."""

from __future__ import annotations

from dataclasses import replace

from carla_cp.report.moments import most_telling

from .episodes import stored

NONE = [stored("none", None, seed, aware=False) for seed in range(3)]


def labels(*episodes: object) -> list[str]:
    return [f"{item.summary.label}/{item.summary.seed}" for item in episodes]  # type: ignore[attr-defined]


def test_the_fewest_bytes_that_avoid_the_crash_of_the_ego_alone_are_shown() -> None:
    others = [stored("oracle", None, 0), stored("raw", None, 0), stored(seed=1), stored(seed=2, aware=False)]
    found = most_telling([*NONE, *others])
    assert labels(*found.episodes) == ["none@max/1", "revqom@2000/1"]
    assert "one crashes" in found.reason


def test_without_such_a_codec_the_oracle_or_another_pair_is_shown() -> None:
    assert labels(*most_telling([*NONE, stored("oracle", None, 2)]).episodes) == ["none@max/2", "oracle@max/2"]
    pair = [stored("raw", None, 0), stored(seed=0, aware=False)]
    assert labels(*most_telling(pair).episodes) == ["revqom@2000/0", "raw@max/0"]


def test_where_nobody_or_everybody_crashes_the_reason_says_so() -> None:
    near = stored("none", None, 4)
    near = replace(near, summary=replace(near.summary, min_gap_m=0.1))
    found = most_telling([stored("none", None, 3), near, stored(seed=4)])
    assert labels(*found.episodes) == ["none@max/4", "revqom@2000/4"] and "nearest miss" in found.reason
    alone = most_telling(NONE[:1])
    assert labels(*alone.episodes) == ["none@max/0"] and "all crash" in alone.reason
