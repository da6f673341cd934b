"""Speed of the parts and of the whole loop: medians on this machine, as JSON.

    python tools/bench.py --out bench.json
    python tools/bench.py --only loop --out bench.json

Each row is a median over `n` measurements. Cores are often shared: compare rows of one run, and quote ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from arguments import out_file
from bench_codecs import bench_codecs
from bench_detectors import bench_detectors
from bench_fusion import bench_fusion
from bench_generate import bench_generate
from bench_jobs import bench_jobs
from bench_maps import bench_maps
from check_traffic import run as run_traffic
from provenance import commit, machine
from timing import Row, timed
from tqdm import tqdm
from traffic_run import TrafficPlan

from carla_cp.codecs import parse_choice
from carla_cp.heap import keep_freed_memory
from carla_cp.networks import EPISODE_THREADS
from carla_cp.options import build_parser, parse_options
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.fusion import Team
from carla_cp.scenario import draw_scenario, load_scenario
from carla_cp.session import Task, open_session
from carla_cp.types import ConnectedVehicleSpec, Scenario, Sweep, TickRecord
from carla_cp.whole import write_whole
from carla_cp.world import World, embedded_server

ROOT = Path(__file__).resolve().parent.parent
SCENARIO = ROOT / "scenarios" / "intersection.xml"
CHECKPOINT = ROOT / "checkpoints" / "mini"
FOURTH_AGENT = "south_1"


def four_agents() -> Scenario:
    """The intersection with one more connected car: four agents of 64 x 1024 rays."""
    scenario = load_scenario(SCENARIO)
    extra = ConnectedVehicleSpec(FOURTH_AGENT, scenario.connected[0].lidar)
    return replace(scenario, connected=(*scenario.connected, extra))


def bench_server() -> Iterator[Row]:
    """The embedded server through the official client: world steps without and with LiDARs."""
    scenario = draw_scenario(four_agents(), 0)
    with embedded_server() as (host, port):
        world = World(host, port)
        world.load(scenario.map_file)
        world.spawn(replace(scenario, connected=(), rsus=()), 0)
        spent = timed(400, world.tick)
        yield Row("server: ticks per second, no sensors", 1 / statistics.median(spent), "1/s", len(spent))
        world.load(scenario.map_file)
        world.spawn(scenario, 0, sensor_period_us=50_000)

        def tick_with_sweeps() -> None:
            world.tick()
            tuple(world.sweeps())

        spent = timed(30, tick_with_sweeps)
        yield Row("server: ticks per second, 4 LiDARs of 64 x 1024", 1 / statistics.median(spent), "1/s", len(spent))
        world.close()


def bench_traffic() -> Iterator[Row]:
    """CARLA's own TrafficManager with 30 cars, no sensors: its work and the server's take turns in every tick."""
    plan = TrafficPlan(ROOT / "scenarios" / "maps" / "crossing.xodr", cars=30, ticks=1200, seed=0)
    results = [outcome.result for outcome in (run_traffic(plan) for _ in range(3)) if outcome.result is not None]
    rates = [result.ticks_per_s for result in results]
    yield Row("server: ticks per second, 30 TrafficManager cars", statistics.median(rates), "1/s", len(rates))
    spent = [result.server_ms for result in results]
    yield Row("server: its own work, 30 TrafficManager cars", statistics.median(spent), "CPU ms per tick", len(spent))


def bench_loop() -> Iterator[Row]:
    """The whole loop of an episode with four agents, the server's process included."""
    for text in ("revqom@2KB", "infocom@2KB", "none"):
        yield from _loop_rows(text)


def _loop_rows(text: str) -> Iterator[Row]:
    options = parse_options(build_parser().parse_args([str(SCENARIO), "--codec", text]))
    ticks: list[float] = []
    records: list[TickRecord] = []

    def watch(record: TickRecord) -> None:
        ticks.append(time.perf_counter())
        records.append(record)

    with open_session(options) as session:
        session.play(Task(four_agents(), parse_choice(text), 0), watch)
    pairs = [after - before for before, after in zip(ticks[2:-2:2], ticks[4::2], strict=False)]
    yield Row(f"loop: perception ticks per second, {text}", 1 / statistics.median(pairs), "1/s", len(pairs))
    for part in ("sense", "encode", "decode", "detect", "plan"):
        sums = [
            getattr(first.times, part) + getattr(second.times, part)
            for first, second in zip(records[2::2], records[3::2], strict=False)
        ]
        yield Row(f"loop: {part}, {text}", statistics.median(sums), "ms per perception tick", len(sums))


def one_sweep() -> Sequence[Sweep]:
    """The sweeps of the scenario's first tick."""
    scenario = draw_scenario(four_agents(), 0)
    with embedded_server() as (host, port):
        world = World(host, port)
        world.load(scenario.map_file)
        world.spawn(scenario, 0)
        world.tick()
        sweeps = tuple(world.sweeps())
        world.close()
    return sweeps


def bench_perception() -> Iterator[Row]:
    """One view of one sweep, and the ego's detections from it."""
    detector = load_detector(CHECKPOINT, "cpu", EPISODE_THREADS)
    ego = one_sweep()[0]
    spent = timed(20, lambda: detector.view(ego).bev)
    yield Row("perception: sweep to BEV", 1e3 * statistics.median(spent), "ms", len(spent))
    alone = tuple(Team((member,)) for member in detector.view(ego).members)
    spent = timed(20, lambda: detector.read(detector.fuse(alone)))
    yield Row("perception: BEV to boxes", 1e3 * statistics.median(spent), "ms", len(spent))


BENCHES: tuple[tuple[str, Callable[[], Iterator[Row]]], ...] = (
    ("server", bench_server),
    ("maps", bench_maps),
    ("traffic", bench_traffic),
    ("perception", bench_perception),
    ("detectors", lambda: bench_detectors(one_sweep())),
    ("fusion", bench_fusion),
    ("codecs", lambda: bench_codecs(one_sweep(), CHECKPOINT)),
    ("generate", bench_generate),
    ("loop", bench_loop),
    ("jobs", lambda: bench_jobs(SCENARIO)),
)


def main() -> int:
    """Runs the chosen benches and writes their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[name for name, _ in BENCHES])
    parser.add_argument("--out", type=out_file, required=True)
    arguments = parser.parse_args()
    keep_freed_memory()  # as an episode does
    rows: list[Row] = []
    for name, bench in BENCHES:
        if arguments.only in (None, name):
            for row in tqdm(bench(), desc=name, unit="row"):
                tqdm.write(f"{row.name:60s} {row.median:10.2f} {row.unit}")
                rows.append(row)
    document = {"machine": machine(), "commit": commit(), "rows": [asdict(row) for row in rows]}
    write_whole(arguments.out, json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
