"""The detector: stages agree, everything heard is handled or refused, checkpoints fit or say why not."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from carla_cp.geometry import compose, matrix_from_pose, relative, transform_boxes, transform_points
from carla_cp.perception.checkpoint import load_detector, save_detector
from carla_cp.perception.config import CheckpointError, DetectorConfig, load_config
from carla_cp.perception.detector import Detector
from carla_cp.perception.fusion import Team, ego_member
from carla_cp.perception.view import View
from carla_cp.types import Detections, Pose, Shared, Stage
from tests.perception.synthetic import make_frame


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Untrained, with biases that make it claim a box or two everywhere it looks."""
    torch.manual_seed(5)
    result = Detector(DetectorConfig()).eval()
    with torch.no_grad():
        result.head.heat.weight.mul_(8.0)
        result.head.heat.bias.fill_(-1.5)
    return result


@pytest.fixture(scope="module")
def views(detector: Detector) -> list[View]:
    return [detector.view(agent.sweep) for agent in make_frame(7).agents]


def shared(view: View, stage: Stage) -> Shared:
    """What a lossless codec at a stage would deliver."""
    base = Shared(view.sweep.agent, 0, view.world_from_agent, stage)
    if stage is Stage.POINTS:
        return replace(base, points=view.points)
    if stage is Stage.BOXES:
        return replace(base, detections=view.boxes)
    if stage is Stage.PILLARS:
        return replace(base, features=view.pillars, valid=torch.ones((256, 256), dtype=torch.bool))
    if stage is Stage.BLOCK1:
        with torch.no_grad():
            features = view.detector.backbone.first(view.pillars[None])[0]
        return replace(base, features=features, valid=torch.ones((128, 128), dtype=torch.bool))
    return replace(base, features=view.bev, valid=torch.ones((128, 128), dtype=torch.bool))


def same(first: Detections, second: Detections) -> bool:
    return (
        np.array_equal(first.boxes, second.boxes)
        and np.array_equal(first.scores, second.scores)
        and np.array_equal(first.labels, second.labels)
    )


def test_stages_have_the_shapes_that_codecs_rely_on(views: list[View]) -> None:
    view = views[0]
    assert view.points.shape[1] == 4 and view.points.dtype == np.float32
    assert view.pillars.shape == (32, 256, 256) and view.bev.shape == (64, 128, 128)
    assert view.heat.shape == (3, 128, 128)
    for feature in (view.pillars, view.bev, view.heat):
        assert feature.dtype == torch.float32 and feature.min() >= 0.0 and not feature.requires_grad
    assert view.heat.max() <= 1.0
    assert len(view.boxes.scores) > 5 and (np.diff(view.boxes.scores) <= 0).all()


def test_the_agent_frame_is_the_lidar_frame_lowered_to_the_road(detector: Detector) -> None:
    sweep = make_frame(3).agents[0].sweep
    tilted = replace(sweep, world_from_lidar=Pose(4.0, 5.0, 1.9, 0.02, -0.03, 1.0))
    expected = matrix_from_pose(tilted.world_from_lidar) @ matrix_from_pose(Pose(z=-1.9))
    np.testing.assert_allclose(matrix_from_pose(detector.view(tilted).world_from_agent), expected, atol=1e-12)
    assert abs(np.median(detector.view(sweep).points[:, 2])) < 0.2


def test_all_feature_stages_of_a_lossless_sender_give_the_same_detections(
    detector: Detector, views: list[View]
) -> None:
    reference = detector.finish(views[0], [shared(views[1], Stage.BEV)])
    assert not same(reference, views[0].boxes)
    for stage in (Stage.PILLARS, Stage.BLOCK1):
        assert same(detector.finish(views[0], [shared(views[1], stage)]), reference)


def test_nothing_heard_or_nothing_valid_is_the_ego_alone(detector: Detector, views: list[View]) -> None:
    alone = views[0].boxes
    assert same(detector.finish(views[0], []), alone)
    nothing = replace(shared(views[1], Stage.BEV), valid=torch.zeros((128, 128), dtype=torch.bool))
    assert same(detector.finish(views[0], [nothing]), alone)


def test_points_join_the_egos_cloud_where_they_are(detector: Detector, views: list[View]) -> None:
    ego, sender = views
    merged = np.concatenate([ego.points, sender.points])
    moved = transform_points(relative(ego.world_from_agent, sender.world_from_agent), sender.points[:, :3])
    merged[len(ego.points) :, :3] = moved
    body = (np.abs(merged[:, 0]) <= 2.6) & (np.abs(merged[:, 1]) <= 1.1)
    expected = View(detector, ego.sweep, merged[~body]).boxes
    assert same(detector.finish(ego, [shared(sender, Stage.POINTS)]), expected)


def test_boxes_of_a_sender_arrive_in_the_egos_frame_but_not_the_ego_itself(
    detector: Detector, views: list[View]
) -> None:
    ego = views[0]
    wanted = np.array([[20.0, -8.0, 0.8, 4.4, 1.9, 1.6, 0.4]])
    on_ego = np.array([[0.3, 0.1, 0.8, 4.4, 1.9, 1.6, 0.0]])
    far = np.array([[60.0, 0.0, 0.8, 4.4, 1.9, 1.6, 0.0]])
    sender_pose = compose(ego.world_from_agent, Pose(x=15.0, y=4.0, yaw=2.0))
    sent = transform_boxes(relative(sender_pose, ego.world_from_agent), np.concatenate([wanted, on_ego, far]))
    message = Shared(
        views[1].sweep.agent,
        0,
        sender_pose,
        Stage.BOXES,
        detections=Detections(sent, np.array([0.99, 0.98, 0.97]), np.array([2, 0, 0])),
    )
    found = detector.finish(ego, [message])
    assert found.scores[0] == 0.99 and found.labels[0] == 2
    np.testing.assert_allclose(found.boxes[0], wanted[0], atol=1e-9)
    assert not np.isin([0.98, 0.97], found.scores).any()


