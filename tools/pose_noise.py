"""Localisation noise of an evaluation: how far off each agent believes its sensor to be.

`gaussian` and `laplace` are CoAlign's (Lu et al., ICRA 2023): x, y and yaw of every agent, drawn anew for each agent
and frame; a Laplace's two figures are its scale, so that its standard deviation is 1.41 times as large. `bias` is what
OpenCOOD's `add_loc_noise` does: it seeds its generator with 25 at every call, so that x, y, z and yaw of every agent
but the ego are off by one and the same draw in every frame. Published "noisy" V2XSet tables rest on that one offset.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from carla_cp.types import AgentName, Pose

Kind: TypeAlias = Literal["none", "gaussian", "laplace", "bias"]
On: TypeAlias = Literal["all", "others"]
BIAS_SEED = 25  # OpenCOOD's default


class NoiseError(ValueError):
    """A noise of the command line that is none; the message is one line with the mend."""


@dataclass(frozen=True, slots=True)
class PoseNoise:
    """One kind of noise; the two figures are a standard deviation, of `laplace` its scale."""

    kind: Kind = "none"
    position_m: float = 0.0
    angle_deg: float = 0.0
    on: On = "all"

    @property
    def label(self) -> str:
        """As on the command line: `gaussian:0.2/0.2`, or `none`."""
        return "none" if self.kind == "none" else f"{self.kind}:{self.position_m:g}/{self.angle_deg:g}"

    @property
    def spares_ego(self) -> bool:
        """Whether the ego knows exactly where it is."""
        return self.on == "others" or self.kind == "bias"

    def believed(self, pose: Pose, seed: int, scene: str, frame: int, agent: AgentName) -> Pose:
        """Where the agent believes its sensor is.

        The draw depends on seed, kind, scene, frame and agent alone: neither another agent nor another codec reshuffles
        it, and a larger noise of a kind is the same draw, stretched.
        """
        if self.kind == "none":
            return pose
        if self.kind == "bias":
            return _bias(pose, self.position_m, self.angle_deg)
        names = [zlib.crc32(text.encode()) for text in (f"pose noise {self.kind}", scene, agent)]
        rng = np.random.default_rng([seed, *names, frame])
        x, y, yaw = rng.standard_normal(3) if self.kind == "gaussian" else rng.laplace(size=3)
        return replace(
            pose,
            x=pose.x + self.position_m * float(x),
            y=pose.y + self.position_m * float(y),
            yaw=pose.yaw + math.radians(self.angle_deg * float(yaw)),
        )


def parse_noise(text: str, on: On = "all") -> PoseNoise:
    """`KIND:POS/ANG` in metres and degrees, or `none`. Raises NoiseError."""
    if text == "none":
        return PoseNoise()
    kind, _, figures = text.partition(":")
    if kind not in get_args(Kind) or kind == "none":
        raise NoiseError(f"--noise {text}: there is no noise {kind!r}; give none, or one of gaussian, laplace, bias")
    try:
        position, angle = (float(value) for value in figures.split("/"))
    except ValueError:
        position = angle = math.nan
    if not (0 <= position < math.inf and 0 <= angle < math.inf):
        raise NoiseError(f"--noise {text}: give metres and degrees, as in {kind}:0.2/0.2")
    known: Kind = kind  # type: ignore[assignment]
    return PoseNoise(known, position, angle, on)


def _bias(pose: Pose, position_m: float, angle_deg: float) -> Pose:
    rng = np.random.RandomState(BIAS_SEED)  # the legacy stream that OpenCOOD draws from
    x, y, z = rng.normal(0.0, position_m, 3)
    _, yaw, _ = rng.normal(0.0, angle_deg, 3)  # for roll, yaw and pitch, of which it uses the yaw
    return replace(
        pose,
        x=pose.x + float(x),
        y=pose.y + float(y),
        z=pose.z + float(z),
        yaw=pose.yaw + math.radians(float(yaw)),
    )
