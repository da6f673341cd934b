"""`summary.json` and the files of single episodes, each written whole, by rename."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carla_cp.metrics.comparison import comparison
from carla_cp.metrics.stored import (
    Json,
    StoredError,
    row_to_json,
    summary_from_json,
    summary_to_json,
    trace_from_json,
    trace_to_json,
)
from carla_cp.metrics.summary import EpisodeSummary, EpisodeTrace
from carla_cp.types import CodecChoice

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What was run, and where."""

    version: str  # of carla_cp
    server: str  # "embedded" or host:port
    device: str
    command: str


@dataclass(frozen=True, slots=True)
class StoredEpisode:
    """What is kept of an episode without its records: enough for `summary.json` and the report."""

    summary: EpisodeSummary
    trace: EpisodeTrace


def episode_path(out: Path, scenario: str, codec: CodecChoice, seed: int) -> Path:
    """Where an episode's JSON lies under a run's folder."""
    return out / "episodes" / scenario / codec.label / f"{seed}.json"


def write_episode(path: Path, episode: StoredEpisode) -> None:
    """Write one episode: the contract's episode object with one more key, `trace`."""
    document: dict[str, Json] = {**summary_to_json(episode.summary), "trace": trace_to_json(episode.trace)}
    write_whole(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def read_episode(path: Path) -> StoredEpisode:
    """The episode that `write_episode` wrote; raises StoredError, naming file and key, if it is anything else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise StoredError(f"{path}: not JSON ({error}); delete the file and run the episode again") from error
    if not isinstance(document, dict) or "trace" not in document:
        raise StoredError(f"{path}: not an episode's file; delete it and run the episode again")
    course = document.pop("trace")
    return StoredEpisode(summary_from_json(document, str(path)), trace_from_json(course, f"{path}: trace"))


def write_summary(path: Path, run: RunInfo, summaries: Sequence[EpisodeSummary]) -> None:
    """Write `summary.json` (schema 1): what was run, every episode in the order given, and their comparison."""
    document: dict[str, Json] = {
        "schema": SCHEMA,
        "version": run.version,
        "server": run.server,
        "device": run.device,
        "command": run.command,
        "episodes": [summary_to_json(item) for item in summaries],
        "comparison": [row_to_json(row) for row in comparison(summaries)],
    }
    write_whole(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is never seen half-written; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
