"""From when on a body stands in another's way: braking later does not help it."""

from __future__ import annotations

import numpy as np

from carla_cp.metrics.boxes import overlapping
from carla_cp.types import FloatArray

COAST_S = 2.0  # for which the other goes straight on after the last that is known of it


def in_the_way_since(own: FloatArray, other: FloatArray, velocity: tuple[float, float], step_s: float) -> int:
    """The first of the places own (K, 7) from which on, to the last, the body stands where the other is yet to come.

    `other` (K, 7) at the same times, `velocity` [m/s] its last. The last place of all where it never does.
    """
    steps = step_s * np.arange(1, round(COAST_S / step_s) + 1)
    coasting = np.repeat(other[-1:], len(steps), axis=0)
    coasting[:, :2] += steps[:, None] * np.asarray(velocity)
    course = np.concatenate([other, coasting])
    since = len(own) - 1
    for place in range(len(own) - 1, -1, -1):
        ahead = course[place:]
        if not overlapping(np.repeat(own[place : place + 1], len(ahead), axis=0), ahead).any():
            break
        since = place
    return since
