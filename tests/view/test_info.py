"""What the view knows beside the record at hand."""

from __future__ import annotations

import dataclasses

from carla_cp.types import Collision
from carla_cp.view.info import HISTORY_S, Memory, info_of_recording
from tests.metrics.builders import crossing, record, state, transmission
from tests.view.scenes import scene


def test_sweeps_and_detections_stay_until_newer_ones_come() -> None:
    first = scene()
    memory = Memory().after(first).after(record(85, state(0)))
    assert memory.sweeps == first.sweeps
    assert memory.perceived is first.perceived
    assert memory.agents == ("ego", "partner", "rsu")


def test_a_sender_s_newest_message_stays_and_then_fades() -> None:
    old, new = transmission("rsu", 3_000_000, 100), transmission("rsu", 3_100_000, 200)
    memory = Memory().after(record(1, state(0), transmissions=[old])).after(record(3, state(0), transmissions=[new]))
    assert memory.links == (new,)
    assert memory.after(record(20, state(0))).links == ()


def test_the_first_collision_is_kept() -> None:
    hits = [Collision("a", 1, 9.0), Collision("b", 2, 3.0)]
    memory = Memory()
    for tick, hit in enumerate(hits):
        memory = memory.after(record(tick, state(0), collisions=[hit]))
    assert memory.collision == hits[0]


def test_the_history_covers_the_last_seconds_only() -> None:
    memory = Memory()
    for tick in range(400):
        memory = memory.after(record(tick, state(0, speed=tick)))
    assert memory.history[-1].speed_mps == 399
    assert memory.history[-1].time_us - memory.history[0].time_us == HISTORY_S * 1e6


def test_a_recording_tells_its_agents_the_ego_first_and_its_route() -> None:
    drive = crossing()
    info = info_of_recording(drive)
    assert info.agents == ("ego", "partner", "rsu")
    assert info.route[0] == (drive.records[0].ego.pose.x, 0.0)
    assert info.codec == drive.codec
    silent = info_of_recording(dataclasses.replace(drive, records=()))
    assert (silent.agents, silent.route) == (("ego",), ())
