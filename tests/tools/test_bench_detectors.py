"""What is measured of a detector: every part, a realistic number of boxes, and all convolutions on the way."""

from __future__ import annotations

from dataclasses import replace

import bench_detectors as bench
import pytest
import torch
from torch import nn

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.presets import MINI, SECOND_MINI
from tests.perception.synthetic import make_frame

SWEEPS = [agent.sweep for agent in make_frame(3).agents]


def small(config: DetectorConfig) -> DetectorConfig:
    return replace(config, grid=replace(config.grid, half_length_m=25.6, half_width_m=25.6))


@pytest.mark.parametrize("config", [small(MINI), small(SECOND_MINI)], ids=["pillars", "sparse"])
def test_every_part_is_measured_on_some_boxes(config: DetectorConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "REPEAT", 1)
    detector = bench.random_detector(config, SWEEPS)
    with torch.no_grad():
        rows = [*bench.parts("it", detector, SWEEPS), *bench.whole("it", detector, SWEEPS)]
        found = bench.both_in(detector, SWEEPS)
    assert [row.name.split(": ")[1].split(",")[0] for row in rows] == [
        "voxelising",
        "encoder",
        "backbone",
        "warp and fusion of two",
        "head",
        "decoding and NMS",
        "two clouds in",
        "the sum of its 2-D convolutions alone",
        "added on top of the convolutions",
    ]
    assert all(row.median > 0 for row in rows[:-1])
    assert 20 < len(found.scores) <= 3 * bench.CANDIDATES


def test_the_convolutions_of_two_agents_backbones_and_one_head_are_counted() -> None:
    detector = bench.random_detector(small(MINI), SWEEPS)
    with torch.no_grad():
        calls = bench.convolutions_of(detector, SWEEPS)
    backbone = [part for part in detector.backbone.modules() if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d))]
    assert len(backbone) == 12
    for part in backbone:
        assert len([call for call in calls if call.layer is part]) == 2
    assert len(calls) == 2 * len(backbone) + 1 + 3  # fusion's mix; head's trunk, heat and boxes
    assert calls[0].shape == (1, 32, 128, 128)
