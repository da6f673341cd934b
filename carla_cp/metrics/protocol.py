"""What an evaluation counts: ranges, filters and the order of the curve, written down in one value.

`OURS` is this project's protocol. `OPENCOOD` is that of OpenCOOD's code (Xu et al., ICRA 2022; `VoxelPostprocessor`,
`GT_RANGE`, `COM_RANGE`), which most published tables on OPV2V rest on. Two of its habits are left out: it drops large
boxes before non-maximum suppression, we after it; and for late fusion it filters the truth in each sender's frame.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from carla_cp.geometry import bev_corners, transform_boxes
from carla_cp.metrics.detection import Order
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.pillars import on_own_body
from carla_cp.perception.truth import agent_from_world
from carla_cp.types import AgentFrame, Detections, FloatArray, IntArray, ObjectClass

Inside: TypeAlias = Literal["centre", "corners"]
Objects: TypeAlias = Literal["vehicles", "all-as-one"]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


def _one_of(name: str, value: str, choices: object) -> None:
    if value not in get_args(choices):
        raise ValueError(f"{name} is {value!r}: give one of {', '.join(get_args(choices))}")


@dataclass(frozen=True, slots=True)
class EvaluationProtocol:
    """Which boxes count; the defaults are ours. Distances are from the ego's sensor, in the plane."""

    name: str = "ours"
    range_m: tuple[float, float] | None = None  # half extent along x and y, of truth and detections; None: the grid's
    inside: Inside = "centre"  # what must lie in that range
    com_range_m: float | None = None  # agents farther from the ego take no part
    max_extent_m: float | None = None  # detections that extend farther along x or y are dropped
    z_range_m: tuple[float, float] | None = None  # of all corners of truth and detections, in the sensor's frame
    objects: Objects = "vehicles"
    include_ego: bool = False  # the ego's own car is an object when another agent has returns of it
    max_objects: int | None = None  # the nearest so many
    score_threshold: float | None = None  # None: the detector's own
    order: Order = "global"
    bins_m: tuple[float, ...] = (30.0, 50.0)  # borders of the distance bins

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that does not fit."""
        _one_of("inside", self.inside, Inside)
        _one_of("objects", self.objects, Objects)
        _one_of("order", self.order, Order)
        lengths = {"com_range_m": self.com_range_m, "max_extent_m": self.max_extent_m, "max_objects": self.max_objects}
        for name, value in lengths.items():
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}: give a number above 0")
        if self.range_m is not None and not all(0 < value < float("inf") for value in self.range_m):
            raise ValueError(f"range_m is {self.range_m}: give two half extents above 0")
        if self.z_range_m is not None and not self.z_range_m[0] < self.z_range_m[1]:
            raise ValueError(f"z_range_m is {self.z_range_m}: give the lower end first")
        if self.score_threshold is not None and not 0 <= self.score_threshold < 1:
            raise ValueError(f"score_threshold is {self.score_threshold}: give a score in [0, 1)")
        if any(not low < high for low, high in itertools.pairwise((0.0, *self.bins_m, float("inf")))):
            raise ValueError(f"bins_m is {self.bins_m}: give rising distances above 0")

    @property
    def bins(self) -> tuple[tuple[float, float], ...]:
        """The distance bins [from, to) in metres, the last one open."""
        edges = (0.0, *self.bins_m, float("inf"))
        return tuple(itertools.pairwise(edges))

    def takes_part(self, ego: AgentFrame, other: AgentFrame) -> bool:
        """Whether an agent is near enough to the ego, by where both really are."""
        if self.com_range_m is None:
            return True
        here, there = ego.true_world_from_lidar, other.true_world_from_lidar
        return bool(np.hypot(there.x - here.x, there.y - here.y) <= self.com_range_m)

    def truth(self, agents: tuple[AgentFrame, ...], config: DetectorConfig) -> tuple[FloatArray, IntArray]:
        """Boxes (M, 7) in the true agent frame of the ego, the first of `agents`, and labels (M,).

        The objects with at least one return at any of these agents, each once, as far as they count.
        """
        ids = np.concatenate([agent.ids for agent in agents])
        _, first = np.unique(ids, return_index=True)
        boxes = np.concatenate([agent.boxes for agent in agents])[first]
        labels = self._merged(np.concatenate([agent.labels for agent in agents])[first])
        local = transform_boxes(agent_from_world(agents[0]), boxes)
        keep = self._counts(local, labels, agents[0].sweep.sensor_height_m, config)
        if not self.include_ego:
            keep &= ~on_own_body(local, config)
        local, labels = local[keep], labels[keep]
        if self.max_objects is not None and len(local) > self.max_objects:
            nearest = np.sort(np.argsort(np.hypot(local[:, 0], local[:, 1]), kind="stable")[: self.max_objects])
            local, labels = local[nearest], labels[nearest]
        return local, labels

    def found(self, detections: Detections, sensor_height_m: float, config: DetectorConfig) -> Detections:
        """The detections that count; the sensor is so high over the agent frame's ground."""
        boxes, labels = detections.boxes, self._merged(detections.labels)
        keep = self._counts(boxes, labels, sensor_height_m, config)
        if self.score_threshold is not None:
            keep &= detections.scores > self.score_threshold
        if self.max_extent_m is not None:
            extent = np.ptp(bev_corners(boxes), axis=1) if len(boxes) else np.zeros((0, 2))
            keep &= (extent <= self.max_extent_m).all(axis=1)
        return Detections(boxes[keep], detections.scores[keep], labels[keep])

    def _merged(self, labels: IntArray) -> IntArray:
        """OPV2V's `vehicles` hold cars and cyclists, which OpenCOOD does not tell apart; walkers keep their label."""
        if self.objects == "vehicles":
            return labels
        return np.where(labels == ObjectClass.CYCLIST, ObjectClass.VEHICLE, labels).astype(np.int64)

    def _counts(self, boxes: FloatArray, labels: IntArray, height_m: float, config: DetectorConfig) -> BoolArray:
        half = self.range_m or (config.grid.half_length_m, config.grid.half_width_m)
        where = bev_corners(boxes) if self.inside == "corners" else boxes[:, None, :2]
        keep = (np.abs(where) <= half).all(axis=(1, 2))
        if self.z_range_m is not None:
            low, high = boxes[:, 2] - boxes[:, 5] / 2 - height_m, boxes[:, 2] + boxes[:, 5] / 2 - height_m
            keep &= (low >= self.z_range_m[0]) & (high <= self.z_range_m[1])
        if self.objects == "all-as-one":
            keep &= labels != ObjectClass.PEDESTRIAN
        return np.asarray(keep)


OURS = EvaluationProtocol()
OPENCOOD = EvaluationProtocol(
    name="opencood",
    range_m=(140.0, 40.0),
    inside="corners",
    com_range_m=70.0,
    max_extent_m=6.0,
    z_range_m=(-3.0, 1.0),
    objects="all-as-one",
    include_ego=True,
    max_objects=100,
    score_threshold=0.2,
    order="frame",
)
PROTOCOLS = {item.name: item for item in (OURS, OPENCOOD)}
