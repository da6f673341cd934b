"""Training samples: augmentation moves points and boxes alike, and no target lacks evidence."""

from __future__ import annotations

import numpy as np
import torch

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion import warp
from carla_cp.perception.head import RawHeads, decode
from carla_cp.perception.samples import Augmentation, make_sample, partial_mask
from carla_cp.perception.truth import team_truth
from carla_cp.types import Detections
from tests.perception.synthetic import make_frame

CONFIG = DetectorConfig()
PLAIN = Augmentation(drop=0.0, mirror=0.0, turn_rad=0.0, partial=0.0, noise_m=0.0, noise_rad=0.0)


def read(heat: np.ndarray, boxes: np.ndarray) -> Detections:
    logits = torch.logit(torch.from_numpy(heat), eps=1e-4)
    return decode(RawHeads(logits[None], torch.from_numpy(boxes)[None]), CONFIG)


def test_an_unvaried_sample_has_the_teams_truth() -> None:
    frame = make_frame(21, agents=3)
    sample = make_sample(frame, CONFIG, np.random.default_rng(0), PLAIN)
    found = read(sample.team.heat, sample.team.boxes).boxes
    matches = []
    for ego in range(3):
        truth, _ = team_truth(frame, CONFIG, ego)
        distance = np.linalg.norm(truth[:, None, :2] - found[None, :, :2], axis=2)
        matches.append(float((distance.min(axis=1) < 0.5).mean()) if len(found) else 0.0)
    assert max(matches) > 0.85  # an object out of its only witness' grid has no evidence


def test_augmented_points_still_lie_on_the_boxes() -> None:
    for seed in range(4):
        vary = Augmentation(partial=0.0, drop=0.0)
        sample = make_sample(make_frame(30 + seed), CONFIG, np.random.default_rng(seed), vary)
        for cloud, own in zip(sample.clouds, sample.own, strict=True):
            found = read(own.heat, own.boxes)
            points = cloud.points.reshape(-1, 4)
            points = points[points[:, 2] > 0.3]
            inside = np.zeros(len(points), bool)
            for x, y, _, length, width, _, yaw in found.boxes:
                dx, dy = points[:, 0] - x, points[:, 1] - y
                along, across = dx * np.cos(yaw) + dy * np.sin(yaw), dy * np.cos(yaw) - dx * np.sin(yaw)
                inside |= (np.abs(along) < length / 2 + 0.15) & (np.abs(across) < width / 2 + 0.15)
            assert len(points) > 20 and inside.mean() > 0.97


def test_a_senders_objects_warp_onto_the_teams_targets() -> None:
    vary = Augmentation(partial=0.0, drop=0.0, noise_m=0.0, noise_rad=0.0)
    sample = make_sample(make_frame(40), CONFIG, np.random.default_rng(3), vary)
    moved, valid = warp(torch.from_numpy(sample.own[1].heat)[None], sample.valid, sample.theta)
    peaks = (moved[0, 0] > 0.7) & valid[0]
    assert peaks.sum() >= 3
    target = torch.nn.functional.max_pool2d(torch.from_numpy(sample.team.heat)[None, :1], 3, 1, 1)[0, 0]
    own_body = torch.zeros_like(peaks)
    own_body[60:68, 60:68] = True
    assert (target[peaks & ~own_body] > 0.9).all()


def test_partial_masks_keep_something_and_drop_something() -> None:
    boxes = np.array([[10.0, 5.0, 0.8, 4.4, 1.9, 1.6, 0.0], [-30.0, 20.0, 0.8, 4.4, 1.9, 1.6, 0.0]])
    shares = [partial_mask(boxes, CONFIG.grid, np.random.default_rng(seed)).mean() for seed in range(40)]
    assert min(shares) < 0.1 and max(shares) > 0.5 and max(shares) < 1.0


def test_the_same_generator_gives_the_same_sample() -> None:
    first, second = (make_sample(make_frame(50), CONFIG, np.random.default_rng(9), Augmentation()) for _ in range(2))
    np.testing.assert_array_equal(first.team.boxes, second.team.boxes)
    torch.testing.assert_close(first.theta, second.theta, atol=0, rtol=0)
    assert len(first.clouds) == len(second.clouds)
