"""Cameras by ray casting: depth, semantic and instance segmentation, and plainly shaded colour.

One ray goes through the middle of each pixel of a pinhole camera, as in CARLA without lens distortion. Kept: image
size, field of view, the encodings of depth (along the optical axis, up to 1 km, in 24 bits), labels and instances.
Left out: lens effects, light, weather and texture; a colour tells what a thing is and how its surface lies to the ray.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from carla_cp.server.lidar import placed
from carla_cp.server.mesh import Tag
from carla_cp.server.raycast import Hits, RayCaster

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_FAR_M = 1000.0  # CARLA's depth at full scale
_REACH_M = 4000.0  # of rays, so that also those in the corners of a wide image get as far along the axis
_DEEPEST = (1 << 24) - 1
_SKY = 11  # CARLA's label of what nothing is
_DIM, _SHADE = 0.4, 0.6  # brightness of a surface seen edge on, and what is added to it when seen from the front
_GREY = (128, 128, 128)
# Blue, green, red.
_COLOURS = {
    Tag.ROAD: (96, 90, 90),
    Tag.SIDEWALK: (150, 140, 140),
    Tag.BUILDING: (110, 130, 160),
    Tag.POLE: (120, 120, 110),
    Tag.TRAFFIC_LIGHT: (30, 170, 220),
    Tag.VEGETATION: (50, 130, 70),
    Tag.TERRAIN: (90, 150, 120),
    Tag.PEDESTRIAN: (60, 60, 200),
    Tag.RIDER: (40, 40, 180),
    Tag.CAR: (170, 70, 40),
    Tag.TRUCK: (140, 60, 60),
    Tag.BUS: (40, 150, 190),
    Tag.MOTORCYCLE: (120, 40, 90),
    Tag.BICYCLE: (90, 40, 120),
    _SKY: (235, 205, 170),
}


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """The attributes of CARLA's cameras that change an image, with CARLA's names, units and defaults."""

    image_size_x: int = 800  # [px]
    image_size_y: int = 600
    fov: float = 90.0  # [deg] from left to right

    def __post_init__(self) -> None:
        if self.image_size_x < 1 or self.image_size_y < 1 or not 1.0 <= self.fov <= 179.0:
            size = f"image_size_x={self.image_size_x}, image_size_y={self.image_size_y}, fov={self.fov}"
            raise ValueError(f"camera attributes {size}: give at least one pixel and a fov of 1 to 179 degrees")


class CameraModel:
    """One camera; `paint` makes an image, (H, W, 4) blue, green, red, alpha."""

    def __init__(self, settings: CameraSettings, paint: Paint) -> None:
        self.settings = settings
        self._paint = paint

    def image(self, caster: RayCaster, world_from_sensor: npt.NDArray[np.float64]) -> bytes:
        """The payload of one message: width, height, field of view, pixels."""
        use = self.settings
        rays = _rays(use.image_size_x, use.image_size_y, use.fov)
        pixels = np.full((len(rays), 4), 255, np.uint8)
        pixels[:, :3] = self._paint(caster, world_from_sensor, rays)
        return struct.pack("<IIf", use.image_size_x, use.image_size_y, use.fov) + pixels.tobytes()


# The colours (N, 3) of N rays (N, 3) in the sensor's frame.
Paint = Callable[[RayCaster, npt.NDArray[np.float64], Floats], Bytes]


def depth(caster: RayCaster, world_from_sensor: npt.NDArray[np.float64], rays: Floats) -> Bytes:
    """The distance along the optical axis, in 24 bits from red, the lowest, to blue; nothing is at 1 km."""
    origin, directions = placed(world_from_sensor, rays)
    along = caster.distances(origin, directions, _REACH_M).astype(np.float64) * rays[:, 0]
    level = (np.minimum(along / _FAR_M, 1.0) * _DEEPEST).astype(np.uint32)
    return np.stack([level >> 16, level >> 8 & 255, level & 255], axis=-1).astype(np.uint8)


def labels(caster: RayCaster, world_from_sensor: npt.NDArray[np.float64], rays: Floats) -> Bytes:
    """The label in red."""
    tags = _seen(caster, world_from_sensor, rays)[1]
    nothing = np.zeros_like(tags)
    return np.stack([nothing, nothing, tags], axis=-1)


def instances(caster: RayCaster, world_from_sensor: npt.NDArray[np.float64], rays: Floats) -> Bytes:
    """The label in red, and the actor's id in green, the low byte, and blue; 0 is the town."""
    hits, tags = _seen(caster, world_from_sensor, rays)
    high, low = hits.actor_id >> 8 & 255, hits.actor_id & 255
    return np.stack([high.astype(np.uint8), low.astype(np.uint8), tags], axis=-1)


def colours(caster: RayCaster, world_from_sensor: npt.NDArray[np.float64], rays: Floats) -> Bytes:
    """The colour of each label, darker where the surface turns away."""
    hits, tags = _seen(caster, world_from_sensor, rays)
    light = np.where(tags == _SKY, 1.0, _DIM + _SHADE * hits.cos)
    return np.asarray((_palette()[tags] * light[:, None]).astype(np.uint8))


def _seen(
    caster: RayCaster, world_from_sensor: npt.NDArray[np.float64], rays: Floats
) -> tuple[Hits, npt.NDArray[np.uint8]]:
    hits = caster.cast(*placed(world_from_sensor, rays), _REACH_M)
    return hits, np.where(np.isfinite(hits.distance), hits.label, np.uint8(_SKY))


@lru_cache(maxsize=1)
def _palette() -> Floats:
    return np.array([_COLOURS.get(tag, _GREY) for tag in range(256)], np.float32)


@lru_cache(maxsize=8)
def _rays(width: int, height: int, fov: float) -> Floats:
    """Unit directions (height * width, 3) through the middles of the pixels, row by row from the top left."""
    focal = width / (2.0 * math.tan(math.radians(fov) / 2.0))
    right = (np.arange(width) + 0.5 - width / 2) / focal
    down = (np.arange(height) + 0.5 - height / 2) / focal
    y, z = np.meshgrid(right, -down)
    rays = np.stack([np.ones_like(y), y, z], axis=-1).reshape(-1, 3)
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True), np.float32)
