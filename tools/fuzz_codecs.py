"""Throws hostile messages at every codec, and says which of its promises broke.

    python tools/fuzz_codecs.py --checkpoint checkpoints/mini [--payloads 2000000] [--decodes 20000] [--codec NAME]...
        [--data FOLDER] [--seed 0] [--jobs 2] [--out F.json] [--failures F.jsonl]
    python tools/fuzz_codecs.py --checkpoint checkpoints/mini --replay F.jsonl

Real messages are mutated, truncated, spliced and joined by random ones; three in five get right lengths and checksums
again. They go through `parse`; `--decodes` more, all sealed, through the whole of `decode`. Each must decode to
something sound or be refused with PayloadError, within 0.2 s of CPU time and 64 MiB beyond the grid's own size. What
does not is kept in `--failures`, which `--replay` tries again. The same seed gives the same payloads for any `--jobs`.
Needs Linux. Exit status: 0 all promises kept, 1 one was broken, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arguments import existing_folder, existing_path, natural, out_file, positive
from fake_view import fake_view
from fuzz_checks import Batch, Checker, Failure, Outcome
from fuzz_payloads import corpus_of
from fuzz_workers import Plan, outcomes
from provenance import commit, machine
from tqdm import tqdm

from carla_cp.codecs import CODECS, Codec, CodecError, codec_kind, load_codec
from carla_cp.codecs.base import Silent, ViewLike
from carla_cp.datasets import open_dataset
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.config import CONFIG, DetectorConfig, load_config
from carla_cp.whole import write_whole

PAYLOADS, DECODES = 2_000_000, 20_000
PARSED_AT_ONCE, DECODED_AT_ONCE = 500, 50  # payloads in a batch
FRAMES = 4  # of a data set
OBJECTS = (8, 3, 30)  # in the views that stand in for one


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of all payloads of one codec."""

    codec: str
    payloads: int = 0
    sealed: int = 0
    refused: int = 0
    decoded: int = 0
    slowest_ms: float = 0.0  # CPU time
    cpu_s: float = 0.0
    failures: int = 0

    def plus(self, came: Outcome | Failure) -> Tally:
        """With a batch, or a payload that ended its process, added."""
        if isinstance(came, Failure):
            return replace(self, payloads=self.payloads + 1, failures=self.failures + 1)
        return Tally(
            self.codec,
            self.payloads + came.refused + came.decoded,
            self.sealed + came.sealed,
            self.refused + came.refused,
            self.decoded + came.decoded,
            max(self.slowest_ms, 1e3 * came.slowest_s),
            self.cpu_s + came.cpu_s,
            self.failures + len(came.failures),
        )


def codec_names(chosen: Sequence[str]) -> list[str]:
    """Those chosen, or every codec that sends, and its variants. Raises CodecError for one that cannot be had."""
    names = list(chosen)
    if not names:
        for name, kind in CODECS.items():
            names += [name, *(f"{name}:{variant}" for variant in kind.variants)]
    sending = [name for name in names if not issubclass(codec_kind(name)[0], Silent)]
    if not sending:
        raise CodecError(f"--codec {names[0]}: it sends nothing, so there is nothing to refuse")
    return sending


def views_of(config: DetectorConfig, checkpoint: Path, data: Path | None) -> list[ViewLike]:
    """Of a few agents of a data set; without one, views that look like it."""
    if data is None:
        return [fake_view(seed, objects=objects, config=config) for seed, objects in enumerate(OBJECTS)]
    detector, dataset = load_detector(checkpoint, "cpu"), open_dataset(data)
    chosen = np.unique(np.linspace(0, len(dataset) - 1, FRAMES).astype(int))
    return [detector.view(agent.sweep) for place in chosen for agent in dataset.frame(int(place)).agents[:2]]


