"""A worked example: the detector of another package, which takes every cluster of points for a car.

Its package registers it so, and `--checkpoint plugin:clusters` runs it:

    [project.entry-points."carla_cp.detectors"]
    clusters = "their_detectors:ClusterDetector"
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import cached_property
from typing import NoReturn

import numpy as np
from scipy import ndimage

from carla_cp.geometry import relative, transform_boxes
from carla_cp.perception.base import OutsideDetector
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.head import suppress
from carla_cp.perception.pillars import agent_points, agent_pose
from carla_cp.types import Correction, Detections, FloatArray, PointArray, Shared, Stage, Sweep

CELL_M = 0.8
ABOVE_M = 0.3  # what is lower is road
CAR_M = (4.5, 1.9, 1.6)


class ClusterView:
    """A sweep's points, and a car around the middle of each cluster."""

    tap = Stage.BEV

    def __init__(self, sweep: Sweep, config: DetectorConfig) -> None:
        self.sweep, self.world_from_agent, self._config = sweep, agent_pose(sweep), config

    @cached_property
    def points(self) -> PointArray:
        """(N, 4) in the agent frame."""
        return agent_points(self.sweep, self._config)

    @cached_property
    def boxes(self) -> Detections:
        """A car per cluster, the surest with the most points."""
        grid = self._config.grid
        half = np.array([grid.half_length_m, grid.half_width_m])
        tall = self.points[(self.points[:, 2] > ABOVE_M) & (np.abs(self.points[:, :2]) < half).all(axis=1), :2]
        cells = ((tall + half) // CELL_M).astype(np.int64)
        seen = np.zeros(tuple((2 * half / CELL_M).astype(np.int64) + 1), bool)
        seen[cells[:, 0], cells[:, 1]] = True
        numbers, count = ndimage.label(seen, np.ones((3, 3)))
        owner, which = numbers[cells[:, 0], cells[:, 1]], np.arange(1, count + 1)
        sizes = np.bincount(owner, minlength=count + 1)[1:]
        middles = [np.bincount(owner, tall[:, axis], count + 1)[1:] / sizes for axis in (0, 1)]
        rest = np.broadcast_to((0.8, *CAR_M, 0.0), (count, 5))
        order = np.argsort(-sizes, kind="stable")
        boxes = np.column_stack([*middles, rest])[order]
        return Detections(boxes, (sizes / (sizes + 20.0))[order], np.zeros_like(which))

    def _lacks(self) -> NoReturn:
        raise NotImplementedError("clusters have no features")

    pillars = block1 = bev = heat = property(_lacks)


class ClusterDetector(OutsideDetector):
    """No network: clusters, and those of others by non-maximum suppression."""

    name = "clusters"
    stages = (Stage.BOXES,)
    config = DetectorConfig()
    fingerprint = 0xC1A57E25

    @classmethod
    def load(cls, device: str) -> ClusterDetector:
        """There is nothing to load."""
        return cls()

    def view(self, sweep: Sweep) -> ClusterView:
        """Points and boxes."""
        return ClusterView(sweep, self.config)

    def finish(
        self,
        ego: ClusterView,
        shared: Sequence[Shared],
        pool: Executor | None = None,
        *,
        correction: Correction = Correction.METHOD,
    ) -> Detections:
        """The best of overlapping boxes, the ego's own and those it heard, where their senders believe to be."""
        heard = [_moved(ego, item) for item in shared if item.detections is not None]
        return suppress(Detections.joined([ego.boxes, *heard]), self.config)


def _moved(ego: ClusterView, item: Shared) -> Detections:
    """What was heard, in the ego's agent frame and range."""
    assert item.detections is not None
    found, grid = item.detections, ClusterDetector.config.grid
    boxes: FloatArray = transform_boxes(relative(ego.world_from_agent, item.world_from_agent), found.boxes)
    near = (np.abs(boxes[:, :2]) < (grid.half_length_m, grid.half_width_m)).all(axis=1)
    return Detections(boxes[near], found.scores[near], found.labels[near])
