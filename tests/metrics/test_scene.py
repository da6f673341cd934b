"""Scenes of what was near the ego."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from carla_cp.metrics.fields import StoredError
from carla_cp.metrics.scene import Scene, scene
from carla_cp.metrics.stored_scene import scene_from_json, scene_to_json
from carla_cp.types import Outcome, TickRecord

from .builders import crossing, record, state, thing, track, transmission


def named(found: Scene) -> list[str]:
    return [body.name for body in found.bodies]


def test_frames_are_the_first_every_fifth_of_a_second_and_the_last() -> None:
    assert scene([record(tick, state(tick)) for tick in range(12)], None).time_ms == (0, 200, 400, 550)
    assert scene([record(0, state(0))], None).time_ms == (0,)


def test_positions_are_centimetres_and_what_never_changes_is_kept_once() -> None:
    records = [record(4 * k, state(0.5 * k), [thing("car", state(9, 1.234, np.pi / 2))]) for k in range(3)]
    ego, car = scene(records, None).bodies
    assert (ego.x_cm, ego.y_cm, ego.yaw_ddeg) == ((0, 50, 100), (0,), (0,))
    assert (car.x_cm, car.y_cm, car.yaw_ddeg, car.length_cm) == ((900,), (123,), (900,), 460)


def test_a_heading_does_not_jump_at_half_a_turn() -> None:
    records = [record(4 * k, state(0, yaw=yaw)) for k, yaw in enumerate((3.1, -3.1))]
    assert scene(records, None).bodies[0].yaw_ddeg == (1776, 1824)


def test_who_is_never_near_is_left_out_and_who_goes_stays_where_it_was_last() -> None:
    far, near = thing("far", state(100), 1), thing("near", state(20), 2)
    records = [record(0, state(0), [far, near]), record(4, state(0), [far])]
    assert named(scene(records, "far")) == ["ego", "near"]
    assert scene(records, "far").hazard is None
    assert scene(records, "near").bodies[1].x_cm == (2000,)


def test_a_body_knows_at_which_frames_the_ego_has_a_track_on_it() -> None:
    def at(tick: int, *xs: float) -> TickRecord:
        return record(tick, state(0), [thing("car", state(20))], tracks=[track(x, 0) for x in xs])

    records = [at(0), at(4, 22), at(8, 22), at(12, 24), at(16, 19)]
    assert scene(records, "car").bodies[1].turns == (1, 3, 4)


def test_senders_are_those_whose_messages_were_fused_and_the_trigger_has_its_time() -> None:
    things = [thing("a", state(5), 1), thing("b", state(9), 2)]
    sent = [transmission("a", 0, 100), transmission("b", 0, 100, Outcome.LOST)]
    found = scene(
        [record(0, state(0), things), record(1, state(0), things, transmissions=sent, hazard_active=True)], "a"
    )
    assert [body.sends for body in found.bodies] == [False, True, False]
    assert (found.hazard, found.triggered_ms) == ("a", 50)


def test_a_scene_reads_back_as_it_was_and_a_broken_one_is_refused() -> None:
    found = scene(crossing().records, "violator")
    assert scene_from_json(scene_to_json(found), "f") == found
    short = replace(found, bodies=(replace(found.bodies[0], x_cm=(1, 2)),))
    with pytest.raises(StoredError, match="f: columns of"):
        scene_from_json(scene_to_json(short), "f")
