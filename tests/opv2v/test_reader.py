import os
from pathlib import Path

import numpy as np
import pytest

from carla_cp.geometry import inverse, matrix_from_pose, points_in_boxes, transform_boxes
from carla_cp.opv2v import Opv2vError, PcdError, read_scene, write_pcd
from carla_cp.types import ObjectClass

# One object of the published file 006226.yaml (Culver City test split), and the keys around it.
PUBLISHED = """
ego_speed: 16.092310169954015
lidar_pose: [191.0685577392578, -119.71501922607422, 1.9318729639053345, 0.0321, -26.353099, 0.10800577]
plan_trajectory: []
predicted_ego_pos: [191.548, -119.979, 0.039, 0.0, -26.286, 0.0]
true_ego_pos: [191.5193328857422, -119.93950653076172, 0.03281932696700096, 0.0321, -26.353099, 0.10800577]
vehicles:
  311:
    angle: [-0.0733642429113388, 159.01055908203125, 0.01590750925242901]
    center: [0.004038447514176369, -2.6085972422151826e-06, 0.7188604474067688]
    extent: [2.4508416652679443, 1.0641621351242065, 0.7553732395172119]
    location: [232.6915740966797, -159.64920043945312, 0.033619727939367294]
    speed: 14.001070750716238
"""
REAL_SCENE = os.environ.get("CARLA_CP_OPV2V_SCENE", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for agent, ticks in {"1732": (70, 72), "650": (70, 72), "99": (70,), "-1": (70, 72)}.items():
        (tmp_path / agent).mkdir()
        for tick in ticks:
            (tmp_path / agent / f"{tick:06d}.yaml").write_text(PUBLISHED)
            write_pcd(tmp_path / agent / f"{tick:06d}.pcd", np.ones((3, 4), np.float32))
    return tmp_path


def test_the_ego_is_first_in_text_order_and_a_unit_never_is(folder: Path) -> None:
    scene = read_scene(folder)
    assert scene.agents == ("1732", "650", "99", "-1")
    assert len(scene) == 2
    assert [frame.time_us for frame in scene] == [3_500_000, 3_600_000]


def test_a_hidden_folder_is_no_agent(folder: Path) -> None:
    (folder / ".cache").mkdir()
    assert read_scene(folder).agents == ("1732", "650", "99", "-1")


def test_an_agent_without_files_at_a_tick_is_left_out_of_that_frame(folder: Path) -> None:
    assert [agent.sweep.agent for agent in read_scene(folder).frame(1).agents] == ["1732", "650", "-1"]


def test_a_published_frame_is_read_in_metres_and_radians(folder: Path) -> None:
    agent = read_scene(folder).frame(0).agents[0]
    pose = agent.true_world_from_lidar
    assert (pose.x, pose.y, pose.z) == (191.0685577392578, -119.71501922607422, 1.9318729639053345)
    assert np.allclose([pose.roll, pose.yaw, pose.pitch], np.radians([0.0321, -26.353099, 0.10800577]))
    assert agent.sweep.sensor_height_m == pytest.approx(1.89905, abs=1e-4)
    centre, size = [232.695612, -159.649203, 0.752480], [4.901683, 2.128324, 1.510746]
    assert np.allclose(agent.boxes, [[*centre, *size, np.radians(159.01055908203125)]], atol=1e-5)
    assert agent.ids.tolist() == [311] and agent.labels.tolist() == [ObjectClass.VEHICLE]


def test_a_yaml_file_without_a_key_is_refused_by_name(folder: Path) -> None:
    path = folder / "650" / "000070.yaml"
    path.write_text(PUBLISHED.replace("lidar_pose", "lidar"))
    with pytest.raises(Opv2vError, match=r"650/000070\.yaml.*lidar_pose"):
        read_scene(folder).frame(0)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("lidar_pose", "lidar", "yaml without a key"),
        ("191.0685577392578", ".nan", "value that is not finite"),
        ("1.0641621351242065", "1e300", "value that is not finite"),
        ("1.0641621351242065", "-1.06", "negative extent"),
        ("  311:\n", "  car:\n", "broken yaml"),
        ("vehicles:\n  311:\n", "vehicles: 3\nothers:\n  311:\n", "broken yaml"),
        (PUBLISHED, "[" * 5000, "broken yaml"),
        (PUBLISHED, "", "broken yaml"),
    ],
)
def test_what_is_wrong_with_a_yaml_file_can_be_counted_by_its_reason(
    folder: Path, old: str, new: str, reason: str
) -> None:
    assert old in PUBLISHED
    (folder / "650" / "000070.yaml").write_text(PUBLISHED.replace(old, new))
    with pytest.raises(Opv2vError, match=r"650/000070\.yaml") as caught:
        read_scene(folder).frame(0)
    assert caught.value.reason == reason


