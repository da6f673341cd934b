from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from carla_cp.types import Pose


@pytest.fixture(scope="module")
def places() -> ModuleType:
    sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tools"))
    import places

    return places


def test_a_place_on_a_track_lies_between_its_points_and_to_the_right_of_them(places: ModuleType) -> None:
    track = places.Track(np.array([[0.0, 5.0], [0.0, 6.0], [0.0, 7.0]]), ())
    pose = track.pose(1.25, right_m=2.0)
    assert (pose.x, pose.y, pose.yaw) == pytest.approx((-2.0, 6.25, math.pi / 2))


def test_beside_is_right_of_the_lane_and_turned_against_it(places: ModuleType) -> None:
    pose = places.beside(10.0, 0.0, math.pi, 3.0, math.pi / 2)
    assert (pose.x, pose.y, pose.yaw) == pytest.approx((10.0, -3.0, 1.5 * math.pi))
    assert places.apart(pose, Pose(13.0, 1.0)) == pytest.approx(5.0)
