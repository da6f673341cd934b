"""Success, SCT and normalised gain, by hand."""

from __future__ import annotations

import pytest

from carla_cp.metrics.infractions import Infractions
from carla_cp.metrics.success import Finish, normalised_gain, succeeded, success_by_completion_time
from carla_cp.types import EpisodeEnd


def test_success_is_the_route_s_end_without_an_infraction() -> None:
    clean, red = Infractions(0, 0, 0, 0, 0.0, ()), Infractions(0, 0, 0, 1, 0.0, ())
    assert [succeeded(end, clean) for end in EpisodeEnd] == [end is EpisodeEnd.ROUTE for end in EpisodeEnd]
    assert not succeeded(EpisodeEnd.ROUTE, red)


def test_sct_weighs_each_success_by_the_expert_s_time_and_leaves_out_what_the_expert_failed() -> None:
    expert = Finish(True, 10.0)
    pairs = [
        (Finish(True, 20.0), expert),  # 0.5
        (Finish(True, 8.0), expert),  # 1, though faster
        (Finish(False, 5.0), expert),  # 0
        (Finish(True, 5.0), Finish(False, 5.0)),
    ]
    assert success_by_completion_time(pairs) == pytest.approx(0.5)
    assert success_by_completion_time(pairs[3:]) is None
    assert success_by_completion_time([]) is None


def test_gain_is_zero_alone_one_with_the_expert_and_undefined_where_they_agree() -> None:
    assert normalised_gain(0.8, 0.8, 0.0) == 0.0
    assert normalised_gain(0.2, 0.8, 0.0) == pytest.approx(0.75)
    assert normalised_gain(0.9, 0.8, 0.0) == pytest.approx(-0.125)
    assert normalised_gain(90.0, 50.0, 90.0) == 1.0
    assert normalised_gain(0.5, 0.0, 0.0) is None
