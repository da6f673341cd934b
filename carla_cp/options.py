"""The command line of `python -m carla_cp.run`, checked once."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carla_cp.codecs import CODECS, codec_kind, parse_choice
from carla_cp.driving.planners import PLANNERS
from carla_cp.link import LinkError, open_model
from carla_cp.perception.fusion import RULES
from carla_cp.perception.opencood_model import PREFIX as OPENCOOD
from carla_cp.perception.plugins import PLUGIN
from carla_cp.scenario import load_scenario, override
from carla_cp.types import AgentName, ChannelSpec, CodecChoice, Scenario
from carla_cp.whole import writable

DEFAULT_CODECS = ("none", "infocom@2KB", "revqom@2KB", "raw", "oracle")
CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"


class OptionError(Exception):
    """An option does not make sense; the message is one line that names it and the mend."""


@dataclass(frozen=True, slots=True)
class Screenshot:
    """Where to save a picture, and of which simulated time; None: the end of the first episode."""

    path: Path
    time_s: float | None


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Everything one run does."""

    scenarios: tuple[Scenario, ...]
    choices: tuple[CodecChoice, ...]
    seeds: tuple[int, ...]
    settings: tuple[str, ...]  # KEY=VALUE of every `--set`, in order; the scenarios have them
    out: Path
    resume: bool
    record: Path | None
    keep_ticks: bool
    view: bool
    screenshot: Screenshot | None
    host: str | None
    port: int
    device: str
    checkpoint: Path
    fusion: str | None  # None: the checkpoint's own rule
    planner: str  # in PLANNERS
    jobs: int
    ray: str | None = None  # the address of a cluster

    @property
    def server(self) -> str:
        """ "embedded", or host:port."""
        return "embedded" if self.host is None else f"{self.host}:{self.port}"


def build_parser() -> argparse.ArgumentParser:
    """The parser, for `--help` and for `parse_options`."""
    parser = argparse.ArgumentParser(
        prog="python -m carla_cp.run",
        description="Runs scenarios with each codec and seed, prints a comparison and writes a report.",
        epilog="Example: python -m carla_cp.run scenarios/intersection.xml --codec none --codec revqom@2KB --seeds 0-9",
    )
    parser.add_argument("scenarios", nargs="*", type=Path, metavar="SCENARIO.xml|FOLDER", help="a folder: its *.xml")
    parser.add_argument(
        "--codec", action="append", metavar="NAME[@BUDGET]", help="bytes per agent and tick: 2000, 2KB or 2KiB"
    )
    parser.add_argument("--seeds", default="0", help="0-9 or 0,3,5 (default 0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default runs/<scenario>")
    parser.add_argument("--resume", action="store_true", help="keep the episodes that DIR already has")
    parser.add_argument("--record", type=Path, metavar="DIR", help="write OPV2V folders of every episode")
    parser.add_argument("--keep-ticks", action="store_true", help="write a .ticks recording beside every episode")
    parser.add_argument("--view", action="store_true", help="live bird's-eye view")
    parser.add_argument("--screenshot", metavar="FILE[@T_S]", help="save the view at a simulated time")
    parser.add_argument("--host", help="a CARLA 0.9.16 server instead of the embedded one")
    parser.add_argument("--port", type=int, default=2000, help="its port (default 2000)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the networks run")
    parser.add_argument(
        "--checkpoint",
        default="mini",
        metavar="NAME",
        help="of checkpoints/, a path, opencood:DIR or plugin:NAME",
    )
    parser.add_argument(
        "--fusion", choices=tuple(RULES), metavar="RULE", help=f"{', '.join(RULES)} (default: the checkpoint's)"
    )
    parser.add_argument("--planner", default="fixed", metavar="NAME", help=f"{', '.join(PLANNERS)} (default fixed)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override the scenario: link.latency_ms=100"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="episodes at a time, each with its server")
    parser.add_argument("--ray", metavar="ADDRESS", help="play the episodes on a Ray cluster: HOST:PORT, auto or local")
    parser.add_argument("--rescore", type=Path, metavar="DIR", help="score the kept ticks of a finished run again")
    return parser


def parse_options(arguments: argparse.Namespace) -> RunOptions:
    """The run that the parsed arguments ask for.

    Raises OptionError, ScenarioError or CodecError, each with one line that names the thing and the mend.
    """
    if arguments.ray and (arguments.view or arguments.screenshot or arguments.host or arguments.record):
        raise OptionError(
            f"--ray {arguments.ray}: its nodes have servers and disks of their own; "
            "leave out --view, --screenshot, --host and --record"
        )
    if arguments.jobs < 1:
        raise OptionError(f"--jobs {arguments.jobs}: give a whole number from 1")
    if not 0 < arguments.port < 1 << 16:
        raise OptionError(f"--port {arguments.port}: give a number from 1 to 65535")
    if (arguments.view or arguments.screenshot) and arguments.jobs > 1:
        raise OptionError("--view and --screenshot show one episode at a time; leave out --jobs")
    if arguments.host and arguments.jobs > 1:
        raise OptionError("--host drives one server; leave out --jobs, or leave out --host for embedded servers")
    scenarios = tuple(_scenario(path, arguments.set) for path in scenario_files(arguments.scenarios))
    choices = tuple(dict.fromkeys(parse_choice(text) for text in arguments.codec or DEFAULT_CODECS))
    for scenario in scenarios:
        check_link(scenario, choices)
    out = arguments.out or Path("runs") / (scenarios[0].name if len(scenarios) == 1 else "study")
    return RunOptions(
        scenarios=scenarios,
        choices=choices,
        seeds=parse_seeds(arguments.seeds),
        settings=tuple("=".join(part.strip() for part in text.split("=", 1)) for text in arguments.set),
        out=_writable(out, "--out"),
        resume=arguments.resume,
        record=_writable(arguments.record, "--record") if arguments.record else None,
        keep_ticks=arguments.keep_ticks,
        view=arguments.view,
        screenshot=_screenshot(arguments.screenshot),
        host=arguments.host,
        port=arguments.port,
        device=_device(arguments.device),
        checkpoint=find_checkpoint(arguments.checkpoint),
        fusion=arguments.fusion,
        planner=_planner(arguments.planner),
        jobs=arguments.jobs,
        ray=arguments.ray,
    )


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds of `0-9`, `0,3,5` or a mix, in the order given and each once."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise OptionError(f"--seeds {text}: '{part}' is neither a number nor a range; write 0-9 or 0,3,5")
        seeds.extend(range(int(first), int(last or first) + 1))
    return tuple(dict.fromkeys(seeds))


