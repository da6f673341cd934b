"""Trains a detector, trunk and all: python tools/train_detector.py DATA --out checkpoints/mini --val DIR

Each step takes a few frames; the trunk runs once per agent; the loss joins each agent's own heat map, one agent's boxes
by itself, and the boxes of a team at a random ego. What is kept is the running mean of the weights with the best
validation so far. It ends with the recipe's steps, with --time-budget, or when validation gets no better; --resume goes
on where the last run stopped. On several GPUs: torchrun --nproc-per-node N tools/train_detector.py ...
Fusion rules other than the recipe's are trained over the finished trunk by tools/train_fusion.py.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from dataclasses import replace

import torch
from arguments import out_folder
from batches import Batch, Batches, load_ahead
from detector_lessons import LOSSES, losses
from recipes import TRUNKS, Recipe
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
from carla_cp.perception.checkpoint import save_detector
from carla_cp.perception.detector import Detector
from carla_cp.perception.presets import PRESETS

LINES = ("with partners' full features", "ego alone")


class Training:
    """Weights, their running mean, the optimiser and the clock."""

    def __init__(self, options: argparse.Namespace, recipe: Recipe, ranks: Ranks) -> None:
        torch.manual_seed(options.seed)
        self.options, self.recipe, self.ranks = options, recipe, ranks
        self.device = best_device(options.device)
        self.detector = Detector(PRESETS[options.recipe]).to(self.device)
        self.mean = copy.deepcopy(self.detector).eval()
        self.optimiser = torch.optim.AdamW(
            self.detector.parameters(), recipe.peak_rate, weight_decay=recipe.weight_decay
        )
        self.progress = Progress()
        self.state = options.work / "training.pt"
        if options.resume and (saved := read_state(self.state, self.device)) is not None:
            with resuming(self.state):
                self._resume(saved)

    def _resume(self, saved: dict[str, dict[str, object]]) -> None:
        self.detector.load_state_dict(saved["detector"])
        self.mean.load_state_dict(saved["mean"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.progress = Progress(**saved["progress"])  # type: ignore[arg-type]

    def step(self, batch: Batch) -> list[float]:
        """One step; the three losses."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate_at(self.fraction())
        self.detector.train()
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            own, heat, boxes = losses(self.detector, batch.to(self.device))
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(own + heat + self.recipe.box_weight * boxes)
        self.ranks.average(self.detector.parameters())
        torch.nn.utils.clip_grad_norm_(self.detector.parameters(), self.recipe.clip)
        self.optimiser.step()
        follow(self.mean, self.detector, self.progress.step + 1, self.recipe.mean_decay)
        return [own.item(), heat.item(), boxes.item()]

    def fraction(self) -> float:
        """How much of the training is over."""
        return self.ranks.agree(self.progress.fraction(self.recipe, self.options.time_budget))

    def check(self, val: Dataset | None, scalars: Scalars) -> str:
        """Validates the mean, keeps it if it is the best, writes the state; what is to be said."""
        progress, figures = self.progress, tuple[float, ...]((0.0, 0.0))
        if val is not None:
            cpu = copy.deepcopy(self.mean).cpu().eval()
            uses = (everyone_shares(cpu), lambda views: views[0].boxes)
            figures = average_precisions(val, self.options.val_frames, uses, cpu)
            progress.curve.append((progress.step, *figures))
            scalars.add(progress.step, (f"validation AP@0.5 {line}" for line in LINES), figures)
            plot_curve(progress.curve, LINES, "AP@0.5, vehicles, validation maps", self.options.out / "training.png")
        better = val is None or figures[0] > progress.best
        progress.best, progress.since_best = max(progress.best, figures[0]), 0 if better else progress.since_best + 1
        if better:
            save_detector(self.mean, self.options.out)
        write_state(
            self.state,
            {
                "detector": self.detector.state_dict(),
                "mean": self.mean.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "progress": vars(progress).copy(),
            },
        )
        kept = "kept" if better else f"the best stays, {progress.since_best} without a better one"
        return f"validation AP@0.5: team {figures[0]:.3f}, ego alone {figures[1]:.3f}; {kept}" if val else "saved"


def train(options: argparse.Namespace) -> None:
    """Runs until the steps or the time are over, or validation gets no better."""
    torch.set_num_threads(options.threads)
    ranks, recipe = join_ranks(), recipe_of(options)
    data, val = open_dataset(options.data), open_dataset(options.val) if options.val and ranks.first else None
    training = Training(options, recipe, ranks)
    if is_over(training):
        return
    progress, key = training.progress, (options.seed, ranks.rank)
    batches = Batches(data, training.detector.config, recipe.batch, recipe.augmentation, key, progress.step)
    print(f"{len(data)} frames of {len(data.scenes)} scenes, {data.format}", flush=True)
    learn(training, load_ahead(batches), val, LOSSES, shown=True)


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe with what the command line changes."""
    recipe = TRUNKS[options.recipe]
    return replace(recipe, steps=options.steps or recipe.steps, batch=options.batch or recipe.batch)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--out", type=out_folder, required=True, help="checkpoint folder to write")
    parser.add_argument("--recipe", choices=TRUNKS, default="mini", help="size and schedule (tools/recipes.py)")
    options = parser.parse_args(arguments)
    data = options.data.resolve()  # "." has no name
    options.work = options.work or data.with_name(f"{data.name}.work")
    return options


def main() -> None:
    """Trains; exit status 2 and one line for bad input; Ctrl-C leaves the best checkpoint so far."""
    try:
        train(parse())
    except (DatasetError, ValueError, OSError) as error:
        print(f"train_detector: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
