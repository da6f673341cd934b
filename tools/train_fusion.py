"""Trains fusion rules over a finished trunk: python tools/train_fusion.py DATA --checkpoint checkpoints/mini --val DIR
--rule attention --rule cobevt

Trunk and own heat map stay as they are; the rule and what comes behind it learn: a head, and where scales are fused the
layers that bring them together. All rules of a
command see the same batches, and the trunk runs once for all. What is kept of each is the running mean of its weights
with the best validation so far, in CHECKPOINT/fusion/<rule>.safetensors; --resume goes on where the last run stopped.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from batches import Batch, Batches, load_ahead
from fusion_lessons import Stages, losses, partly_sent, stages, uncertainty_loss
from recipes import FUSION, Recipe
from torch import nn
from training import (
    Progress,
    Ranks,
    Scalars,
    add_options,
    best_device,
    follow,
    is_over,
    join_ranks,
    learn,
    plot_curve,
    read_state,
    resuming,
    write_state,
)
from validation import average_precisions, everyone_shares

from carla_cp.datasets import Dataset, DatasetError, open_dataset
from carla_cp.perception.checkpoint import FUSION as FOLDER
from carla_cp.perception.checkpoint import load_detector, load_trainable, save_rule, start_rule
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.detector import Detector
from carla_cp.perception.fusion import RULES
from carla_cp.perception.fusion.coalign import CoalignFusion
from carla_cp.perception.fusion.where2comm import Where2commFusion

IOU = 0.7  # of the validation


class RuleTraining:
    """One rule: the trunk it belongs to with the layers that learn, their running mean, and the optimiser."""

    def __init__(self, trunk: Detector, name: str, recipe: Recipe, device: torch.device) -> None:
        self.name, self.recipe = name, recipe
        self.detector = start_rule(trunk, name).to(device).eval().requires_grad_(False)
        self.learning = _behind_the_trunk(self.detector).requires_grad_(True)
        self.mean = copy.deepcopy(self.learning)
        self.optimiser = torch.optim.AdamW(
            self.learning.parameters(), recipe.peak_rate, weight_decay=recipe.weight_decay
        )
        self.best = -1.0

    def step(self, found: Stages, batch: Batch, rate: float, ranks: Ranks, number: int) -> list[float]:
        """One step; heat and box loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.learning.train()
        if isinstance(self.detector.fusion, Where2commFusion):
            found = partly_sent(self.detector, found, batch, np.random.default_rng([ranks.rank, number]))
        with torch.autocast(self.detector.device.type, dtype=torch.bfloat16):
            heat, boxes = losses(self.detector, found, batch)
            total = heat + self.recipe.box_weight * boxes
            if isinstance(self.detector.fusion, CoalignFusion):
                total = total + uncertainty_loss(self.detector, self.detector.fusion, found, batch)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        ranks.average(self.learning.parameters())
        torch.nn.utils.clip_grad_norm_(self.learning.parameters(), self.recipe.clip)
        self.optimiser.step()
        follow(self.mean, self.learning, number, self.recipe.mean_decay)
        return [heat.item(), boxes.item()]

    def averaged(self) -> Detector:
        """The detector with the running mean of what learns."""
        detector = copy.deepcopy(self.detector).cpu().eval()
        _behind_the_trunk(detector).load_state_dict(self.mean.state_dict())
        detector.fingerprint = self.detector.fingerprint
        return detector

    def state(self) -> dict[str, object]:
        """What a resumed run needs."""
        return {
            "learning": self.learning.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "best": self.best,
        }

    def resume(self, saved: dict[str, dict[str, object]]) -> None:
        """Takes up what `state` gave."""
        self.learning.load_state_dict(saved["learning"])
        self.mean.load_state_dict(saved["mean"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.best = float(saved["best"])  # type: ignore[arg-type]


def _behind_the_trunk(detector: Detector) -> nn.ModuleList:
    """What learns: the rule, what comes behind it, and how others' features are turned before it."""
    merge = [detector.behind] if detector.config.own_merge else []
    turns = [detector.turns] if detector.config.turns else []
    return nn.ModuleList([detector.fusion, detector.head, *merge, *turns])


class Training:
    """All rules of a command over one trunk."""

    def __init__(self, options: argparse.Namespace, recipe: Recipe, ranks: Ranks) -> None:
        torch.manual_seed(options.seed)
        self.options, self.recipe, self.ranks = options, recipe, ranks
        self.device = best_device(options.device)
        self.trunk = load_detector(options.checkpoint, str(self.device))
        if self.trunk.config.head != "centre":
            raise CheckpointError(
                f"{options.checkpoint}: has a head of {self.trunk.config.head}, for which this training knows no loss;"
                " give a trunk of tools/train_detector.py"
            )
        start = load_trainable(options.checkpoint)
        self.rules = [RuleTraining(start, name, recipe, self.device) for name in options.rule]
        self.progress = Progress()
        self.state = options.work / f"fusion-{'-'.join(options.rule)}.pt"
        if options.resume and (saved := read_state(self.state, self.device)) is not None:
            with resuming(self.state):
                self._resume(saved)

    def _resume(self, saved: dict[str, Any]) -> None:
        trunk = saved.get("trunk", self.trunk.fingerprint)  # states of before it was written have none
        if trunk != self.trunk.fingerprint:
            raise ValueError(f"it is of trunk {trunk:08x}, not {self.trunk.fingerprint:08x}")
        self.progress = Progress(**saved["progress"])
        for rule in self.rules:
            rule.resume(saved[rule.name])

    def fraction(self) -> float:
        """How much of the training is over."""
        return self.ranks.agree(self.progress.fraction(self.recipe, self.options.time_budget))

    def step(self, batch: Batch) -> list[float]:
        """One step of every rule; heat and box loss of each."""
        batch = batch.to(self.device)
        found, rate = stages(self.trunk, batch), self.recipe.rate_at(self.fraction())
        number = self.progress.step + 1
        return [value for rule in self.rules for value in rule.step(found, batch, rate, self.ranks, number)]

    def check(self, val: Dataset | None, scalars: Scalars) -> str:
        """Validates each rule's mean, keeps it if it is its best, writes the state; what is to be said."""
        progress, names = self.progress, self.options.rule
        detectors = [rule.averaged() for rule in self.rules]
        figures: tuple[float, ...] = (1.0,) * len(names)
        if val is not None:
            uses = [everyone_shares(detector) for detector in detectors]
            trunk = load_detector(self.options.checkpoint)
            figures = average_precisions(val, self.options.val_frames, uses, trunk, IOU)
            progress.curve.append((progress.step, *figures))
            scalars.add(progress.step, (f"validation AP@{IOU} {name}" for name in names), figures)
            picture = self.options.checkpoint / FOLDER / f"training-{'-'.join(names)}.png"
            plot_curve(progress.curve, names, f"AP@{IOU}, vehicles, validation maps", picture)
        better = [rule for rule, figure in zip(self.rules, figures, strict=True) if val is None or figure > rule.best]
        for rule, detector, figure in zip(self.rules, detectors, figures, strict=True):
            if rule in better:
                rule.best = figure
                save_rule(detector, self.options.checkpoint)
        progress.since_best = 0 if better else progress.since_best + 1
        shared = {"trunk": self.trunk.fingerprint, "progress": vars(progress).copy()}
        write_state(self.state, {**shared, **{rule.name: rule.state() for rule in self.rules}})
        said = [f"{name} {figure:.3f}" for name, figure in zip(names, figures, strict=True)]
        return f"validation AP@{IOU}: {', '.join(said)}; kept {', '.join(rule.name for rule in better) or 'none'}"


def train(options: argparse.Namespace) -> None:
    """Runs until the steps or the time are over, or no rule's validation gets better."""
    torch.set_num_threads(options.threads)
    ranks = join_ranks()
    recipe = replace(FUSION, steps=options.steps or FUSION.steps, batch=options.batch or FUSION.batch)
    data, val = open_dataset(options.data), open_dataset(options.val) if options.val and ranks.first else None
    training = Training(options, recipe, ranks)
    if is_over(training):
        return
    progress, key = training.progress, (options.seed, ranks.rank)
    batches = Batches(data, training.trunk.config, recipe.batch, recipe.augmentation, key, progress.step)
    print(f"{len(data)} frames of {len(data.scenes)} scenes; rules {', '.join(options.rule)}", flush=True)
    names = [f"{name} {part}" for name in options.rule for part in ("heat", "boxes")]
    learn(training, load_ahead(batches), val, names)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of the trunk; the rules go beside it")
    parser.add_argument("--rule", action="append", choices=RULES, required=True, help="may be given several times")
    options = parser.parse_args(arguments)
    data = options.data.resolve()  # "." has no name
    options.rule = list(dict.fromkeys(options.rule))  # each once
    options.work = options.work or data.with_name(f"{data.name}.work")
    return options


def main() -> None:
    """Trains; exit status 2 and one line for bad input; Ctrl-C leaves the best weights so far."""
    try:
        train(parse())
    except (CheckpointError, DatasetError, ValueError, OSError) as error:
        print(f"train_fusion: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
