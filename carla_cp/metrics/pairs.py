"""Whether two codecs differ, on the same situations and seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class McNemar:
    """An outcome of two codecs over the same episodes, counted where they differ."""

    pairs: int
    only_first: int  # pairs in which only the first had the outcome
    only_second: int
    p: float | None  # two-sided; None without pairs


def mcnemar(pairs: Iterable[tuple[bool, bool]]) -> McNemar:
    """The exact test that both have the outcome equally often (McNemar, Psychometrika 1947), by the binomial's tails.

    Pairs in which the two agree say nothing of that: p is 1 when all do.
    """
    outcomes = list(pairs)
    first = sum(one and not two for one, two in outcomes)
    second = sum(two and not one for one, two in outcomes)
    differing = first + second
    tail = sum(math.comb(differing, k) for k in range(min(first, second) + 1)) / 2**differing
    return McNemar(len(outcomes), first, second, min(1.0, 2.0 * tail) if outcomes else None)
