"""OpenCOOD's own model in our loop: `--checkpoint opencood:DIR`, where its package can be imported.

Its code voxelises, runs the network, reads boxes, filters and suppresses them; ours brings clouds, messages and poses.
Partners share points (codec `early`) or boxes (`late`): its models take all agents' clouds at once, so there is no
stage between that a codec could tap; which points go first is told by the boxes that the sender finds. Speeds are given
as zero, and every agent as a vehicle without delay.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from carla_cp.geometry import relative, transform_points
from carla_cp.perception.config import CheckpointError, DetectorConfig
from carla_cp.perception.detector import Detector, Received
from carla_cp.perception.fusion import make_rule
from carla_cp.perception.opencood import YAML, read_weights, weights_path
from carla_cp.perception.opencood_settings import read_settings
from carla_cp.perception.presets import FULL_OPV2V, opv2v_grid
from carla_cp.perception.view import View
from carla_cp.types import Correction, Detections, FloatArray, ObjectClass, PointArray, Shared, Stage, Sweep

PREFIX = "opencood:"
_AGENTS = 7  # places for agents in the tables that its models read
_PARTS = {
    "settings": "opencood.hypes_yaml.yaml_utils",
    "models": "opencood.tools.train_utils",
    "before": "opencood.data_utils.pre_processor",
    "after": "opencood.data_utils.post_processor",
}


def load_opencood(checkpoint: str, device: str = "cpu") -> Detector:
    """The detector of `opencood:DIR`, a folder of OpenCOOD's training. Raises CheckpointError with the mend."""
    folder = Path(checkpoint.removeprefix(PREFIX))
    if not (folder / YAML).is_file():
        raise CheckpointError(f"{folder / YAML}: not found; give opencood:DIR, a folder of OpenCOOD's training")
    parts = imported()
    settings = parts["settings"].load_yaml(str(folder / YAML))
    model: nn.Module = parts["models"].create_model(settings)
    path = weights_path(folder)
    try:
        model.load_state_dict(read_weights(path))
    except RuntimeError as error:
        raise CheckpointError(f"{path}: does not fit {YAML} ({' '.join(str(error).split())[:200]})") from None
    before = parts["before"].build_preprocessor(settings["preprocess"], False)
    after = parts["after"].build_postprocessor(settings["postprocess"], False)
    detector = OpencoodDetector(model.eval(), before, after, settings)
    return detector.to(device)


def opencood_config(checkpoint: str) -> DetectorConfig:
    """The range and cells of `opencood:DIR`'s detector, without building it. Raises CheckpointError."""
    path = Path(checkpoint.removeprefix(PREFIX)) / YAML
    try:
        return _config(read_settings(path)["preprocess"]["cav_lidar_range"][3:])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: names no cav_lidar_range ({error!r}); give a folder of its training") from None


def opencood_files(checkpoint: str) -> list[Path]:
    """The files of `opencood:DIR` that decide what its model finds. Raises CheckpointError."""
    folder = Path(checkpoint.removeprefix(PREFIX))
    return [folder / YAML, weights_path(folder)]


def imported() -> dict[str, Any]:
    """OpenCOOD's modules that are needed. Raises CheckpointError where one cannot be imported."""
    try:
        return {name: importlib.import_module(module) for name, module in _PARTS.items()}
    except ImportError as error:
        raise CheckpointError(
            f"OpenCOOD cannot be imported ({error}); install it from its repository, with its requirements, or turn"
            " the checkpoint into one of ours with tools/import_opencood.py"
        ) from None


