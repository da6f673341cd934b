"""Makes collaborative-perception data in OPV2V's layout: random traffic on our maps, seen by cars and roadside units.

    python tools/generate_data.py OUT --scenes N --split train|val|test [--seed K] [--agents A-B] [--jobs J]
                                      [--frames F] [--stride S] [--ascii]

Scene n of a seed is the same, byte for byte, whatever else is made beside it. A scene appears under its name only when
it is complete and is then never touched again, so the same command goes on where it was stopped. Each job runs an
embedded server of its own.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import queue
import signal
import sys
import traceback
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from arguments import out_folder, positive
from random_scene import SceneSize, random_scenario
from tqdm import tqdm

from carla_cp.driving.scripted import Traffic
from carla_cp.lifeline import end_with_parent
from carla_cp.opv2v import SceneWriter, agent_ids, protocol_of, read_scene, scans_from_sweeps
from carla_cp.types import Scenario
from carla_cp.world import STEP_US, Roads, World, embedded_server

MAPS = Path(__file__).resolve().parent.parent / "scenarios" / "maps"
POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """One scene to be made."""

    folder: Path
    map_file: Path
    seed: int
    frames: int
    stride_steps: int  # world steps between two frames
    size: SceneSize
    binary: bool


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one scene; `error` is empty when all went well."""

    folder: Path
    error: str


def make_scene(world: World, job: Job) -> None:
    """Simulates one scene and writes it."""
    world.load(job.map_file)
    roads = Roads(world.map)
    scenario = random_scenario(roads, job.map_file, job.folder.name, job.seed, job.size)
    world.spawn(scenario, job.seed, job.stride_steps * STEP_US)
    traffic = _traffic(roads, scenario)
    with SceneWriter(job.folder, protocol_of(scenario, job.seed), job.binary) as writer:
        while writer.frames < job.frames:
            world.tick()
            objects = (world.ego_object(), *world.objects())
            sweeps = tuple(world.sweeps())
            if sweeps:
                writer.add(scans_from_sweeps(sweeps, objects, agent_ids(sweeps, objects)))
            world.apply(None, traffic.commands(objects, None, world.signals()))


def _traffic(roads: Roads, scenario: Scenario) -> Traffic:
    actors = (scenario.ego, *scenario.actors)
    vehicles = [actor for actor in actors if actor.path and actor.blueprint.startswith("vehicle.")]
    return Traffic(actors, {actor.rolename: roads.stop_lines(np.array(actor.path)) for actor in vehicles})


def work(jobs: multiprocessing.Queue[Job | None], done: multiprocessing.Queue[Done]) -> None:
    """Makes scenes until there are none left, on a server of its own."""
    end_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with embedded_server() as (host, port):
            world = World(host, port)
            try:
                while (job := jobs.get()) is not None:
                    done.put(_outcome(world, job))
            finally:
                world.close()
    except KeyboardInterrupt:
        sys.exit(130)


def _outcome(world: World, job: Job) -> Done:
    try:
        make_scene(world, job)
    except Exception:  # one bad scene must not end the others; it is reported in full
        return Done(job.folder, traceback.format_exc())
    return Done(job.folder, "")


def run(jobs: Sequence[Job], workers: int) -> list[Done]:
    """Makes all scenes on so many processes; returns those that failed, less what died with its process."""
    context = multiprocessing.get_context("spawn")
    waiting: multiprocessing.Queue[Job | None] = context.Queue()
    done: multiprocessing.Queue[Done] = context.Queue()
    for job in [*jobs, *[None] * workers]:
        waiting.put(job)
    processes = [context.Process(target=work, args=(waiting, done)) for _ in range(workers)]
    failed: list[Done] = []
    try:
        for process in processes:
            process.start()
        with tqdm(total=len(jobs), unit="scene", disable=None) as bar:
            for _ in jobs:
                result = _next(done, processes)
                if result is None:
                    break
                failed += [result] if result.error else []
                bar.update()
    finally:
        for process in processes:
            process.join(5.0 if sys.exc_info()[0] is None else 1.0)
            process.terminate()
            process.join()
        waiting.cancel_join_thread()
    return failed


