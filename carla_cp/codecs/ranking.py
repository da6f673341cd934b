"""Which cells matter most, by the sender's own heat map."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from carla_cp.types import IntArray


def usefulness(heat: torch.Tensor) -> torch.Tensor:
    """A score per cell (B, cells, cells) of heat maps (B, classes, cells, cells).

    A cell counts by its own heat and, less, by the hottest of its neighbours: an object's surroundings carry its shape.
    """
    top = heat.float().amax(1)
    near = F.max_pool2d(top, 3, 1, 1)
    far = F.max_pool2d(F.max_pool2d(top, (7, 1), 1, (3, 0)), (1, 7), 1, (0, 3))
    return 0.2 * top + near + 0.5 * far


def rank(heat: torch.Tensor) -> IntArray:
    """Cells (flat indices in row order) of a heat map (classes, cells, cells), the most useful first."""
    score = usefulness(heat[None]).flatten().cpu().numpy()
    return np.asarray(np.argsort(-score, kind="stable"), np.int64)
