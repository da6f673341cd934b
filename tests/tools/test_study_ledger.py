"""Lines of finished episodes: what a kill leaves, what another version wrote, and who may write."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from study_ledger import Key, LedgerError, Line, open_ledger, read_ledger

from tests.metrics.summaries import crossed


def line(seed: int = 0, conditions: int = 0xABC, settings: tuple[str, ...] = ()) -> Line:
    summary = replace(crossed(seed=seed), settings=settings)
    return Line(Key("intersection", settings, "revqom@2000", seed), conditions, "1234567", "a machine", summary)


def written(path: Path, *lines: Line) -> Path:
    with open_ledger(path) as ledger:
        for item in lines:
            ledger.append(item)
    return path


def test_lines_come_back_as_they_were_written_and_the_newest_of_an_episode_counts(tmp_path: Path) -> None:
    path = written(tmp_path / "new" / "episodes.jsonl", line(0), line(1), line(1, settings=("link.loss=0.5",)))
    written(path, line(0, conditions=7))
    assert read_ledger(path) == (line(0, conditions=7), line(1), line(1, settings=("link.loss=0.5",)))
    assert len(path.read_bytes().splitlines()) == 4
    assert read_ledger(tmp_path / "none.jsonl") == ()


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_half_a_line_is_no_episode_and_is_gone_when_the_next_is_written(tmp_path: Path, kept: int) -> None:
    path = written(tmp_path / "episodes.jsonl", line(0), line(1))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:kept])
    assert read_ledger(path) == (line(0),)
    assert read_ledger(written(path, line(2))) == (line(0), line(2))


def test_a_line_is_in_the_file_before_the_next_is_begun(tmp_path: Path) -> None:
    path = tmp_path / "episodes.jsonl"
    with open_ledger(path) as ledger:
        ledger.append(line(0))
        assert read_ledger(path) == (line(0),)


def test_two_sittings_never_write_one_ledger(tmp_path: Path) -> None:
    path = tmp_path / "episodes.jsonl"
    with open_ledger(path), pytest.raises(LedgerError, match="another sitting writes it"), open_ledger(path):
        pass
    assert read_ledger(written(path, line(0))) == (line(0),)


def test_an_episode_of_another_version_is_known_though_not_read(tmp_path: Path) -> None:
    path = written(tmp_path / "episodes.jsonl", line(0))
    document = json.loads(path.read_text())
    del document["episode"]["comfort"]
    path.write_text(json.dumps(document) + "\n")
    assert read_ledger(path) == (replace(line(0), summary=None),)


@pytest.mark.parametrize(
    "text", ["{}", "not JSON", "[]", '{"conditions": "x", "commit": "", "machine": "", "episode": {}}']
)
def test_a_whole_line_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "episodes.jsonl", line(0))
    path.write_text(path.read_text() + text + "\n")
    with pytest.raises(LedgerError, match=r"episodes\.jsonl, line 2: .*restore or delete the line"):
        read_ledger(path)
