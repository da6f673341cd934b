"""Rounded values and their tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES, PayloadError
from carla_cp.codecs.positions import PositionModel, mask_of
from carla_cp.codecs.where2comm_cells import (
    GROUPS,
    LADDER,
    LEVELS,
    PRECISIONS,
    STEP,
    CellCoder,
    CodedCells,
    stage_of_coded,
)
from carla_cp.types import Stage

SHAPE = (16, 24, 40)
GOLDEN = (661, "52000064722e65e65226e7cab994c964722e65e55226e7ca")


def features() -> torch.Tensor:
    """Sparse, as behind a ReLU, with channels of different width."""
    draw = torch.randn(SHAPE, generator=torch.Generator().manual_seed(7))
    return torch.relu(draw) * torch.linspace(0.1, 3.0, SHAPE[0])[:, None, None]


def coder(stage: Stage = Stage.BEV) -> CellCoder:
    """One with tables that suit `features`."""
    result = CellCoder(stage, SHAPE)
    with torch.no_grad():
        result.shares.copy_(torch.linspace(-0.05, 0.05, SHAPE[0]))
        vectors = features().flatten(1).T
        counts, sums = (np.zeros((PRECISIONS, SHAPE[0], LEVELS)) for _ in range(2))
        for precision in range(PRECISIONS):
            levels = result.levels(vectors, precision).long().numpy()
            for channel in range(SHAPE[0]):
                np.add.at(counts[precision, channel], levels[:, channel], 1)
                np.add.at(sums[precision, channel], levels[:, channel], vectors[:, channel].numpy())
        rng = np.random.default_rng(8)
        masks = [mask_of(rng.choice(960, count, replace=False), 24, 40) for count in (40, 300)]
        result.learn(counts, sums, PositionModel.learnt(masks))
    return result


def order() -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.random.default_rng(9).permutation(960)


def joined(by: CellCoder, bodies: list[bytes]) -> CodedCells:
    parts = (by.read(body) for body in bodies)
    return by.join(next(parts), parts)


def test_the_mean_of_all_steps_is_fixed_and_doubles_with_each_precision() -> None:
    for precision in range(PRECISIONS):
        mean = coder().steps(precision).log().mean().exp().item()
        assert mean == pytest.approx(STEP * 2**precision, rel=1e-5)


def test_straight_through_rounds_and_lets_gradients_pass() -> None:
    by, vectors = coder(), features().flatten(1).T.requires_grad_()
    rounded = by.straight(vectors, 1)
    assert torch.allclose(rounded, by.levels(vectors, 1) * by.steps(1), atol=1e-5)
    torch.autograd.backward(rounded.sum())
    assert vectors.grad is not None and torch.equal(vectors.grad, torch.ones_like(vectors))
    assert by.shares.grad is not None and bool(by.shares.grad.abs().sum() > 0)


def test_learnt_centres_are_nearer_than_the_middles_of_steps() -> None:
    by, vectors = coder(), features().flatten(1).T
    for precision in range(PRECISIONS):
        levels = by.levels(vectors, precision)
        learnt = (by.look_up(levels.long(), precision) - vectors).square().mean()
        assert learnt < (levels * by.steps(precision) - vectors).square().mean()


@pytest.mark.parametrize("stage", [Stage.BEV, Stage.BLOCK1])
@pytest.mark.parametrize("total", [None, 120, 400, 1500])
def test_sent_levels_come_back(stage: Stage, total: int | None) -> None:
    by = coder(stage)
    room = Room(total, 200)
    bodies = by.bodies(features(), order(), room)
    assert room.fits(bodies) and all(stage_of_coded(body) is stage for body in bodies)
    found = joined(by, bodies)
    assert (found.stage, total is not None or found.precision == 0) == (stage, True)
    assert set(found.cells) == set(order()[: len(found.cells)])
    wanted = by.levels(features().flatten(1).T[torch.from_numpy(found.cells)], found.precision)
    assert np.array_equal(found.levels, wanted.numpy())
    if total is not None:
        assert sum(HEADER_BYTES + len(body) for body in bodies) > 0.7 * total


def test_more_budget_means_more_cells_or_finer_ones() -> None:
    by, before = coder(), (-PRECISIONS, 0)
    for total in range(100, 6000, 150):
        found = joined(by, by.bodies(features(), order(), Room(total, 1384)))
        now = (-found.precision, len(found.cells))
        assert now >= before
        before = now
    assert before[0] == 0 and len(LADDER) == PRECISIONS


def test_a_body_takes_little_more_than_its_models_ideal_length() -> None:
    by, tables = coder(), coder().tables()
    for precision in range(PRECISIONS):
        for count in (5, 60, 900):
            cells = np.sort(order()[:count])
            levels = by.levels(features().flatten(1).T[torch.from_numpy(cells)], precision).numpy().astype(np.uint8)
            body = by.write(CodedCells(Stage.BEV, precision, cells, levels))
            bits = sum(
                float(table.bits[levels[:, channels]].sum())
                for channels, table in zip(tables.channels, tables.values[precision], strict=True)
            )
            ideal = (bits + tables.where.bits(mask_of(cells, 24, 40))) / 8
            assert len(body) <= math.ceil(1.03 * ideal + 16)


def test_every_channel_has_one_table() -> None:
    by = coder()
    assert np.array_equal(np.sort(np.concatenate(by.tables().channels)), np.arange(SHAPE[0]))
    assert len(by.tables().channels) == GROUPS


def test_bytes_of_given_symbols_do_not_change() -> None:
    by = CellCoder(Stage.BLOCK1, (32, 24, 40))
    cells = np.arange(0, 960, 37)
    levels = (np.arange(len(cells) * 32).reshape(-1, 32) * 7 % LEVELS).astype(np.uint8)
    body = by.write(CodedCells(Stage.BLOCK1, 2, cells, levels))
    assert (len(body), body[:24].hex()) == GOLDEN
    assert np.array_equal(by.read(body).levels, levels)


def test_a_missing_packet_costs_its_cells_and_a_repeated_one_nothing() -> None:
    by = coder()
    bodies = by.bodies(features(), order(), Room(3000, 400))
    assert len(bodies) > 3
    whole, lost = joined(by, bodies), set(by.read(bodies[1]).cells)
    found = joined(by, [*bodies[2:], bodies[0], bodies[0]])
    assert set(found.cells) == set(whole.cells) - lost
    assert np.array_equal(found.levels, whole.levels[np.isin(whole.cells, found.cells)])


def test_packets_of_two_precisions_and_too_many_are_refused() -> None:
    by = coder()
    fine, coarse = by.bodies(features(), order(), Room(None, 1384)), by.bodies(features(), order(), Room(200, 1384))
    with pytest.raises(PayloadError, match="no place"):
        joined(by, [*fine, *coarse])
    with pytest.raises(PayloadError, match="no place"):
        joined(by, [coarse[0]] * 1100)
    with pytest.raises(PayloadError, match="no place"):
        joined(by, [*fine, *fine])


@pytest.mark.parametrize("body", [b"", b"\x01abcd", b"\x80", b"\x60aaaa"])
def test_other_bodies_are_not_taken_for_cells(body: bytes) -> None:
    assert stage_of_coded(body) is None


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(PayloadError, match="precision 15"):
        coder().read(b"\x4f" + bytes(4))
