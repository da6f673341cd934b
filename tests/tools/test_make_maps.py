"""The committed maps are what the script writes, and the official client can drive on all of them."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import carla
import pytest

ROOT = Path(__file__).parent.parent.parent
MAPS = ROOT / "scenarios" / "maps"
NAMES = sorted(path.stem for path in MAPS.glob("*.xodr"))


@pytest.fixture(scope="module", params=NAMES)
def town(request: pytest.FixtureRequest) -> carla.Map:
    return carla.Map(request.param, (MAPS / f"{request.param}.xodr").read_text())


def approaches(town: carla.Map) -> dict[tuple[int, int], carla.Waypoint]:
    """The last waypoint of every lane before a junction."""
    found = {}
    for waypoint in town.generate_waypoints(2.0):
        ahead = waypoint.next(2.5)
        if not waypoint.is_junction and ahead and ahead[0].is_junction:
            found[waypoint.road_id, waypoint.lane_id] = waypoint
    return found


def test_the_command_writes_the_committed_bytes_and_no_other_file(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tools" / "make_maps.py"), "--out", str(tmp_path / "new" / "maps")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    written = {path.name: path.read_bytes() for path in (tmp_path / "new" / "maps").iterdir()}
    assert written == {path.name: path.read_bytes() for path in MAPS.iterdir()}
    assert sorted(Path(line).name for line in done.stdout.splitlines()) == sorted(written)


def test_there_are_layouts_for_every_split_and_the_crossing_is_in_none() -> None:
    splits = [name.split("_")[0] for name in NAMES]
    assert splits.count("train") >= 4
    assert splits.count("val") >= 1
    assert splits.count("test") >= 2
    assert splits.count("crossing") == 1


def test_files_are_small_and_carry_no_date_and_a_geo_reference() -> None:
    for name in NAMES:
        text = (MAPS / f"{name}.xodr").read_text()
        assert len(text) < 300_000
        assert "date=" not in text
        assert "+proj=tmerc" in text


def test_every_waypoint_is_finite_and_lies_flat(town: carla.Map) -> None:
    waypoints = town.generate_waypoints(2.0)
    assert len(waypoints) > 200
    for waypoint in waypoints:
        place = waypoint.transform
        assert math.isfinite(place.location.x + place.location.y + place.rotation.yaw)
        assert abs(place.location.z) < 1e-3
        assert math.hypot(place.location.x, place.location.y) < 300


def test_lanes_go_on_without_a_jump(town: carla.Map) -> None:
    for waypoint in town.generate_waypoints(2.0):
        for ahead in waypoint.next(1.0):
            assert 0.7 < waypoint.transform.location.distance(ahead.transform.location) < 1.3


def test_every_lane_into_a_junction_has_a_way_out_of_it(town: carla.Map) -> None:
    lanes = approaches(town)
    assert len(lanes) >= 3
    for waypoint in lanes.values():
        for start in waypoint.next(2.5):
            assert start.is_junction
            assert any(not ahead.is_junction for ahead in start.next_until_lane_end(1.0)[-1].next(1.5))


def test_every_exit_of_a_junction_can_be_reached(town: carla.Map) -> None:
    edges = town.get_topology()
    reached = {(end.road_id, end.lane_id) for _, end in edges if not end.is_junction}
    left = {(start.road_id, start.lane_id) for start, end in edges if not start.is_junction}
    assert reached and left
    for lane in approaches(town):
        assert lane in left


def test_a_signalised_junction_shows_a_light_to_each_of_its_approaches(town: carla.Map) -> None:
    lights = {light.id: light for light in town.get_all_landmarks_of_type("1000001")}
    by_junction: dict[int, list[bool]] = {}
    for waypoint in approaches(town).values():
        seen = waypoint.get_landmarks_of_type(30.0, "1000001")
        junction = waypoint.next(2.5)[0].get_junction()
        by_junction.setdefault(junction.id, []).append(bool(seen))
        for light in seen:
            assert light.id in lights
            assert int(light.id) // 100 * 100 == junction.id
            assert 0 < light.transform.location.distance(waypoint.transform.location) < 20
    for seen_by_lane in by_junction.values():
        assert len(set(seen_by_lane)) == 1, "some approaches of the junction have no light"
    assert sum(any(seen) for seen in by_junction.values()) == len({int(id_) // 100 for id_ in lights})


def test_no_light_shows_to_the_lanes_that_lead_away() -> None:
    town = carla.Map("crossing", (MAPS / "crossing.xodr").read_text())
    leaving = [point for point in town.generate_waypoints(2.0) if not point.is_junction and point.lane_id > 0]
    assert leaving
    assert not any(point.get_landmarks_of_type(200.0, "1000001") for point in leaving)


def test_roads_and_corners_have_sidewalks(town: carla.Map) -> None:
    """Beside every outer lane, and along the corners of every junction."""
    corners = 0
    for waypoint in town.generate_waypoints(5.0):
        beside = waypoint.get_right_lane()
        while beside is not None and beside.lane_type == carla.LaneType.Driving:
            beside = beside.get_right_lane()
        if not waypoint.is_junction:
            assert beside is not None and beside.lane_type == carla.LaneType.Sidewalk
        elif beside is not None:
            corners += beside.lane_type == carla.LaneType.Sidewalk
    assert corners > 0


def test_training_and_testing_know_junctions_with_and_without_lights() -> None:
    for split in ("train", "val", "test"):
        texts = [(MAPS / f"{name}.xodr").read_text() for name in NAMES if name.startswith(split)]
        assert {'type="1000001"' in text for text in texts} == {True, False}
