"""The detector: one agent's sweep to its view, and the ego's view plus what was heard to boxes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import cached_property
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from carla_cp.geometry import relative, transform_boxes, transform_points
from carla_cp.perception.backbone import Backbone
from carla_cp.perception.config import CheckpointError, DetectorConfig, load_config
from carla_cp.perception.folding import fold_batch_norms
from carla_cp.perception.fusion import Fusion, plane_theta, warp
from carla_cp.perception.head import HEAT_BIAS, Head, RawHeads, decode, suppress
from carla_cp.perception.pillars import PillarNet, PillarPoints, agent_points, agent_pose, group_points, on_own_body
from carla_cp.types import Detections, FloatArray, PointArray, Pose, Shared, Stage, Sweep
from carla_cp.whole import write_whole

WEIGHTS, CONFIG = "weights.safetensors", "config.json"


class Detector(nn.Module):
    """PointPillars with feature fusion; `eval()` before use. On one machine the same input gives the same bits."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__()
        self.config = config
        self.pillar_net = PillarNet(config)
        self.backbone = Backbone(config)
        self.fusion = Fusion(config)
        self.head = Head(config)
        self.own_heat = nn.Conv2d(config.bev_channels, len(config.classes), 1)
        nn.init.constant_(self.own_heat.bias, HEAT_BIAS)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.own_heat.weight.device

    @cached_property
    def fingerprint(self) -> int:
        """CRC-32 over names and values of all weights: tells whether sender and receiver run the same network."""
        crc = 0
        for name, value in sorted(self.state_dict().items()):
            crc = zlib.crc32(value.detach().cpu().contiguous().numpy().tobytes(), zlib.crc32(name.encode(), crc))
        return crc

    # Differentiable pieces, batched: what codecs train against.

    def pillars_from_points(self, clouds: Sequence[PillarPoints]) -> Tensor:
        """Pillar maps (B, C_pillar, pillars, pillars) of grouped clouds."""
        per_map = self.config.grid.pillars**2
        cells = np.concatenate([cloud.cells + index * per_map for index, cloud in enumerate(clouds)])
        points = torch.from_numpy(np.concatenate([cloud.points for cloud in clouds])).to(self.device)
        counts = torch.from_numpy(np.concatenate([cloud.counts for cloud in clouds])).to(self.device)
        maps: Tensor = self.pillar_net(points, counts, torch.from_numpy(cells).to(self.device), len(clouds))
        return maps

    def bev_from_pillars(self, pillars: Tensor) -> Tensor:
        """BEV features (B, C_bev, cells, cells) of pillar maps (B, C_pillar, pillars, pillars)."""
        features: Tensor = self.backbone(pillars)
        return features

    def heat_from_bev(self, bev: Tensor) -> Tensor:
        """Class heat maps (B, classes, cells, cells) in [0, 1] that one agent's BEV features show by themselves."""
        return torch.sigmoid(self.own_heat(bev))

    def fuse(self, ego: Tensor, others: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """The fused feature (C, H, W) of the ego's (C, H, W) and others' (features, valid) in the ego's grid."""
        return self.fusion.fuse(ego, others)

    def raw_heads(self, fused: Tensor) -> RawHeads:
        """What the head says of fused features (B, C_bev, cells, cells)."""
        raw: RawHeads = self.head(fused)
        return raw

    # Use.

    def view(self, sweep: Sweep) -> View:
        """The agent's view of its own sweep, computed stage by stage as asked for."""
        return View(self, sweep)

    @torch.no_grad()
    def finish(self, ego: View, shared: Sequence[Shared], pool: Executor | None = None) -> Detections:
        """The ego's detections, in its agent frame, with all that was heard; senders side by side in `pool`.

        Points join the ego's cloud; features run through what is left of the network, are warped and fused; boxes are
        merged by NMS. Raises ValueError for features whose shape is not that of their stage.
        """
        points = [item for item in shared if item.stage is Stage.POINTS]
        start = ego if not points else View(self, ego.sweep, self._merge_points(ego, points))
        features = [item for item in shared if item.features is not None]
        others = list((map if pool is None else pool.map)(self._warped, [ego] * len(features), features))
        found = self.read(self.fuse(start.bev, others)) if others else start.boxes
        boxes = [item for item in shared if item.stage is Stage.BOXES]
        return found if not boxes else self._merge_boxes(ego, found, boxes)

    def read(self, fused: Tensor) -> Detections:
        """The boxes in a fused feature (C, H, W), without one on the agent's own vehicle."""
        return self._beyond_body(decode(self.raw_heads(fused[None]), self.config))

    def _beyond_body(self, found: Detections) -> Detections:
        """Partners see the ego's own vehicle, which is no object to it; and boxes must have their centre in range."""
        half = self.config.grid.half_extent_m
        keep = ~on_own_body(found.boxes, self.config) & (np.abs(found.boxes[:, :2]) <= half).all(axis=1)
        return Detections(found.boxes[keep], found.scores[keep], found.labels[keep])

    def _merge_points(self, ego: View, shared: Sequence[Shared]) -> PointArray:
        clouds = [ego.points]
        for item in shared:
            if item.points is None or item.points.ndim != 2 or item.points.shape[1] != 4:
                raise ValueError(f"points of {item.sender} must be (N, 4)")
            moved = item.points.astype(np.float32)
            moved[:, :3] = transform_points(_ego_from(ego, item), item.points[:, :3].astype(np.float64))
            clouds.append(moved[~on_own_body(moved, self.config)])
        return np.concatenate(clouds)

    @torch.no_grad()
    def _warped(self, ego: View, item: Shared) -> tuple[Tensor, Tensor]:
        features, valid = self._bev_of(item)
        theta = plane_theta(_ego_from(ego, item), self.config.grid).to(self.device)
        values, received = warp(features, valid, theta[None])
        return values[0], received[0]

    def _bev_of(self, item: Shared) -> tuple[Tensor, Tensor]:
        """A message's BEV feature (1, C, H, W) and validity (1, H, W)."""
        if item.features is None or item.valid is None:
            raise ValueError(f"features of {item.sender} come without a validity mask")
        expected = self._shape(item.stage)
        if tuple(item.features.shape) != expected or tuple(item.valid.shape) != expected[1:]:
            shapes = f"{tuple(item.features.shape)} with mask {tuple(item.valid.shape)}"
            raise ValueError(f"{item.stage.value} features of {item.sender} are {shapes}, not {expected}")
        valid = item.valid.to(self.device)[None]
        features = item.features.to(self.device, torch.float32)[None]
        if item.stage is Stage.BEV:
            return features, valid
        features = torch.where(valid[:, None], features, 0.0)
        if item.stage is Stage.PILLARS:
            stride = self.config.grid.bev_stride
            coarse = torch.nn.functional.max_pool2d(valid[:, None].float(), stride)[:, 0] > 0
            return self.bev_from_pillars(features), coarse
        return self.backbone.rest(features), valid

    def _shape(self, stage: Stage) -> tuple[int, int, int]:
        config, cells = self.config, self.config.grid.cells
        if stage is Stage.PILLARS:
            return (config.pillar_channels, config.grid.pillars, config.grid.pillars)
        return (config.filters[0] if stage is Stage.BLOCK1 else config.bev_channels, cells, cells)

    def _merge_boxes(self, ego: View, found: Detections, shared: Sequence[Shared]) -> Detections:
        boxes, scores, labels = [found.boxes], [found.scores], [found.labels]
        for item in shared:
            if item.detections is None:
                raise ValueError(f"boxes of {item.sender} are missing")
            boxes.append(transform_boxes(_ego_from(ego, item), item.detections.boxes))
            scores.append(item.detections.scores)
            labels.append(item.detections.labels)
        merged = Detections(np.concatenate(boxes), np.concatenate(scores), np.concatenate(labels))
        return suppress(self._beyond_body(merged), self.config)


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
        """(C_pillar, pillars, pillars) float32, >= 0 and exactly 0 where no point fell."""
        if self._pillars is None:
            config = self.detector.config
            with torch.no_grad():
                grouped = group_points(self.points, config.grid, config.points_per_pillar)
                self._pillars = self.detector.pillars_from_points([grouped])[0]
        return self._pillars

    @property
    def bev(self) -> Tensor:
        """(C_bev, cells, cells) float32, >= 0."""
        if self._bev is None:
            with torch.no_grad():
                self._bev = self.detector.bev_from_pillars(self.pillars[None])[0]
        return self._bev

    @property
    def heat(self) -> Tensor:
        """(classes, cells, cells) float32 in [0, 1]: where this agent by itself sees which class."""
        if self._heat is None:
            with torch.no_grad():
                self._heat = self.detector.heat_from_bev(self.bev[None])[0]
        return self._heat

    @property
    def boxes(self) -> Detections:
        """What this agent detects by itself, in its agent frame."""
        if self._boxes is None:
            with torch.no_grad():
                self._boxes = self.detector.read(self.detector.fuse(self.bev, []))
        return self._boxes


def _ego_from(ego: View, item: Shared) -> FloatArray:
    return relative(ego.world_from_agent, item.world_from_agent)


def load_detector(checkpoint: Path, device: str = "cpu", threads: int | None = None) -> Detector:
    """The trained detector of a checkpoint folder, for use: in eval mode and with its batch norms folded.

    `threads` fixes torch's threads for the whole process. Raises CheckpointError when a file is missing, damaged or
    does not fit.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    detector = Detector(load_config(checkpoint / CONFIG))
    path = checkpoint / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"{path}: not found; give a trained checkpoint or run tools/train_detector.py")
    try:
        detector.load_state_dict(load_file(path))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: does not fit its {CONFIG} ({reason}); restore both files") from None
    _ = detector.fingerprint  # of the weights as they lie in the file
    fold_batch_norms(detector.eval())
    detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return detector.to(device)


def save_detector(detector: Detector, checkpoint: Path) -> None:
    """Writes weights and configuration into a folder, each whole, by rename.

    Raises ValueError for a detector that was loaded for use: its batch norms are gone.
    """
    if detector.state_dict().keys() != Detector(detector.config).state_dict().keys():
        raise ValueError("the batch norms of this detector are folded; save the one that was trained")
    state = {name: value.detach().cpu().contiguous() for name, value in detector.state_dict().items()}
    write_whole(checkpoint / WEIGHTS, save(state))
    detector.config.save(checkpoint / CONFIG)
