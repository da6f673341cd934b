"""Sittings of the study: nothing is played twice, nothing that is finished is lost, and what is old is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import study
from study_blocks import Block

from carla_cp.forecast import Forecast
from carla_cp.options import RunOptions
from carla_cp.report import RunInfo, StoredEpisode
from carla_cp.session import Task
from carla_cp.types import Episode
from carla_cp.workers import Finished
from tests.metrics.builders import crossing

BLOCKS = (
    Block("one", ("intersection", "absent"), ("none", "late@2KB"), (0, 1)),
    Block("sweep", ("intersection",), ("late@2KB",), (0,), (("link.loss=0",), ("link.loss=0.5",))),
)


class Player:
    """Plays without a simulator; raises what it is told to after so many episodes."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.until: int | None = None
        self.failing: str | None = None

    @contextmanager
    def played(
        self, options: RunOptions, tasks: Sequence[Task], forecast: Forecast, until: float | None
    ) -> Iterator[Iterator[Finished]]:
        yield self._play(tasks)

    def _play(self, tasks: Sequence[Task]) -> Iterator[Finished]:
        for number, task in enumerate(tasks):
            if number == self.until:
                raise KeyboardInterrupt
            self.tasks.append(f"{task.choice.name} {task.scenario.channel.loss:g} {task.seed}")
            failed = self.tasks[-1] == self.failing
            yield Finished(task, None, "it broke") if failed else Finished(task, _episode(task))


def _episode(task: Task) -> Episode:
    return replace(crossing(), scenario=task.scenario.name, codec=task.choice, seed=task.seed)


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch) -> Player:
    """The study of this file, played by that."""
    player = Player()
    monkeypatch.setattr(study, "BLOCKS", BLOCKS)
    monkeypatch.setattr(study, "played", player.played)
    return player


def sit(folder: Path, *arguments: object) -> int:
    where = ("--ledger", folder / "episodes.jsonl", "--traces", folder / "traces")
    return study.main([str(item) for item in (*where, *arguments)])


def test_a_sitting_goes_on_where_another_was_interrupted(tmp_path: Path, player: Player) -> None:
    player.until = 3
    assert sit(tmp_path) == 130
    player.until = None
    assert sit(tmp_path) == 0 and sit(tmp_path) == 0
    assert player.tasks == ["none 0 0", "late 0 0", "late 0.5 0", "none 0 1", "late 0 1"]
    lines = [json.loads(line)["episode"] for line in (tmp_path / "episodes.jsonl").read_text().splitlines()]
    assert len(lines) == 6  # the sweep's first point is the scenario as it stands: played once, and in both blocks
    assert [line["settings"] for line in lines if line["codec"] == "late" and not line["seed"]] == [
        [],
        ["link.loss=0"],
        ["link.loss=0.5"],
    ]


def test_a_failure_is_told_is_no_line_and_is_tried_again_by_the_next_sitting(
    tmp_path: Path, player: Player, capsys: pytest.CaptureFixture[str]
) -> None:
    player.failing = "late 0.5 0"
    assert sit(tmp_path) == 1
    assert "study: intersection/late@2000/0 failed: it broke" in capsys.readouterr().err
    player.failing, player.tasks = None, []
    assert sit(tmp_path) == 0 and player.tasks == ["late 0.5 0"]


def test_what_other_code_played_is_named_kept_and_played_again_when_asked(
    tmp_path: Path, player: Player, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sit(tmp_path, "--block", "sweep") == 0
    ledger = tmp_path / "episodes.jsonl"
    old = [json.loads(line) for line in ledger.read_text().splitlines()]
    ledger.write_text("".join(json.dumps({**line, "conditions": "7"}) + "\n" for line in old))
    player.tasks = []
    assert sit(tmp_path, "--block", "sweep", "--list") == 0
    assert "2 of    2 episodes, 2 of them by older code" in capsys.readouterr().out
    assert sit(tmp_path, "--block", "sweep") == 0 and player.tasks == []
    assert sit(tmp_path, "--block", "sweep", "--again") == 0 and player.tasks == ["late 0 0", "late 0.5 0"]
    assert len(ledger.read_text().splitlines()) == 4
    assert sit(tmp_path, "--block", "sweep", "--again") == 0 and len(player.tasks) == 2


def test_the_report_is_made_from_lines_with_the_traces_that_lie_here(
    tmp_path: Path, player: Player, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[tuple[int, int]] = []  # episodes, and those of them with a trace

    def keep(out: Path, info: RunInfo, episodes: Sequence[StoredEpisode]) -> None:
        shown.append((len(episodes), sum(bool(item.trace.time_s) for item in episodes)))

    monkeypatch.setattr(study, "conclude", keep)
    assert sit(tmp_path) == 0
    assert sit(tmp_path, "--report", tmp_path / "out") == 0
    assert "6 of 6 episodes" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "traces" / "episodes")
    assert sit(tmp_path, "--report", tmp_path / "out") == 0
    assert sit(tmp_path, "--report", tmp_path / "out", "--block", "one") == 0
    assert shown == [(6, 6), (6, 2), (4, 0)]


def test_a_report_needs_no_trace(tmp_path: Path, player: Player) -> None:
    assert sit(tmp_path, "--block", "one") == 0
    shutil.rmtree(tmp_path / "traces")
    assert sit(tmp_path, "--block", "one", "--report", tmp_path / "out") == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert len(summary["episodes"]) == 4 and summary["pooled"] == {"scenarios": ["intersection"], "settings": []}
    assert [row["episodes"] for row in summary["by_scenario"]["intersection"]] == [2, 2]


def test_bad_input_is_named(tmp_path: Path, player: Player, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "episodes.jsonl").write_text("nonsense\n")
    assert sit(tmp_path) == 2
    assert "episodes.jsonl, line 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        sit(tmp_path, "--block", "nothing")
    assert "--block" in capsys.readouterr().err
