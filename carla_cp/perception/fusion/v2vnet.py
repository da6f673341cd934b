"""Message passing between agents (V2VNet; Wang et al., ECCV 2020, section 3.3).

Faithful: every agent is a node in its own grid; in each round a convolution over what a neighbour knows, warped into
the receiver's grid, and what the receiver knows makes a message, messages are averaged, and a convolutional GRU
updates the receiver's state; a linear layer reads the ego's. Since that convolution is linear, the average is taken
before it. An agent's own state counts as a message too, as in OpenCOOD. The mask that leaves out what a sender does not
cover is warped exactly as its features are: OpenCOOD's, with features in their senders' frames, turns about the map's
corner instead of the sender, and may lose all of a neighbour. In the last round the ego alone is updated, which
changes nothing. Small detectors pass messages in cells twice as wide, beside the mean of the features as they came.
OpenCOOD's GRU starts every round with an empty memory and takes the state as input: `MemorylessV2vnetFusion` does
that, for weights trained so. Left out: the paper's compression and its compensation of delay.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion.cells import known_cells, mean_over_agents, zeroed
from carla_cp.perception.fusion.coarse import Coarse
from carla_cp.perception.fusion.team import FusionRule, Team
from carla_cp.perception.fusion.warp import warp

ROUNDS = 2


class GatedUnit(nn.Module):
    """A convolutional GRU cell."""

    def __init__(self, width: int) -> None:
        """Untrained, for states and messages of `width` channels."""
        super().__init__()
        self.gates = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.candidate = nn.Conv2d(2 * width, width, 3, padding=1)

    def forward(self, state: Tensor, message: Tensor) -> Tensor:
        """The next state (1, C, H, W)."""
        reset, update = torch.sigmoid(self.gates(torch.cat([message, state], dim=1))).chunk(2, dim=1)
        candidate = torch.tanh(self.candidate(torch.cat([message, reset * state], dim=1)))
        return (1 - update) * state + update * candidate


class MemorylessUnit(nn.Module):
    """What is left of a convolutional GRU cell with an empty memory: the reset gate and the memory's weights idle."""

    def __init__(self, width: int) -> None:
        """Untrained, for states and messages of `width` channels."""
        super().__init__()
        self.update = nn.Conv2d(2 * width, width, 3, padding=1)
        self.candidate = nn.Conv2d(2 * width, width, 3, padding=1)

    def forward(self, state: Tensor, message: Tensor) -> Tensor:
        """The next state (1, C, H, W)."""
        both = torch.cat([state, message], dim=1)
        return torch.sigmoid(self.update(both)) * torch.tanh(self.candidate(both))


class V2vnetFusion(FusionRule):
    """Rounds of messages between all agents' BEV features."""

    unit: ClassVar[type[nn.Module]] = GatedUnit

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained. Raises ValueError for a small detector with an odd map."""
        super().__init__(config)
        width, stride = config.bev_channels, 1 if config.bev_channels >= 128 else 2
        if config.grid.rows % stride or config.grid.columns % stride:
            raise ValueError(f"v2vnet needs a map of even sides, not {config.grid.rows} x {config.grid.columns}")
        self.coarse = Coarse(width, stride) if stride > 1 else None
        self.message = nn.Conv2d(2 * width, width, 3, padding=1)
        self.gate = self.unit(width)
        self.out = nn.Linear(width, width)
        nn.init.eye_(self.out.weight)  # starts as what the head behind it knows

    def forward(self, teams: tuple[Team, ...]) -> tuple[Tensor, ...]:
        """The fused feature (C, H, W) of each team."""
        return tuple(self._fuse(team) for team in teams)

    def _fuse(self, team: Team) -> Tensor:
        features, valid = zeroed(team.features, team.valid), team.valid
        if self.coarse is None:
            fused = self._passed(features, valid, team.theta)
        else:
            wide = self._passed(*self.coarse.narrow(features, valid), team.theta)
            fused = mean_over_agents(*known_cells(team)) + self.coarse.widen(wide)
        result: Tensor = self.out(fused.permute(1, 2, 0))
        return result.permute(2, 0, 1)

    def _passed(self, states: Tensor, known: Tensor, theta: Tensor) -> Tensor:
        """The ego's state (C, H, W) after all rounds."""
        bottom = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64, device=theta.device).expand(len(theta), 1, 3)
        planes = torch.cat([theta.double(), bottom], dim=1)
        for turn in range(ROUNDS):
            receivers = range(len(states) if turn < ROUNDS - 1 else 1)
            updated = [self._update(states, known, planes, receiver) for receiver in receivers]
            states, known = torch.stack([state for state, _ in updated]), torch.stack([mask for _, mask in updated])
        return states[0]

    def _update(self, states: Tensor, known: Tensor, planes: Tensor, receiver: int) -> tuple[Tensor, Tensor]:
        """A receiver's next state (C, H, W), and which of its cells (H, W) anybody knows something of."""
        between = (planes @ torch.linalg.inv(planes[receiver]))[:, :2]
        others = [agent for agent in range(len(states)) if agent != receiver]
        states = states.float()  # places would be rounded with them
        own, own_known = states[receiver, None], known[receiver, None]
        moved, moved_known = warp(states[others], known[others], between[others])
        heard, heard_known = torch.cat([own, moved]), torch.cat([own_known, moved_known])
        message = self.message(torch.cat([mean_over_agents(heard, heard_known)[None], own], dim=1))
        state: Tensor = self.gate(own, message)
        return state[0], heard_known.any(dim=0)


class MemorylessV2vnetFusion(V2vnetFusion):
    """As OpenCOOD's code computes it, but for its mask."""

    unit = MemorylessUnit
