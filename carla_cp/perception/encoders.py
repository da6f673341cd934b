"""The table of encoders: clouds to pillar maps."""

from __future__ import annotations

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.pillars import Encoder, PillarNet, PillarPoints
from carla_cp.perception.sparse import SparseEncoder
from carla_cp.perception.vfe import PillarVfe
from carla_cp.types import PointArray

ENCODERS: dict[str, type[Encoder]] = {
    "pillars": PillarNet,
    "vfe": PillarVfe,
    "sparse": SparseEncoder,
}


def make_encoder(config: DetectorConfig) -> Encoder:
    """The untrained encoder that a configuration names."""
    return ENCODERS[config.encoder](config)


def group_cloud(points: PointArray, config: DetectorConfig) -> PillarPoints:
    """A cloud (N, 4) in the agent frame as the encoder of that configuration takes it."""
    return ENCODERS[config.encoder].grouped(points, config)


def cells_per_map(config: DetectorConfig) -> int:
    """By how much the cells of one map of a batch differ from those of the next."""
    return ENCODERS[config.encoder].map_cells(config)
