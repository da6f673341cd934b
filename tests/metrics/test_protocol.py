"""What counts: ours is the training's truth, OpenCOOD's filters equal a plain loop, each option does what it says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import shapely

from carla_cp.geometry import box_corners
from carla_cp.metrics.protocol import OPENCOOD, OURS, PROTOCOLS, EvaluationProtocol
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.truth import team_truth
from carla_cp.types import AgentFrame, AgentName, Detections, FloatArray, ObjectClass, Pose, Sweep
from tests.perception.synthetic import make_frame

CONFIG = DetectorConfig()
HEIGHT_M = 1.9


def agent(name: str, x: float, rows: list[list[float]], ids: list[int], labels: list[int] | None = None) -> AgentFrame:
    """An agent on the x axis that has returns of the given boxes (world frame)."""
    pose = Pose(x=x, z=HEIGHT_M)
    sweep = Sweep(AgentName(name), 0, np.zeros((0, 4), np.float32), pose, HEIGHT_M)
    return AgentFrame(
        sweep,
        pose,
        np.array(rows).reshape(-1, 7),
        np.array(ids, np.int64),
        np.array(labels or [0] * len(ids), np.int64),
    )


def car(x: float, y: float = 0.0, length: float = 4.5, yaw: float = 0.0) -> list[float]:
    return [x, y, 0.8, length, 1.9, 1.6, yaw]


def found(rows: list[list[float]], scores: list[float] | None = None, labels: list[int] | None = None) -> Detections:
    count = len(rows)
    return Detections(
        np.array(rows).reshape(-1, 7), np.array(scores or [0.5] * count), np.array(labels or [0] * count, np.int64)
    )


def test_our_truth_is_that_of_training() -> None:
    for seed in range(4):
        frame = make_frame(seed, agents=3)
        boxes, labels = OURS.truth(frame.agents, CONFIG)
        expected = team_truth(frame, CONFIG)
        np.testing.assert_array_equal(boxes, expected[0])
        np.testing.assert_array_equal(labels, expected[1])


def random_detections(rng: np.random.Generator, count: int) -> Detections:
    boxes = np.column_stack(
        [
            rng.uniform(-150, 150, count),
            rng.uniform(-45, 45, count),
            rng.uniform(-1.5, 3.5, count),
            rng.uniform(1, 9, count),
            rng.uniform(1, 3, count),
            rng.uniform(1, 4, count),
            rng.uniform(-4, 4, count),
        ]
    )
    return Detections(boxes, rng.random(count), rng.integers(0, 3, count))


def opencood_keeps(box: FloatArray, score: float, label: int) -> bool:
    """By its description: eight corners in the sensor's frame, one at a time."""
    corners = [tuple(corner) for corner in box_corners(box[None])[0]]
    if max(x for x, _, _ in corners) - min(x for x, _, _ in corners) > 6:
        return False
    if max(y for _, y, _ in corners) - min(y for _, y, _ in corners) > 6:
        return False
    for x, y, z in corners:
        if not (-140 <= x <= 140 and -40 <= y <= 40 and -3 <= z - HEIGHT_M <= 1):
            return False
    return score > 0.2 and label != ObjectClass.PEDESTRIAN


def test_opencood_s_filters_equal_a_plain_loop() -> None:
    detections = random_detections(np.random.default_rng(1), 3000)
    kept = OPENCOOD.found(detections, HEIGHT_M, CONFIG)
    keep = [opencood_keeps(*item) for item in zip(detections.boxes, detections.scores, detections.labels, strict=True)]
    assert 100 < sum(keep) < 1500
    np.testing.assert_array_equal(kept.boxes, detections.boxes[keep])
    np.testing.assert_array_equal(kept.scores, detections.scores[keep])
    assert set(kept.labels) == {0}


def test_the_range_takes_centres_or_all_corners() -> None:
    rows = [car(99.0), car(97.0), car(0.0, 39.5), car(0.0, 38.9)]
    centres = replace(OURS, range_m=(100.0, 40.0))
    corners = replace(centres, inside="corners")
    assert centres.found(found(rows), HEIGHT_M, CONFIG).boxes[:, 0].tolist() == [99.0, 97.0, 0.0, 0.0]
    assert corners.found(found(rows), HEIGHT_M, CONFIG).boxes[:, :2].tolist() == [[97.0, 0.0], [0.0, 38.9]]
    square = shapely.box(-100, -40, 100, 40)
    for row in rows:
        polygon = shapely.Polygon(box_corners(np.array([row]))[0, :4, :2])
        assert square.contains(polygon) == bool(len(corners.found(found([row]), HEIGHT_M, CONFIG).boxes))


