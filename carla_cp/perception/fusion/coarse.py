"""Wider cells for rules that a CPU could not afford at every cell of the map."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Coarse(nn.Module):
    """Features in cells `stride` times as wide, and back."""

    def __init__(self, width: int, stride: int) -> None:
        """Untrained layers of `width` channels."""
        super().__init__()
        self.stride = stride
        self.down = nn.Conv2d(width, width, stride, stride=stride)
        self.up = nn.ConvTranspose2d(width, width, stride, stride=stride)

    def narrow(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, C, H, W), zero where invalid, in wide cells; valid are those that hold something valid."""
        return self.down(features), F.max_pool2d(valid[:, None].to(features), self.stride)[:, 0] > 0

    def widen(self, fused: Tensor) -> Tensor:
        """A feature (C, H, W) of wide cells on the map's cells."""
        result: Tensor = self.up(fused[None])[0]
        return result
