"""Where agents believe to be: GNSS-like noise that is drawn anew at every capture, and a drift that wanders slowly.

The noise is white and Gaussian in x, y and heading, as in CoAlign's evaluation (Lu et al., ICRA 2023). The drift is a
first-order Gauss-Markov process in x and y, the usual model of what GNSS errors keep from one fix to the next: over dt
it keeps exp(-dt / drift_s) of itself, and its spread is `drift_m` at any time. Left out: heights, roll and pitch.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from carla_cp.types import AgentName, FloatArray, LocalizationSpec, Sweep


@dataclass(frozen=True, slots=True)
class _Drift:
    """The offset of an agent at a capture."""

    time_us: int
    unit: FloatArray  # (2,) in standard deviations


class Localization:
    """What agents of one episode believe of their poses; `surveyed` are those who know.

    Every draw hangs on seed, agent and time of capture alone: a further agent reshuffles none, and a larger error is
    the same draw, stretched.
    """

    def __init__(self, spec: LocalizationSpec, seed: int, surveyed: Iterable[AgentName] = ()) -> None:
        self._spec, self._seed, self._surveyed = spec, seed, frozenset(surveyed)
        self._exact = not (spec.position_m or spec.heading_deg or spec.drift_m)
        self._drifts: dict[AgentName, _Drift] = {}

    def believed(self, sweep: Sweep) -> Sweep:
        """The sweep, given with its true pose, with the one that its agent believes in.

        Those of an agent come in order of time.
        """
        if self._exact or sweep.agent in self._surveyed:
            return sweep
        pose, spec = sweep.world_from_lidar, self._spec
        x, y, turn = self._draw("pose noise", sweep, 3)
        offset = spec.position_m * np.array([x, y]) + spec.drift_m * self._drift(sweep)
        yaw = pose.yaw + math.radians(spec.heading_deg * float(turn))
        return replace(
            sweep,
            world_from_lidar=replace(pose, x=pose.x + float(offset[0]), y=pose.y + float(offset[1]), yaw=yaw),
        )

    def _drift(self, sweep: Sweep) -> FloatArray:
        """(2,) in standard deviations."""
        unit, before = self._draw("pose drift", sweep, 2), self._drifts.get(sweep.agent)
        if before is not None:
            kept = math.exp(-(sweep.time_us - before.time_us) * 1e-6 / self._spec.drift_s)
            unit = kept * before.unit + math.sqrt(1.0 - kept * kept) * unit
        self._drifts[sweep.agent] = _Drift(sweep.time_us, unit)
        return unit

    def _draw(self, what: str, sweep: Sweep, count: int) -> FloatArray:
        keys = zlib.crc32(what.encode()), zlib.crc32(sweep.agent.encode())
        return np.random.default_rng([self._seed, *keys, sweep.time_us]).standard_normal(count)
