"""Which cells are worth how many residual stages under a budget: Lagrange's multiplier, two depths per message."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carla_cp.types import FloatArray, IntArray

_HALVINGS = 14
_CHEAPEST = 1e-4  # price of a bit, of the dearest


@dataclass(frozen=True, eq=False)
class Plan:
    """Stages per cell."""

    depths: IntArray  # (cells,), 0: not sent
    low: int
    high: int
    gain: float
    bits: float  # that it takes


def plan(gains: FloatArray, bits: FloatArray, total_bits: float, pairs: tuple[tuple[int, int], ...]) -> Plan:
    """The best choice of cells and depths, both of one pair, that takes at most `total_bits`.

    `gains` and `bits` (stages, cells) are those of a cell's first 1, 2, ... stages together.
    """
    found = [_paired(gains, bits, total_bits, low, high) for low, high in pairs]
    return max(found, key=lambda each: each.gain)


def _paired(gains: FloatArray, bits: FloatArray, total_bits: float, low: int, high: int) -> Plan:
    gain, cost = (np.stack([np.zeros(part.shape[1]), part[low - 1], part[high - 1]]) for part in (gains, bits))
    cells = np.arange(gain.shape[1])
    dear = float((gain[1:] / cost[1:]).max(initial=1e-9))  # no cell is worth more a bit
    cheap, best = dear * _CHEAPEST, np.zeros(len(cells), np.int64)
    for _ in range(_HALVINGS):
        price = float(np.sqrt(cheap * dear))
        choice = (gain - price * cost).argmax(0)
        if cost[choice, cells].sum() <= total_bits:
            dear, best = price, choice
        else:
            cheap = price
    gained, taken = (float(part[best, cells].sum()) for part in (gain, cost))
    return Plan(np.array([0, low, high])[best], low, high, gained, taken)
