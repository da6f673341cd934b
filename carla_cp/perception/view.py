"""What one agent makes of its own sweep, stage by stage as asked for."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from carla_cp.perception.fusion import Member, ego_member
from carla_cp.perception.fusion.team import side_by_side
from carla_cp.perception.pillars import agent_points, agent_pose
from carla_cp.types import Detections, PointArray, Pose, Stage, Sweep

if TYPE_CHECKING:
    from carla_cp.perception.detector import Detector


class View:
    """What one agent makes of its own sweep; each stage is computed when first asked for, then kept.

    Views of different agents may be used in different threads. (`functools.cached_property` would make them wait for
    one another: before Python 3.12 it locks the property for all instances.)
    """

    def __init__(self, detector: Detector, sweep: Sweep, points: PointArray | None = None) -> None:
        """Of the sweep's points, or of `points` (N, 4) in the agent frame in their place."""
        self.detector = detector
        self.sweep = sweep
        self.world_from_agent: Pose = agent_pose(sweep)
        self._points = points
        self._pillars: Tensor | None = None
        self._scales: tuple[Tensor, ...] | None = None
        self._bev: Tensor | None = None
        self._heat: Tensor | None = None
        self._boxes: Detections | None = None

    @property
    def points(self) -> PointArray:
        """(N, 4) float32 in the agent frame, without the agent's own vehicle."""
        if self._points is None:
            self._points = agent_points(self.sweep, self.detector.config)
        return self._points

    @property
    def pillars(self) -> Tensor:
        """(C_pillar, pillar_rows, pillar_columns) float32, >= 0 and exactly 0 where no point fell."""
        if self._pillars is None:
            with torch.no_grad():
                grouped = self.detector.pillar_net.group(self.points)
                self._pillars = self.detector.pillars_from_points([grouped])[0]
        return self._pillars

    @property
    def tap(self) -> Stage:
        """The last stage that the receivers' fusion has a use for."""
        return self.detector.tap

    @property
    def scales(self) -> tuple[Tensor, ...]:
        """(C_i, H_i, W_i) float32 per block of the backbone, >= 0."""
        if self._scales is None:
            with torch.no_grad():
                backbone = self.detector.backbone
                self._scales = tuple(scale[0] for scale in backbone.scales(backbone.first(self.pillars[None])))
        return self._scales

    @property
    def block1(self) -> Tensor:
        """(C_1, H_1, W_1) float32, >= 0."""
        return self.scales[0]

    @property
    def bev(self) -> Tensor:
        """(C_bev, rows, columns) float32, >= 0."""
        if self._bev is None:
            with torch.no_grad():
                self._bev = self.detector.backbone.merge([scale[None] for scale in self.scales])[0]
        return self._bev

    @property
    def heat(self) -> Tensor:
        """(classes, rows, columns) float32 in [0, 1]: where this agent by itself sees which class."""
        if self._heat is None:
            with torch.no_grad():
                self._heat = self.detector.heat_from_bev(self.bev[None])[0]
        return self._heat

    @property
    def boxes(self) -> Detections:
        """What this agent detects by itself, in its agent frame."""
        if self._boxes is None:
            with torch.no_grad():
                self._boxes = self.detector.read(self.detector.fuse(side_by_side(self.members, [])))
        return self._boxes

    @property
    def members(self) -> tuple[Member, ...]:
        """The ego's part in a fusion, one per scale that the rule takes."""
        rule = self.detector.fusion
        heat = self.heat.amax(dim=0) if rule.asks_heat else None
        return tuple(ego_member(features, heat) for features in (self.scales if rule.scales else (self.bev,)))

    def believing(self, world_from_lidar: Pose) -> View:
        """The same view by an agent that believes its sensor to be elsewhere; what is computed is shared."""
        view = copy.copy(self)
        view.sweep = replace(self.sweep, world_from_lidar=world_from_lidar)
        view.world_from_agent = agent_pose(view.sweep)
        return view

    def of(self, detector: Detector) -> View:
        """The same view for a detector of the same trunk with another fusion and head; features are shared.

        Raises ValueError where the trunks differ.
        """
        if detector.fingerprint != self.detector.fingerprint:
            raise ValueError("a view can be shared only between detectors of one trunk")
        view = copy.copy(self)
        view.detector, view._boxes = detector, None
        return view
