"""Turns a checkpoint of OpenCOOD into one of ours: python tools/import_opencood.py CHECKPOINT --method M [--out DIR]

CHECKPOINT is a folder of OpenCOOD's training (config.yaml and net_epochN.pth; the last epoch counts) or one .pth file,
of a PointPillars detector without a compressor: late, early, attfuse, fcooper, cobevt, coalign (CoAlign's own
repository too) or v2vnet. Every tensor is used once, or the import is refused. DIR is then a checkpoint like any
other, as for tools/evaluate.py.

The networks fuse as they were trained: with OpenCOOD's default, partners move their points to the ego's frame and
encode them there, which `--codec early` does with them; `raw` and other codecs share features that the ego moves.
What we compute otherwise: V2VNet leaves out what a neighbour does not cover by a mask that is turned about the sender,
not about the map's corner; CoAlign's features move by position and yaw alone, without pitch and roll; late fusion
suppresses each agent's boxes before it joins them; boxes over 6 m are kept, unless the evaluation drops them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from arguments import metres, out_folder

from carla_cp.perception.checkpoint import save_detector
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.detector import Detector
from carla_cp.perception.opencood import import_checkpoint
from carla_cp.perception.opencood_settings import METHODS
from carla_cp.perception.presets import OPV2V_SENSOR_M


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; argparse names what is wrong with it and exits with 2."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="a folder of OpenCOOD's training or a .pth")
    parser.add_argument("--method", required=True, choices=tuple(METHODS))
    parser.add_argument("--out", metavar="DIR", type=out_folder, help="default: runs/opencood/METHOD")
    parser.add_argument(
        "--sensor-height",
        metavar="M",
        type=metres,
        default=OPV2V_SENSOR_M,
        help="of its LiDARs above the road (default %(default)s, OPV2V's)",
    )
    return parser.parse_args(arguments)


def summary(detector: Detector, out: Path) -> str:
    """One line per thing that a user wants to see before they trust the import."""
    config, state = detector.config, detector.state_dict()
    weights = sum(value.numel() for value in detector.parameters())
    return "\n".join(
        [
            f"{len(state)} tensors, {weights / 1e6:.2f} million weights, fingerprint {detector.fingerprint:08x}",
            f"range {config.grid.half_length_m:g} x {config.grid.half_width_m:g} m,"
            f" {config.grid.pillar_columns} x {config.grid.pillar_rows} pillars, fusion {config.fusion}"
            f"{', points moved first' if config.encodes_apart else ''}",
            f"wrote {out}",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit status, 2 for a checkpoint that cannot be imported."""
    options = parse(arguments)
    out = options.out or Path("runs/opencood") / options.method
    try:
        detector = import_checkpoint(options.checkpoint, options.method, options.sensor_height)
        save_detector(detector, out)
    except (CheckpointError, OSError) as error:
        print(f"import_opencood: {error}", file=sys.stderr)
        return 2
    print(summary(detector, out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
