"""What a codec taps that sends whatever the receivers' fusion takes: the BEV stage, or the backbone's first block."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from carla_cp.codecs.base import ViewLike
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import Stage


@dataclass(frozen=True, slots=True)
class TapShapes:
    """Channels, rows and columns of the two stages; the defaults are those of `mini`."""

    bev: tuple[int, int, int] = (64, 128, 128)
    block1: tuple[int, int, int] = (32, 128, 128)

    @staticmethod
    def of_config(config: DetectorConfig) -> TapShapes:
        """Those of a detector."""
        grid, stride = config.grid, config.strides[0]
        return TapShapes(
            (config.bev_channels, grid.rows, grid.columns),
            (config.filters[0], grid.pillar_rows // stride, grid.pillar_columns // stride),
        )

    def of(self, stage: Stage) -> tuple[int, int, int]:
        """That of one stage."""
        return self.bev if stage is Stage.BEV else self.block1


def tapped(view: ViewLike) -> torch.Tensor:
    """The features (C, rows, columns) of the view's tap."""
    return view.bev if view.tap is Stage.BEV else view.block1


def spread(heat: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Maps (maps, rows, columns) of the BEV's cells, over the cells of a stage whose grid may be another."""
    if heat.shape[1:] == (rows, columns):
        return heat
    return torch.nn.functional.interpolate(heat[None], (rows, columns), mode="nearest")[0]