@pytest.mark.parametrize("sure", [True, False])
def test_boxes_of_an_older_sweep_know_how_old_they_are(detector: Detector, views: list[View], sure: bool) -> None:
    lone = Detections(np.array([[20.0, -8.0, 0.8, 4.4, 1.9, 1.6, 0.4]]), np.array([0.99]), np.zeros(1, np.int64))
    said = replace(lone, sigmas=np.full((1, 3), 0.1) if sure else None)
    message = Shared(views[1].sweep.agent, views[0].sweep.time_us - 150_000, Pose(), Stage.BOXES, detections=said)
    alone = copy.copy(views[0])
    alone.world_from_agent, alone._boxes = Pose(), Detections.empty()
    found = detector.finish(alone, [message])
    assert found.ages_s is not None and found.ages_s.tolist() == [0.15]
    assert detector.finish(alone, [replace(message, time_us=alone.sweep.time_us)]).ages_s is None


def test_mixed_stages_are_heard_together(detector: Detector, views: list[View]) -> None:
    feature, boxes = shared(views[1], Stage.BEV), shared(views[1], Stage.BOXES)
    fused = detector.finish(views[0], [feature])
    both = detector.finish(views[0], [boxes, feature])
    assert set(both.scores) - set(fused.scores) <= set(views[1].boxes.scores)
    assert not same(both, fused)


def test_a_received_message_can_be_placed_where_its_sender_believes_to_be(
    detector: Detector, views: list[View]
) -> None:
    message = shared(views[1], Stage.BLOCK1)
    received = detector.receive(message)
    poses = message.world_from_agent, replace(message.world_from_agent, x=message.world_from_agent.x + 2.0)
    found = []
    for pose in poses:
        moved = replace(message, world_from_agent=pose)
        found.append(detector.finish(views[0], [], received=[replace(received, shared=moved)]))
        assert same(found[-1], detector.finish(views[0], [moved]))
    assert not same(*found)


@pytest.mark.parametrize("stage", [Stage.PILLARS, Stage.BLOCK1, Stage.BEV])
def test_features_of_a_wrong_shape_are_refused(detector: Detector, views: list[View], stage: Stage) -> None:
    good = shared(views[1], stage)
    assert good.features is not None and good.valid is not None
    for bad in (
        replace(good, features=good.features[:-1]),
        replace(good, valid=good.valid[:-1]),
        replace(good, valid=None),
    ):
        with pytest.raises(ValueError, match=r"agent_1"):
            detector.finish(views[0], [bad])


def test_the_same_sweep_gives_the_same_bits(detector: Detector, views: list[View]) -> None:
    again = detector.view(views[0].sweep)
    assert torch.equal(again.bev, views[0].bev) and same(again.boxes, views[0].boxes)


def test_gradients_reach_a_codecs_input(detector: Detector, views: list[View]) -> None:
    pillars = views[0].pillars[None].clone().requires_grad_()
    raw = detector.raw_heads(detector.fuse((Team((ego_member(detector.bev_from_pillars(pillars)[0]),)),))[None])
    raw.heat.sum().backward()
    assert pillars.grad is not None and pillars.grad.abs().sum() > 0


def test_a_saved_detector_loads_with_the_same_fingerprint_and_output(
    detector: Detector, views: list[View], tmp_path: Path
) -> None:
    save_detector(detector, tmp_path / "made" / "here")
    loaded = load_detector(tmp_path / "made" / "here")
    assert loaded.fingerprint == detector.fingerprint and 0 <= loaded.fingerprint < 2**32
    torch.testing.assert_close(loaded.view(views[0].sweep).bev, views[0].bev, atol=1e-5, rtol=1e-4)
    other = copy.deepcopy(detector)
    with torch.no_grad():
        other.head.boxes.bias[0] += 1e-3
    save_detector(other, tmp_path / "other")
    assert load_detector(tmp_path / "other").fingerprint != detector.fingerprint


def test_a_detector_loaded_for_use_cannot_be_saved(detector: Detector, tmp_path: Path) -> None:
    save_detector(detector, tmp_path)
    with pytest.raises(ValueError, match="folded"):
        save_detector(load_detector(tmp_path), tmp_path)


def test_a_checkpoint_that_does_not_fit_says_which_file_and_what_to_do(detector: Detector, tmp_path: Path) -> None:
    def error() -> str:
        with pytest.raises(CheckpointError) as caught:
            load_detector(tmp_path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "config.json: not found; give" in error()
    detector.config.save(tmp_path / "config.json")
    assert "weights.safetensors: not found; give" in error()
    save_detector(detector, tmp_path)
    replace(detector.config, bev_channels=32).save(tmp_path / "config.json")
    assert "weights.safetensors: does not fit" in error()
    (tmp_path / "weights.safetensors").write_bytes(b"not weights")
    assert "weights.safetensors: cannot be read" in error()
    (tmp_path / "config.json").write_text("{")
    assert "config.json: cannot be read as JSON" in error()
    (tmp_path / "config.json").write_text('{"schema": 1, "grid": {}, "filters": 3, "layers": [1], "classes": []}')
    assert "config.json: " in error()


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    config = DetectorConfig(filters=(16, 32), layers=(0, 1), strides=(2, 2), score_threshold=0.2)
    config.save(tmp_path / "config.json")
    assert load_config(tmp_path / "config.json") == config
