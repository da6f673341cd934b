"""What a measurement is: a named median, and how calls are timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measured figure."""

    name: str
    median: float
    unit: str
    n: int


def timed(repeat: int, call: Callable[[], object]) -> list[float]:
    """Wall seconds of each of `repeat` calls, after one that is not counted."""
    call()
    spent = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return spent


def timed_row(name: str, repeat: int, call: Callable[[], object]) -> Row:
    """The median of `repeat` calls in milliseconds."""
    return Row(name, 1e3 * statistics.median(timed(repeat, call)), "ms", repeat)
