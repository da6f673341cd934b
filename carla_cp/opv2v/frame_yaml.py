"""The yaml file of one agent at one tick, as text.

The layout is fixed, so the text is put together directly: byte for byte what PyYAML's `safe_dump` gives for the same
values, in a tenth of the time, which a scene's thousands of files need.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import yaml

from carla_cp.types import ObjectClass, Pose, Sweep, TruthObject, VehicleState

_PLAIN_NAME = re.compile(r"(vehicle|walker|static)(\.[a-z0-9_-]+)+")


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What the files of one agent at one tick state."""

    agent_id: int  # the actor's id; negative: a roadside unit
    sweep: Sweep
    true_world_from_lidar: Pose
    body: VehicleState  # of the vehicle that carries the sensor; of a roadside unit: standing still at its foot
    objects: tuple[TruthObject, ...]  # those with a return in the sweep, without the agent itself
    plan: tuple[tuple[float, float], ...] = ()  # world x, y of the path ahead


def six(pose: Pose) -> list[float]:
    """A pose as OPV2V writes it: x, y, z [m], roll, yaw, pitch [deg]."""
    degrees = (math.degrees(angle) for angle in (pose.roll, pose.yaw, pose.pitch))
    return [float(pose.x), float(pose.y), float(pose.z), *degrees]


def frame_yaml(scan: Scan) -> bytes:
    """The file's content: keys in alphabetical order, as published; `RSU` and `walkers` as newer collections add them.

    The third value of a `plan_trajectory` row is the speed in km/h.
    """
    walkers = [thing for thing in scan.objects if thing.label is ObjectClass.PEDESTRIAN]
    vehicles = [thing for thing in scan.objects if thing.label is not ObjectClass.PEDESTRIAN]
    pose = six(scan.body.pose)
    lines = [
        f"RSU: {'true' if scan.agent_id < 0 else 'false'}",
        f"ego_speed: {_number(3.6 * scan.body.speed)}",
        *_numbers("", "lidar_pose", six(scan.true_world_from_lidar)),
        *_plan(scan),
        *_numbers("", "predicted_ego_pos", pose),
        *_numbers("", "true_ego_pos", pose),
        *_objects("vehicles", vehicles),
        *_objects("walkers", walkers),
        "",
    ]
    return "\n".join(lines).encode()


def _plan(scan: Scan) -> Iterator[str]:
    yield "plan_trajectory:" if scan.plan else "plan_trajectory: []"
    speed = _number(3.6 * scan.body.speed)
    for x, y in scan.plan:
        yield f"- - {_number(x)}\n  - {_number(y)}\n  - {speed}"


def _objects(name: str, things: Sequence[TruthObject]) -> Iterator[str]:
    yield f"{name}:" if things else f"{name}: {{}}"
    for thing in sorted(things, key=lambda thing: thing.id):
        pose, (x, y, z, length, width, height, yaw) = thing.state.pose, thing.box
        yield f"  {thing.id}:"
        yield from _numbers("    ", "angle", [math.degrees(angle) for angle in (pose.roll, yaw, pose.pitch)])
        yield f"    bp_id: {_text(thing.blueprint)}"
        yield from _numbers("    ", "center", [x - pose.x, y - pose.y, z - pose.z])
        yield from _numbers("    ", "extent", [length / 2, width / 2, height / 2])
        yield from _numbers("    ", "location", [pose.x, pose.y, pose.z])
        yield f"    speed: {_number(3.6 * thing.state.speed)}"


def _numbers(indent: str, name: str, values: Iterable[float]) -> Iterator[str]:
    yield f"{indent}{name}:"
    for value in values:
        yield f"{indent}- {_number(value)}"


def _number(value: float) -> str:
    """YAML spells exponents and what is not finite in its own way."""
    text = repr(float(value))
    return text if "e" not in text and "n" not in text else str(yaml.safe_dump(float(value))).partition("\n")[0]


def _text(name: str) -> str:
    """Any name, in quotes if it could be read as something else."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    return str(yaml.safe_dump(name, default_style='"', width=math.inf)).rstrip("\n")
