"""Wall time of one tick's parts: measured, recorded apart, and never read by the simulation."""

from __future__ import annotations

import time
from dataclasses import replace

from carla_cp.types import StageTimes


class Stopwatch:
    """Wall time of one tick's parts."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._parts = StageTimes()

    def lap(self, part: str) -> None:
        """Adds the time since the last lap to a part."""
        now = time.perf_counter()
        spent = 1e3 * (now - self._last)
        self._last = now
        match part:
            case "sense":
                self._parts = replace(self._parts, sense=self._parts.sense + spent)
            case "encode":
                self._parts = replace(self._parts, encode=self._parts.encode + spent)
            case "decode":
                self._parts = replace(self._parts, decode=self._parts.decode + spent)
            case "detect":
                self._parts = replace(self._parts, detect=self._parts.detect + spent)
            case _:
                self._parts = replace(self._parts, plan=self._parts.plan + spent)

    def times(self) -> StageTimes:
        """All parts, and the whole tick so far."""
        return replace(self._parts, tick=1e3 * (time.perf_counter() - self._start))