def _next(done: multiprocessing.Queue[Done], processes: Sequence[multiprocessing.process.BaseProcess]) -> Done | None:
    """The next result, or None when there is none and nobody is left to make one."""
    while True:
        alive = any(process.is_alive() for process in processes)
        try:
            return done.get(timeout=POLL_S)
        except queue.Empty:
            if not alive:
                return None


def summary(folders: Sequence[Path]) -> str:
    """Frames, agents, objects and bytes of the scenes, counted in what lies on the disk."""
    frames = agents = objects = 0
    for folder in folders:
        scene = read_scene(folder)
        frames += len(scene)
        agents += len(scene) * len(scene.agents)
        for agent in scene.frame(0).agents:
            objects += len(agent.ids) * len(scene)
    size = sum(path.stat().st_size for folder in folders for path in folder.rglob("*"))
    per_frame, per_view = agents / max(frames, 1), objects / max(agents, 1)
    return (
        f"{len(folders)} scenes, {frames} frames, {per_frame:.2f} agents a frame, "
        f"{per_view:.1f} objects an agent (at a scene's first frame), {size / 1e9:.2f} GB"
    )


def plan(args: argparse.Namespace) -> list[Job]:
    """All scenes of a command, the finished ones too."""
    maps = sorted(MAPS.glob(f"{args.split}_*.xodr"))
    size = SceneSize(agents=args.agents)
    jobs = []
    for number in range(args.scenes):
        map_file = maps[number % len(maps)]
        folder = args.out / f"{map_file.stem}_{args.seed}_{number:04d}"
        seed = zlib.crc32(f"{args.split} {args.seed} {number}".encode())
        jobs.append(Job(folder, map_file, seed, args.frames, round(args.stride * 1e6 / STEP_US), size, not args.ascii))
    return jobs


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make OPV2V-style data with the embedded server.")
    parser.add_argument("out", type=out_folder, help="folder for the scenes")
    parser.add_argument("--scenes", type=positive, required=True)
    parser.add_argument("--split", choices=("train", "val", "test"), required=True, help="which maps are used")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--agents", type=_span, default=(2, 5), metavar="A-B", help="connected agents, RSU included")
    parser.add_argument("--jobs", type=positive, default=2)
    parser.add_argument("--frames", type=positive, default=12, help="per scene")
    parser.add_argument("--stride", type=_stride, default=0.5, help="seconds between frames, a multiple of 0.05")
    parser.add_argument("--ascii", action="store_true", help="clouds as text, as OPV2V publishes them: 3 MB each")
    return parser.parse_args(arguments)


def _span(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    low, high = positive(first), positive(last or first)
    if low > high:
        raise argparse.ArgumentTypeError(f"{text!r}: the first number must not exceed the second")
    return low, high


def _stride(text: str) -> float:
    try:
        steps = float(text) * 1e6 / STEP_US
    except ValueError:
        steps = 0.0
    if not 1 <= steps < math.inf or abs(steps - round(steps)) > 1e-6:
        raise argparse.ArgumentTypeError(f"{text!r} s is not a multiple of {STEP_US / 1e6} s")
    return float(text)


def main() -> int:
    """Make what is missing, then say what is there."""
    args = parse()
    args.out.mkdir(parents=True, exist_ok=True)
    jobs = plan(args)
    missing = [job for job in jobs if not job.folder.exists()]
    print(f"{len(jobs) - len(missing)} of {len(jobs)} scenes are there; making {len(missing)}")
    try:
        failed = run(missing, min(args.jobs, len(missing)))
    except KeyboardInterrupt:
        print("stopped; finished scenes stay, the same command goes on from here", file=sys.stderr)
        return 130
    for result in failed:
        print(f"{result.folder.name} failed:\n{result.error}", file=sys.stderr)
    made = [job.folder for job in jobs if job.folder.exists()]
    print(summary(made))
    if len(made) < len(jobs):
        print(f"{len(jobs) - len(made)} scenes are missing; the same command makes them", file=sys.stderr)
    return 0 if len(made) == len(jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
