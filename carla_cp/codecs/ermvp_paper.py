"""The packets of ERMVP's own rate: tokens as 32-bit floats, and four bytes a cell, its token's place among them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.bitstream import PayloadError
from carla_cp.codecs.positions import BoolArray, mask_of
from carla_cp.types import IntArray

Tokens = npt.NDArray[np.float32]

_MOST = 1e4  # that a feature can be
_HEAD, _PLACE_BITS = 4, 12  # bytes before the cells; bits of a token's place in its packet


def plain_bodies(kept: IntArray, owner: IntArray, tokens: Tokens, limit: int) -> list[bytes]:
    """Bodies of at most `limit` bytes, token by token; one of more cells than a body holds is sent again.

    Of flat cells, the token of each, and tokens (tokens, channels).
    """
    token_bytes = 4 * tokens.shape[1]
    most = max(1, (limit - _HEAD - token_bytes) // 4)  # cells of a token in one packet
    packets, used = [list[tuple[int, IntArray]]()], _HEAD
    for token in range(len(tokens)):
        members = kept[owner == token]
        for part in np.array_split(members, -(-len(members) // most)):
            size = token_bytes + 4 * len(part)
            if packets[-1] and used + size > limit:
                packets.append([])
                used = _HEAD
            packets[-1].append((token, part))
            used += size
    return [_body(packet, tokens) for packet in packets]


def _body(packet: list[tuple[int, IntArray]], tokens: Tokens) -> bytes:
    chosen = np.concatenate([part for _, part in packet])
    place = np.repeat(np.arange(len(packet)), [len(part) for _, part in packet])
    words = np.sort(chosen << _PLACE_BITS | place)
    sent = tokens[[token for token, _ in packet]]
    return len(words).to_bytes(_HEAD, "little") + words.astype("<u4").tobytes() + sent.astype("<f4").tobytes()


def read_plain(body: bytes, shape: tuple[int, int], channels: int) -> tuple[BoolArray, Tokens, int]:
    """Which cells of a grid of that shape, each one's token in row order, and how many tokens. Raises PayloadError."""
    kept = int.from_bytes(body[:_HEAD], "little")
    start, cells = _HEAD + 4 * kept, shape[0] * shape[1]
    if not 0 < kept <= cells or len(body) < start or (len(body) - start) % (4 * channels):
        raise PayloadError(f"{len(body)} bytes are not {kept} cells and tokens")
    words = np.frombuffer(body, "<u4", kept, _HEAD).astype(np.int64)
    tokens = np.frombuffer(body, "<f4", offset=start).reshape(-1, channels)
    chosen, owner = words >> _PLACE_BITS, words & ((1 << _PLACE_BITS) - 1)
    if (np.diff(chosen) < 1).any() or chosen[-1] >= cells or not (owner < len(tokens)).all():
        raise PayloadError("a cell lies outside the grid, or out of order, or has no token")
    if not (np.isfinite(tokens) & (tokens >= 0) & (tokens <= _MOST)).all():
        raise PayloadError(f"a feature is not a number in [0, {_MOST:g}]")
    return mask_of(chosen, *shape), tokens[owner].astype(np.float32), len(tokens)
