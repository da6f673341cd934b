"""A crossing to look at: an ego, an occluding truck, a red-light runner, a partner and an RSU, with made-up sweeps."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from carla_cp.types import (
    AgentName,
    CodecChoice,
    Control,
    Detections,
    FloatArray,
    LaneLight,
    LightState,
    ObjectClass,
    Outcome,
    Perceived,
    Plan,
    Pose,
    Sweep,
    TickRecord,
)
from carla_cp.view.info import Station, ViewInfo
from tests.metrics.builders import record, state, thing, track, transmission

HEIGHT_M = 1.9
INFO = ViewInfo(
    scenario="intersection",
    codec=CodecChoice("revqom", 2000),
    seed=3,
    route=((-70.0, 1.75), (60.0, 1.75)),
    agents=(AgentName("ego"), AgentName("partner"), AgentName("rsu")),
    stations=(Station(AgentName("rsu"), 9.0, 9.5),),
    hazard="violator",
)
EGO = state(-26.0, 1.75, 0.0, 11.6)
VIOLATOR = state(2.0, -21.0, math.pi / 2, 13.0)
PARTNER = state(17.0, -1.75, math.pi, 4.0)
TRUCK = state(-12.0, -4.9, 0.0, 0.0)
PARKED = state(-30.0, 8.0, 0.02, 0.0)
WALLS = ((-45, -12, -12, -12), (-12, -12, -12, -45), (45, -14, 13, -14), (13, -14, 13, -45), (-45, 14, -14, 14))


def sweep(name: str, x: float, y: float, time_us: int, rays: int = 1024) -> Sweep:
    """Rings on the ground up to what stands in the way, which is hit over its height."""
    angles = np.linspace(-np.pi, np.pi, rays, endpoint=False)
    bodies = [
        body for body in (VIOLATOR, PARTNER, TRUCK, PARKED, EGO) if math.hypot(body.pose.x - x, body.pose.y - y) > 4
    ]
    segments = np.array([*WALLS, *(edge for body in bodies for edge in edges(body.pose))], float)
    limit = ranges(x, y, angles, segments)
    rings = HEIGHT_M / np.tan(np.radians(np.linspace(1.2, 25.0, 40)))
    ground = [np.stack([r * np.cos(angles), r * np.sin(angles), np.full(rays, -HEIGHT_M)], 1)[r < limit] for r in rings]
    hits = [
        np.stack([limit * np.cos(angles), limit * np.sin(angles), np.full(rays, z - HEIGHT_M)], 1)[limit < 90]
        for z in np.linspace(0.3, 1.8, 12)
    ]
    points = np.concatenate([*ground, *hits])
    points = np.concatenate([points, np.ones((len(points), 1))], axis=1).astype(np.float32)
    return Sweep(AgentName(name), time_us, points, Pose(x=x, y=y, z=HEIGHT_M), HEIGHT_M)


def edges(pose: Pose) -> list[tuple[float, float, float, float]]:
    """The four sides of a car."""
    cos, sin = math.cos(pose.yaw), math.sin(pose.yaw)
    local = [(2.3, 0.95), (2.3, -0.95), (-2.3, -0.95), (-2.3, 0.95)]
    corners = [(pose.x + a * cos - b * sin, pose.y + a * sin + b * cos) for a, b in local]
    return [(*corners[i], *corners[(i + 1) % 4]) for i in range(4)]


def ranges(x: float, y: float, angles: FloatArray, segments: FloatArray) -> FloatArray:
    """Distance along each ray to the nearest segment, at most 100 m."""
    ox, oy = segments[:, 0] - x, segments[:, 1] - y
    ex, ey = segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1]
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    cross = cos * ey - sin * ex
    cross = np.where(np.abs(cross) < 1e-9, np.nan, cross)
    distance, share = (ox * ey - oy * ex) / cross, (ox * sin - oy * cos) / cross
    hit = (distance > 0) & (share >= 0) & (share <= 1)
    return np.asarray(np.where(hit, distance, 100.0).min(axis=1))


def scene(tick: int = 84) -> TickRecord:
    """The moment in which the ego learns of the red-light runner."""
    time_us = 3_000_000 + tick * 50_000
    objects = [
        thing("violator", VIOLATOR, 7),
        thing("partner", PARTNER, 8),
        thing("truck", TRUCK, 9),
        thing("parked", PARKED, 10, returns=0),
    ]
    boxes = np.array([objects[i].box for i in (0, 1, 2)]) + [-EGO.pose.x, -EGO.pose.y, 0, 0.1, 0.05, 0, 0.03]
    boxes[:, :2] += [[0.2, -0.1], [0.15, 0.1], [-0.2, 0.1]]
    found = Detections(boxes, np.array([0.92, 0.81, 0.55]), np.zeros(3, np.int64))
    hazard = dataclasses.replace(track(2.1, -20.8, ObjectClass.VEHICLE, 0.2, 12.6), id=4)
    others = [track(17.2, -1.7, vx=-4.1), dataclasses.replace(track(-12.1, -4.8), id=6)]
    path = tuple((EGO.pose.x + 0.5 * i, 1.75) for i in range(60))
    return dataclasses.replace(
        record(
            tick,
            EGO,
            objects,
            tracks=[hazard, *others],
            light=LaneLight(LightState.GREEN, 16.0),
            perceived=Perceived(time_us - 50_000, EGO.pose, found, boxes, np.zeros(3, np.int64)),
            transmissions=[
                transmission("partner", time_us - 50_000, 1934),
                transmission("rsu", time_us - 50_000, 1712, Outcome.DELIVERED),
            ],
            fraction=0.41,
            hazard_active=True,
        ),
        plan=Plan(Control(0.0, 0.62, 0.0), -4.2, "conflict", 4, path),
        sweeps=(
            sweep("ego", EGO.pose.x, EGO.pose.y, time_us),
            sweep("partner", PARTNER.pose.x, PARTNER.pose.y, time_us),
            sweep("rsu", 9.0, 9.5, time_us),
        ),
    )
