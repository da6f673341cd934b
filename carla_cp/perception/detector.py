"""The detector: one agent's sweep to its view, and the ego's view plus what was heard to boxes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from carla_cp.geometry import relative, transform_boxes, transform_points
from carla_cp.perception.anchors import AnchorHead
from carla_cp.perception.backbone import Backbone, Merge, lay_channels_last
from carla_cp.perception.certainty import sigmas_of_boxes
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.correction import corrected, corrects, on_received_cells
from carla_cp.perception.encoders import make_encoder
from carla_cp.perception.fusion import (
    Member,
    Sight,
    Team,
    Turn,
    ego_member,
    is_roadside,
    make_rule,
    plane_theta,
    warp,
)
from carla_cp.perception.fusion.team import side_by_side
from carla_cp.perception.head import HEAT_BIAS, DetectionHead, Head, RawHeads, suppress
from carla_cp.perception.joining import gather, join
from carla_cp.perception.pillars import PillarPoints, on_own_body
from carla_cp.perception.view import View
from carla_cp.types import Correction, Detections, FloatArray, PointArray, Shared, Stage, Sweep


class Detector(nn.Module):
    """PointPillars with feature fusion; `eval()` before use. On one machine the same input gives the same bits."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__()
        self.config = config
        self.counts_itself = False  # keeps points and boxes on the ego's own vehicle, as OpenCOOD's evaluation does
        self.pillar_net = make_encoder(config)
        self.backbone = Backbone(config)
        self.fusion = make_rule(config.fusion, config)
        if config.own_merge:
            self.behind = Merge(config)
        if config.turns:
            self.turns = nn.ModuleList(Turn(width) for width in self.fusion.widths)
        self.head: DetectionHead = AnchorHead(config) if config.head == "anchors" else Head(config)
        if config.head == "centre":  # an anchor head's own score is its heat
            self.own_heat = nn.Conv2d(config.bev_channels, len(config.classes), 1)
            nn.init.constant_(self.own_heat.bias, HEAT_BIAS)  # type: ignore[arg-type]
        lay_channels_last(self)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    @cached_property
    def fingerprint(self) -> int:
        """CRC-32 over names and values of all weights: tells whether sender and receiver run the same network."""
        crc = 0
        for name, value in sorted(self.state_dict().items()):
            crc = zlib.crc32(value.detach().cpu().contiguous().numpy().tobytes(), zlib.crc32(name.encode(), crc))
        return crc

    # Differentiable pieces, batched: what codecs train against.

    def pillars_from_points(self, clouds: Sequence[PillarPoints]) -> Tensor:
        """Pillar maps (B, C_pillar, pillar_rows, pillar_columns) of grouped clouds."""
        cells = np.concatenate(
            [cloud.cells + index * self.pillar_net.cells_per_map for index, cloud in enumerate(clouds)]
        )
        points = torch.from_numpy(np.concatenate([cloud.points for cloud in clouds])).to(self.device)
        counts = torch.from_numpy(np.concatenate([cloud.counts for cloud in clouds])).to(self.device)
        maps: Tensor = self.pillar_net(points, counts, torch.from_numpy(cells).to(self.device), len(clouds))
        return maps

    def bev_from_pillars(self, pillars: Tensor) -> Tensor:
        """BEV features (B, C_bev, rows, columns) of pillar maps (B, C_pillar, pillar_rows, pillar_columns)."""
        features: Tensor = self.backbone(pillars)
        return features

    def heat_from_bev(self, bev: Tensor) -> Tensor:
        """Class heat maps (B, classes, rows, columns) in [0, 1] that one agent's BEV features show by themselves."""
        if isinstance(self.head, AnchorHead):
            return self.head.heat(self.head(bev))
        return torch.sigmoid(self.own_heat(bev))

    @property
    def tap(self) -> Stage:
        """The last stage that fusion still has a use for."""
        return Stage.BLOCK1 if self.fusion.scales else Stage.BEV

    def moved(self, index: int, values: Tensor, theta: Tensor) -> Tensor:
        """Resampled features (B, C, H, W) of the rule's index-th map as the ego, `theta` (B, 2, 3) away, says them."""
        if not self.config.turns:
            return values
        turned: Tensor = self.turns[index](values, theta)
        return turned

    def fuse(self, teams: tuple[Team, ...]) -> Tensor:
        """The fused BEV feature (C, H, W) of a frame's teams: one per scale, or that of the BEV features alone."""
        fused: tuple[Tensor, ...] = self.fusion(teams)
        if not self.fusion.scales:
            return fused[0]
        behind = self.behind if self.config.own_merge else self.backbone
        return behind.merge([scale[None] for scale in fused])[0]

    def raw_heads(self, fused: Tensor) -> RawHeads:
        """What the head says of fused features (B, C_bev, rows, columns)."""
        raw: RawHeads = self.head(fused)
        return raw

    # Use.

    def view(self, sweep: Sweep) -> View:
        """The agent's view of its own sweep, computed stage by stage as asked for."""
        return View(self, sweep)

    def ahead(self, ego: View, tap: Stage) -> None:
        """Computes the ego's BEV feature, where its cloud will not grow by points that it hears."""
        if tap is not Stage.POINTS:
            _ = ego.bev

    @torch.no_grad()
    def receive(self, item: Shared, correction: Correction = Correction.METHOD) -> Received:
        """What the fusion rule takes of a message of features, computed as far as the sender's pose has no part in it.

        Raises ValueError for features whose shape is not that of their stage.
        """
        maps, heat = self._maps_of(item)
        if not corrects(correction, self.fusion.aligns):
            return Received(item, tuple(maps), heat)
        alone = tuple(Team((ego_member(features[0], heat),)) for features, _ in maps)
        found = self.read(self.fuse(alone))
        if not self.fusion.aligns:
            return Received(item, tuple(maps), heat, None, on_received_cells(found, maps[0][1][0], self.config.grid))
        return Received(item, tuple(maps), heat, self.backbone.merge([features for features, _ in maps])[0], found)

    @torch.no_grad()
    def finish(
        self,
        ego: View,
        shared: Sequence[Shared],
        pool: Executor | None = None,
        received: Sequence[Received] = (),
        correction: Correction = Correction.METHOD,
    ) -> Detections:
        """The ego's detections, in its agent frame, with all that was heard; senders side by side in `pool`.

        Points join the ego's cloud, or are encoded sender by sender and fused (`encodes_apart`); features run through
        what is left of the network, are warped and fused; boxes are merged by NMS. `received` are messages that
        `receive` prepared with the same `correction` of poses. Raises ValueError as `receive` does.
        """
        points = [item for item in shared if item.stage is Stage.POINTS]
        apart = points if self.config.encodes_apart else []
        start = ego if not points or apart else View(self, ego.sweep, self._merge_points(ego, points))
        features = [item for item in shared if item.features is not None]
        each = map if pool is None else pool.map
        known = [*each(self.receive, features, [correction] * len(features)), *received]
        heard = list(each(self._placed, [ego] * len(known), known, self._poses(ego, known, correction)))
        heard += each(self._projected, [ego] * len(apart), apart)
        found = self.read(self.fuse(side_by_side(start.members, heard))) if heard else start.boxes
        boxes = [item for item in shared if item.stage is Stage.BOXES]
        return found if not boxes else self._merge_boxes(ego, found, boxes, correction)

    def read(self, fused: Tensor) -> Detections:
        """The boxes in a fused feature (C, H, W), without one on the agent's own vehicle."""
        return self._beyond_body(self.head.decode(self.raw_heads(fused[None])))

    def _beyond_body(self, found: Detections) -> Detections:
        return found.take(self._is_beyond_body(found))

    def _is_beyond_body(self, found: Detections) -> npt.NDArray[np.bool_]:
        """Partners see the ego's own vehicle, which is no object to it; and boxes must have their centre in range."""
        half = (self.config.grid.half_length_m, self.config.grid.half_width_m)
        keep = (np.abs(found.boxes[:, :2]) <= half).all(axis=1)
        return np.asarray(keep if self.counts_itself else keep & ~on_own_body(found.boxes, self.config))

    def _merge_points(self, ego: View, shared: Sequence[Shared]) -> PointArray:
        return np.concatenate([ego.points, *(self._moved_points(ego, item) for item in shared)])

    def _moved_points(self, ego: View, item: Shared) -> PointArray:
        """A sender's points (N, 4) in the ego's agent frame."""
        if item.points is None or item.points.ndim != 2 or item.points.shape[1] != 4:
            raise ValueError(f"points of {item.sender} must be (N, 4)")
        moved = item.points.astype(np.float32)
        moved[:, :3] = transform_points(_ego_from(ego, item), item.points[:, :3].astype(np.float64))
        return moved if self.counts_itself else moved[~on_own_body(moved, self.config)]

    @torch.no_grad()
    def _projected(self, ego: View, item: Shared) -> tuple[Member, ...]:
        """A sender's part in the fusion where its points were moved to the ego's grid before they are encoded."""
        members = View(self, ego.sweep, self._moved_points(ego, item)).members
        age_s = (ego.sweep.time_us - item.time_us) / 1e6
        return tuple(replace(own, roadside=is_roadside(item.sender), age_s=age_s) for own in members)

    def _poses(self, ego: View, received: Sequence[Received], correction: Correction) -> list[FloatArray]:
        """The matrix ego_from_agent (4, 4) of each sender: as believed, or corrected by the boxes of all."""
        believed = [_ego_from(ego, item.shared) for item in received]
        if not received or not corrects(correction, self.fusion.aligns):
            return believed
        if not self.fusion.aligns:
            return list(corrected([np.eye(4), *believed], [ego.boxes, *(item.found for item in received)])[1:])
        sights = [Sight(np.eye(4), ego.bev, ego.boxes)]
        sights += [
            Sight(pose, item.bev, item.found)
            for pose, item in zip(believed, received, strict=True)
            if item.bev is not None
        ]
        return list(self.fusion.corrected_poses(sights, self.config.grid)[1:])

    @torch.no_grad()
    def _placed(self, ego: View, received: Received, ego_from_agent: FloatArray) -> tuple[Member, ...]:
        """A sender's part in the fusion, one per scale that the rule takes."""
        item, heat = received.shared, received.heat
        theta = plane_theta(ego_from_agent, self.config.grid).to(self.device)
        age_s = (ego.sweep.time_us - item.time_us) / 1e6
        members = []
        for index, (features, valid) in enumerate(received.maps):
            values, known = warp(features, valid, theta[None])
            moved = (self.moved(index, values, theta[None])[0], known[0])
            members.append(Member(features[0], valid[0], theta, heat, is_roadside(item.sender), age_s, moved))
        return tuple(members)

    def _maps_of(self, item: Shared) -> tuple[list[tuple[Tensor, Tensor]], Tensor | None]:
        """What the rule takes of a message: features (1, C, H, W) and validity (1, H, W) per scale; its heat (H, W)."""
        features, valid = self._checked(item)
        if item.stage is not Stage.BEV:
            features = torch.where(valid[:, None], features, 0.0)
        if item.stage is Stage.PILLARS:
            features, valid = self.backbone.first(features), _coarser(valid, self.config.strides[0])
        if not self.fusion.scales:
            if item.stage is not Stage.BEV:
                features, valid = self.backbone.rest(features), _coarser(valid, self.config.shrink_stride)
            return [(features, valid)], self._heat_of(features)
        if item.stage is Stage.BEV:
            raise ValueError(
                f"fusion {self.config.fusion} takes the backbone's scales, which the BEV features of {item.sender} no"
                " longer hold; choose a codec that taps an earlier stage, or fusion max"
            )
        scales, masks = self.backbone.scales(features), [valid]
        for stride in self.config.strides[1:]:
            masks.append(_coarser(masks[-1], stride))
        heat = self._heat_of(self.backbone.merge(scales)) if self.fusion.asks_heat else None
        return list(zip(scales, masks, strict=True)), heat

    def _heat_of(self, bev: Tensor) -> Tensor | None:
        return self.heat_from_bev(bev)[0].amax(dim=0) if self.fusion.asks_heat else None

    def _checked(self, item: Shared) -> tuple[Tensor, Tensor]:
        """A message's features (1, C, H, W) and validity (1, H, W) on our device."""
        if item.features is None or item.valid is None:
            raise ValueError(f"features of {item.sender} come without a validity mask")
        expected = self._shape(item.stage)
        if tuple(item.features.shape) != expected or tuple(item.valid.shape) != expected[1:]:
            shapes = f"{tuple(item.features.shape)} with mask {tuple(item.valid.shape)}"
            raise ValueError(f"{item.stage.value} features of {item.sender} are {shapes}, not {expected}")
        return item.features.to(self.device, torch.float32)[None], item.valid.to(self.device)[None]

    def _shape(self, stage: Stage) -> tuple[int, int, int]:
        config, grid = self.config, self.config.grid
        if stage is Stage.PILLARS:
            return (config.pillar_channels, grid.pillar_rows, grid.pillar_columns)
        if stage is Stage.BLOCK1:
            return (config.filters[0], grid.pillar_rows // config.strides[0], grid.pillar_columns // config.strides[0])
        return (config.bev_channels, grid.rows, grid.columns)

    def _merge_boxes(
        self, ego: View, found: Detections, shared: Sequence[Shared], correction: Correction
    ) -> Detections:
        """Joined by covariance where every sender tells how sure it is of its boxes, else the best of those there."""
        sets = [replace(found, sigmas=sigmas_of_boxes(found)), *(_boxes_of(ego, item) for item in shared)]
        if any(each.sigmas is None for each in sets):
            return self._best_boxes(ego, found, shared, correction)
        config = self.config
        most = config.max_boxes * len(config.classes)
        poses = [np.eye(4), *(_ego_from(ego, item) for item in shared)]
        best = [each.take(np.arange(min(len(each.scores), most))) for each in sets]
        boxes = gather(poses, best, corrects(correction, True))
        boxes = boxes.take(self._is_beyond_body(boxes.found))
        return join(boxes, len(config.classes), config.max_boxes, config.nms_iou)

    def _best_boxes(self, ego: View, found: Detections, shared: Sequence[Shared], correction: Correction) -> Detections:
        """What NMS leaves of all boxes, where their senders believe to be unless that is corrected."""
        sets = [_boxes_of(ego, item) for item in shared]
        poses: Sequence[FloatArray] = [_ego_from(ego, item) for item in shared]
        if corrects(correction, False):
            poses = corrected([np.eye(4), *poses], [found, *sets])[1:]
        moved = [
            replace(boxes, boxes=transform_boxes(pose, boxes.boxes)) for pose, boxes in zip(poses, sets, strict=True)
        ]
        return suppress(self._beyond_body(Detections.joined([found, *moved])), self.config)


def _boxes_of(ego: View, item: Shared) -> Detections:
    """A sender's boxes in its own frame, which know how much older than the ego's sweep they are."""
    if item.detections is None:
        raise ValueError(f"boxes of {item.sender} are missing")
    age_us = ego.sweep.time_us - item.time_us
    ages_s = None if age_us <= 0 else np.full(len(item.detections.scores), age_us / 1e6)
    return replace(item.detections, ages_s=ages_s)


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """A message of features with what a detector's fusion rule takes of it; it can be placed by any believed pose."""

    shared: Shared
    maps: tuple[tuple[Tensor, Tensor], ...]  # features (1, C, H, W) and validity (1, H, W) per scale
    heat: Tensor | None  # (H, W), for rules that ask
    bev: Tensor | None = None  # (C_bev, rows, columns), for rules that align
    found: Detections = field(default_factory=Detections.empty)  # the sender's own boxes, where poses are corrected


def _ego_from(ego: View, item: Shared) -> FloatArray:
    return relative(ego.world_from_agent, item.world_from_agent)


def _coarser(valid: Tensor, stride: int) -> Tensor:
    """Validity (B, H, W) of cells `stride` times as large: of those that hold something valid."""
    return valid if stride == 1 else torch.nn.functional.max_pool2d(valid[:, None].float(), stride)[:, 0] > 0
