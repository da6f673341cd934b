"""Poses, boxes, rotated IoU and NMS in CARLA's left-handed frame (x forward, y right, z up).

The rotation is CARLA's: yaw about z, then pitch about y (nose up positive), then roll about x.
"""

from __future__ import annotations

import math

import numpy as np

from carla_cp.types import FloatArray, IntArray, PointArray, Pose

__all__ = [
    "Pose",
    "bev_corners",
    "box_corners",
    "compose",
    "count_returns",
    "inverse",
    "matrix_from_pose",
    "nms",
    "points_in_boxes",
    "pose_from_matrix",
    "relative",
    "rotated_iou",
    "transform_boxes",
    "transform_points",
    "wrap_angle",
]


GROUND_GAP_M = 0.05  # between a body and the road it stands on, for the noise of a ray
RASTER_CELL_M = 1.0
RASTER_MOST_CELLS = 2000  # along one side
RASTER_MARGIN_M = 0.1  # more than single precision loses on a map of kilometres


def wrap_angle(angle: float) -> float:
    """The same angle in [-pi, pi)."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


def matrix_from_pose(pose: Pose) -> FloatArray:
    """The 4 x 4 matrix that maps coordinates in the pose's own frame to the frame the pose is given in."""
    cr, sr = math.cos(pose.roll), math.sin(pose.roll)
    cp, sp = math.cos(pose.pitch), math.sin(pose.pitch)
    cy, sy = math.cos(pose.yaw), math.sin(pose.yaw)
    return np.array(
        [
            [cp * cy, cy * sp * sr - sy * cr, -cy * sp * cr - sy * sr, pose.x],
            [sy * cp, sy * sp * sr + cy * cr, -sy * sp * cr + cy * sr, pose.y],
            [sp, -cp * sr, cp * cr, pose.z],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def pose_from_matrix(matrix: FloatArray) -> Pose:
    """The pose of a 4 x 4 rigid matrix; pitch lies in [-pi/2, pi/2]."""
    pitch = math.atan2(matrix[2, 0], math.hypot(matrix[0, 0], matrix[1, 0]))
    return Pose(
        x=float(matrix[0, 3]),
        y=float(matrix[1, 3]),
        z=float(matrix[2, 3]),
        roll=math.atan2(-matrix[2, 1], matrix[2, 2]),
        pitch=pitch,
        yaw=math.atan2(matrix[1, 0], matrix[0, 0]),
    )


def inverse(pose: Pose) -> Pose:
    """b_from_a of a_from_b."""
    return pose_from_matrix(_rigid_inverse(matrix_from_pose(pose)))


def compose(a_from_b: Pose, b_from_c: Pose) -> Pose:
    """a_from_c."""
    return pose_from_matrix(matrix_from_pose(a_from_b) @ matrix_from_pose(b_from_c))


def relative(world_from_a: Pose, world_from_b: Pose) -> FloatArray:
    """The 4 x 4 matrix a_from_b of two poses in the same frame."""
    return _rigid_inverse(matrix_from_pose(world_from_a)) @ matrix_from_pose(world_from_b)


def _rigid_inverse(matrix: FloatArray) -> FloatArray:
    result = np.eye(4)
    result[:3, :3] = matrix[:3, :3].T
    result[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return result


def transform_points(a_from_b: FloatArray, points: FloatArray) -> FloatArray:
    """Points (N, 3) in b, given in a.

    Without a matrix product, whose sums depend on the processor and whose threads spin when they are done.
    """
    x, y, z = a_from_b[:3, :3].T
    moved = points[:, :1] * x
    moved += points[:, 1:2] * y
    moved += points[:, 2:3] * z
    moved += a_from_b[:3, 3]
    return np.asarray(moved)


def transform_boxes(a_from_b: FloatArray, boxes: FloatArray) -> FloatArray:
    """Boxes (N, 7) in b, given in a: the centre moves with six degrees of freedom, the heading turns in the plane."""
    result = boxes.copy()
    result[:, :3] = transform_points(a_from_b, boxes[:, :3])
    cos, sin = np.cos(boxes[:, 6]), np.sin(boxes[:, 6])
    heading = np.stack([cos, sin, np.zeros_like(cos)], axis=1) @ a_from_b[:3, :3].T
    result[:, 6] = np.arctan2(heading[:, 1], heading[:, 0])
    return result


def bev_corners(boxes: FloatArray) -> FloatArray:
    """Corners (N, 4, 2) of boxes seen from above: front right, front left, rear left, rear right."""
    signs = np.array([[0.5, 0.5], [0.5, -0.5], [-0.5, -0.5], [-0.5, 0.5]])
    local = signs[None] * boxes[:, None, 3:5]
    cos, sin = np.cos(boxes[:, 6])[:, None], np.sin(boxes[:, 6])[:, None]
    x = local[..., 0] * cos - local[..., 1] * sin + boxes[:, None, 0]
    y = local[..., 0] * sin + local[..., 1] * cos + boxes[:, None, 1]
    return np.stack([x, y], axis=-1)


def box_corners(boxes: FloatArray) -> FloatArray:
    """Corners (N, 8, 3): the four of `bev_corners` at the bottom, then at the top."""
    flat = bev_corners(boxes)
    bottom = np.broadcast_to((boxes[:, 2] - boxes[:, 5] / 2)[:, None, None], (*flat.shape[:2], 1))
    top = np.broadcast_to((boxes[:, 2] + boxes[:, 5] / 2)[:, None, None], (*flat.shape[:2], 1))
    return np.concatenate([np.concatenate([flat, bottom], 2), np.concatenate([flat, top], 2)], axis=1)


def points_in_boxes(points: FloatArray, boxes: FloatArray, grow_m: float = 0.0) -> IntArray:
    """How many of the points (N, 3) lie in each of the boxes (M, 7), each side moved outwards by `grow_m`: (M,)."""
    counts = np.zeros(len(boxes), np.int64)
    columns = np.ascontiguousarray(points[:, :3].T)  # compared many times, which strided memory would slow
    for index, (x, y, z, length, width, height, yaw) in enumerate(boxes):
        reach = math.hypot(length, width) / 2 + grow_m
        near = np.flatnonzero((np.abs(columns[0] - x) <= reach) & (np.abs(columns[1] - y) <= reach))
        at_x, at_y, at_z = columns[:, near]
        dx, dy = at_x - x, at_y - y
        along = dx * math.cos(yaw) + dy * math.sin(yaw)
        across = dy * math.cos(yaw) - dx * math.sin(yaw)
        inside = (np.abs(along) <= length / 2 + grow_m) & (np.abs(across) <= width / 2 + grow_m)
        inside &= np.abs(at_z - z) <= height / 2 + grow_m
        counts[index] = int(inside.sum())
    return counts


def count_returns(world_from_lidar: Pose, points: PointArray, boxes: FloatArray) -> IntArray:
    """How many points (N, 4) of a sweep lie on the bodies in boxes (M, 7), world frame: (M,).

    What lies lower than GROUND_GAP_M over a box's bottom is the road's return, not the body's.
    """
    bodies = boxes.copy()
    bodies[:, 2] += GROUND_GAP_M / 2
    bodies[:, 5] -= GROUND_GAP_M
    world_from = matrix_from_pose(world_from_lidar)
    near = points[_near_boxes(world_from, points, boxes)]
    return points_in_boxes(transform_points(world_from, near.astype(np.float64)), bodies)


def _near_boxes(world_from: FloatArray, points: PointArray, boxes: FloatArray) -> IntArray:
    """Indices of the points (N, 4) that may lie in a box, by a raster over the ground: most of a sweep lies in none."""
    if not len(boxes):
        return np.zeros(0, np.int64)
    reach = np.hypot(boxes[:, 3], boxes[:, 4]) / 2 + RASTER_MARGIN_M
    low, high = boxes[:, :2] - reach[:, None], boxes[:, :2] + reach[:, None]
    corner = low.min(axis=0)
    cell = max(RASTER_CELL_M, float((high - corner).max()) / RASTER_MOST_CELLS)
    first, last = ((edge - corner) / cell for edge in (low, high))
    columns, rows = (int(count) + 3 for count in last.max(axis=0))  # with an empty cell around
    taken = np.zeros((columns, rows), bool)
    for (x0, y0), (x1, y1) in zip(first.astype(int).tolist(), last.astype(int).tolist(), strict=True):
        taken[x0 + 1 : x1 + 2, y0 + 1 : y1 + 2] = True
    scale = (world_from[:2, :3] / cell).astype(np.float32)
    offset = ((world_from[:2, 3] - corner) / cell + 1.0).astype(np.float32)
    px, py, pz = points[:, 0], points[:, 1], points[:, 2]
    cells = []
    for axis, most in enumerate((columns, rows)):
        place = px * scale[axis, 0] + py * scale[axis, 1] + pz * scale[axis, 2] + offset[axis]
        cells.append(np.where((place >= 0) & (place < most), place, 0.0).astype(np.int32))  # NaN too is in no box
    return np.flatnonzero(taken[cells[0], cells[1]])


def rotated_iou(first: FloatArray, second: FloatArray) -> FloatArray:
    """IoU seen from above of every pair of boxes: (N, 7) and (M, 7) give (N, M).

    Sutherland-Hodgman clipping, vectorised over the pairs whose circumscribed circles touch. A box whose length or
    width is not above 0 has no area and shares none.
    """
    result = np.zeros((len(first), len(second)))
    if not len(first) or not len(second):
        return result
    radius = np.hypot(first[:, 3], first[:, 4])[:, None] + np.hypot(second[:, 3], second[:, 4])[None]
    distance = np.hypot(first[:, None, 0] - second[None, :, 0], first[:, None, 1] - second[None, :, 1])
    solid = np.outer(first[:, 3:5].min(axis=1) > 0, second[:, 3:5].min(axis=1) > 0)
    rows, columns = np.nonzero(solid & (distance <= radius / 2))
    if not len(rows):
        return result
    # Coordinates relative to one of the two keep the precision that large map coordinates would cost.
    shift = first[rows, None, :2]
    overlap = _intersection_area(bev_corners(first)[rows] - shift, bev_corners(second)[columns] - shift)
    area = first[rows, 3] * first[rows, 4] + second[columns, 3] * second[columns, 4] - overlap
    result[rows, columns] = np.where(area > 0, overlap / np.maximum(area, 1e-12), 0.0)
    return result


def _intersection_area(subject: FloatArray, clip: FloatArray) -> FloatArray:
    """Area shared by pairs of convex quadrilaterals (P, 4, 2) with the corner order of `bev_corners`: (P,)."""
    polygon = subject
    count = np.full(len(subject), 4)
    for edge in range(4):
        start, end = clip[:, edge], clip[:, (edge + 1) % 4]
        polygon, count = _clip_half_plane(polygon, count, start, end)
    return _polygon_area(polygon, count)


def _clip_half_plane(
    polygon: FloatArray, count: IntArray, start: FloatArray, end: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Each polygon's part on the inner side of its line; padded to two more vertices, `count` of them in use."""
    pairs, size = polygon.shape[:2]
    index = np.arange(size)
    used = index[None] < count[:, None]
    following = np.where(index[None] + 1 < count[:, None], index[None] + 1, 0)
    ahead = np.take_along_axis(polygon, following[..., None], axis=1)
    side_here, side_ahead = _side(polygon, start, end), _side(ahead, start, end)
    keep = used & (side_here >= 0)
    cross = used & ((side_here >= 0) != (side_ahead >= 0))
    step = side_here / np.where(cross, side_here - side_ahead, 1.0)
    point = polygon + step[..., None] * (ahead - polygon)
    # Each vertex yields up to two outputs, in order: itself, then the crossing behind it.
    candidates = np.stack([polygon, point], axis=2).reshape(pairs, 2 * size, 2)
    chosen = np.stack([keep, cross], axis=2).reshape(pairs, 2 * size)
    order = np.argsort(~chosen, axis=1, kind="stable")[:, : size + 1]
    return np.take_along_axis(candidates, order[..., None], axis=1), np.minimum(chosen.sum(axis=1), size + 1)


def _side(points: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    edge = end - start
    offset = points - start[:, None]
    # The corners of `bev_corners` run against the sense x to y, so the inner side has a negative cross product.
    return np.asarray(edge[:, None, 1] * offset[..., 0] - edge[:, None, 0] * offset[..., 1])


def _polygon_area(polygon: FloatArray, count: IntArray) -> FloatArray:
    index = np.arange(polygon.shape[1])
    used = index[None] < count[:, None]
    following = np.where(index[None] + 1 < count[:, None], index[None] + 1, 0)
    ahead = np.take_along_axis(polygon, following[..., None], axis=1)
    cross = polygon[..., 0] * ahead[..., 1] - polygon[..., 1] * ahead[..., 0]
    return np.asarray(np.abs(np.where(used, cross, 0.0).sum(axis=1)) / 2)


def nms(boxes: FloatArray, scores: FloatArray, iou: float) -> IntArray:
    """Indices of the boxes that survive greedy rotated non-maximum suppression, by falling score.

    Of equal scores the lower index goes first, so the result does not depend on the sort.
    """
    order = np.argsort(-scores, kind="stable")
    overlaps = rotated_iou(boxes[order], boxes[order]) > iou
    alive = np.ones(len(order), bool)
    for rank in range(len(order)):
        if alive[rank]:
            alive[rank + 1 :] &= ~overlaps[rank, rank + 1 :]
    return np.asarray(order[alive], np.int64)
