"""Which boxes a straight line between two antennas runs through."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from carla_cp.types import FloatArray


def crossed(start: FloatArray, end: FloatArray, boxes: FloatArray) -> npt.NDArray[np.bool_]:
    """Of each of the boxes (N, 7) whether the segment between two points (3,) has a part in it: (N,).

    The slab test of ray casting (T. L. Kay, J. T. Kajiya, SIGGRAPH 1986, section 2), in each box's own frame.
    """
    cos, sin = np.cos(boxes[:, 6]), np.sin(boxes[:, 6])
    origin, along = (
        _in_frames(start - boxes[:, :3], cos, sin),
        _in_frames(np.tile(end - start, (len(boxes), 1)), cos, sin),
    )
    half = boxes[:, 3:6] / 2
    parallel = np.abs(along) < 1e-12
    step = np.where(parallel, 1.0, along)
    one, other = (-half - origin) / step, (half - origin) / step
    inside = np.abs(origin) <= half
    enters = np.where(parallel, np.where(inside, 0.0, np.inf), np.minimum(one, other)).max(axis=1)
    leaves = np.where(parallel, np.where(inside, 1.0, -np.inf), np.maximum(one, other)).min(axis=1)
    return np.asarray(np.maximum(enters, 0.0) < np.minimum(leaves, 1.0))


def _in_frames(vectors: FloatArray, cos: FloatArray, sin: FloatArray) -> FloatArray:
    """World vectors (N, 3), each in the frame of its own box."""
    x, y, z = vectors.T
    return np.stack([x * cos + y * sin, y * cos - x * sin, z], axis=1)
