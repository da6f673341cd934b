"""What is left of a signal at each antenna: 3GPP TR 37.885 (V15.3.0), section 6.2.1, below 6 GHz.

Faithful: the path loss of Table 6.2.1-1 in line of sight (LOS), behind a vehicle (NLOSv) and around a corner (NLOS);
the loss that a vehicle adds, by its height and those of the antennas; shadowing of 3 dB, 4 dB around a corner, which
decorrelates over the way that both ends have gone (urban 10 m in line of sight and 13 m else, highway 25 m).

Different: whether a line of sight is free is not drawn but cast against the boxes of all vehicles, walkers, props and
buildings. What a vehicle adds is drawn once per link and vehicle and lasts while it stands between; of several the
tallest counts. It is normal in dB, as shadowing is, or the table's max(0 dB, .) would mean nothing; ns-3's copy draws
a log-normal number of dB with that mean and deviation. Antennas of roadside units are taken as those of vehicles.
Left out: fast fading and antenna patterns; the ego's own body between two others.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from carla_cp.link.base import Luck
from carla_cp.link.sight import crossed
from carla_cp.types import FloatArray, Pose, Surroundings

CARRIER_GHZ = 5.9
_LEAST_M = 1.0  # nearer than this is as at this distance
_SIGMA_DB, _CORNER_SIGMA_DB = 3.0, 4.0


@dataclass(frozen=True, slots=True)
class Obstruction:
    """What stands between two antennas."""

    corner: bool = False  # a building
    owner: str | None = None  # of the tallest body
    top_m: float = -math.inf  # world height of it

    @property
    def free(self) -> bool:
        """Whether nothing does."""
        return not self.corner and self.owner is None


def path_loss_db(distance_m: float, ghz: float, environment: str, corner: bool) -> float:
    """The mean loss between two antennas; that behind a vehicle is that in line of sight, and what the vehicle adds."""
    far = math.log10(max(distance_m, _LEAST_M))
    if corner:
        return 36.85 + 30.0 * far + 18.9 * math.log10(ghz)
    if environment == "highway":
        return 32.4 + 20.0 * far + 20.0 * math.log10(ghz)
    return 38.77 + 16.7 * far + 18.2 * math.log10(ghz)


def vehicle_loss_db(distance_m: float, heights_m: tuple[float, float], top_m: float, draw: float) -> float:
    """What a vehicle of this height between two antennas adds, by a draw from the standard normal distribution."""
    low, high = min(heights_m), max(heights_m)
    if low > top_m:
        return 0.0
    more = max(0.0, 15.0 * math.log10(max(distance_m, _LEAST_M)) - 41.0)
    mean, sigma = (9.0, 4.5) if high < top_m else (5.0, 4.0)
    return max(0.0, mean + more + sigma * draw)


def decorrelation_m(environment: str, free: bool) -> float:
    """Over which way shadowing falls to a correlation of 1 / e; `free`: in line of sight."""
    if environment == "highway":
        return 25.0
    return 10.0 if free else 13.0


def obstruction(around: Surroundings, first: int, second: int) -> Obstruction:
    """What stands between two antennas, by their places in `around`; not the bodies that carry them."""
    (one, start), (other, end) = around.antennas[first], around.antennas[second]
    ends = _point(start), _point(end)
    hit = [
        (float(around.bodies[index, 2] + around.bodies[index, 5] / 2), around.owners[index])
        for index in np.flatnonzero(crossed(*ends, around.bodies))
        if around.owners[index] not in (one, other)
    ]
    top, owner = max(hit, default=(-math.inf, None))
    return Obstruction(bool(crossed(*ends, around.buildings).any()), owner, top)


class Propagation:
    """One episode's losses between all antennas; shadowing remembers where the antennas were."""

    def __init__(self, environment: str, luck: Luck) -> None:
        self._environment, self._luck = environment, luck
        self._shadow: dict[tuple[str, str], tuple[float, Pose, Pose]] = {}  # standard normal, and where both ends were

    def losses_db(self, around: Surroundings, time_us: int) -> FloatArray:
        """(A, A) between the antennas, symmetric; 0 on the diagonal. Calls come in order of time."""
        result = np.zeros((len(around.antennas),) * 2)
        for first, second in itertools.combinations(range(len(around.antennas)), 2):
            result[first, second] = result[second, first] = self._loss_db(around, first, second, time_us)
        return result

    def _loss_db(self, around: Surroundings, first: int, second: int, time_us: int) -> float:
        between = obstruction(around, first, second)
        ends = sorted((around.antennas[first], around.antennas[second]), key=lambda item: item[0])
        (one, start), (other, end) = ends
        distance = math.dist(_point(start), _point(end))
        loss = path_loss_db(distance, CARRIER_GHZ, self._environment, between.corner)
        sigma = _CORNER_SIGMA_DB if between.corner else _SIGMA_DB
        loss += sigma * self._shadowing((one, other), (start, end), between.free, time_us)
        if between.owner is not None and not between.corner:
            draw = float(self._luck.of("vehicle", (one, other, between.owner), 0).standard_normal())
            loss += vehicle_loss_db(distance, (start.z, end.z), between.top_m, draw)
        return loss

    def _shadowing(self, pair: tuple[str, str], ends: tuple[Pose, Pose], free: bool, time_us: int) -> float:
        """A standard normal value that changes with the way both ends have gone (Gudmundson, 1991)."""
        fresh = float(self._luck.of("shadow", pair, time_us).standard_normal())
        if pair in self._shadow:
            before, *places = self._shadow[pair]
            moved = sum(math.dist(_point(old), _point(new)) for old, new in zip(places, ends, strict=True))
            kept = math.exp(-moved / decorrelation_m(self._environment, free))
            fresh = kept * before + math.sqrt(1.0 - kept * kept) * fresh
        self._shadow[pair] = (fresh, *ends)
        return fresh


def _point(pose: Pose) -> FloatArray:
    return np.array([pose.x, pose.y, pose.z])
