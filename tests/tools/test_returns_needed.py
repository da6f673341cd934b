"""Which road users count, with how many returns, and as found or not."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from returns_needed import _hits

from carla_cp.perception.config import DetectorConfig
from carla_cp.types import AgentFrame, AgentName, Detections, ObjectClass, Pose, Sweep

VEHICLE, PEDESTRIAN = ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN


@dataclass
class Finder:
    """A detector that finds what it is told."""

    boxes: Detections
    config: DetectorConfig = field(default_factory=DetectorConfig)

    def view(self, _: Sweep) -> Finder:
        return self


def box(x: float, y: float) -> tuple[float, ...]:
    return (x, y, 0.8, 4.0, 2.0, 1.6, 0.0)


@pytest.fixture
def agent() -> AgentFrame:
    """At (100, 0): a car with 6 returns ahead, one with none, one out of range, a walker with 2."""
    places = [(10.0, 0.0)] * 6 + [(60.0, 0.0)] * 9 + [(0.0, 20.0)] * 2
    points = np.array([(x, y, -1.0, 0.5) for x, y in places], np.float32)
    pose = Pose(100.0, 0.0, 1.9)
    boxes = np.array([box(110.0, 0.0), box(120.0, 0.0), box(160.0, 0.0), box(100.0, 20.0)])
    sweep = Sweep(AgentName("hero"), 0, points, pose, 1.9)
    return AgentFrame(sweep, pose, boxes, np.arange(4), np.array([VEHICLE, VEHICLE, VEHICLE, PEDESTRIAN]))


def test_who_has_returns_in_range_is_found_by_a_strong_box_of_its_class_nearby(agent: AgentFrame) -> None:
    labels = np.array([VEHICLE, VEHICLE])
    near = Detections(np.array([box(12.5, 0.0), box(0.0, 20.0)]), np.array([0.5, 0.5]), labels)
    assert list(_hits(Finder(near), agent)) == [(VEHICLE, 6, True), (PEDESTRIAN, 2, False)]
    weak = Detections(np.array([box(10.0, 0.0), box(13.5, 0.0)]), np.array([0.3, 0.9]), labels)
    assert [hit for *_, hit in _hits(Finder(weak), agent)] == [False, False]
