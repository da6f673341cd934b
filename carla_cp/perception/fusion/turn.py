"""Says what one agent's features mean in another agent's directions.

Resampling turns the places of features, not their meaning: a channel that answers to an edge ahead still does so when
its agent looks the other way. Behind a trunk that has only seen its own directions, each scale therefore passes a
linear map of its channels that depends on the angle between the two agents, up to its second harmonic; it begins as
the identity. (Steerable features: Weiler and Cesa, "General E(2)-Equivariant Steerable CNNs", NeurIPS 2019, have such
maps by construction; here they are learnt.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

HARMONICS = 5  # 1, cos, sin, cos 2, sin 2


class Turn(nn.Module):
    """A channel mixture per angle."""

    def __init__(self, width: int) -> None:
        """The identity at every angle."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(HARMONICS, width, width))
        nn.init.eye_(self.weight.data[0])

    def forward(self, features: Tensor, theta: Tensor) -> Tensor:
        """Features (B, C, H, W), >= 0, of agents whose `plane_theta` is (B, 2, 3), as the ego would say them."""
        height, width = features.shape[2:]
        cos, sin = theta[:, 0, 0], theta[:, 0, 1] * width / height
        harmonics = torch.stack([torch.ones_like(cos), cos, sin, cos**2 - sin**2, 2 * sin * cos], dim=1)
        mixture = (harmonics[:, :, None, None] * self.weight).sum(dim=1)
        return torch.relu(torch.bmm(mixture.to(features), features.flatten(2)).view(features.shape))