class OpencoodDetector(Detector):
    """An OpenCOOD model behind the methods that the loop calls."""

    def __init__(self, model: nn.Module, before: Any, after: Any, settings: dict[str, Any]) -> None:
        """Of a loaded model, its pre- and postprocessor, and the settings of its config.yaml."""
        nn.Module.__init__(self)  # none of our layers
        low, high = settings["preprocess"]["cav_lidar_range"][:3], settings["preprocess"]["cav_lidar_range"][3:]
        self.config: DetectorConfig = _config(high)
        self.counts_itself = False
        self.fusion = make_rule("fcooper", self.config)
        self.model, self.before, self.after = model, before, after
        self.low, self.high = np.array(low), np.array(high)
        fusing = settings["fusion"]
        self.joins = fusing["core_method"].startswith("Early")
        self.alone = fusing["core_method"].startswith("Late")
        self.projects = not fusing.get("args") or bool(fusing["args"].get("proj_first", True))

    def view(self, sweep: Sweep) -> View:
        """The agent's view of its own sweep: points and boxes."""
        return OpencoodView(self, sweep)

    def ahead(self, ego: View, tap: Stage) -> None:
        """Computes the ego's own boxes, where no points will join its cloud."""
        if tap is not Stage.POINTS:
            _ = ego.boxes

    def receive(self, item: Shared, correction: Correction = Correction.METHOD) -> Received:
        """Raises ValueError: there are no features to receive."""
        raise ValueError(f"OpenCOOD's models take points or boxes, not {item.stage.value} of {item.sender}")

    @torch.no_grad()
    def finish(
        self,
        ego: View,
        shared: Sequence[Shared],
        pool: Executor | None = None,
        received: Sequence[Received] = (),
        correction: Correction = Correction.METHOD,
    ) -> Detections:
        """The ego's detections, in its agent frame, with all that was heard; late models fuse boxes alone."""
        for item in (*shared, *(one.shared for one in received)):
            if item.stage not in (Stage.POINTS, Stage.BOXES):
                self.receive(item)
        points = [item for item in shared if item.stage is Stage.POINTS]
        if points and self.alone:
            raise ValueError("this model was trained for late fusion; share boxes, with codec late")
        found = self.detect(ego, points) if points else ego.boxes
        boxes = [item for item in shared if item.stage is Stage.BOXES]
        return found if not boxes else self._best_boxes(ego, found, boxes, correction)

    @torch.no_grad()
    def detect(self, ego: View, heard: Sequence[Shared]) -> Detections:
        """What the model finds in the ego's cloud and those it has heard, in the ego's agent frame."""
        height = ego.sweep.sensor_height_m
        clouds, poses = [_lowered(ego.points, height)], [np.eye(4)]
        for item in heard:
            if item.points is None or item.points.ndim != 2 or item.points.shape[1] != 4:
                raise ValueError(f"points of {item.sender} must be (N, 4)")
            lift = _lift(height)
            pose = np.linalg.inv(lift) @ relative(ego.world_from_agent, item.world_from_agent) @ lift
            own = _lowered(item.points, height)
            if self.joins or self.projects:
                own[:, :3] = transform_points(pose, own[:, :3].astype(np.float64))
                pose = np.eye(4)
            clouds.append(own)
            poses.append(pose)
        said = self.model(self._batch([np.concatenate(clouds)] if self.joins else clouds, poses))
        anchors = torch.from_numpy(np.asarray(self.after.generate_anchor_box()))
        place = {"ego": {"transformation_matrix": torch.eye(4, device=self.device), "anchor_box": anchors}}
        corners, scores = self.after.post_process(place, {"ego": said})
        if corners is None or not len(corners):
            return Detections.empty()
        boxes = _boxes(corners.double().cpu().numpy())
        boxes[:, 2] += height
        order = np.argsort(-scores.double().cpu().numpy(), kind="stable")
        labels = np.full(len(boxes), int(ObjectClass.VEHICLE), np.int64)
        return self._beyond_body(Detections(boxes[order], scores.double().cpu().numpy()[order], labels))

    def _batch(self, clouds: Sequence[PointArray], poses: Sequence[FloatArray]) -> dict[str, Any]:
        """What its models read of one frame."""
        parts: dict[str, list[Any]] = {}
        for cloud in clouds:
            inside = ((cloud[:, :3] > self.low) & (cloud[:, :3] < self.high)).all(axis=1)
            for name, value in self.before.preprocess(np.ascontiguousarray(cloud[inside])).items():
                parts.setdefault(name, []).append(np.array(value))
        pairs = np.tile(np.eye(4), (_AGENTS, _AGENTS, 1, 1))
        for one, pose in enumerate(poses[: len(clouds)]):
            for other, seen in enumerate(poses[: len(clouds)]):
                pairs[one, other] = np.linalg.inv(seen) @ pose
        batch = {
            "processed_lidar": self.before.collate_batch(parts),
            "record_len": torch.tensor([len(clouds)]),
            "pairwise_t_matrix": torch.from_numpy(pairs)[None].float(),
            "spatial_correction_matrix": torch.eye(4).repeat(1, _AGENTS, 1, 1),
            "prior_encoding": torch.zeros(1, _AGENTS, 3),
        }
        return {name: _moved(value, self.device) for name, value in batch.items()}


class OpencoodView(View):
    """What one agent makes of its own sweep: points and boxes."""

    @property
    def boxes(self) -> Detections:
        """What this agent detects by itself, in its agent frame."""
        if self._boxes is None:
            assert isinstance(self.detector, OpencoodDetector)
            self._boxes = self.detector.detect(self, [])
        return self._boxes

    @property
    def heat(self) -> Tensor:
        """(classes, rows, columns) in [0, 1]: the scores of the boxes, around each as far as its longer half."""
        if self._heat is None:
            grid, found = self.detector.config.grid, self.boxes
            x = (np.arange(grid.columns) + 0.5) * grid.cell_m - grid.half_length_m
            y = (np.arange(grid.rows) + 0.5) * grid.cell_m - grid.half_width_m
            heat = np.zeros((len(ObjectClass), grid.rows, grid.columns), np.float32)
            for box, score, label in zip(found.boxes[::-1], found.scores[::-1], found.labels[::-1], strict=True):
                heat[label][np.hypot(x - box[0], y[:, None] - box[1]) <= max(box[3:5]) / 2] = score
            self._heat = torch.from_numpy(heat)
        return self._heat


def _config(high: Sequence[float]) -> DetectorConfig:
    """The range within which boxes count, on the smallest network: none of it is built."""
    step = math.prod(FULL_OPV2V.strides) * FULL_OPV2V.grid.pillar_m
    half = [np.ceil(2 * side / step - 1e-6) * step / 2 for side in high[:2]]
    return DetectorConfig(
        grid=opv2v_grid(float(half[0]), float(half[1])), fusion="fcooper", body_half_length_m=2.45, body_middle_m=0.5
    )


def _lift(height_m: float) -> FloatArray:
    """agent_from_lidar."""
    matrix = np.eye(4)
    matrix[2, 3] = height_m
    return matrix


def _lowered(points: PointArray, height_m: float) -> PointArray:
    """Points of an agent frame in the frame of the ego's LiDAR, or one as high."""
    result = points.copy()
    result[:, 2] -= np.float32(height_m)
    return result


def _boxes(corners: FloatArray) -> FloatArray:
    """Boxes (N, 7) of corners (N, 8, 3): right front, left front, left rear, right rear below, then above."""
    ahead, aside = corners[:, 0] - corners[:, 3], corners[:, 1] - corners[:, 0]
    size = [np.linalg.norm(edge, axis=1) for edge in (ahead, aside, corners[:, 4] - corners[:, 0])]
    return np.column_stack([corners.mean(axis=1), *size, np.arctan2(ahead[:, 1], ahead[:, 0])])


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, dict):
        return {name: part.to(device) for name, part in value.items()}
    return value.to(device)
