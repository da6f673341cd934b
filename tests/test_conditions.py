"""What tells two runs apart, and what does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from carla_cp.codecs import parse_choice
from carla_cp.conditions import DECIDING, STATED, conditions_of
from carla_cp.options import build_parser, parse_options
from carla_cp.sources import PACKAGE, reachable

ROOT = Path(__file__).resolve().parent.parent
SCENARIO = ROOT / "scenarios" / "intersection.xml"


def conditions(*arguments: object, codec: str = "revqom@2KB", scenario: Path = SCENARIO) -> int:
    options = parse_options(build_parser().parse_args([str(scenario), *map(str, arguments)]))
    return conditions_of(options, options.scenarios[0], parse_choice(codec))


def test_a_setting_a_budget_a_server_and_weights_each_make_a_difference(tmp_path: Path) -> None:
    checkpoint = tmp_path / "mini"
    shutil.copytree(ROOT / "checkpoints" / "mini", checkpoint)
    weights = checkpoint / "codecs" / "revqom.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    different = [
        conditions(),
        conditions("--set", "link.loss=0.02"),
        conditions(codec="revqom@1KB"),
        conditions("--host", "localhost"),
        conditions("--checkpoint", checkpoint),
        conditions("--fusion", "attention"),
        conditions("--planner", "brake_only"),
    ]
    assert len(set(different)) == len(different)


def test_what_a_trace_says_makes_a_difference_and_where_it_lies_none(tmp_path: Path) -> None:
    header = "time_s,sender,receiver,latency_ms,loss\n"
    found = []
    for name, latency in (("a", 20), ("b", 20), ("c", 30)):
        trace = tmp_path / f"{name}.csv"
        trace.write_text(f"{header}0,*,*,{latency},0\n1,*,*,{latency},0\n")
        found.append(conditions("--set", "link.model=trace", "--set", f"link.trace_file={trace}"))
    assert found[0] == found[1] != found[2]


def test_seeds_jobs_the_place_of_files_and_a_servers_port_make_none(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scenarios", tmp_path / "mine")
    assert conditions() == conditions("--seeds", "0-9", "--jobs", 2, "--out", tmp_path)
    assert conditions() == conditions(scenario=tmp_path / "mine" / SCENARIO.name)
    assert conditions("--host", "a", "--port", 1) == conditions("--host", "b", "--port", 2)


def test_another_epoch_of_an_opencood_model_makes_a_difference(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: {}\n", encoding="utf-8")
    (tmp_path / "net_epoch1.pth").write_bytes(b"one")
    command = ("--checkpoint", f"opencood:{tmp_path}")
    first = conditions(*command, codec="early")
    (tmp_path / "net_epoch1.pth").write_bytes(b"two")
    assert first != conditions(*command, codec="early")


def test_another_version_of_a_package_that_plays_a_part_makes_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for version in ("1.0", "1.1"):
        monkeypatch.setattr("carla_cp.conditions.release", lambda group, name, v=version: f"theirs {v}" if name else "")
        found.append(conditions("--checkpoint", "plugin:theirs", codec="late"))
    assert len({*found, conditions("--checkpoint", "plugin:others", codec="late")}) == 3


def test_what_plays_or_scores_an_episode_counts_and_what_shows_it_does_not() -> None:
    counted = {path.relative_to(PACKAGE).as_posix() for path in reachable(DECIDING, STATED)}
    for part in ("codecs", "driving", "server", "world"):
        files = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / part).rglob("*.py")}
        assert files - {"server/testing.py"} <= counted  # a fixture for other programs
    assert {"types.py", "episode.py", "cooperation.py", "session.py", "scenario/draw.py", "link/sidelink.py"} <= counted
    assert {"perception/fusion/coalign.py", "perception/checkpoint.py", "metrics/comfort.py"} <= counted
    parts = {name.partition("/")[0] for name in counted}
    assert not parts & {"report", "view", "recording.py", "opv2v", "datasets", "spectators.py"}
    assert not parts & {"options.py", "run.py", "workers.py", "conditions.py"}


def test_all_that_runs_where_an_episode_is_played_and_scored_counts_or_is_stated() -> None:
    program = (
        f"import importlib, sys\nfor name in {DECIDING!r}: importlib.import_module(name)\n"
        "print(*(getattr(m, '__file__', '') for n, m in sys.modules.items() if n.partition('.')[0] == 'carla_cp'))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    ran = {Path(name) for name in said.stdout.split()}
    assert PACKAGE / "episode.py" in ran and PACKAGE / "server" / "app.py" in ran
    assert ran <= set(reachable(DECIDING, STATED)) | set(reachable(STATED))