def test_what_a_frame_lacks_is_noted_with_the_file(folder: Path) -> None:
    write_pcd(folder / "650" / "000072.pcd", np.zeros((0, 4), np.float32))
    notes = read_scene(folder).read(1).notes
    assert [(note.reason, note.where) for note in notes] == [
        ("empty cloud", str(folder / "650" / "000072.pcd")),
        ("agent without files at a tick", str(folder / "99" / "000072.yaml")),
    ]


def test_an_object_free_frame_is_read_and_noted(folder: Path) -> None:
    for agent in read_scene(folder).agents:
        (folder / agent / "000070.yaml").write_text(PUBLISHED.split("vehicles:")[0] + "vehicles: {}\n")
    reading = read_scene(folder).read(0)
    assert [agent.boxes.shape for agent in reading.frame.agents] == [(0, 7)] * 4
    assert [note.reason for note in reading.notes] == ["frame without objects"]


def test_a_file_that_does_not_tell_the_ground_leaves_the_height_to_the_cloud(folder: Path) -> None:
    rng = np.random.default_rng(2)
    road = np.column_stack([rng.uniform(-20, 20, (500, 2)), np.full(500, -2.4), np.ones(500)]).astype(np.float32)
    for agent in ("650", "99"):
        text = PUBLISHED.replace("true_ego_pos", "somewhere").replace(
            "0.0321, -26.353099, 0.10800577", "0.0, -26.3, 0.0"
        )
        (folder / agent / "000070.yaml").write_text(text)
    write_pcd(folder / "650" / "000070.pcd", road)
    _, told, unknown, _ = read_scene(folder).frame(0).agents
    assert told.sweep.sensor_height_m == pytest.approx(2.4, abs=0.01)
    assert unknown.sweep.sensor_height_m == 1.9


def test_a_missing_cloud_is_refused_and_not_taken_for_a_missing_agent(folder: Path) -> None:
    (folder / "650" / "000070.pcd").unlink()
    with pytest.raises(PcdError, match=r"650/000070\.pcd"):
        read_scene(folder).frame(0)


def test_a_yaml_file_cut_short_is_refused_by_name(folder: Path) -> None:
    path = folder / "650" / "000070.yaml"
    path.write_text(PUBLISHED[:100])
    with pytest.raises(Opv2vError, match=r"650/000070\.yaml"):
        read_scene(folder).frame(0)


def test_a_cloud_cut_short_is_refused_by_name(folder: Path) -> None:
    path = folder / "650" / "000070.pcd"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(PcdError, match=r"650/000070\.pcd"):
        read_scene(folder).frame(0)


def test_a_folder_without_vehicles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "-1").mkdir()
    with pytest.raises(Opv2vError, match="no folder of a vehicle"):
        read_scene(tmp_path)
    with pytest.raises(Opv2vError, match="no such scene"):
        read_scene(tmp_path / "absent")


@pytest.mark.skipif(not REAL_SCENE, reason="CARLA_CP_OPV2V_SCENE names no published scene folder")
def test_boxes_of_a_published_scene_sit_on_points() -> None:
    hits = []
    for agent in (agent for frame in read_scene(Path(REAL_SCENE)) for agent in frame.agents):
        boxes = transform_boxes(matrix_from_pose(inverse(agent.true_world_from_lidar)), agent.boxes)
        near = np.hypot(boxes[:, 0], boxes[:, 1]) < 60
        hits.append(points_in_boxes(agent.sweep.points[:, :3].astype(float), boxes[near], 0.1))
    assert (np.concatenate(hits) > 0).mean() > 0.95
