"""The frozen detector's stages of many views on disk, so that training a codec need not compute them again."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from carla_cp.datasets import Dataset
from carla_cp.geometry import relative
from carla_cp.perception.detector import Detector
from carla_cp.perception.fusion import plane_theta
from carla_cp.types import FloatArray, Pose
from carla_cp.whole import whole_folder

Halves = npt.NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Features:
    """Stages of N views; views of one frame share its number."""

    frames: npt.NDArray[np.int64]  # (N,)
    poses: FloatArray  # (N, 6) of the agent frames in the world
    starts: npt.NDArray[np.int64]  # (N + 1,) of each view's part of `cells` and `pillars`
    cells: npt.NDArray[np.int32]  # occupied pillars, flat indices in row order
    pillars: Halves  # (occupied, C_pillar)
    bev: Halves  # (N, C_bev, cells, cells)

    def __len__(self) -> int:
        return len(self.frames)

    def pillar_map(self, view: int, side: int) -> torch.Tensor:
        """(C_pillar, side, side)"""
        part = slice(int(self.starts[view]), int(self.starts[view + 1]))
        flat = np.zeros((side * side, self.pillars.shape[1]), np.float32)
        flat[self.cells[part]] = self.pillars[part]
        return torch.from_numpy(flat).T.reshape(-1, side, side)

    def bev_map(self, view: int) -> torch.Tensor:
        """(C_bev, cells, cells)"""
        return torch.from_numpy(self.bev[view].astype(np.float32))

    def partner(self, view: int, rng: np.random.Generator) -> int | None:
        """Another view of the same frame, if there is one."""
        others = np.flatnonzero(self.frames == self.frames[view])
        others = others[others != view]
        return int(rng.choice(others)) if len(others) else None

    def theta(self, into: int, source: int, detector: Detector) -> torch.Tensor:
        """(2, 3) for `fusion.warp` of one view's features into another's grid."""
        poses = [Pose(*(float(value) for value in self.poses[view])) for view in (into, source)]
        return plane_theta(relative(poses[0], poses[1]), detector.config.grid)


def features(detector: Detector, dataset: Dataset, folder: Path, frames: int) -> Features:
    """The stages of all views of `frames` evenly spaced frames, from `folder` where they lie there already."""
    target = folder / f"{detector.fingerprint:08x}-{frames}"
    if not target.is_dir():
        _write(compute(detector, dataset, frames), target)
    part = np.load(target / "views.npz")
    return Features(
        part["frames"],
        part["poses"],
        part["starts"],
        np.load(target / "cells.npy", mmap_mode="r"),
        np.load(target / "pillars.npy", mmap_mode="r"),
        np.load(target / "bev.npy", mmap_mode="r"),
    )


@torch.no_grad()
def compute(detector: Detector, dataset: Dataset, frames: int) -> Features:
    """The stages of all views of `frames` evenly spaced frames."""
    count = len(dataset)
    chosen = np.unique(np.linspace(0, count - 1, min(frames, count)).astype(int))
    numbers, poses, cells, pillars, bevs = [], [], [], [], []
    for number in tqdm(chosen, desc="features", unit="frame", file=sys.stdout, mininterval=5):
        for agent in dataset.frame(int(number)).agents:
            view = detector.view(agent.sweep)
            pose = view.world_from_agent
            numbers.append(number)
            poses.append([pose.x, pose.y, pose.z, pose.roll, pose.pitch, pose.yaw])
            flat = view.pillars.flatten(1).T.numpy()
            cells.append(np.flatnonzero(flat.any(axis=1)).astype(np.int32))
            pillars.append(flat[cells[-1]].astype(np.float16))
            bevs.append(view.bev.half().contiguous().numpy())
    starts = np.cumsum([0, *(len(some) for some in cells)])
    joined = np.concatenate(cells), np.concatenate(pillars), np.stack(bevs)
    return Features(np.array(numbers), np.array(poses), starts, *joined)


def _write(data: Features, target: Path) -> None:
    with whole_folder(target) as part:
        np.savez(part / "views.npz", frames=data.frames, poses=data.poses, starts=data.starts)
        np.save(part / "cells.npy", data.cells)
        np.save(part / "pillars.npy", data.pillars)
        np.save(part / "bev.npy", data.bev)
