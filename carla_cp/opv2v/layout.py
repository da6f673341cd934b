"""What reading and writing OPV2V folders share."""

from __future__ import annotations

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


class Opv2vError(ValueError):
    """A scene folder that is not what this module reads, or a value that the format cannot hold."""
