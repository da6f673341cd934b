"""CoAlign (Lu et al., "Robust Collaborative 3D Object Detection in Presence of Pose Errors", ICRA 2023).

Faithful: poses are corrected by a graph over detected boxes and their uncertainty (`perception.alignment`), which a
layer of its own predicts with the losses of the paper's section IV-A (Gaussian for x and y, von Mises for the yaw);
then attention over agents at every scale of the backbone. Different from the paper: no boxes are sent, since the
receiver can run the rest of the network on what a sender's message holds and see the sender's own boxes; uncertainty
is learnt on the finished detector, apart from its losses; the yaw counts modulo a half turn, as the graph takes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from carla_cp.perception.alignment import align
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion.attention import attend
from carla_cp.perception.fusion.cells import known_cells
from carla_cp.perception.fusion.team import FusionRule, Sight, Team
from carla_cp.types import FloatArray, GridSpec

FIRST_SPREAD = (0.15, 0.15, 0.15)  # what an untrained layer says of every box: standard deviations [m, m, rad]
LOG_VARIANCES = (-7.0, 3.0)  # the range that the layer may say


class CoalignFusion(FusionRule):
    """Attention over agents at every scale, and the uncertainty of boxes by which poses are corrected before."""

    scales = True
    aligns = True

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths; until it is trained, every box is as uncertain as FIRST_SPREAD says."""
        super().__init__(config)
        self.spread = nn.Conv2d(config.bev_channels, 3, 1)
        nn.init.zeros_(self.spread.weight)
        self.spread.bias = nn.Parameter(2 * torch.tensor(FIRST_SPREAD).log())

    def forward(self, teams: tuple[Team, ...]) -> tuple[Tensor, ...]:
        """The fused feature (C, H, W) of each team, whose members lie where `corrected_poses` has put them."""
        return tuple(attend(*known_cells(team)) for team in teams)

    def log_variances(self, bev: Tensor) -> Tensor:
        """Logarithms (B, 3, H, W) of the variances of x [m], y [m] and yaw [rad] of a box read at each cell."""
        said: Tensor = self.spread(bev)
        return said.float().clamp(*LOG_VARIANCES)

    @torch.no_grad()
    def corrected_poses(self, sights: Sequence[Sight], grid: GridSpec) -> tuple[FloatArray, ...]:
        """The matrices ego_from_agent (4, 4) of all agents, the ego first, corrected by the boxes that they share."""
        spreads = [self.spreads(sight, grid) for sight in sights]
        return align([sight.ego_from_agent for sight in sights], [sight.found for sight in sights], spreads)

    @torch.no_grad()
    def spreads(self, sight: Sight, grid: GridSpec) -> FloatArray:
        """Standard deviations (N, 3) of a sight's boxes, read at the cells of their centres."""
        place = (sight.found.boxes[:, :2] + (grid.half_length_m, grid.half_width_m)) / grid.cell_m
        column, row = np.clip(np.floor(place).astype(np.int64), 0, (grid.columns - 1, grid.rows - 1)).T
        said = self.log_variances(sight.bev[None])[0].cpu().numpy()[:, row, column].T
        return np.asarray(np.exp(said.astype(np.float64) / 2))


# -------------------------------------------------------------------------------------------------------- training


def spread_loss(log_variances: Tensor, errors: Tensor) -> Tensor:
    """Mean negative log-likelihood of errors (M, 3) in x [m], y [m] and yaw [rad] of boxes, given (M, 3); 0 of none.

    Gaussian for x and y; for the yaw von Mises of its double angle with the concentration that has this variance.
    """
    errors = errors.detach().float()
    gaussian = (log_variances[:, :2] + errors[:, :2] ** 2 * torch.exp(-log_variances[:, :2])) / 2
    concentration = torch.exp(-log_variances[:, 2]) / 4
    # log I0(k) - k cos, without the overflow of I0.
    bessel = torch.special.i0e(concentration).log()
    von_mises = bessel + concentration * (1 - torch.cos(2 * errors[:, 2]))
    loss: Tensor = (gaussian.sum() + von_mises.sum()) / max(len(errors), 1)
    return loss


def box_errors(code: Tensor, target: Tensor, cell_m: float) -> Tensor:
    """Errors (B, 3, H, W) in x [m], y [m] and yaw [rad] of the centre head's box codes (B, BOX_CODE, H, W)."""
    place = (code[:, :2] - target[:, :2]).float() * cell_m
    turn = _axis(code) - _axis(target)
    return torch.cat([place, ((turn + torch.pi / 2) % torch.pi - torch.pi / 2)[:, None]], dim=1)


def _axis(code: Tensor) -> Tensor:
    """The yaw modulo a half turn (B, H, W), from its double angle."""
    return torch.atan2(code[:, 9].float(), code[:, 8].float()) / 2
