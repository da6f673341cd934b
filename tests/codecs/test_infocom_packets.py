"""InfoCom's bodies, from symbols."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import PayloadError, Table
from carla_cp.codecs.infocom_packets import (
    LADDER,
    InfocomChoice,
    InfocomTables,
    Packer,
    best,
    paper_bodies,
    read_body,
    write_body,
)
from carla_cp.codecs.infocom_symbols import ABSENT, InfocomSymbols, LatentModel, PillarModel
from carla_cp.codecs.positions import PositionModel, mask_of
from carla_cp.types import IntArray

SHAPE = (48, 64)


def choice(count: int = 300) -> InfocomChoice:
    """Of a blob, every number from a short recurrence, so that no generator has a part in it."""
    step = np.arange(count)
    order = np.unique((20 + step % 16) * SHAPE[1] + 30 + step // 16 * 5 % 24)
    place = np.arange(len(order))
    values = np.stack([1 + place * 5 % 7, place * 3 % 11, place // 2 * 7 % 16])
    latent = ((np.arange(24) * 7 % 9 - 4) * 0.5).astype(np.float32)
    return InfocomChoice(latent, order[::-1].copy(), values[:, ::-1].copy())


def symbols(some: InfocomChoice) -> InfocomSymbols:
    return InfocomSymbols(None, mask_of(some.order, *SHAPE), some.values[:, np.argsort(some.order)])


def tables() -> InfocomTables:
    steps = np.arange(24) * 7 % 9 - 4
    latent = LatentModel.learnt(np.stack([steps, steps + np.arange(24) % 2, steps - np.arange(24) % 3]))
    return InfocomTables(PositionModel.uniform(*SHAPE), pillars(), latent)


def pillars() -> PillarModel:
    return PillarModel(np.tile(_ramp(15), (8, 4, 1)), np.tile(_ramp(16), (2, 16, 1)))


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
    fixed = InfocomTables(PositionModel.uniform(*SHAPE), pillars(), latent)
    body = write_body(fixed, said.mask, said.values, steps)
    assert (len(body), zlib.crc32(body), body[:12].hex()) == GOLDEN
    assert (read_body(fixed, body, SHAPE).values == said.values).all()


GOLDEN = (797, 0xAFA5028D, "060880f344329bcf2479bde3")


@pytest.mark.parametrize("channels", [0, 1, 2])
@pytest.mark.parametrize("latent", [False, True])
def test_a_body_comes_back_and_is_hardly_longer_than_its_model_says(latent: bool, channels: int) -> None:
    some, said = packer(latent), symbols(choice())
    cells = np.sort(choice().order)
    body = some.write(cells, channels)
    assert len(body) <= 1.03 * some.bits(cells, channels) / 8 + 16
    found = read_body(some.tables, body, SHAPE)
    assert (found.mask == said.mask).all()
    assert (found.values[: 1 + channels] == said.values[: 1 + channels]).all()
    assert (found.values[1 + channels :] == ABSENT).all()
    assert (found.latent is not None) == latent
    if found.latent is not None:
        assert (found.latent == choice().latent).all()


def test_content_is_sent_where_enough_pillars_fit_with_it() -> None:
    rows, columns = np.divmod(np.arange(1600), 40)
    order = rows * SHAPE[1] + columns
    values = np.stack([1 + np.arange(1600) * 5 % 7, np.arange(1600) * 3 % 11, np.arange(1600) // 2 * 7 % 16])
    some = Packer(SHAPE, tables(), InfocomChoice(choice().latent, order, values), None)
    for channels in (1, 2):
        least = some.bits(order[: LADDER[channels]], channels) / 8 + 40 * 3
        under, over = (some.channels(1600, Room(int(least) + slack, 2000)) for slack in (-100, 100))
        assert under < channels <= over
    assert some.channels(1600, Room(200, 1384)) == 0
    assert some.channels(1600, Room(None, 1384)) == some.channels(20, Room(400, 1384)) == 2


def test_the_best_are_those_of_a_whole_sort() -> None:
    rating = np.random.default_rng(0).integers(0, 40, 5000).astype(np.float32)
    assert (best(rating, 700) == np.argsort(-rating, kind="stable")[:700]).all()


def test_packets_hold_a_region_each_and_all_have_the_latent() -> None:
    some = packer()
    bodies = some.bodies(len(some.order), 2, Room(None, 160))
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
        levels[part.mask] = part.values[0]
    assert (levels.reshape(-1)[some.order] == some.values[0]).all() and np.count_nonzero(levels) == len(some.order)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x40",
        b"\3",
        b"\4\0\0\0",
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
