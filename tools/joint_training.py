"""The joint phase of tools/train_codec.py: detector and codec go on together, from where each was trained alone.

As in the papers of InfoCom, Where2comm and ReVQom: everything learns, from the points on, by the detector's own losses
against what the team could see (those of tools/train_detector.py) and the codec's losses. Each step takes a few frames
as that training does; the ego's features stay its own, each partner's go through the codec at a random rate, are moved
into the ego's grid and fused. So that the detector still works without the codec, partners send their features as they
are in a quarter of the steps, and every step holds one agent alone.

Different from the papers: both start trained, with little time to go on; statistics of batch norms stay; what is kept
is the running mean of the weights; a step has at most three agents; fusion is the detector's own, a maximum. What each
codec leaves out is said in tools/lessons_<codec>.py.

The start is validated first, and kept as long as nothing is better: the mean AP of the codec whole and at BUDGET.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from batches import Batch, Batches, load_ahead
from codec_features import compute
from codec_starts import fitting, read_weights
from codec_teachers import JOINT, joint_teacher, make_teacher
from joint_lessons import joint_losses, to_training
from recipes import JOINT as RECIPE
from recipes import Recipe
from torch import nn
from training import Progress, Ranks, Scalars, follow, is_over, learn, plot_curve, read_state, resuming, write_state
from validation import Use, average_precisions, everyone_shares, through

from carla_cp.codecs import codec_kind, codec_path, load_codec
from carla_cp.codecs.base import Codec
from carla_cp.codecs.weights import save_weights
from carla_cp.datasets import Dataset, open_dataset
from carla_cp.perception.checkpoint import WEIGHTS, load_detector, load_trainable, save_detector
from carla_cp.perception.config import CONFIG, CheckpointError
from carla_cp.perception.detector import Detector
from carla_cp.perception.fusion.maximum import MaxFusion
from carla_cp.whole import write_whole

LOSSES = ("own heat", "heat", "boxes", "codec")
TABLE_FRAMES, TABLE_VIEWS = 40, 120  # that tables are learnt of
BUDGET, IOU = 2000, 0.7  # of the validation


class JointTraining:
    """Detector and codec, their running mean, the optimiser and the clock."""

    def __init__(self, options: argparse.Namespace, recipe: Recipe, data: Dataset) -> None:
        torch.manual_seed(options.seed)
        self.options, self.recipe, self.ranks, self.data = options, recipe, Ranks(0, 1), data
        self.detector = start_detector(options.detector)
        self.codec = start_codec(options, self.detector)
        self.pair = nn.ModuleList([self.detector, self.codec]).requires_grad_(True)
        self.mean = copy.deepcopy(self.pair).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.pair.parameters(), recipe.peak_rate, weight_decay=recipe.weight_decay)
        self.progress = Progress()
        self.state = options.work / f"joint-{options.codec}.pt"
        if options.resume and (saved := read_state(self.state, torch.device("cpu"))) is not None:
            with resuming(self.state):
                self._resume(saved)
        self.teacher = joint_teacher(options.codec, self.codec, self.detector, options.seed)

    def _resume(self, saved: dict[str, Any]) -> None:
        if saved["start"] != self.detector.fingerprint:
            raise ValueError(f"it began at detector {saved['start']:08x}, not at {self.detector.fingerprint:08x}")
        self.pair.load_state_dict(saved["pair"])
        self.mean.load_state_dict(saved["mean"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.progress = Progress(**saved["progress"])
        if not (self.options.joint / WEIGHTS).is_file():
            self.progress.best = -1.0  # the best so far lies in another folder

    def step(self, batch: Batch) -> list[float]:
        """One step; the four losses."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate_at(self.fraction())
        rng = np.random.default_rng([self.options.seed, self.progress.step])
        to_training(self.pair)
        own, heat, boxes, aside = joint_losses(self.teacher, self.detector, batch, self.fraction(), rng)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(own + heat + self.recipe.box_weight * boxes + aside)
        torch.nn.utils.clip_grad_norm_(self.pair.parameters(), self.recipe.clip)
        self.optimiser.step()
        follow(self.mean, self.pair, self.progress.step + 1, self.recipe.mean_decay)
        return [own.item(), heat.item(), boxes.item(), aside.item()]

    def fraction(self) -> float:
        """How much of the training is over."""
        return self.progress.fraction(self.recipe, self.options.time_budget)

    def check(self, val: Dataset | None, scalars: Scalars) -> str:
        """Validates the mean, keeps it if it is the best, writes the state; what is to be said."""
        said = self.keep(val)
        if val is not None:
            names = (f"validation AP@{IOU} {line}" for line in self._lines)
            scalars.add(self.progress.step, names, self.progress.curve[-1][1:])
        state = {"pair": self.pair.state_dict(), "mean": self.mean.state_dict(), "start": self.detector.fingerprint}
        write_state(
            self.state, {**state, "optimiser": self.optimiser.state_dict(), "progress": vars(self.progress).copy()}
        )
        return said

    def keep(self, val: Dataset | None) -> str:
        """Writes the mean with tables learnt for it, validates what was written, and keeps it if it is the best."""
        progress, name, trial = self.progress, self.options.codec, self.state.with_suffix("")
        detector = write_checkpoint(self.mean, trial, self.data, self.options)
        better, said = True, "saved"
        if val is not None:
            uses = _uses(detector, load_codec(name, trial))
            figures = average_precisions(val, self.options.val_frames, uses, detector, IOU)
            progress.curve.append((progress.step, *figures))
            better = (score := sum(figures[2:]) / 2) > progress.best
            progress.best, progress.since_best = max(progress.best, score), 0 if better else progress.since_best + 1
            parts = ", ".join(f"{line} {figure:.3f}" for line, figure in zip(self._lines, figures, strict=True))
            said = f"validation AP@{IOU}: {parts}; {'kept' if better else 'the best stays'}"
        if better:
            copy_checkpoint(name, trial, self.options.joint)
        if progress.curve:
            picture = codec_path(codec_kind(name)[0], self.options.joint).with_suffix(".png")
            plot_curve(progress.curve, self._lines, f"AP@{IOU}, vehicles, validation maps", picture)
        return said

    @property
    def _lines(self) -> tuple[str, ...]:
        name = self.options.codec
        return ("ego alone", "raw", name, f"{name}@{BUDGET}")


