"""The team's truth."""

from __future__ import annotations

import numpy as np

from carla_cp.geometry import inverse, matrix_from_pose, points_in_boxes, transform_boxes, transform_points
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.truth import team_truth, users_in_range
from carla_cp.types import GridSpec, Pose
from tests.metrics.builders import state, thing
from tests.perception.synthetic import make_frame, world_points


def test_the_truth_is_every_object_that_someone_hits_once_without_the_ego() -> None:
    frame = make_frame(11, agents=3, cars=12)
    for ego in range(3):
        boxes, labels = team_truth(frame, DetectorConfig(), ego)
        ids = set(np.concatenate([agent.ids for agent in frame.agents]).tolist()) - {ego}
        world = {int(i): box for agent in frame.agents for i, box in zip(agent.ids, agent.boxes, strict=True)}
        pose = frame.agents[ego].true_world_from_lidar
        local = transform_boxes(matrix_from_pose(inverse(pose)), np.array([world[i] for i in sorted(ids)]))
        local[:, 2] += 1.9
        expected = local[(np.abs(local[:, :2]) < 51.2).all(axis=1)]
        assert len(labels) == len(boxes) == len(expected)
        np.testing.assert_allclose(boxes[np.lexsort(boxes.T)], expected[np.lexsort(expected.T)], atol=1e-9)


def test_truth_boxes_hold_the_points_of_the_team() -> None:
    frame = make_frame(12)
    boxes, _ = team_truth(frame, DetectorConfig())
    cloud = np.concatenate([world_points(agent.sweep) for agent in frame.agents])
    local = transform_points(matrix_from_pose(inverse(frame.agents[0].true_world_from_lidar)), cloud) + [0, 0, 1.9]
    assert (points_in_boxes(local, boxes, grow_m=0.1) > 0).all()


def test_road_users_in_range_are_those_with_a_class_and_their_centre_in_the_grid() -> None:
    cars = [
        thing("near", state(100.0, 40.0, 0.5), 3),
        thing("far", state(160.0), 4),
        thing("sign", state(101.0), 5, None),
    ]
    boxes, labels, ids = users_in_range(cars, Pose(x=90.0, y=40.0, yaw=np.pi / 2), GridSpec())
    assert ids.tolist() == [3] and labels.tolist() == [0]
    np.testing.assert_allclose(boxes[0, [0, 1, 6]], [0.0, -10.0, 0.5 - np.pi / 2], atol=1e-9)
