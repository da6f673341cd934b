"""How far what arrives is from what was to be said."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from carla_cp.codecs.base import ViewLike
from carla_cp.codecs.early import ROAD_M
from carla_cp.codecs.ranking import usefulness
from carla_cp.types import PointArray, Shared, Stage


def error(view: ViewLike, shared: Shared) -> float:
    """0 where all that the view has at the stage arrived as it is.

    Features: `loss`, an absent cell counts as zeros. Points: `way`. Boxes: the share that did not arrive.
    """
    if shared.points is not None:
        return way(view.points, shared.points)
    if shared.detections is not None:
        return 1 - len(shared.detections.scores) / len(view.boxes.scores)
    return loss({Stage.BEV: view.bev, Stage.PILLARS: view.pillars}[shared.stage], present(shared), view)


def present(shared: Shared) -> Tensor:
    """The features (C, rows, columns) that arrived, zeros elsewhere."""
    assert shared.features is not None and shared.valid is not None
    return shared.features * shared.valid


def loss(original: Tensor, arrived: Tensor, view: ViewLike) -> float:
    """The squared error of features (C, rows, columns) by use, as a share of their energy."""
    useful = usefulness(view.heat[None])[:, None]
    weight = torch.nn.functional.interpolate(useful, size=original.shape[1:])[0]
    return float(((arrived - original).square() * weight).sum() / (original.square() * weight).sum())


def way(points: PointArray, arrived: PointArray) -> float:
    """The mean of points above the road to the nearest of those that arrived [m]."""
    high = points[points[:, 2] > ROAD_M, :3]
    return float(np.mean(cKDTree(arrived[:, :3]).query(high)[0]))
