"""Makes collaborative-perception data in OPV2V's layout: random traffic on our maps, seen by cars and roadside units.

    python tools/generate_data.py OUT --scenes N --split train|val|test [--seed K] [--agents A-B] [--jobs J]
                                      [--frames F] [--stride S] [--lidar opv2v|mixed] [--binary]

Scene n of a seed is the same, byte for byte, whatever else is made beside it. A scene appears under its name only when
it is complete and is then never touched again, so the same command goes on where it was stopped or killed. Each job
runs an embedded server of its own.
"""

from __future__ import annotations

import argparse
import fcntl
import math
import os
import shutil
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from arguments import out_folder, positive
from lidar_models import MEAN_RAYS
from random_scene import SceneSize
from scene_summary import expected_bytes, summary
from scene_workers import make_scenes
from simulate_scene import Job

from carla_cp.world import STEP_US, WorldError

MAPS = Path(__file__).resolve().parent.parent / "scenarios" / "maps"
OPV2V_RAYS = 64 * 1024


def plan(args: argparse.Namespace) -> list[Job]:
    """All scenes of a command, the finished ones too."""
    maps = sorted(MAPS.glob(f"{args.split}_*.xodr"))
    size = SceneSize(agents=args.agents, mixed_lidars=args.lidar == "mixed")
    jobs = []
    for number in range(args.scenes):
        map_file = maps[number % len(maps)]
        folder = args.out / f"{map_file.stem}_{args.seed}_{number:04d}"
        seed = zlib.crc32(f"{args.split} {args.seed} {number}".encode())
        jobs.append(Job(folder, map_file, seed, args.frames, round(args.stride * 1e6 / STEP_US), size, args.binary))
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
    parser.add_argument("--stride", type=_stride, default=0.5, help="seconds between frames; OPV2V's own is 0.1")
    parser.add_argument(
        "--lidar",
        choices=("opv2v", "mixed"),
        default="opv2v",
        help="OPV2V's 64 channels for all agents, or a model drawn for each: 32 to 128 channels, field of view, range, "
        "noise, drop-off, phase",
    )
    parser.add_argument(
        "--binary", action="store_true", help="binary clouds, 0.9 MB each; else text as OPV2V publishes them, 3 MB each"
    )
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


class RefusedError(Exception):
    """What cannot be done, in one line with the mend."""


def check_made(jobs: Sequence[Job]) -> None:
    """Raises RefusedError for a scene of `jobs` that was made with another number of frames or seconds between them."""
    for job in jobs:
        wanted = {f"{number * job.stride_steps:06d}" for number in range(job.frames)}
        found = {path.stem for path in job.folder.glob("*/*.yaml")}
        if found != wanted:
            raise RefusedError(
                f"{job.folder}: holds {len(found)} frames, the ticks {min(found, default='-')} to "
                f"{max(found, default='-')}, not {job.frames} up to {max(wanted)}; give the --frames and --stride that "
                "it was made with, or another folder"
            )


def check_room(args: argparse.Namespace, jobs: Sequence[Job]) -> None:
    """Raises RefusedError when the disk has too little room for the scenes of `jobs`."""
    views = sum(job.frames for job in jobs) * sum(args.agents) / 2
    rays = MEAN_RAYS if args.lidar == "mixed" else OPV2V_RAYS
    needed, free = expected_bytes(views, rays, args.binary), shutil.disk_usage(args.out).free
    if needed > free:
        smaller = expected_bytes(views, rays, True)
        other = "" if args.binary else f", or take --binary ({_gigabytes(smaller)})"
        raise RefusedError(
            f"{args.out}: {len(jobs)} scenes take about {_gigabytes(needed)} and {_gigabytes(free)} are free; "
            f"make room, give another folder or fewer scenes{other}"
        )


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Makes the folder and clears away what killed runs left half done; raises RefusedError while another run is on."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel takes it back from a process that is killed
        except BlockingIOError as error:
            raise RefusedError(
                f"{folder}: another run makes scenes there; wait for it, or give another folder"
            ) from error
        except OSError as error:
            raise RefusedError(
                f"{folder}: its file system has no locks ({error.strerror}); give a folder on a local disk"
            ) from error
        for left in folder.glob(".*.partial"):
            shutil.rmtree(left)
        yield
    finally:
        os.close(handle)


def make(args: argparse.Namespace) -> int:
    """Makes what is missing, then says what is there; returns the exit status."""
    jobs = plan(args)
    missing = [job for job in jobs if not job.folder.exists()]
    check_made([job for job in jobs if job not in missing])
    check_room(args, missing)
    print(f"{len(jobs) - len(missing)} of {len(jobs)} scenes are there; making {len(missing)}", flush=True)
    start = time.perf_counter()
    try:
        failed = make_scenes(missing, min(args.jobs, len(missing)))
    except KeyboardInterrupt:
        print("stopped; finished scenes stay, the same command goes on from here", file=sys.stderr)
        return 130
    spent = time.perf_counter() - start
    for result in failed:
        print(f"{result.folder.name} failed:\n{result.error}", file=sys.stderr)
    made = [job.folder for job in jobs if job.folder.exists()]
    if missing:
        frames = args.frames * (len(missing) - len(failed))
        print(f"made {frames} frames in {spent:.1f} s: {frames / spent:.1f} frames a second")
    print(summary(made))
    if len(made) < len(jobs):
        print(f"{len(jobs) - len(made)} scenes are missing; the same command makes them", file=sys.stderr)
    return 0 if len(made) == len(jobs) else 1


def main() -> int:
    """Runs the command."""
    args = parse()
    try:
        with alone_in(args.out):
            return make(args)
    except (RefusedError, WorldError) as error:
        print(f"generate_data: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
