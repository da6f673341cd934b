"""A seed settles every speed and start, each actor's apart from the others'."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from carla_cp.scenario import ScenarioError, draw_scenario, load_scenario
from carla_cp.scenario.draw import pose_at, project
from carla_cp.types import Draw, Scenario

SEEDS = range(60)


@pytest.fixture
def small(write: Callable[..., Path]) -> Scenario:
    return load_scenario(write())


def test_the_same_seed_gives_the_same_scenario_and_another_seed_another(small: Scenario) -> None:
    assert draw_scenario(small, 3) == draw_scenario(small, 3)
    assert draw_scenario(small, 3) != draw_scenario(small, 4)
    assert draw_scenario(replace(small, seed=8), 3) != draw_scenario(small, 3)


def test_nothing_is_left_to_draw(small: Scenario) -> None:
    settled = draw_scenario(small, 3)
    assert draw_scenario(settled, 9) == settled
    for actor in (settled.ego, *settled.actors):
        assert actor.draw == Draw()
        assert actor.arrival is None


def test_draws_fill_their_half_widths_and_stay_inside(small: Scenario) -> None:
    drawn = [draw_scenario(small, seed) for seed in SEEDS]
    speeds = [scenario.ego.speed_mps for scenario in drawn]
    assert 9.0 <= min(speeds) < 9.2 and 10.8 < max(speeds) <= 11.0
    parked = [scenario.actors[1].start for scenario in drawn]
    along = [pose.y - 1.0 for pose in parked]  # it faces y
    across = [20.0 - pose.x for pose in parked]
    assert -0.5 <= min(along) < -0.4 and 0.4 < max(along) <= 0.5
    assert -0.2 <= min(across) < -0.15 and 0.15 < max(across) <= 0.2
    assert abs(sum(speeds) / len(speeds) - 10.0) < 0.25


def test_adding_an_actor_reshuffles_nothing(small: Scenario) -> None:
    extra = replace(small.actors[1], rolename="extra")
    more = replace(small, actors=(extra, *small.actors))
    assert draw_scenario(more, 5).actors[1:] == draw_scenario(small, 5).actors
    assert draw_scenario(more, 5).ego == draw_scenario(small, 5).ego
    first, *_, parked = draw_scenario(more, 5).actors
    assert first.start != parked.start


def test_an_arriving_actor_meets_the_ego_at_the_point_give_or_take_the_offset(small: Scenario) -> None:
    offsets = []
    for seed in SEEDS:
        drawn = draw_scenario(small, seed)
        crosser = drawn.actors[0]
        assert 6.4 <= crosser.speed_mps <= 9.6
        assert (crosser.start.x, crosser.start.z, crosser.start.yaw) == (50.0, 0.4, math.pi / 2)
        ego_s = 48.0 / drawn.ego.speed_mps  # the point of the route nearest to (48, 5.25)
        crosser_s = (5.25 - crosser.start.y) / crosser.speed_mps
        offsets.append(crosser_s - ego_s)
    assert 0.2 - 1e-9 <= min(offsets) < 0.25 and 0.75 < max(offsets) <= 0.8 + 1e-9


def test_a_path_that_is_too_short_to_arrive_is_an_error(write: Callable[..., Path]) -> None:
    path = write(('<point x="50" y="-100"/>', '<point x="50" y="-10"/>'))
    with pytest.raises(ScenarioError, match=r"small\.xml: the path of 'crosser' has 15\.2 m .*lengthen the path"):
        draw_scenario(load_scenario(path), 0)


def test_an_actor_that_waits_stands_where_its_path_begins_and_departs_in_time(write: Callable[..., Path]) -> None:
    near = ('<point x="50" y="-100"/>', '<point x="50" y="-10"/>')
    path = write(near, ('offset_s="0.5"/>', 'offset_s="0.5" waits="true"/>'))
    departures = []
    for seed in SEEDS:
        drawn = draw_scenario(load_scenario(path), seed)
        crosser = drawn.actors[0]
        assert (crosser.start.x, crosser.start.y, crosser.start.yaw) == (50.0, -10.0, math.pi / 2)
        arrives_s = crosser.departs_s + 15.25 / crosser.speed_mps
        departures.append(arrives_s - 48.0 / drawn.ego.speed_mps)
    assert 0.2 - 1e-9 <= min(departures) < 0.25 and 0.75 < max(departures) <= 0.8 + 1e-9


def test_an_actor_that_waits_too_far_off_is_an_error(write: Callable[..., Path]) -> None:
    path = write(('offset_s="0.5"/>', 'offset_s="0.5" waits="true"/>'))
    with pytest.raises(ScenarioError, match=r"small\.xml: 'crosser' waits, but its way of 105\.2 m .*shorten the path"):
        draw_scenario(load_scenario(path), 0)


def test_a_point_projects_onto_the_nearest_segment_of_a_bent_line() -> None:
    line = [(0.0, 0.0), (10.0, 0.0), (10.0, 20.0)]
    assert project(line, (4.0, 3.0)) == (4.0, 3.0)
    assert project(line, (12.0, 5.0)) == (15.0, 2.0)
    assert project(line, (-3.0, -4.0)) == (0.0, 5.0)
    assert project(line, (10.0, 25.0)) == (30.0, 5.0)


def test_a_pose_on_a_line_faces_along_it() -> None:
    line = [(0.0, 0.0), (10.0, 0.0), (10.0, 20.0)]
    first, second, last = (pose_at(line, s_m, 0.5) for s_m in (4.0, 15.0, 30.0))
    assert (first.x, first.y, first.z, first.yaw) == (4.0, 0.0, 0.5, 0.0)
    assert (second.x, second.y, second.yaw) == (10.0, 5.0, math.pi / 2)
    assert (last.x, last.y) == (10.0, 20.0)