def batches_of(names: Sequence[str], payloads: int, decodes: int, seed: int) -> list[Batch]:
    """So many payloads through `parse` and through `decode`, shared evenly, in batches of a fixed size."""
    found: list[Batch] = []
    for total, at_once, whole in ((payloads, PARSED_AT_ONCE, False), (decodes, DECODED_AT_ONCE, True)):
        each = -(-total // len(names))
        for which in range(len(names)):
            for number in range(-(-each // at_once)):
                found.append(Batch(which, number, min(at_once, each - number * at_once), whole, seed))
    return found


def fuzz(plan: Plan, batches: Sequence[Batch], jobs: int) -> tuple[list[Tally], list[Failure]]:
    """Runs all batches: what came of each codec, and what broke."""
    tallies = {corpus.codec: Tally(corpus.codec) for corpus in plan.corpora}
    failures: list[Failure] = []
    with tqdm(total=sum(batch.count for batch in batches), unit="payload", disable=None) as bar:
        for came in outcomes(plan, batches, jobs):
            name = came.codec if isinstance(came, Failure) else plan.corpora[came.batch.which].codec
            before = tallies[name]
            tallies[name] = before.plus(came)
            failures += (came,) if isinstance(came, Failure) else came.failures
            bar.update(tallies[name].payloads - before.payloads)
            bar.set_postfix(failures=len(failures))
    return list(tallies.values()), sorted(failures, key=lambda each: (each.codec, each.whole, each.payload))


def table(tallies: Sequence[Tally]) -> str:
    """What came of each codec, a line each."""
    lines = [f"{'codec':20} {'payloads':>9} {'sealed':>9} {'refused':>9} {'decoded':>9} {'mean':>9} {'slowest':>9}"]
    for each in tallies:
        mean = 1e3 * each.cpu_s / max(each.payloads, 1)
        lines.append(
            f"{each.codec:20} {each.payloads:9} {each.sealed:9} {each.refused:9} {each.decoded:9}"
            f" {mean:6.2f} ms {each.slowest_ms:6.1f} ms" + (f"  {each.failures} FAILED" if each.failures else "")
        )
    return "\n".join(lines)


def write_failures(path: Path, failures: Sequence[Failure]) -> None:
    """One JSON line each."""
    lines = [
        json.dumps({**asdict(each), "payload": base64.b64encode(each.payload).decode()}) + "\n" for each in failures
    ]
    write_whole(path, "".join(lines))


def read_failures(path: Path) -> Iterator[Failure]:
    """Those of `write_failures`. Raises ValueError for a line that is none."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            entry = json.loads(line)
            payload = base64.b64decode(entry["payload"], validate=True)
            yield Failure(str(entry["codec"]), bool(entry["whole"]), str(entry["reason"]), payload)
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}, line {number}: no payload; give a file that this tool wrote") from None


def replay(path: Path, checkpoint: Path) -> list[Failure]:
    """Tries the payloads of a file again, in this process; returns those that still fail."""
    torch.set_num_threads(1)
    config = load_config(checkpoint / CONFIG)
    checkers: dict[str, Checker] = {}
    broken: list[Failure] = []
    for failure in read_failures(path):
        if failure.codec not in checkers:
            checkers[failure.codec] = Checker(failure.codec, load_codec(failure.codec, checkpoint), config)
        checker = checkers[failure.codec]
        _, _, reason = checker.call(failure.payload, failure.whole)
        reason = reason or checker.traced(failure.payload, failure.whole)
        broken += [replace(failure, reason=reason)] if reason else checker.large([failure.payload], failure.whole)
    return broken


def run(arguments: argparse.Namespace) -> int:
    """Fuzzes or replays, as asked; returns the exit status. Raises CodecError, ValueError and OSError for bad input."""
    if arguments.replay is not None:
        return _told(replay(arguments.replay, arguments.checkpoint))
    torch.set_num_threads(1)
    config = load_config(arguments.checkpoint / CONFIG)
    views = views_of(config, arguments.checkpoint, arguments.data)
    codecs: list[tuple[str, Codec[Any]]] = [
        (name, load_codec(name, arguments.checkpoint)) for name in codec_names(arguments.codec)
    ]
    corpora = tuple(corpus_of(name, codec, views) for name, codec in codecs)
    plan = Plan(arguments.checkpoint, corpora)
    batches = batches_of([corpus.codec for corpus in corpora], arguments.payloads, arguments.decodes, arguments.seed)
    tallies, failures = fuzz(plan, batches, arguments.jobs)
    print(table(tallies))
    if failures:
        write_failures(arguments.failures, failures)
        print(f"{len(failures)} payloads are kept in {arguments.failures}")
    if arguments.out is not None:
        document = {"machine": machine(), "commit": commit(), "seed": arguments.seed}
        rows = [asdict(each) for each in tallies]
        write_whole(arguments.out, json.dumps({**document, "codecs": rows}, indent=1) + "\n")
    return _told(failures)


def _told(failures: Sequence[Failure]) -> int:
    reasons = dict.fromkeys((each.codec, "decode" if each.whole else "parse", each.reason) for each in failures)
    for codec, way, reason in list(reasons)[:20]:
        print(f"{codec}, {way}: {reason}")
    return 1 if failures else 0


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=existing_folder, required=True)
    parser.add_argument("--payloads", type=positive, default=PAYLOADS)
    parser.add_argument("--decodes", type=positive, default=DECODES)
    parser.add_argument("--codec", action="append", default=[], metavar="NAME")
    parser.add_argument("--data", type=existing_path, help="take the real messages from frames of this data set")
    parser.add_argument("--seed", type=natural, default=0)
    parser.add_argument("--jobs", type=positive, default=2)
    parser.add_argument("--out", type=out_file)
    parser.add_argument("--failures", type=out_file, default=Path("fuzz_failures.jsonl"))
    parser.add_argument("--replay", type=existing_path)
    try:
        sys.exit(run(parser.parse_args()))
    except (CodecError, ValueError, OSError) as error:
        print(f"fuzz_codecs: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