def start_detector(checkpoint: Path) -> Detector:
    """The detector to go on from. Raises CheckpointError for one whose losses are not known here."""
    detector = load_trainable(checkpoint)
    config = detector.config
    if config.head != "centre" or not isinstance(detector.fusion, MaxFusion):
        raise CheckpointError(
            f"{checkpoint}: joint training knows a centre head behind fusion max, not {config.head} behind"
            f" {config.fusion}; give a trunk of tools/train_detector.py"
        )
    return detector


def start_codec(options: argparse.Namespace, detector: Detector) -> Codec[Any]:
    """The codec to go on from: that of --start, or the detector's own. Raises CheckpointError or CodecError."""
    if not options.start:
        return load_codec(options.codec, options.detector)
    codec: Codec[Any] = make_teacher(options.codec, detector, options.seed).codec
    weights = read_weights(options.start)
    with fitting(options.start):
        codec.load_state_dict(weights)
    return codec


def write_checkpoint(pair: nn.ModuleList, folder: Path, data: Dataset, options: argparse.Namespace) -> Detector:
    """Writes detector and codec, with tables learnt for them, into a folder; the detector as it loads from there."""
    save_detector(pair[0], folder)  # type: ignore[arg-type]
    detector, codec = load_detector(folder).requires_grad_(False), copy.deepcopy(pair[1]).eval()
    views = compute(detector, data, TABLE_FRAMES)
    chosen = [int(view) for view in np.linspace(0, len(views) - 1, min(TABLE_VIEWS, len(views)))]
    joint_teacher(options.codec, codec, detector, options.seed).learn_tables(views, chosen)  # type: ignore[arg-type]
    save_weights(codec, folder, detector.fingerprint)  # type: ignore[arg-type]
    return detector


def copy_checkpoint(codec: str, source: Path, target: Path) -> None:
    """Copies detector and codec, each file whole, by rename; a codec that meets another detector does not load."""
    for path in (codec_path(codec_kind(codec)[0], source), source / CONFIG, source / WEIGHTS):
        write_whole(target / path.relative_to(source), path.read_bytes())


def _uses(detector: Detector, codec: Codec[Any]) -> tuple[Use, ...]:
    """The ego alone, all features, the codec whole and at BUDGET."""
    shared = everyone_shares(detector), through(detector, codec, None), through(detector, codec, BUDGET)
    return (lambda views: views[0].boxes, *shared)


def train(options: argparse.Namespace) -> None:
    """Runs until the time is over, or validation gets no better. Raises ValueError for what cannot be trained so."""
    refuse(options)
    torch.set_num_threads(options.threads)
    data, val = open_dataset(options.data), open_dataset(options.val) if options.val else None
    recipe = replace(RECIPE, batch=options.batch or RECIPE.batch)
    training = JointTraining(options, recipe, data)
    if is_over(training):
        return
    print(f"{len(data)} frames of {len(data.scenes)} scenes, {data.format}", flush=True)
    progress, config = training.progress, training.detector.config
    if val is not None and not progress.step:
        print(f"the start: {training.keep(val)}", flush=True)
    batches = Batches(data, config, recipe.batch, recipe.augmentation, (options.seed, 0), progress.step)
    learn(training, load_ahead(batches), val, LOSSES, shown=True)


def refuse(options: argparse.Namespace) -> None:
    """Raises ValueError where --joint does not go with the other options."""
    if options.codec not in JOINT:
        raise ValueError(
            f"--joint {options.joint}: {options.codec} is trained behind a detector that stays as it is; leave --joint"
            f" out, or choose one of {', '.join(JOINT)}"
        )
    if options.features_only:
        raise ValueError(f"--joint {options.joint}: keeps no features; leave --features-only out")
    if options.joint.resolve() == options.detector.resolve():
        raise ValueError(f"--joint {options.joint}: is the folder of the detector to start from; give another one")
