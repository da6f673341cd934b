"""InfoCom's bodies, from symbols."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import PayloadError, Table
from carla_cp.codecs.infocom_packets import InfocomChoice, InfocomTables, Packer, paper_bodies, read_body, write_body
from carla_cp.codecs.infocom_symbols import InfocomSymbols, LatentModel, LevelModel
from carla_cp.codecs.positions import PositionModel, mask_of
from carla_cp.types import IntArray

SHAPE = (48, 64)


def choice(count: int = 300) -> InfocomChoice:
    """Of a blob, every number from a short recurrence, so that no generator has a part in it."""
    step = np.arange(count)
    order = np.unique((20 + step % 16) * SHAPE[1] + 30 + step // 16 * 5 % 24)
    level = 1 + np.arange(len(order)) * 5 % 7
    latent = ((np.arange(24) * 7 % 9 - 4) * 0.5).astype(np.float32)
    return InfocomChoice(latent, order[::-1].copy(), level[::-1].copy())


def symbols(some: InfocomChoice) -> InfocomSymbols:
    return InfocomSymbols(None, mask_of(some.order, *SHAPE), some.levels[np.argsort(some.order)])


def tables() -> InfocomTables:
    steps = np.arange(24) * 7 % 9 - 4
    latent = LatentModel.learnt(np.stack([steps, steps + np.arange(24) % 2, steps - np.arange(24) % 3]))
    return InfocomTables(PositionModel.uniform(*SHAPE), LevelModel(np.tile(_ramp(15), (8, 4, 1))), latent)


def _ramp(symbols: int) -> IntArray:
    """Falling weights that add up to 2**16."""
    weights = 1 + np.arange(symbols, 0, -1) * 60
    weights[0] += 65536 - weights.sum()
    return np.asarray(weights)


def packer(latent: bool = True) -> Packer:
    some = choice()
    return Packer(SHAPE, tables(), some, (some.latent * 2).astype(np.int64) if latent else None)


def test_golden_bytes() -> None:
    said, steps = symbols(choice()), np.arange(24) * 7 % 9 - 4
    latent = LatentModel(np.arange(24) % 5 - 2, np.arange(24) % 3, [Table(_ramp(31))] * 3)
    fixed = InfocomTables(PositionModel.uniform(*SHAPE), LevelModel(np.tile(_ramp(15), (8, 4, 1))), latent)
    body = write_body(fixed, said.mask, said.levels, steps)
    assert (len(body), zlib.crc32(body), body[:12].hex()) == GOLDEN
    assert (read_body(fixed, body, SHAPE).levels == said.levels).all()


GOLDEN = (305, 0x7204F884, "010880f344329bcf2479bde3")


@pytest.mark.parametrize("latent", [False, True])
def test_a_body_comes_back_and_is_hardly_longer_than_its_model_says(latent: bool) -> None:
    some, said = packer(latent), symbols(choice())
    cells = np.sort(choice().order)
    body = some.write(cells)
    assert len(body) <= 1.03 * some.bits(cells) / 8 + 16
    found = read_body(some.tables, body, SHAPE)
    assert (found.mask == said.mask).all()
    assert (found.levels == said.levels).all()
    assert (found.latent is not None) == latent
    if found.latent is not None:
        assert (found.latent == choice().latent).all()


def test_packets_hold_a_region_each_and_all_have_the_latent() -> None:
    some = packer()
    bodies = some.bodies(len(some.order), Room(None, 160))
    parts = [read_body(some.tables, body, SHAPE) for body in bodies]
    assert len(parts) >= 3 and max(map(len, bodies)) <= 120
    assert all(part.latent is not None for part in parts)
    assert (np.sum([part.mask for part in parts], axis=0) == symbols(choice()).mask).all()
    areas = [np.ptp(np.argwhere(part.mask), axis=0).prod() for part in parts]
    assert sum(areas) < 2 * np.ptp(np.argwhere(symbols(choice()).mask), axis=0).prod()


def test_the_papers_values_come_back_at_their_own_width() -> None:
    some = choice()
    bodies = paper_bodies(some, SHAPE, 150)
    parts = [read_body(tables(), body, SHAPE) for body in bodies]
    assert max(map(len, bodies)) <= 150 and len(bodies) > 3
    assert sum(map(len, bodies)) - 6 * len(bodies) <= 4 * 24 + 48 * 64 / 8 + len(some.order) / 2 + len(bodies)
    assert parts[0].latent is not None and (parts[0].latent == some.latent).all()
    levels = np.zeros(SHAPE, np.int64)
    for part in parts[1:]:
        levels[part.mask] = part.levels
    assert (levels.reshape(-1)[some.order] == some.levels).all() and np.count_nonzero(levels) == len(some.order)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x10",
        b"\1\0\0\0",
        b"\x80",
        b"\x80\0\0\0\0",
        b"\x80\x30\0\1\0" + bytes(8),
        b"\x80\0\0\1\0" + b"\xff" * 8,
        b"\x81" + bytes(95),
        b"\x81" + b"\xff" * 96,
    ],
)
def test_what_no_writer_makes_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError):
        read_body(tables(), body, SHAPE)
