"""What reading and writing OPV2V folders share."""

from __future__ import annotations

from dataclasses import dataclass

from carla_cp.types import Frame

TICK_US = 50_000
TWO_WHEELED = frozenset(
    {
        "vehicle.bh.crossbike",
        "vehicle.diamondback.century",
        "vehicle.gazelle.omafiets",
        "vehicle.harley-davidson.low_rider",
        "vehicle.kawasaki.ninja",
        "vehicle.vespa.zx125",
        "vehicle.yamaha.yzf",
    }
)  # CARLA 0.9.16's vehicle catalogue


class DatasetError(ValueError):
    """A folder, file or value that is not what a reader takes; its text names the file, the fault and the mend.

    `reason` is the fault in a few words, the same for the same kind of fault, for counting.
    """

    def __init__(self, message: str, reason: str = "broken data") -> None:
        super().__init__(message, reason)
        self.reason = reason

    def __str__(self) -> str:
        """The message alone."""
        return str(self.args[0])


class Opv2vError(DatasetError):
    """A scene folder that is not what this module reads, or a value that the format cannot hold."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something in a frame's files that is no fault but worth counting."""

    reason: str  # in a few words, the same for the same kind of thing
    where: str  # the file or folder


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A frame, and what its reader noticed in the files."""

    frame: Frame
    notes: tuple[Note, ...]
