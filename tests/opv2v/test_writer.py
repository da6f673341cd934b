from pathlib import Path

import numpy as np
import pytest
import yaml

from carla_cp.geometry import inverse, matrix_from_pose, points_in_boxes, transform_boxes
from carla_cp.opv2v import Opv2vError, SceneWriter, read_scene, write_scene
from carla_cp.types import ObjectClass

from .scenes import WORLD, scans

TIMES = (0, 100_000, 200_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_scene(tmp_path / "scene", {"world": {"seed": 3}}, (scans(time) for time in TIMES), binary=True)
    return tmp_path / "scene"


def test_what_was_written_is_what_is_read(folder: Path) -> None:
    scene = read_scene(folder)
    for time, frame in zip(TIMES, scene, strict=True):
        assert frame.time_us == time
        by_name = {int(scan.sweep.agent): scan for scan in frame.agents}
        for scan in scans(time):
            agent = by_name[scan.agent_id]
            assert np.allclose(agent.sweep.points, scan.sweep.points, atol=1 / 255)
            assert agent.sweep.sensor_height_m == pytest.approx(scan.sweep.sensor_height_m)
            pose, true = agent.true_world_from_lidar, scan.true_world_from_lidar
            assert (pose.x, pose.y, pose.z) == (true.x, true.y, true.z)
            assert (pose.roll, pose.pitch, pose.yaw) == pytest.approx((true.roll, true.pitch, true.yaw), abs=1e-12)
            boxes = {thing.id: (thing.label, thing.box) for thing in scan.objects}
            assert sorted(agent.ids) == sorted(boxes)
            for number, label, box in zip(agent.ids, agent.labels, agent.boxes, strict=True):
                assert (label, pytest.approx(boxes[number][1])) == (boxes[number][0], tuple(box))


def test_an_agent_lists_what_it_has_returns_of_but_neither_itself_nor_props(folder: Path) -> None:
    seen = {agent.sweep.agent: sorted(agent.ids) for agent in read_scene(folder).frame(0).agents}
    assert seen == {"09": [12, 14], "12": [9, 13], "-1": [9, 12, 13]}


def test_the_ids_are_padded_so_that_text_order_keeps_the_ego_first_and_the_unit_is_last(folder: Path) -> None:
    assert read_scene(folder).agents == ("09", "12", "-1")


def test_the_yaml_has_the_published_keys_and_orders(folder: Path) -> None:
    text = (folder / "09" / "000002.yaml").read_text()
    top = [line.split(":")[0] for line in text.splitlines() if line[0].isalpha()]
    published = ["ego_speed", "lidar_pose", "plan_trajectory", "predicted_ego_pos", "true_ego_pos", "vehicles"]
    assert top == ["RSU", *published, "walkers"]
    data = yaml.safe_load(text)
    assert data["ego_speed"] == pytest.approx(18.0)
    assert np.allclose(data["lidar_pose"][3:], np.degrees([0.01, 0.3, 0.02]))
    other = data["vehicles"][12]
    assert list(other) == ["angle", "bp_id", "center", "extent", "location", "speed"]
    assert np.allclose(other["angle"], np.degrees([0.01, -2.0, 0.02]))
    assert np.allclose(other["location"] + other["center"], [112.0, -41.0, 0.25, 0.0, 0.0, 0.8])
    assert np.allclose(other["extent"], [2.3, 1.0, 0.8])


def test_classes_survive_the_trip(folder: Path) -> None:
    frame = read_scene(folder).frame(1)
    labels = {number: label for agent in frame.agents for number, label in zip(agent.ids, agent.labels, strict=True)}
    assert labels == {thing.id: thing.label for thing in WORLD if thing.id in (9, 12, 13, 14)}
    assert ObjectClass.CYCLIST in labels.values()


def test_a_failed_scene_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), SceneWriter(tmp_path / "scene", {}) as writer:
        writer.add(scans(0))
        assert not (tmp_path / "scene").exists()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_is_replaced(tmp_path: Path) -> None:
    left = tmp_path / ".scene.partial" / "77"
    left.mkdir(parents=True)
    (left / "000000.pcd").write_text("half")
    write_scene(tmp_path / "scene", {}, [scans(0)])
    assert read_scene(tmp_path / "scene").agents == ("09", "12", "-1")


def test_an_existing_scene_is_not_overwritten(folder: Path) -> None:
    with pytest.raises(Opv2vError, match="exists"):
        SceneWriter(folder, {})


def test_a_time_between_two_ticks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Opv2vError, match="no multiple"):
        write_scene(tmp_path / "scene", {}, [scans(30_000)])


def test_the_same_scene_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_scene(tmp_path / "again", {"world": {"seed": 3}}, (scans(time) for time in TIMES), binary=True)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert len(files) == 1 + 3 * 3 * 2
    assert all((folder / file).read_bytes() == (tmp_path / "again" / file).read_bytes() for file in files)


def test_boxes_sit_on_the_points_of_the_agent_that_lists_them(folder: Path) -> None:
    for agent in read_scene(folder).frame(0).agents:
        local = transform_boxes(matrix_from_pose(inverse(agent.true_world_from_lidar)), agent.boxes)
        assert (points_in_boxes(agent.sweep.points[:, :3].astype(float), local, 0.01) >= 3).all()
