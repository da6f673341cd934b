"""`summary.json` and the files of single episodes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from carla_cp.metrics.fields import StoredError
from carla_cp.metrics.summary import summarise, trace
from carla_cp.report import (
    RunInfo,
    StoredEpisode,
    episode_path,
    read_circumstances,
    read_episode,
    write_episode,
    write_summary,
)
from carla_cp.types import CodecChoice, Episode
from tests.metrics.builders import crossing

RUN = RunInfo("0.1.0", "embedded", "cpu", "python -m carla_cp.run x.xml")


def stored(drive: Episode) -> StoredEpisode:
    return StoredEpisode(summarise(drive, "violator"), trace(drive.records, "violator"))


def test_an_episode_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = episode_path(tmp_path, "intersection", CodecChoice("revqom", 2000), 3)
    assert path == tmp_path / "episodes" / "intersection" / "revqom@2000" / "3.json"
    write_episode(path, stored(crossing()))
    assert read_episode(path) == stored(crossing())
    assert [item.name for item in path.parent.iterdir()] == ["3.json"]


def test_what_no_recording_holds_reads_back_from_a_file_of_any_version(tmp_path: Path) -> None:
    path = tmp_path / "0.json"
    swept = replace(stored(crossing()).summary, settings=("link.loss=0.1",))
    write_episode(path, replace(stored(crossing()), summary=swept, conditions=0xABC))
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["conflict"], document["success"]
    path.write_text(json.dumps(document), encoding="utf-8")
    found = read_circumstances(path)
    assert (found.conditions, found.settings) == (0xABC, ("link.loss=0.1",))
    assert (found.wall_s, found.latency_ms) == (1.5, stored(crossing()).summary.latency_ms)
    with pytest.raises(StoredError, match=r"0\.json: .*conflict, success; another version wrote it"):
        read_episode(path)


def test_an_episode_without_a_budget_lies_under_max(tmp_path: Path) -> None:
    assert episode_path(tmp_path, "s", CodecChoice("none", None), 0).parent.name == "none@max"


@pytest.mark.parametrize("text", ["", "[]", '{"seed": 1}', '{"trace": 1}', "[" * 100_000])
def test_a_file_that_is_no_episode_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "0.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StoredError, match=r"0\.json"):
        read_episode(path)


def test_the_summary_has_the_contract_s_keys_and_every_episode(tmp_path: Path) -> None:
    drives = [crossing(seed=0), crossing(seed=1), crossing("none", None, aware=False)]
    write_summary(tmp_path / "summary.json", RUN, [summarise(drive, "violator") for drive in drives])
    document = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert list(document) == [
        "schema",
        "version",
        "server",
        "device",
        "command",
        "episodes",
        "pooled",
        "comparison",
        "by_scenario",
    ]
    assert document["schema"] == 1
    assert [item["seed"] for item in document["episodes"]] == [0, 1, 0]
    assert [(row["codec"], row["collision_rate"]) for row in document["comparison"]] == [("revqom", 0), ("none", 1)]
    assert document["comparison"][0].keys() >= {
        *("codec", "budget_bytes", "episodes", "collision_rate", "collision_rate_ci95"),
        *("ap50", "ap70", "bytes_per_message", "driving_score_lb21"),
    }


def test_the_folder_of_a_paper_s_own_rate_has_a_name_that_every_system_takes(tmp_path: Path) -> None:
    path = episode_path(tmp_path, "s", CodecChoice("revqom:paper", None), 0)
    assert path.parent.name == "revqom-paper@max" and CodecChoice("revqom:paper", None).label == "revqom:paper@max"
