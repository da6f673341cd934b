"""What tells two runs apart, and what does not."""

from __future__ import annotations

import shutil
from pathlib import Path

from carla_cp.codecs import parse_choice
from carla_cp.conditions import conditions_of
from carla_cp.options import build_parser, parse_options

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