def scenario_files(paths: Sequence[Path]) -> list[Path]:
    """The scenario files that paths name, a folder its *.xml; OptionError for two of one name, or none."""
    if not paths:
        raise OptionError("no scenario given; try scenarios/intersection.xml")
    files: dict[str, Path] = {}  # by the name under which the results lie
    for path in paths:
        found = sorted(path.glob("*.xml")) if path.is_dir() else [path]
        if not found:
            raise OptionError(f"{path}: no *.xml in this folder; give a scenario file or another folder")
        for file in found:
            other = files.setdefault(file.stem, file)
            if other.resolve() != file.resolve():
                raise OptionError(f"{file}: has the name of {other}, and results lie by name; run the two apart")
    return list(files.values())


def _scenario(path: Path, settings: Sequence[str]) -> Scenario:
    scenario = load_scenario(path)
    for setting in settings:
        scenario = override(scenario, setting)
    return scenario


def check_link(scenario: Scenario, choices: Sequence[CodecChoice]) -> None:
    """Raises OptionError for a channel that cannot be, or whose policy a codec knows nothing of."""
    ego = AgentName(scenario.ego.rolename)
    names = (*(vehicle.rolename for vehicle in scenario.connected), *(rsu.id for rsu in scenario.rsus))
    others = [AgentName(name) for name in names if name != ego]
    check_channel(scenario.channel, ego, others, choices, f"{scenario.source}: <channel>")


def check_channel(
    channel: ChannelSpec, ego: AgentName, others: Sequence[AgentName], choices: Sequence[CodecChoice], where: str
) -> None:
    """Raises OptionError, with `where` named, for a channel that cannot be, or whose policy a codec knows not."""
    kinds = [(choice, codec_kind(choice.name)[0]) for choice in choices]
    links = [(name, ego) for name in others]
    if any(kind.asks for _, kind in kinds):
        links += [(other, name) for name, other in links]
    try:
        open_model(channel, 0).check_links(links)
    except LinkError as error:
        raise OptionError(f"{where} {error}") from error
    for choice, kind in kinds:
        if channel.policy == "request" and kind.takes_budget and not kind.asks:
            asking = ", ".join(name for name, other in CODECS.items() if other.asks)
            raise OptionError(
                f"{where} policy 'request' is for codecs whose receivers ask ({asking}), not --codec {choice.label}"
            )


def _writable(folder: Path, option: str) -> Path:
    """The folder, if files can be created in it; it is not made yet when something else is wrong."""
    if not writable(folder):
        raise OptionError(f"{option} {folder}: cannot write there; give another, in a folder that is writable")
    return folder


def _screenshot(text: str | None) -> Screenshot | None:
    if text is None:
        return None
    name, at, seconds = text.rpartition("@")
    path = Path(name if at else text)
    if path.is_dir():
        raise OptionError(f"--screenshot {text}: a file is needed, as in FILE.png or FILE.png@4.5")
    _writable(path.parent, "--screenshot")
    try:
        return Screenshot(path, float(seconds) if at else None)
    except ValueError:
        raise OptionError(f"--screenshot {text}: '{seconds}' is no time in seconds; write FILE.png@4.5") from None


def _planner(name: str) -> str:
    if name in PLANNERS:
        return name
    near = difflib.get_close_matches(name, PLANNERS, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(PLANNERS)}"
    raise OptionError(f"--planner {name}: there is no such planner; {hint}")


def _device(name: str) -> str:
    if name == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise OptionError("--device cuda: this torch sees no CUDA device; leave it out to run on the CPU")
    return name


def find_checkpoint(name: str) -> Path:
    """The folder of `--checkpoint NAME`: a path, or one of `checkpoints/`. Raises OptionError where it is missing."""
    if name.startswith((OPENCOOD, PLUGIN)):
        return Path(name)  # who loads it says whether it can be
    for folder in (Path(name), CHECKPOINTS / name):
        if folder.is_dir():
            return folder
    known = ", ".join(sorted(path.name for path in CHECKPOINTS.glob("*") if path.is_dir())) or "none"
    raise OptionError(f"--checkpoint {name}: no such folder; there are: {known}")
