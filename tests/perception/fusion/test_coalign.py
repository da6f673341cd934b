"""CoAlign's uncertainty: what it says, what it learns, and what it does to poses."""

from __future__ import annotations

import numpy as np
import torch

from carla_cp.geometry import matrix_from_pose, relative, transform_boxes
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion import Sight
from carla_cp.perception.fusion.attention import AttentionFusion
from carla_cp.perception.fusion.coalign import FIRST_SPREAD, CoalignFusion, box_errors, spread_loss
from carla_cp.perception.head import make_targets
from carla_cp.types import Detections, FloatArray, GridSpec, Pose
from tests.perception.fusion.teams import frame

GRID = GridSpec()


def found(boxes: FloatArray) -> Detections:
    return Detections(boxes, np.ones(len(boxes)), np.zeros(len(boxes), np.int64))


def test_fusion_itself_is_attention() -> None:
    rule, attention = CoalignFusion(DetectorConfig()), AttentionFusion(DetectorConfig())
    for one, other in zip(rule(frame(rule, 2)), attention(frame(attention, 2)), strict=True):
        assert torch.equal(one, other)


def test_an_untrained_rule_corrects_a_pose_already() -> None:
    rule = CoalignFusion(DetectorConfig())
    objects = np.array([[10.0, 4, 0.8, 4, 2, 2, 0.3], [-8, 9, 0.8, 4, 2, 2, 2], [3, -12, 0.8, 4, 2, 2, -1]])
    true_pose = Pose(x=6.0, y=-2.0, yaw=2.0)
    true = matrix_from_pose(true_pose)
    bev = torch.rand((64, GRID.rows, GRID.columns), generator=torch.Generator().manual_seed(0))
    wrong = matrix_from_pose(Pose(x=6.4, y=-2.3, yaw=2.01))
    sights = (
        Sight(np.eye(4), bev, found(objects)),
        Sight(wrong, bev, found(transform_boxes(relative(true_pose, Pose()), objects))),
    )
    ego, other = rule.corrected_poses(sights, GRID)
    np.testing.assert_array_equal(ego, np.eye(4))
    assert 2 * np.abs(other - true).max() < np.abs(wrong - true).max()


def test_spreads_are_read_at_the_boxes_cells() -> None:
    rule = CoalignFusion(DetectorConfig())
    with torch.no_grad():
        rule.spread.weight[0, 0] = 1.0
    bev = torch.zeros((64, GRID.rows, GRID.columns))
    bev[0, 70, 90] = 2.0
    at = np.array([(90.5 * 0.8 - 51.2, 70.2 * 0.8 - 51.2, 0, 4, 2, 2, 0), (-500.0, 0, 0, 4, 2, 2, 0)])
    spreads = rule.spreads(Sight(np.eye(4), bev, found(at)), GRID)
    np.testing.assert_allclose(spreads[0], (FIRST_SPREAD[0] * np.e, *FIRST_SPREAD[1:]), rtol=1e-5)
    np.testing.assert_allclose(spreads[1], FIRST_SPREAD, rtol=1e-5)


def test_the_loss_is_least_at_the_errors_own_variances() -> None:
    generator = torch.Generator().manual_seed(0)
    true = torch.tensor([0.3, 0.6, 0.1])
    errors = true * torch.randn((4000, 3), generator=generator)
    errors[::3, 2] += torch.pi  # boxes that face backwards
    least = spread_loss(2 * true.log().expand(4000, 3), errors)
    for number in range(3):
        for factor in (0.8, 1.25):
            said = true.clone()
            said[number] *= factor
            assert spread_loss(2 * said.log().expand(4000, 3), errors) > least + 0.01


def test_the_loss_of_no_box_is_zero_and_of_a_sure_one_finite() -> None:
    assert spread_loss(torch.zeros((0, 3)), torch.zeros((0, 3))) == 0.0
    assert torch.isfinite(spread_loss(torch.full((1, 3), -12.0), torch.full((1, 3), 0.5)))


def test_errors_are_those_between_box_codes_in_metres_and_radians() -> None:
    label = np.zeros(1, np.int64)
    said, truth = (
        torch.from_numpy(make_targets(np.array([box]), label, GRID).boxes)[None]
        for box in ([10.3, 4.2, 0.8, 4, 2, 2, 0.3], [10.2, 4.5, 0.8, 4, 2, 2, 0.1 + np.pi])
    )
    column, row = int((10.2 + 51.2) / 0.8), int((4.5 + 51.2) / 0.8)
    errors = box_errors(said, truth, GRID.cell_m)[0, :, row, column]
    torch.testing.assert_close(errors, torch.tensor([0.1, -0.3, 0.2]), atol=1e-5, rtol=0)
