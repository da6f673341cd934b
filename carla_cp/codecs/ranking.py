"""Which cells matter most, by the sender's own heat map."""

from __future__ import annotations

from functools import reduce

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from carla_cp.types import IntArray


def usefulness(heat: torch.Tensor) -> torch.Tensor:
    """A score per cell (B, cells, cells) of heat maps (B, classes, cells, cells).

    A cell counts by its own heat and, less, by the hottest of its neighbours: an object's surroundings carry its shape.
    """
    top = heat.float().amax(1)
    return 0.2 * top + widened(top, 1) + 0.5 * widened(top, 3)


def widened(maps: torch.Tensor, reach: int) -> torch.Tensor:
    """The maximum within `reach` cells each way of maps (B, H, W) that are not negative.

    By shifted copies, since max pooling of wide windows takes ten times as long on CPU.
    """
    padded = F.pad(maps, (reach,) * 4)
    height, width = maps.shape[1:]
    rows = reduce(torch.maximum, [padded[:, shift : shift + height] for shift in range(2 * reach + 1)])
    return reduce(torch.maximum, [rows[:, :, shift : shift + width] for shift in range(2 * reach + 1)])


def rank(heat: torch.Tensor, demand: npt.NDArray[np.float32] | None = None) -> IntArray:
    """Cells (flat indices in row order) of a heat map (classes, cells, cells), the most useful first.

    `demand` (cells, cells) in (0, 1] is how much the receiver wants each (`requests.wanted`).
    """
    score = usefulness(heat[None])[0]
    if demand is not None:
        score = score * torch.from_numpy(demand).to(score)
    return falling(score)


def falling(score: torch.Tensor) -> IntArray:
    """The flat indices of a map of scores, the highest first; equal ones in row order."""
    return np.asarray(np.argsort(-score.flatten().cpu().numpy(), kind="stable"), np.int64)
