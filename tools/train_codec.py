"""Trains a learned codec against a frozen detector: python tools/train_codec.py revqom --detector checkpoints/mini
--data DIR --val DIR

The detector's stages of some hundred frames are computed once and kept. Each step then asks the codec to rebuild a few
views, alone or beside a partner's features, so that the detector says of them what it says of the originals. The
schedule follows the clock and ends when --time-budget says; --resume goes on where the last run stopped.

With --joint OUT, detector and codec go on together from the detector's own losses, and OUT is the checkpoint of both
(tools/joint_training.py says how).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import joint_training
import numpy as np
import torch
from arguments import existing_folder, existing_path, minutes, out_folder, positive
from codec_features import Features, features
from codec_lessons import Loss, lesson
from codec_pictures import plot_training
from codec_starts import fitting, read_weights
from codec_teachers import JOINT, TEACHERS, make_teacher
from torch import nn
from tqdm import tqdm

from carla_cp.codecs import load_codec
from carla_cp.codecs.weights import save_weights
from carla_cp.datasets import Dataset, DatasetError, open_dataset
from carla_cp.metrics.detection import average_precision
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.detector import Detector
from carla_cp.perception.truth import team_truth
from carla_cp.types import DetectionFrame, ObjectClass
from carla_cp.whole import whole_file

PEAK_RATE, WARM_UP = 3e-3, 0.05
VIEWS = 4  # per step
TABLE_VIEWS = 120
BUDGET = 2000
PLANE_STEPS = 20  # per point of the information plane


@dataclass
class Progress:
    """What a resumed run needs besides the weights."""

    step: int = 0
    seconds: float = 0.0
    # minutes, AP@0.7 of raw, of the codec whole, and at BUDGET
    curve: list[tuple[float, float, float, float]] = field(default_factory=list)
    plane: list[tuple[float, float, float]] = field(default_factory=list)  # minutes, rate [nat], task loss: means


def rate_at(progress: float) -> float:
    """The learning rate after this fraction of the training: a linear rise, then a cosine to zero."""
    if progress < WARM_UP:
        return PEAK_RATE * (0.05 + 0.95 * progress / WARM_UP)
    return float(PEAK_RATE * 0.5 * (1 + np.cos(np.pi * min((progress - WARM_UP) / (1 - WARM_UP), 1.0))))


@torch.no_grad()
def validate(name: str, detector: Detector, checkpoint: Path, dataset: Dataset, limit: int) -> list[float]:
    """AP@0.7 of vehicles: with full features, with the saved codec at its full rate, and at BUDGET bytes."""
    codecs = [(load_codec("raw", checkpoint), None), *((load_codec(name, checkpoint), b) for b in (None, BUDGET))]
    found: list[list[DetectionFrame]] = [[] for _ in codecs]
    sizes: list[list[int]] = [[] for _ in codecs]
    for number in np.linspace(0, len(dataset) - 1, limit).astype(int):
        frame = dataset.frame(int(number))
        views = [detector.view(agent.sweep) for agent in frame.agents]
        boxes, labels = team_truth(frame, detector.config)
        for row, (codec, budget) in enumerate(codecs):
            payloads = [codec.encode(view, budget) for view in views[1:]]
            sizes[row] += [len(payload) for payload in payloads]
            got = detector.finish(views[0], [codec.decode(payload) for payload in payloads if payload])
            mine = got.labels == ObjectClass.VEHICLE
            truth = boxes[labels == ObjectClass.VEHICLE]
            found[row].append(DetectionFrame(got.boxes[mine], got.scores[mine], truth))
    result = [average_precision(frames, 0.7) or 0.0 for frames in found]
    means = ", ".join(f"{ap:.3f} at {np.mean(size):.0f} B" for ap, size in zip(result, sizes, strict=True))
    tqdm.write(f"validation AP@0.7 of raw, {name}, {name}@{BUDGET}: {means}")
    return result


class Training:
    """Teacher, optimiser and clock."""

    def __init__(self, options: argparse.Namespace, detector: Detector) -> None:
        self.options, self.detector = options, detector
        self.teacher = make_teacher(options.codec, detector, options.seed)
        self.codec: nn.Module = self.teacher.codec
        self.optimiser = torch.optim.AdamW(self.codec.parameters(), lr=PEAK_RATE, weight_decay=0.01)
        self.progress = Progress()
        self._recent: list[tuple[float, float]] = []  # rate and task loss of steps that `plane` has no point of
        self.state = options.work / f"{options.codec}.pt"
        if options.start:
            self._take(read_weights(options.start), options.start)
        if options.resume and self.state.exists():
            self._resume()

    def _take(self, weights: dict[str, torch.Tensor], path: Path) -> None:
        """The codec goes on from weights. Raises CheckpointError where they do not fit."""
        with fitting(path):
            self.codec.load_state_dict(weights)
        self.teacher.resume()

    def _resume(self) -> None:
        saved = torch.load(self.state, weights_only=True)
        self._take(saved["codec"], self.state)
        self.optimiser.load_state_dict(saved["optimiser"])
        curve, plane = ([tuple(row) for row in saved[name]] for name in ("curve", "plane"))
        self.progress = Progress(saved["step"], saved["seconds"], curve, plane)

    @property
    def fraction(self) -> float:
        """How much of the schedule is over; one that starts from weights has its second half only."""
        spent = self.progress.seconds / (60 * self.options.time_budget)
        return 0.5 + 0.5 * spent if self.options.start else spent

    def step(self, data: Features) -> float:
        """One step; the loss."""
        fraction = self.fraction
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(fraction)
        rng = np.random.default_rng([self.options.seed, self.progress.step])
        views = [int(view) for view in rng.choice(len(data), self.options.batch or VIEWS, replace=False)]
        self.codec.train()
        batch = lesson(self.detector, data, views, rng, self.teacher.takes_pillars)
        loss = self.teacher.loss(batch, fraction, rng)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss.total)
        torch.nn.utils.clip_grad_norm_(self.codec.parameters(), 5.0)
        self.optimiser.step()
        self.progress.step += 1
        self._note(loss)
        return loss.total.item()

    def _note(self, loss: Loss) -> None:
        self._recent.append((loss.rate_nats, loss.task))
        if len(self._recent) == PLANE_STEPS:
            rate, task = np.mean(self._recent, axis=0)
            self.progress.plane.append((self.progress.seconds / 60, float(rate), float(task)))
            self._recent.clear()

    def save(self, data: Features, val: Dataset | None) -> None:
        """Writes weights, with tables learnt for them, and state, each by rename; then validates."""
        self.codec.eval()
        self.teacher.learn_tables(
            data, [int(view) for view in np.linspace(0, len(data) - 1, min(TABLE_VIEWS, len(data)))]
        )
        path = save_weights(self.teacher.codec, self.options.detector, self.detector.fingerprint)
        if val is not None:
            aps = validate(self.options.codec, self.detector, self.options.detector, val, self.options.val_frames)
            self.progress.curve.append((self.progress.seconds / 60, aps[0], aps[1], aps[2]))
        progress, picture = self.progress, path.with_suffix(".png")
        plot_training(self.options.codec, BUDGET, progress.curve, progress.plane, self.teacher.usage(), picture)
        state = {
            "codec": self.codec.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.progress.step,
            "seconds": self.progress.seconds,
            "curve": self.progress.curve,
            "plane": self.progress.plane,
        }
        with whole_file(self.state) as file:
            torch.save(state, file)


def train(options: argparse.Namespace) -> None:
    """Runs until the time is spent."""
    torch.set_num_threads(options.threads)
    detector = load_detector(options.detector).requires_grad_(False)
    data = features(detector, open_dataset(options.data), options.work, options.frames)
    if options.features_only:
        return
    val = open_dataset(options.val) if options.val else None
    training = Training(options, detector)
    progress, budget = training.progress, 60 * options.time_budget
    last, saved, smooth = time.monotonic(), progress.seconds, 0.0
    print(f"{len(data)} views; {max(budget - progress.seconds, 0) / 60:.0f} minutes to go, then done", flush=True)
    with tqdm(total=round(budget), initial=round(progress.seconds), unit="s", mininterval=5, file=sys.stdout) as bar:
        while progress.seconds < budget:
            loss = training.step(data)
            smooth += (loss - smooth) * (0.02 if smooth else 1.0)
            now = time.monotonic()
            progress.seconds, last = progress.seconds + now - last, now
            bar.n = min(round(progress.seconds), round(budget))
            bar.set_postfix_str(f"{progress.step} steps, loss {smooth:.3f}", False)
            bar.update(0)
            if progress.seconds >= budget or progress.seconds - saved > 60 * options.save_minutes:
                bar.write(f"{progress.seconds / 60:.0f} min, {progress.step} steps, loss {smooth:.3f}")
                training.save(data, val)
                last, saved = time.monotonic(), progress.seconds  # validation does not count as training


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codec", choices=list(TEACHERS))
    parser.add_argument(
        "--detector", type=out_folder, required=True, help="checkpoint folder; the codec goes to codecs/ in it"
    )
    parser.add_argument(
        "--joint",
        type=out_folder,
        metavar="OUT",
        help=f"train detector and codec together, from those in --detector, into this folder ({', '.join(JOINT)})",
    )
    parser.add_argument("--data", type=existing_folder, required=True, help="folder with OPV2V scenes, at any depth")
    parser.add_argument("--val", type=existing_folder, help="folder with validation scenes")
    parser.add_argument("--val-frames", type=positive, default=40)
    parser.add_argument(
        "--frames", type=positive, default=240, help="training frames whose features are kept (not joint)"
    )
    parser.add_argument("--features-only", action="store_true", help="compute and keep the features, then stop")
    parser.add_argument("--work", type=out_folder, help="features and training state (default: DATA.work)")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument(
        "--start",
        type=existing_path,
        metavar="FILE",
        help="weights to go on from, a codec's .safetensors or a training state; the schedule begins in its middle",
    )
    parser.add_argument("--time-budget", type=minutes, default=25, metavar="MIN")
    parser.add_argument("--save-minutes", type=minutes, default=8, help="joint: by steps")
    parser.add_argument("--batch", type=positive, help="views per step (4); joint: frames (1)")
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    data = options.data.resolve()  # "." has no name
    options.work = options.work or data.with_name(f"{data.name}.work")
    return options


def main() -> None:
    """Trains; exit status 2 and one line for bad input; Ctrl-C leaves the last checkpoint."""
    try:
        options = parse()
        (joint_training.train if options.joint else train)(options)
    except (CheckpointError, DatasetError, ValueError, OSError) as error:
        print(f"train_codec: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
