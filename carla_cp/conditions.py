"""What an episode's outcome depends on besides its seed, as one number, so that `--resume` mixes no two kinds."""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import carla_cp
from carla_cp.codecs import codec_kind, codec_path
from carla_cp.options import RunOptions
from carla_cp.perception.checkpoint import rule_path
from carla_cp.perception.opencood_model import PREFIX, opencood_files
from carla_cp.perception.plugins import PLUGIN, is_plugin
from carla_cp.plugins import release
from carla_cp.sources import reachable
from carla_cp.types import CodecChoice, Scenario

DECIDING = (
    "carla_cp.session",  # plays it
    "carla_cp.scenario.draw",
    "carla_cp.server.__main__",  # a process of its own
    "carla_cp.metrics.summary",  # scores it
)
STATED = (
    "carla_cp.options",  # what these two read is in the conditions as values
    "carla_cp.scenario",
    "carla_cp.attached",  # rides in other programs; no run takes it
)


def conditions_of(options: RunOptions, scenario: Scenario, choice: CodecChoice) -> int:
    """CRC-32 over our code, scenario with its `--set` values, map, trace, codec, weights, device and kind of server.

    Of our code what plays and scores an episode: `DECIDING` and all that they import, save what lies behind `STATED`.
    Of other packages name and version.
    Where files lie plays no part, nor does the address of a server.
    """
    place = Path()
    stated = (
        carla_cp.__version__,
        replace(scenario, source=place, map_file=place, channel=replace(scenario.channel, trace_file=None)),
        choice,
        options.device,
        options.fusion,
        options.planner,
        _releases(options, scenario, choice),
        "embedded" if options.host is None else "another",
    )
    crc = zlib.crc32(repr(stated).encode(), _code())
    weights = [options.checkpoint / "config.json", options.checkpoint / "weights.safetensors"]
    if is_plugin(options.checkpoint):
        weights = []
    elif str(options.checkpoint).startswith(PREFIX):
        weights = opencood_files(str(options.checkpoint))
    kind = codec_kind(choice.name)[0]
    if kind.learned:
        weights.append(codec_path(kind, options.checkpoint))
    if options.fusion is not None:
        weights.append(rule_path(options.checkpoint, options.fusion))
    trace = scenario.channel.trace_file
    for path in (scenario.map_file, *([] if trace is None else [trace]), *weights):
        crc = zlib.crc32(path.read_bytes() if path.is_file() else b"", crc)
    return crc


def _releases(options: RunOptions, scenario: Scenario, choice: CodecChoice) -> tuple[str, ...]:
    """Names of what plays a part under a name, each with the package it comes from; of ours, "": the code is theirs."""
    detector = str(options.checkpoint).removeprefix(PLUGIN) if is_plugin(options.checkpoint) else ""
    parts = (
        ("carla_cp.codecs", choice.name.partition(":")[0]),
        ("carla_cp.links", scenario.channel.model),
        ("carla_cp.planners", options.planner),
        ("carla_cp.detectors", detector),
    )
    return (detector, *(release(group, name) for group, name in parts))


@cache
def _code() -> int:
    """CRC-32 over the code that decides an episode; the files of a running program are read once."""
    crc = 0
    for path in reachable(DECIDING, STATED):
        crc = zlib.crc32(path.read_bytes(), crc)
    return crc