def test_large_detections_go_by_their_extent_along_the_axes_and_truth_stays() -> None:
    turned = car(10, 0, 6.5, math.pi / 4)  # extends 5.94 m along both axes
    straight = car(20, 0, 6.5)
    protocol = replace(OURS, max_extent_m=6.0)
    assert protocol.found(found([turned, straight]), HEIGHT_M, CONFIG).boxes[:, 0].tolist() == [10.0]
    assert len(protocol.truth((agent("7", 0, [turned, straight], [1, 2]),), CONFIG)[0]) == 2


def test_heights_are_over_the_sensor() -> None:
    high = [*car(10)[:2], 2.2, *car(10)[3:]]  # its top lies 3.0 m over the ground, 1.1 m over the sensor
    protocol = replace(OURS, z_range_m=(-3.0, 1.0))
    assert protocol.found(found([high, car(20)]), HEIGHT_M, CONFIG).boxes[:, 0].tolist() == [20.0]
    assert protocol.found(found([high, car(20)]), 2.1, CONFIG).boxes[:, 0].tolist() == [10.0, 20.0]


def test_agents_take_part_as_far_as_they_are_really_near() -> None:
    ego, near, far = agent("0", 0, [], []), agent("1", 69.9, [], []), agent("2", -70.1, [], [])
    lost = replace(near, sweep=replace(near.sweep, world_from_lidar=Pose(x=500.0)))
    assert [OPENCOOD.takes_part(ego, other) for other in (near, far, lost)] == [True, False, True]
    assert OURS.takes_part(ego, far)


def test_the_ego_s_own_car_counts_where_asked_when_another_has_returns_of_it() -> None:
    agents = (agent("0", 0, [car(20)], [5]), agent("1", 30, [car(0), car(20)], [0, 5]))
    assert OURS.truth(agents, CONFIG)[0][:, 0].tolist() == [20.0]
    assert replace(OURS, include_ego=True).truth(agents, CONFIG)[0][:, 0].tolist() == [0.0, 20.0]
    assert replace(OURS, include_ego=True).truth(agents[:1], CONFIG)[0][:, 0].tolist() == [20.0]


def test_all_as_one_merges_cyclists_and_leaves_walkers_out() -> None:
    rows, labels = [car(10), car(20), car(30)], [0, 1, 2]
    protocol = replace(OURS, objects="all-as-one")
    boxes, kinds = protocol.truth((agent("0", 0, rows, [1, 2, 3], labels),), CONFIG)
    assert boxes[:, 0].tolist() == [10.0, 20.0] and kinds.tolist() == [0, 0]
    assert protocol.found(found(rows, labels=labels), HEIGHT_M, CONFIG).labels.tolist() == [0, 0]
    assert OURS.truth((agent("0", 0, rows, [1, 2, 3], labels),), CONFIG)[1].tolist() == labels


def test_the_nearest_objects_count_and_scores_must_exceed_their_threshold() -> None:
    rows = [car(40), car(10), car(25)]
    boxes, _ = replace(OURS, max_objects=2).truth((agent("0", 0, rows, [1, 2, 3]),), CONFIG)
    assert boxes[:, 0].tolist() == [10.0, 25.0]
    kept = replace(OURS, score_threshold=0.3).found(found(rows, [0.2, 0.3, 0.4]), HEIGHT_M, CONFIG)
    assert kept.scores.tolist() == [0.4]


def test_no_boxes_are_no_trouble() -> None:
    for protocol in PROTOCOLS.values():
        assert len(protocol.truth((agent("0", 0, [], []),), CONFIG)[0]) == 0
        assert len(protocol.found(Detections.empty(), HEIGHT_M, CONFIG).boxes) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"range_m": (10.0, -1.0)},
        {"inside": "middle"},
        {"com_range_m": 0.0},
        {"max_extent_m": float("inf")},
        {"z_range_m": (1.0, 1.0)},
        {"objects": "all"},
        {"max_objects": 0},
        {"score_threshold": 1.0},
        {"order": "random"},
        {"bins_m": (50.0, 30.0)},
        {"bins_m": (0.0, 30.0)},
    ],
)
def test_a_field_that_does_not_fit_is_refused_by_name(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        EvaluationProtocol(**wrong)  # type: ignore[arg-type]


def test_bins_cover_everything() -> None:
    assert OURS.bins == ((0.0, 30.0), (30.0, 50.0), (50.0, float("inf")))
    assert replace(OURS, bins_m=()).bins == ((0.0, float("inf")),)
