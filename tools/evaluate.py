"""AP and message bytes on folders of data: evaluate.py DATA --checkpoint C --codec X@B --out F.json

Every row, that is every combination of --codec, --fusion, --noise, --delay, --loss and --cut, sees the same frames.
Each agent but the ego encodes its view to bytes; what the ego decodes of those that arrive is fused. The truth is the
same for all rows: with the protocol `ours` the objects with at least one return at any agent, centre in the ego's grid,
without the ego, scores ordered globally. Without --codec: none, late, early, raw; with --table besides every fusion
rule that the checkpoint holds, and the noises none, gaussian:0.2/0.2 and gaussian:0.4/0.4. Codecs that share no
features take no fusion rule: one row. Where a codec has receivers ask, the ego's request of a frame is answered within
the same frame: two rounds, as in Where2comm's paper; its bytes stand apart from those of messages.
With --rate-curve: every codec that can be loaded at 250 bytes to 16 KB and without a budget, and at its paper's own
rate; tools/rate_curve.py joins such results over the same frames.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

from arguments import existing_path, natural, out_file, positive, share
from evaluation import evaluate
from evaluation_loss import CUTS
from evaluation_options import add_protocol_options, protocol_from
from evaluation_parts import FEATURES, THRESHOLDS, Equipment, Job, Outcome, Row, Tally
from evaluation_rows import rows_from
from evaluation_summary import rows_of, setting_of
from pose_noise import NoiseError
from provenance import commit, machine
from rate_curve import write_curve
from results import write_results
from tqdm import tqdm

from carla_cp.codecs import CodecError, codec_kind
from carla_cp.datasets import FORMATS, DatasetError, open_dataset
from carla_cp.metrics.protocol import EvaluationProtocol
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.fusion import RULES
from carla_cp.whole import write_whole

RATE_TABLE = Path("checkpoints/RATE.md")


def find_jobs(options: argparse.Namespace, rows: tuple[Row, ...]) -> list[Job]:
    """One job per scene; with --frames only so many, evenly spaced over all. Raises DatasetError."""
    dataset = open_dataset(options.data, options.format)
    chosen = list(range(len(dataset)))
    if options.frames and options.frames < len(dataset):
        chosen = [round(k * (len(dataset) - 1) / max(options.frames - 1, 1)) for k in range(options.frames)]
    numbers: dict[str, list[int]] = {}
    for scene, number in map(dataset.locate, chosen):
        numbers.setdefault(scene.name, []).append(number)
    return [
        Job(scene, tuple(numbers[scene.name]), options.checkpoint, rows, options.agreed, options.seed)
        for scene in dataset.scenes
        if scene.name in numbers
    ]


def run_all(jobs: Sequence[Job], workers: int) -> Outcome:
    """The outcomes of all jobs, joined in the order of the scenes, however many workers ran them."""
    done: dict[int, Outcome] = {}
    with tqdm(total=sum(len(job.frames) for job in jobs), unit="frame") as bar:
        for number, outcome in evaluate(jobs, workers):
            done[number] = outcome
            bar.update(len(jobs[number].frames))
    joined = Outcome([Tally() for _ in jobs[0].rows])
    for number in range(len(jobs)):
        joined.add(done[number])
    return joined


def markdown(result: dict[str, Any]) -> str:
    """Every row of a result, as a table."""
    skipped = f" {len(result['skipped'])} frames could not be read." if result["skipped"] else ""
    lines = [
        "# Measured results",
        "",
        f"{result['frames']} frames of {result['scenes']} scenes.{skipped} AP of vehicles from above, protocol",
        f"`{result['protocol']['name']}`, scores in {result['protocol']['order']} order. A message goes to all.",
        "",
        "| codec | fusion | budget [B] | noise [m/deg] | delay [s] | loss | AP@0.3 | AP@0.5 | AP@0.7 | cyclist @0.5 |"
        " walker @0.5 | mean [B] | max [B] | empty |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        ap, others = row["ap"], row["ap_by_class"]
        figures = [*(ap[str(iou)] for iou in THRESHOLDS), others["cyclist"]["0.5"], others["pedestrian"]["0.5"]]
        cells = ["-" if value is None else f"{value:.3f}" for value in figures]
        head = [
            row["codec"],
            row["fusion"] or "-",
            str(row["budget_bytes"] or "-"),
            row["noise"],
            f"{row['delay_s']:g}",
            f"{row['loss']:.0%} of {row['cut']}" if row["loss"] else "-",
        ]
        sizes = [f"{row['bytes']['mean']:.0f}", str(row["bytes"]["max"]), str(row["empty"])]
        lines.append("| " + " | ".join([*head, *cells, *sizes]) + " |")
    lines += ["", f"Command: `{result['command']}`", "", f"Commit {result['commit']}, {result['machine']}.", ""]
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", type=existing_path, help="folder with OPV2V, V2XSet or V2V4Real scenes at any depth, or DAIR-V2X-C's"
    )
    parser.add_argument("--format", choices=FORMATS, default="auto", help="of DATA (default: told by what lies there)")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--codec", action="append", metavar="NAME[@BUDGET]")
    parser.add_argument(
        "--fusion",
        action="append",
        choices=sorted(RULES),
        metavar="NAME",
        help=f"one of {', '.join(RULES)}; may be repeated (default: the checkpoint's own)",
    )
    parser.add_argument(
        "--noise",
        action="append",
        metavar="KIND:POS/ANG",
        help="pose noise in metres and degrees, may be repeated: gaussian (standard deviations) or laplace (scales),"
        " x, y and yaw drawn for every agent and frame (CoAlign, Where2comm); bias, one offset of x, y, z and yaw for"
        " all but the ego and all frames (OpenCOOD's seed 25; published V2XSet tables); or none (the default)",
    )
    parser.add_argument(
        "--noise-on",
        choices=("all", "others"),
        default="all",
        help="whose pose is off: all, the ego too (CoAlign), or all but the ego (V2X-ViT)",
    )
    parser.add_argument(
        "--delay",
        action="append",
        type=natural,
        metavar="TICKS",
        help="partners' data are so many frames of DATA old, may be repeated (default 0); the result names the seconds",
    )
    parser.add_argument(
        "--loss", action="append", type=share, metavar="P", help="of packets, in [0, 1], may be repeated (default 0)"
    )
    parser.add_argument(
        "--cut",
        action="append",
        choices=CUTS,
        help="what a lost packet takes along: its part of the message (parts, the default), or all of it (message)",
    )
    parser.add_argument("--out", type=out_file, required=True, metavar="F.json")
    parser.add_argument("--markdown", type=out_file, help="also write all rows as one table")
    parser.add_argument(
        "--table", type=out_file, help="also write the results table and its picture, as checkpoints/RESULTS.md"
    )
    parser.add_argument(
        "--rate-curve",
        nargs="?",
        type=out_file,
        const=RATE_TABLE,
        metavar="F.md",
        help=f"also write AP against bytes as a table and its picture (default {RATE_TABLE}); --codec NAME keeps one"
        " curve, any other --codec one point, none and raw are always there",
    )
    parser.add_argument("--frames", type=positive, help="only so many, evenly spaced")
    parser.add_argument("--seed", type=natural, default=0, help="of noise and resamples (default 0)")
    parser.add_argument(
        "--resamples", type=natural, default=200, help="of the scenes, for the 95 %% intervals (default 200)"
    )
    parser.add_argument(
        "--jobs", type=positive, default=2, help="processes of one thread each; does not change the result"
    )
    add_protocol_options(parser)
    options = parser.parse_args(arguments)
    try:
        options.agreed = protocol_from(options)
    except ValueError as error:
        parser.error(f"protocol: {error}")
    return options


def run(options: argparse.Namespace, command: str) -> None:
    """Evaluates and writes."""
    protocol: EvaluationProtocol = options.agreed
    code = commit()  # now: it may be another when all is done
    rows = rows_from(options)
    equipment = Equipment(options.checkpoint, rows)
    own = equipment.detectors[None].config
    if protocol.score_threshold is not None and protocol.score_threshold < own.score_threshold:
        raise CheckpointError(
            f"--score {protocol.score_threshold}: the detector itself keeps nothing under {own.score_threshold}"
        )
    outcome = run_all(find_jobs(options, rows), options.jobs)
    if not outcome.scenes:
        raise DatasetError(f"{options.data}: none of {len(outcome.skipped)} frames could be read: {outcome.skipped[0]}")
    # A row without features has no rule; one without --fusion has the checkpoint's own.
    named = [
        replace(row, fusion=row.fusion or own.fusion) if codec_kind(row.choice.name)[0].tap in FEATURES else row
        for row in rows
    ]
    result = {
        "schema": 1,
        "command": command,
        "commit": code,
        "machine": machine(),
        "checkpoint": options.checkpoint.name,
        **setting_of(outcome, protocol),
        "seed": options.seed,
        "resamples": options.resamples,
        "rows": rows_of(named, outcome, protocol, options.seed, options.resamples),
    }
    write_whole(options.out, json.dumps(result, indent=2) + "\n")
    if options.markdown:
        write_whole(options.markdown, markdown(result))
    if options.table:
        write_results([result], options.table)
    if options.rate_curve:
        write_curve([result], options.rate_curve)
    print(markdown(result))
    for line in outcome.skipped:
        print(f"evaluate: left out {line}", file=sys.stderr)
    for reason, times in sorted(outcome.noticed.items()):
        print(f"evaluate: noticed {times} x {reason}", file=sys.stderr)


def main() -> None:
    """Exit status 2 and one line for bad input, 130 when interrupted."""
    try:
        run(parse(), " ".join(["python", "tools/evaluate.py", *sys.argv[1:]]))
    except (CheckpointError, CodecError, NoiseError, DatasetError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenProcessPool:
        print("evaluate: a worker process died; is there enough memory for so many --jobs?", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
