"""`summary.json` and the files of single episodes, each written whole, by rename."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carla_cp.metrics.comparison import comparison
from carla_cp.metrics.fields import Fields, Json, StoredError
from carla_cp.metrics.selection import alike, situations
from carla_cp.metrics.stored import (
    summary_from_json,
    summary_to_json,
    trace_from_json,
    trace_to_json,
    wall_times_from_json,
)
from carla_cp.metrics.stored_rows import row_to_json
from carla_cp.metrics.summary import EpisodeSummary, EpisodeTrace
from carla_cp.types import CodecChoice, StageTimes
from carla_cp.whole import write_whole

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
    conditions: int = 0  # under which it was run (`carla_cp.conditions`); 0 where that is not known


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What of a played episode is in no recording of it."""

    conditions: int
    settings: tuple[str, ...]
    wall_s: float
    latency_ms: StageTimes


def episode_path(out: Path, scenario: str, codec: CodecChoice, seed: int) -> Path:
    """Where an episode's JSON lies under a run's folder."""
    return out / "episodes" / scenario / codec.folder / f"{seed}.json"


def write_episode(path: Path, episode: StoredEpisode) -> None:
    """Write one episode: the contract's episode object with two more keys, `conditions` and `trace`."""
    document: dict[str, Json] = {**summary_to_json(episode.summary), "conditions": f"{episode.conditions:08x}"}
    course = json.dumps(trace_to_json(episode.trace), separators=(",", ":"), allow_nan=False)
    text = json.dumps(document, indent=1, allow_nan=False).removesuffix("\n}")
    write_whole(path, f'{text},\n "trace": {course}\n}}\n')


def read_episode(path: Path) -> StoredEpisode:
    """The episode that `write_episode` wrote; raises StoredError, naming file and key, if it is anything else."""
    document = _document(path)
    course, conditions = document.pop("trace"), _number(path, document.pop("conditions", "0"))
    return StoredEpisode(summary_from_json(document, str(path)), trace_from_json(course, f"{path}: trace"), conditions)


def read_circumstances(path: Path) -> Circumstances:
    """What an episode's file holds that its ticks do not; of any version's file. Raises StoredError."""
    document = _document(path)
    wall_s, latency_ms = wall_times_from_json(document, str(path))
    settings = Fields({"settings": document.get("settings", [])}, str(path)).texts("settings")
    return Circumstances(_number(path, document.get("conditions", "0")), settings, wall_s, latency_ms)


def _document(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise StoredError(f"{path}: not JSON ({error}); delete the file and run the episode again") from error
    if not isinstance(document, dict) or "trace" not in document:
        raise StoredError(f"{path}: not an episode's file; delete it and run the episode again")
    return document


def _number(path: Path, conditions: object) -> int:
    try:
        return int(str(conditions), 16)
    except ValueError as error:
        raise StoredError(f"{path}: conditions {conditions!r} is no number; run the episode again") from error


def write_summary(path: Path, run: RunInfo, summaries: Sequence[EpisodeSummary]) -> None:
    """Write `summary.json` (schema 1): what was run, every episode in the order given, and their comparison.

    Compared are the episodes under the `--set` values that most of them have, pooled over the situations and seeds of
    each codec and without controls, which `by_scenario` has too; `pooled` says what that is.
    """
    same = alike(summaries)
    pooled = situations(same)
    document: dict[str, Json] = {
        "schema": SCHEMA,
        "version": run.version,
        "server": run.server,
        "device": run.device,
        "command": run.command,
        "episodes": [summary_to_json(item) for item in summaries],
        "pooled": {
            "scenarios": list(dict.fromkeys(item.scenario for item in pooled)),
            "settings": list(pooled[0].settings) if pooled else [],
        },
        "comparison": [row_to_json(row) for row in comparison(pooled)],
        "by_scenario": {name: _rows(name, same) for name in dict.fromkeys(item.scenario for item in same)},
    }
    write_whole(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _rows(scenario: str, summaries: Sequence[EpisodeSummary]) -> list[Json]:
    return [row_to_json(row) for row in comparison([item for item in summaries if item.scenario == scenario])]
