"""The sizes of detector that the field compares, by name."""

from __future__ import annotations

from dataclasses import replace

from carla_cp.perception.config import DetectorConfig
from carla_cp.types import GridSpec

OPV2V_SENSOR_M = 1.9  # height of OPV2V's LiDARs above the road, whose frame the published networks see

MINI = DetectorConfig()
HALF256S = replace(MINI, filters=(32, 64, 128), layers=(2, 3, 3), up_channels=64, bev_channels=128)


SECOND_MINI = replace(
    MINI,
    grid=GridSpec(pillar_m=0.8, bev_stride=1),
    encoder="sparse",
    points_per_pillar=5,
    voxel_height_m=0.2,
    pillar_channels=64,
    filters=(64, 64),
    layers=(2, 2),
    strides=(1, 2),
)


def opv2v_grid(
    half_length_m: float = 140.8, half_width_m: float = 40.0, bev_stride: int = 2, pillar_m: float = 0.4
) -> GridSpec:
    """OPV2V's published range, -3 to 1 m of the LiDAR, on the agent frame."""
    return GridSpec(half_length_m, half_width_m, OPV2V_SENSOR_M - 3.0, OPV2V_SENSOR_M + 1.0, pillar_m, bev_stride)


FULL_OPV2V = replace(
    MINI,
    grid=opv2v_grid(),
    points_per_pillar=32,
    pillar_channels=64,
    filters=(64, 128, 256),
    layers=(3, 5, 8),
    up_channels=128,
    bev_channels=256,
)
SECOND = replace(
    FULL_OPV2V,
    grid=opv2v_grid(bev_stride=1, pillar_m=0.8),
    encoder="sparse",
    points_per_pillar=5,
    pillar_channels=256,
    filters=(128, 256),
    layers=(5, 5),
    strides=(1, 2),
    up_channels=256,
)
FULL_V2XVIT = replace(FULL_OPV2V, grid=opv2v_grid(half_width_m=38.4))

PRESETS: dict[str, DetectorConfig] = {
    "mini": MINI,
    "half256s": HALF256S,
    "full": FULL_OPV2V,
    "full_384": FULL_V2XVIT,
    "second": SECOND,
    "second_mini": SECOND_MINI,
}
