"""Batches of training samples, made ahead by a worker process; frames that cannot be read are left out and counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from carla_cp.datasets import Dataset, DatasetError
from carla_cp.lifeline import end_with_parent
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.encoders import cells_per_map
from carla_cp.perception.head import Targets
from carla_cp.perception.samples import Augmentation, Sample, make_sample
from carla_cp.types import Frame

ATTEMPTS = 100  # frames in a row that may be broken


@dataclass(frozen=True, eq=False)
class Batch:
    """A few samples; views of all frames follow one another, the ego first in each."""

    points: Tensor
    counts: Tensor
    cells: Tensor
    agents: tuple[int, ...]  # per frame
    roadside: tuple[bool, ...]  # per view: an RSU
    own_heat: Tensor  # (views, classes, rows, columns)
    theta: Tensor  # (senders, 2, 3)
    valid: Tensor  # (senders, rows, columns)
    alone: tuple[int, ...]  # per frame: the view that is also trained by itself
    heat: Tensor  # (2 frames, ...): the team of each frame, then the one agent of each
    boxes: Tensor
    weight: Tensor
    left_out: tuple[str, ...]  # what was wrong with frames that could not be read

    @property
    def egos(self) -> list[int]:
        """The view of each frame's ego."""
        return [sum(self.agents[:frame]) for frame in range(len(self.agents))]

    @property
    def senders(self) -> list[int]:
        """The views that are not the ego of their frame, in the order of `theta` and `valid`."""
        return [view for ego, count in zip(self.egos, self.agents, strict=True) for view in range(ego + 1, ego + count)]

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return replace(
            self,
            points=self.points.to(device),
            counts=self.counts.to(device),
            cells=self.cells.to(device),
            own_heat=self.own_heat.to(device),
            theta=self.theta.to(device),
            valid=self.valid.to(device),
            heat=self.heat.to(device),
            boxes=self.boxes.to(device),
            weight=self.weight.to(device),
        )


def make_batch(
    samples: Sequence[Sample], config: DetectorConfig, rng: np.random.Generator, left_out: Sequence[str] = ()
) -> Batch:
    """Joins samples into one batch."""
    clouds = [cloud for sample in samples for cloud in sample.clouds]
    per_map = cells_per_map(config)
    agents = tuple(len(sample.clouds) for sample in samples)
    picks = [int(rng.integers(count)) for count in agents]
    starts = np.cumsum((0, *agents[:-1]))
    targets: list[Targets] = [sample.team for sample in samples]
    targets += [sample.own[pick] for sample, pick in zip(samples, picks, strict=True)]
    own = [target.heat for sample in samples for target in sample.own]
    return Batch(
        torch.from_numpy(np.concatenate([cloud.points for cloud in clouds])),
        torch.from_numpy(np.concatenate([cloud.counts for cloud in clouds])),
        torch.from_numpy(np.concatenate([cloud.cells + number * per_map for number, cloud in enumerate(clouds)])),
        agents,
        tuple(flag for sample in samples for flag in sample.roadside),
        torch.from_numpy(np.stack(own)),
        torch.cat([sample.theta for sample in samples]),
        torch.cat([sample.valid for sample in samples]),
        tuple(int(start) + pick for start, pick in zip(starts, picks, strict=True)),
        torch.from_numpy(np.stack([target.heat for target in targets])),
        torch.from_numpy(np.stack([target.boxes for target in targets])),
        torch.from_numpy(np.stack([target.weight for target in targets])),
        tuple(left_out),
    )


class Batches(IterableDataset[Batch]):
    """Endless batches from step `first` on; the same seed, rank, step and data give the same batch."""

    def __init__(
        self,
        data: Dataset,
        config: DetectorConfig,
        size: int,
        vary: Augmentation,
        key: tuple[int, int],  # seed and rank
        first: int,
    ) -> None:
        self.data, self.config, self.size, self.vary, self.key, self.first = data, config, size, vary, key, first

    def __iter__(self) -> Iterator[Batch]:
        step = self.first
        while True:
            rng = np.random.default_rng([*self.key, step])
            left_out: list[str] = []
            frames = [self._readable(rng, left_out) for _ in range(self.size)]
            samples = [make_sample(frame, self.config, rng, self.vary) for frame in frames]
            yield make_batch(samples, self.config, rng, left_out)
            step += 1

    def _readable(self, rng: np.random.Generator, left_out: list[str]) -> Frame:
        """A random frame; one that cannot be read is told and another one drawn."""
        for _ in range(ATTEMPTS):
            try:
                return self.data.frame(int(rng.integers(len(self.data))))
            except DatasetError as error:
                left_out.append(str(error))
        raise DatasetError(f"{self.data.folder}: {ATTEMPTS} frames in a row cannot be read; the last: {left_out[-1]}")


def load_ahead(batches: Batches) -> Iterator[Batch]:
    """The batches, made by one process that ends with this one. Raises DatasetError as they do."""
    # "spawn", since torch's thread pool does not survive a fork.
    loader = DataLoader(
        _Told(batches),
        batch_size=None,
        num_workers=1,
        prefetch_factor=4,
        multiprocessing_context="spawn",
        worker_init_fn=_start_worker,
    )
    for item in loader:
        if isinstance(item, DatasetError):
            raise item
        yield item


class _Told(IterableDataset[Batch | DatasetError]):
    """The batches, and the error that ends them as the last item: a loader would hide its one line in a traceback."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Batch | DatasetError]:
        try:
            yield from self._batches
        except DatasetError as error:
            yield error


def _start_worker(_number: int) -> None:
    torch.set_num_threads(1)
    end_with_parent()
