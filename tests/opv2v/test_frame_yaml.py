from __future__ import annotations

import math
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.opv2v.frame_yaml import Scan, frame_yaml, six
from carla_cp.types import ObjectClass, TruthObject

from .scenes import scans

ANY = st.floats(allow_nan=True, allow_infinity=True)
NAMES = st.text(max_size=12) | st.sampled_from(["null", "1e5", "vehicle.a.b_2-x", "a: b", "~", "a\nb", "\N{SNOWMAN}"])


def plain(scan: Scan) -> dict[str, object]:
    """The same values as Python objects, for PyYAML to write."""

    def body(thing: TruthObject) -> dict[str, object]:
        pose, (x, y, z, length, width, height, yaw) = thing.state.pose, thing.box
        return {
            "angle": [math.degrees(pose.roll), math.degrees(yaw), math.degrees(pose.pitch)],
            "bp_id": thing.blueprint,
            "center": [x - pose.x, y - pose.y, z - pose.z],
            "extent": [length / 2, width / 2, height / 2],
            "location": [pose.x, pose.y, pose.z],
            "speed": 3.6 * thing.state.speed,
        }

    speed = 3.6 * scan.body.speed
    return {
        "RSU": scan.agent_id < 0,
        "ego_speed": speed,
        "lidar_pose": six(scan.true_world_from_lidar),
        "plan_trajectory": [[x, y, speed] for x, y in scan.plan],
        "predicted_ego_pos": six(scan.body.pose),
        "true_ego_pos": six(scan.body.pose),
        "vehicles": {t.id: body(t) for t in scan.objects if t.label is not ObjectClass.PEDESTRIAN},
        "walkers": {t.id: body(t) for t in scan.objects if t.label is ObjectClass.PEDESTRIAN},
    }


@pytest.mark.parametrize("scan", scans(100_000), ids=lambda scan: str(scan.agent_id))
@pytest.mark.parametrize("plan", [(), ((1.5, -2e-9), (3.0, 1e22))])
def test_the_text_is_what_pyyaml_would_write(scan: Scan, plan: tuple[tuple[float, float], ...]) -> None:
    backwards = replace(scan, plan=plan, objects=scan.objects[::-1])
    assert frame_yaml(backwards).decode() == yaml.safe_dump(plain(backwards))


@settings(max_examples=60, deadline=None)
@given(
    x=ANY,
    y=ANY,
    blueprint=st.text(max_size=12)
    | st.sampled_from(["null", "1e5", "vehicle.a.b_2-x", "a: b", "~", "a\nb", "\N{SNOWMAN}"]),
)
def test_any_number_and_any_name_reads_back(x: float, y: float, blueprint: str) -> None:
    first = scans(0)[0]
    thing = replace(first.objects[0], blueprint=blueprint)
    data = yaml.safe_load(frame_yaml(replace(first, objects=(thing,), plan=((x, y),))))
    assert [repr(value) for value in data["plan_trajectory"][0][:2]] == [repr(x), repr(y)]
    assert data["vehicles"][thing.id]["bp_id"] == blueprint
