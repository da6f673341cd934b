"""The command line: what it means, and one clear line for each thing that is wrong with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from carla_cp.codecs import CodecError
from carla_cp.options import OptionError, RunOptions, build_parser, parse_options, parse_seeds
from carla_cp.scenario import ScenarioError
from carla_cp.types import CodecChoice

SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"
INTERSECTION = str(SCENARIOS / "intersection.xml")


def options(*arguments: str) -> RunOptions:
    return parse_options(build_parser().parse_args(arguments))


@pytest.mark.parametrize(
    ("text", "seeds"), [("0", (0,)), ("0-3", (0, 1, 2, 3)), ("0,3,5", (0, 3, 5)), ("7,0-2,1", (7, 0, 1, 2))]
)
def test_seeds_are_ranges_and_lists(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "-2", "1;2", "\u00b2"])
def test_seeds_that_are_none_are_named(text: str) -> None:
    with pytest.raises(OptionError, match="write 0-9 or 0,3,5"):
        parse_seeds(text)


def test_the_defaults_compare_codecs_on_seed_0() -> None:
    chosen = options(INTERSECTION)
    names = [choice.name for choice in chosen.choices]
    assert {"none", "oracle", "raw", "revqom", "infocom"} <= set(names)
    assert chosen.seeds == (0,) and chosen.out == Path("runs/intersection") and chosen.jobs == 1


def test_a_codec_given_twice_runs_once() -> None:
    chosen = options(INTERSECTION, "--codec", "revqom@2KB", "--codec", "revqom@2000", "--codec", "none")
    assert chosen.choices == (CodecChoice("revqom", 2000), CodecChoice("none", None))


def test_a_folder_means_its_xml_files() -> None:
    assert {scenario.name for scenario in options(str(SCENARIOS)).scenarios} >= {"intersection", "intersection_clear"}


def test_a_scenario_given_twice_counts_once_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    assert len(options(INTERSECTION, str(SCENARIOS / "." / "intersection.xml")).scenarios) == 1
    shutil.copytree(SCENARIOS, tmp_path / "mine")
    with pytest.raises(OptionError, match="run the two apart"):
        options(INTERSECTION, str(tmp_path / "mine" / "intersection.xml"))


def test_set_overrides_the_scenario() -> None:
    assert options(INTERSECTION, "--set", "link.latency_ms=100").scenarios[0].channel.latency_ms == 100.0


def test_a_trace_has_rows_for_every_link_that_the_codec_uses(tmp_path: Path) -> None:
    trace = tmp_path / "links.csv"
    trace.write_text("time_s,sender,receiver,latency_ms,loss\n0,*,hero,20,0\n1,*,hero,20,0\n")
    command = [INTERSECTION, "--set", "link.model=trace", "--set", f"link.trace_file={trace}", "--codec"]
    assert options(*command, "late").scenarios[0].channel.trace_file == trace
    with pytest.raises(OptionError, match="no row for the link from 'hero' to 'cav'"):
        options(*command, "where2comm")


def test_a_policy_of_requests_takes_codecs_that_ask_and_the_baselines() -> None:
    asking = [INTERSECTION, "--set", "link.policy=request", "--codec", "where2comm@2KB", "--codec", "none"]
    assert options(*asking).scenarios[0].channel.policy == "request"


def test_a_screenshot_may_name_its_time() -> None:
    shot = options(INTERSECTION, "--screenshot", "a.png@4.5").screenshot
    assert shot is not None and shot.path == Path("a.png") and shot.time_s == 4.5


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], OptionError, "no scenario given"),
        (["nowhere.xml"], ScenarioError, "nowhere.xml"),
        ([INTERSECTION, "--codec", "revqon@2KB"], CodecError, "revqom"),
        ([INTERSECTION, "--codec", "revqom@abc"], CodecError, "abc"),
        ([INTERSECTION, "--codec", "revqom@-5"], CodecError, "-5"),
        ([INTERSECTION, "--codec", "oracle@200"], CodecError, "oracle"),
        ([INTERSECTION, "--set", "link.latency=1"], ScenarioError, "latency_ms"),
        (
            [INTERSECTION, "--set", "link.model=gilbet"],
            OptionError,
            "intersection.xml: <channel> there is no link model",
        ),
        ([INTERSECTION, "--set", "link.model=gilbert", "--set", "link.loss=1"], OptionError, "lower loss"),
        ([INTERSECTION, "--set", "link.policy=request", "--codec", "late"], OptionError, "where2comm"),
        ([INTERSECTION, "--set", "link.model=trace"], OptionError, "trace_file"),
        ([INTERSECTION, "--checkpoint", "nothing"], OptionError, "there are:"),
        ([INTERSECTION, "--jobs", "0"], OptionError, "--jobs 0"),
        ([INTERSECTION, "--jobs", "2", "--view"], OptionError, "--view"),
        ([INTERSECTION, "--ray", "auto", "--host", "localhost"], OptionError, "leave out --view"),
        ([INTERSECTION, "--screenshot", "a.png@soon"], OptionError, "soon"),
        ([INTERSECTION, "--screenshot", str(SCENARIOS)], OptionError, "a file is needed"),
        ([INTERSECTION, "--screenshot", f"{INTERSECTION}/a.png"], OptionError, "cannot write there"),
        ([INTERSECTION, "--port", "-1"], OptionError, "--port -1"),
        ([INTERSECTION, "--port", "65536"], OptionError, "--port 65536"),
    ],
)
def test_each_mistake_gives_one_line_with_the_mend(arguments: list[str], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        options(*arguments)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_an_out_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="cannot write there"):
        options(INTERSECTION, "--out", str(tmp_path / "file" / "run"))


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no \*\.xml"):
        options(str(tmp_path))


def test_help_names_every_option_of_the_contract() -> None:
    text = build_parser().format_help()
    contract = """--codec --seeds --out --resume --record --keep-ticks --view --screenshot --host --port --device
        --checkpoint --fusion --set --jobs --ray --rescore"""
    assert [option for option in contract.split() if option not in text] == []
