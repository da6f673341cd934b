"""The options that make up an evaluation's protocol, each with what it does and whose tables use it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from arguments import metres, positive

from carla_cp.metrics.protocol import PROTOCOLS, EvaluationProtocol

# Option's name in the namespace to the protocol's field.
_FIELDS = {
    "range": "range_m",
    "inside": "inside",
    "com_range": "com_range_m",
    "drop_large": "max_extent_m",
    "z_range": "z_range_m",
    "objects": "objects",
    "include_ego": "include_ego",
    "max_objects": "max_objects",
    "score": "score_threshold",
    "order": "order",
    "bins": "bins_m",
}


def add_protocol_options(parser: argparse.ArgumentParser) -> None:
    """`--protocol` and the single options that change a part of it."""
    group = parser.add_argument_group("protocol", "what counts; single options change the protocol they stand beside")
    group.add_argument(
        "--protocol",
        choices=sorted(PROTOCOLS),
        default="ours",
        help="ours (default); opencood: the ranges, filters and order of OpenCOOD's code, as in most published tables",
    )
    group.add_argument(
        "--range",
        nargs=2,
        type=metres,
        metavar=("X", "Y"),
        help="truth and detections count to so far from the ego along x and y (ours: its grid; OpenCOOD: 140 40)",
    )
    group.add_argument(
        "--inside",
        choices=("centre", "corners"),
        help="what must lie in the range: the centre (ours), all corners (OpenCOOD)",
    )
    group.add_argument(
        "--com-range",
        type=metres,
        metavar="M",
        help="agents farther from the ego take no part (OpenCOOD: 70; ours: all do)",
    )
    group.add_argument(
        "--drop-large",
        type=metres,
        metavar="M",
        help="detections that extend farther along x or y are dropped, trucks too (OpenCOOD: 6; ours: none are)",
    )
    group.add_argument(
        "--z-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="heights over the sensor that truth and detections must lie in (OpenCOOD: -3 1; ours: any)",
    )
    group.add_argument(
        "--objects",
        choices=("vehicles", "all-as-one"),
        help="vehicles: AP of vehicles, others beside it (ours); all-as-one: cars and cyclists are one class,"
        " walkers do not count (OpenCOOD, which reads no walkers)",
    )
    group.add_argument(
        "--include-ego",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="the ego's own car is an object when another agent has returns of it (OpenCOOD)",
    )
    group.add_argument(
        "--max-objects",
        type=positive,
        metavar="N",
        help="the nearest so many objects count (OpenCOOD has room for 100)",
    )
    group.add_argument(
        "--score", type=float, metavar="S", help="least score of a detection (OpenCOOD: 0.2; ours: the detector's)"
    )
    group.add_argument(
        "--order",
        choices=("global", "frame"),
        help="the curve goes by falling score over all frames (ours; CoAlign), or frame by frame (OpenCOOD's default,"
        " no precision-recall curve); the result holds both, the table this one",
    )
    group.add_argument(
        "--bins", nargs="+", type=metres, metavar="M", help="borders of the distance bins (default 30 50)"
    )


def protocol_from(options: argparse.Namespace) -> EvaluationProtocol:
    """The protocol that a command line asks for; a changed one says so in its name. Raises ValueError."""
    preset = PROTOCOLS[options.protocol]
    given = {field: getattr(options, name) for name, field in _FIELDS.items() if getattr(options, name) is not None}
    changes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }
    if not changes:
        return preset
    name = f"{preset.name} with {', '.join(f'{field} {value}' for field, value in sorted(changes.items()))}"
    return replace(preset, name=name, **changes)
