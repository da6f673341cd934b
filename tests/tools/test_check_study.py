"""What the tool that kills a study reads of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from check_study import Study, _alive, _kill, _short

from carla_cp.scenario import load_scenario


def test_records_are_whole_lines_without_wall_times(tmp_path: Path) -> None:
    study = Study(tmp_path)
    assert study.lines() == [] and study.records() == []
    lines = [
        '{"episode": {"seed": 1, "wall_s": 3.0}}',
        '{"episode": {"seed": 0, "latency_ms": {}}}',
        '{"episode": {"se',
    ]
    study.ledger.write_text("\n".join(lines))
    assert len(study.lines()) == 2 and study.records() == ['{"seed": 0}', '{"seed": 1}']


def test_the_short_study_is_a_scenario_that_ends_early(tmp_path: Path) -> None:
    scenario = load_scenario(_short(tmp_path / "scenarios") / "intersection_clear.xml")
    assert scenario.timeout_s == 1.0 and scenario.map_file.is_file()


def test_a_victim_that_is_not_there_is_no_kill_and_the_main_process_is_always_there(tmp_path: Path) -> None:
    study, wrong = Study(tmp_path), list[str]()
    study.ledger.write_text('{"episode": {}}\n')
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        assert not _kill(process, study, "server", 0.1, wrong)
        assert _kill(process, study, "main", 0.1, wrong) and wrong == []
    assert process.returncode == -9 and not _alive(process.pid)
