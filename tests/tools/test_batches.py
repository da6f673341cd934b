"""Batches: what they hold, that they repeat, and broken frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from batches import Batches, load_ahead

from carla_cp.datasets import DatasetError, open_dataset
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.samples import Augmentation
from tests.perception.synthetic import write
from tests.tools.training_samples import one_batch


def test_a_batch_counts_its_views_and_senders() -> None:
    batch = one_batch(3, 4)
    views, senders = sum(batch.agents), sum(batch.agents) - len(batch.agents)
    assert len(batch.own_heat) == len(batch.roadside) == views and len(batch.theta) == len(batch.valid) == senders
    assert len(batch.heat) == len(batch.boxes) == len(batch.weight) == 2 * len(batch.agents)
    starts = np.cumsum((0, *batch.agents))
    assert all(starts[n] <= view < starts[n + 1] for n, view in enumerate(batch.alone))
    assert int(batch.cells.max()) < views * 256 * 256


def batches(folder: Path, first: int, seed: int = 0) -> Batches:
    return Batches(open_dataset(folder), DetectorConfig(), 2, Augmentation(), (seed, 0), first)


def test_the_same_seed_and_step_give_the_same_batch_wherever_a_run_starts(tmp_path: Path) -> None:
    write(tmp_path / "one", 3, 1)
    run = iter(batches(tmp_path, 0))
    _, second = next(run), next(run)
    resumed, other = next(iter(batches(tmp_path, 1))), next(iter(batches(tmp_path, 1, seed=9)))
    assert torch.equal(second.points, resumed.points) and torch.equal(second.heat, resumed.heat)
    assert second.points.shape != other.points.shape or not torch.equal(second.points, other.points)


def test_a_broken_frame_is_left_out_and_told_and_a_broken_folder_ends_it(tmp_path: Path) -> None:
    write(tmp_path / "one", 2, 1)
    clouds = sorted((tmp_path / "one").rglob("*.pcd"))
    ticks = sorted({path.stem for path in clouds})
    for path in clouds:
        if path.stem == ticks[0]:
            path.write_bytes(path.read_bytes()[:300])
    run = iter(batches(tmp_path, 0))
    told = [line for _ in range(4) for line in next(run).left_out]
    assert told and all(ticks[0] in line for line in told)
    for path in clouds:
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="in a row cannot be read"):
        next(iter(batches(tmp_path, 0)))


def test_an_error_of_the_process_that_reads_ahead_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(load_ahead.__code__.co_filename).parent)  # the process takes it over
    write(tmp_path / "one", 1, 1)
    for path in (tmp_path / "one").rglob("*.pcd"):
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="in a row cannot be read") as caught:
        next(load_ahead(batches(tmp_path, 0)))
    assert "\n" not in str(caught.value)
