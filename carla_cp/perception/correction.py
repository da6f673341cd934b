"""Poses corrected by boxes (`perception.alignment`) for fusion rules and boxes that bring no accuracies of their own.

No boxes are sent for it: the receiver reads those that a message of features shows by itself, where cells came, and
takes them to be as accurate as the detector's boxes usually are (`perception.certainty`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from carla_cp.perception.alignment import align
from carla_cp.perception.certainty import sigmas_of_boxes
from carla_cp.perception.joining import spreads
from carla_cp.types import Correction, Detections, FloatArray, GridSpec


def corrects(correction: Correction, by_itself: bool) -> bool:
    """Whether poses are corrected by a method that does so `by_itself`, or does not."""
    return by_itself if correction is Correction.METHOD else correction is Correction.ON


def corrected(ego_from_agents: Sequence[FloatArray], found: Sequence[Detections]) -> tuple[FloatArray, ...]:
    """The matrices ego_from_agent (4, 4), the ego's first, corrected by the boxes that each agent found by itself."""
    sure = [replace(each, sigmas=sigmas_of_boxes(each)) for each in found]
    return align(ego_from_agents, sure, [spreads(each) for each in sure])


def on_received_cells(found: Detections, valid: Tensor, grid: GridSpec) -> Detections:
    """The boxes whose centre's cell was received; `valid` (H, W) covers the grid."""
    rows, columns = valid.shape
    half = np.array([grid.half_length_m, grid.half_width_m])
    place = np.floor((found.boxes[:, :2] + half) / (2 * half) * (columns, rows)).astype(np.int64)
    column, row = np.clip(place, 0, (columns - 1, rows - 1)).T
    return found.take(valid.cpu().numpy()[row, column])
