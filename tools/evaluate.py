"""AP and message bytes of codecs on OPV2V folders: evaluate.py DATA --checkpoint C --codec X@B --out F.json

Every codec sees the same frames. Each agent but the ego encodes its view to bytes; what the ego decodes is fused. The
truth is the same for all codecs: the objects with at least one return at any agent, centre in the ego's grid, without
the ego. Without --codec: none, late, early, raw. Scores are ordered globally; `ap_frame_order` is OpenCOOD's order.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from arguments import existing_folder, out_file, positive
from provenance import commit, machine
from tqdm import tqdm

from carla_cp.codecs import Codec, CodecError, load_codec, parse_choice
from carla_cp.metrics.detection import average_precision, frames_of
from carla_cp.opv2v import Opv2vError, PcdError, read_scene
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.detector import Detector, load_detector
from carla_cp.perception.truth import team_truth
from carla_cp.types import CodecChoice, Frame, ObjectClass, Perceived
from carla_cp.whole import write_whole

THRESHOLDS = (0.3, 0.5, 0.7)
DEFAULT_CODECS = ("none", "late", "early", "raw")


@dataclass(frozen=True)
class Job:
    """What one worker does: some frames of one scene."""

    scene: Path
    frames: tuple[int, ...]
    checkpoint: Path
    choices: tuple[CodecChoice, ...]


@dataclass
class Tally:
    """What one codec gave on some frames."""

    perceived: list[Perceived] = field(default_factory=list)
    message_bytes: list[int] = field(default_factory=list)  # 0: the codec sent nothing


def run_job(job: Job) -> list[Tally]:
    """One tally per codec."""
    torch.set_num_threads(1)  # else the result would depend on the machine
    detector = load_detector(job.checkpoint)
    codecs = [load_codec(choice.name, job.checkpoint) for choice in job.choices]
    tallies = [Tally() for _ in job.choices]
    scene = read_scene(job.scene)
    for index in job.frames:
        add_frame(detector, codecs, job.choices, scene.frame(index), tallies)
    return tallies


def add_frame(
    detector: Detector,
    codecs: Sequence[Codec[Any]],
    choices: Sequence[CodecChoice],
    frame: Frame,
    tallies: Sequence[Tally],
) -> None:
    """Runs every codec on one frame."""
    ego, *partners = [detector.view(agent.sweep) for agent in frame.agents]
    boxes, labels = team_truth(frame, detector.config)
    for codec, choice, tally in zip(codecs, choices, tallies, strict=True):
        payloads = [codec.encode(view, choice.budget_bytes, None) for view in partners]
        if choice.budget_bytes is not None and max(map(len, payloads), default=0) > choice.budget_bytes:
            raise AssertionError(f"{choice.label} sent more than its budget")
        found = detector.finish(ego, [codec.decode(payload) for payload in payloads if payload])
        tally.perceived.append(Perceived(frame.time_us, ego.world_from_agent, found, boxes, labels))
        tally.message_bytes += [len(payload) for payload in payloads]


def summarise(choice: CodecChoice, tally: Tally) -> dict[str, object]:
    """One row of the output."""
    ap: dict[str, dict[str, float | None]] = {}
    for label in ObjectClass:
        frames = frames_of(tally.perceived, label)
        ap[label.name.lower()] = {str(iou): average_precision(frames, iou) for iou in THRESHOLDS}
    vehicles = frames_of(tally.perceived, ObjectClass.VEHICLE)
    sizes = [size for size in tally.message_bytes if size]
    return {
        "codec": choice.name,
        "budget_bytes": choice.budget_bytes,
        "label": choice.label,
        "ap": ap["vehicle"],
        "ap_by_class": ap,
        "ap_frame_order": {str(iou): average_precision(vehicles, iou, order="frame") for iou in THRESHOLDS},
        "messages": len(sizes),
        "empty": len(tally.message_bytes) - len(sizes),
        "bytes": {"mean": sum(sizes) / len(sizes) if sizes else 0.0, "max": max(sizes, default=0)},
    }


def find_jobs(options: argparse.Namespace, choices: tuple[CodecChoice, ...]) -> list[Job]:
    """One job per scene; with --frames only so many, evenly spaced over all."""
    folders = sorted({path.parent for path in options.data.rglob("data_protocol.yaml")})
    folders = [folder for folder in folders if not folder.name.startswith(".")]
    if not folders:
        raise Opv2vError(f"{options.data}: holds no OPV2V scene; make some with tools/generate_data.py")
    index = [(folder, number) for folder in folders for number in range(len(read_scene(folder)))]
    if options.frames and options.frames < len(index):
        index = [index[round(k * (len(index) - 1) / max(options.frames - 1, 1))] for k in range(options.frames)]
    numbers: dict[Path, list[int]] = {}
    for folder, number in index:
        numbers.setdefault(folder, []).append(number)
    return [Job(folder, tuple(some), options.checkpoint, choices) for folder, some in numbers.items()]


def evaluate(jobs: Sequence[Job], workers: int) -> list[Tally]:
    """The tallies of all jobs, joined in the order of the scenes, however many workers ran them."""
    done: dict[int, list[Tally]] = {}
    with tqdm(total=sum(len(job.frames) for job in jobs), unit="frame") as bar:
        for number, tallies in run_here(jobs) if workers == 1 else run_in_processes(jobs, workers):
            done[number] = tallies
            bar.update(len(jobs[number].frames))
    joined = [Tally() for _ in jobs[0].choices]
    for number in range(len(jobs)):
        for tally, part in zip(joined, done[number], strict=True):
            tally.perceived += part.perceived
            tally.message_bytes += part.message_bytes
    return joined


def run_here(jobs: Sequence[Job]) -> Iterator[tuple[int, list[Tally]]]:
    """Number and tallies of each job, in order."""
    return ((number, run_job(job)) for number, job in enumerate(jobs))


def run_in_processes(jobs: Sequence[Job], workers: int) -> Iterator[tuple[int, list[Tally]]]:
    """Number and tallies of each job, as they come."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run_job, job): number for number, job in enumerate(jobs)}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def markdown(result: dict[str, Any]) -> str:
    """RESULTS.md of a checkpoint."""
    lines = [
        "# Measured results",
        "",
        f"{result['frames']} frames of {result['scenes']} scenes. AP of vehicles from above, scores ordered globally;",
        "truth: objects with a return at any agent, centre in the ego's grid, without the ego. A message goes to all.",
        "",
        "| codec | budget [B] | AP@0.3 | AP@0.5 | AP@0.7 | cyclist @0.5 | walker @0.5 | mean [B] | max [B] | empty |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        ap, others = row["ap"], row["ap_by_class"]
        figures = [*(ap[str(iou)] for iou in THRESHOLDS), others["cyclist"]["0.5"], others["pedestrian"]["0.5"]]
        cells = ["-" if value is None else f"{value:.3f}" for value in figures]
        sizes = [f"{row['bytes']['mean']:.0f}", str(row["bytes"]["max"]), str(row["empty"])]
        lines.append("| " + " | ".join([row["codec"], str(row["budget_bytes"] or "-"), *cells, *sizes]) + " |")
    lines += ["", f"Command: `{result['command']}`", "", f"Commit {result['commit']}, {result['machine']}.", ""]
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=existing_folder, help="folder with OPV2V scenes, at any depth")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--codec", action="append", metavar="NAME[@BUDGET]")
    parser.add_argument("--out", type=out_file, required=True, metavar="F.json")
    parser.add_argument("--markdown", type=out_file, help="also write the table, as in a checkpoint's RESULTS.md")
    parser.add_argument("--frames", type=positive, help="only so many, evenly spaced")
    parser.add_argument(
        "--jobs", type=positive, default=2, help="processes of one thread each; does not change the result"
    )
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, command: str) -> None:
    """Evaluates and writes."""
    choices = tuple(parse_choice(text) for text in options.codec or DEFAULT_CODECS)
    if any(choice.name == "oracle" for choice in choices):
        raise CodecError("--codec oracle: it is the truth itself, there is nothing to evaluate; leave it out")
    for choice in choices:
        load_codec(choice.name, options.checkpoint)
    load_detector(options.checkpoint)
    jobs = find_jobs(options, choices)
    tallies = evaluate(jobs, options.jobs)
    result = {
        "schema": 1,
        "command": command,
        "commit": commit(),
        "machine": machine(),
        "frames": sum(len(job.frames) for job in jobs),
        "scenes": len(jobs),
        "rows": [summarise(choice, tally) for choice, tally in zip(choices, tallies, strict=True)],
    }
    write_whole(options.out, json.dumps(result, indent=2) + "\n")
    if options.markdown:
        write_whole(options.markdown, markdown(result))
    print(markdown(result))


def main() -> None:
    """Exit status 2 and one line for bad input, 130 when interrupted."""
    try:
        run(parse(), " ".join(["python", "tools/evaluate.py", *sys.argv[1:]]))
    except (CheckpointError, CodecError, Opv2vError, PcdError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
