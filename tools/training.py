"""What every training shares: clock and rate, running means, curves, scalars, and several processes side by side."""

from __future__ import annotations

import argparse
import os
import pickle
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

import matplotlib
import torch
import torch.distributed as dist
from batches import Batch
from recipes import Recipe
from torch import nn
from tqdm import tqdm

from carla_cp.datasets import Dataset
from carla_cp.whole import whole_file

matplotlib.use("Agg")
TRIAL_STEPS = 4  # timed before a training says how long it will take, after one that is not


@dataclass
class Progress:
    """What a resumed run needs besides the weights."""

    step: int = 0
    seconds: float = 0.0
    curve: list[tuple[float, ...]] = field(default_factory=list)  # step, then one figure per line of the picture
    best: float = -1.0  # validation figure; any that is measured is better
    since_best: int = 0  # validations

    def fraction(self, recipe: Recipe, minutes: float | None) -> float:
        """How much of the training is over, by steps, or by the clock where its time is limited and further on."""
        by_clock = 0.0 if minutes is None else self.seconds / (60 * minutes)
        return max(self.step / recipe.steps, by_clock)


class Clock:
    """Adds the wall time of steps to a progress; what lies between a step and the next `start` does not count."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last = time.monotonic()

    def step(self) -> None:
        """A step is over."""
        now = time.monotonic()
        self._progress.seconds += now - self._last
        self._progress.step += 1
        self._last = now

    def start(self) -> None:
        """What follows counts."""
        self._last = time.monotonic()


def follow(mean: nn.Module, network: nn.Module, step: int, decay: float) -> None:
    """Moves the running mean of a network's weights; a young mean moves faster."""
    keep = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for slow, fast in zip(mean.state_dict().values(), network.state_dict().values(), strict=True):
            if slow.is_floating_point():
                slow.lerp_(fast, 1 - keep)
            else:
                slow.copy_(fast)


def plot_curve(curve: Sequence[tuple[float, ...]], lines: Sequence[str], axis: str, path: Path) -> None:
    """The validation curve as a picture, one line per figure."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    steps, *figures = zip(*curve, strict=True)
    for label, values in zip(lines, figures, strict=True):
        axes.plot(steps, values, marker="o", label=label)
    axes.set(xlabel="step", ylabel=axis, ylim=(0, 1))
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    with whole_file(path) as file:
        figure.savefig(file, dpi=100, format="png")
    pyplot.close(figure)


class Scalars:
    """Losses and validation figures for TensorBoard, where it is installed."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            print("no TensorBoard scalars: pip install 'carla_cp[train]' to have them", flush=True)
            self._writer = None
        else:
            self._writer = SummaryWriter(str(folder))

    def add(self, step: int, names: Iterable[str], values: Iterable[float]) -> None:
        """One point of each named curve."""
        if self._writer is not None:
            for name, value in zip(names, values, strict=True):
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Writes what is left."""
        if self._writer is not None:
            self._writer.close()


@dataclass(frozen=True, slots=True)
class Ranks:
    """The processes of a training that torchrun starts; one alone without it."""

    rank: int
    size: int

    @property
    def first(self) -> bool:
        """Whether this is the one that validates, writes and speaks."""
        return self.rank == 0

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Makes every gradient the mean over all processes."""
        if self.size > 1:
            for parameter in parameters:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                dist.all_reduce(parameter.grad)
                parameter.grad /= self.size

    def agree(self, value: float) -> float:
        """The first process's value, in every process: all must end at the same step."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(shared, 0)
        return float(shared)


def join_ranks() -> Ranks:
    """Joins the other processes, if torchrun started any; gradients go through gloo, which needs no GPU."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size > 1 and not dist.is_initialized():
        dist.init_process_group("gloo")
    return Ranks(int(os.environ.get("RANK", "0")), size)


def best_device(name: str) -> torch.device:
    """The device of that name; `auto` is a GPU of this rank where one is there. Raises ValueError for what is not."""
    if name == "auto":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"--device {name}: this torch sees no GPU; leave the option out")
    try:
        return torch.device(name)
    except RuntimeError:
        raise ValueError(f"--device {name}: there is no such device; give auto, cpu, cuda or cuda:1") from None


def write_state(path: Path, state: dict[str, object]) -> None:
    """Writes what a resumed run needs, whole, by rename."""
    with whole_file(path) as file:
        torch.save(state, file)


def read_state(path: Path, device: torch.device) -> dict[str, Any] | None:
    """What `write_state` wrote; None, and said, where there is nothing yet. Raises ValueError for a damaged file."""
    if not path.exists():
        print(f"{path}: not found, so there is nothing to resume: this training starts anew", flush=True)
        return None
    with resuming(path):
        saved: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
    return saved


@contextmanager
def resuming(path: Path) -> Iterator[None]:
    """Whatever does not fit in the block is a ValueError that names the file and the mend."""
    try:
        yield
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path}: cannot be resumed ({reason}); leave --resume out, or give the --work of the run to go on with"
        ) from None


def overlap(data: Path, val: Path | None) -> str:
    """A warning where one folder lies within the other, so that validation sees frames that are trained on; or ""."""
    if val is None:
        return ""
    here, there = data.resolve(), val.resolve()
    if not (here.is_relative_to(there) or there.is_relative_to(here)):
        return ""
    return f"WARNING: --val {val} and {data} lie within one another: validation sees frames that are trained on"


class Learner(Protocol):
    """A training: what takes a step, validates, and knows how far it is."""

    options: argparse.Namespace
    recipe: Recipe
    ranks: Ranks
    progress: Progress
    state: Path

    def fraction(self) -> float:
        """How much of it is over."""

    def step(self, batch: Batch) -> list[float]:
        """One step; its losses."""

    def check(self, val: Dataset | None, scalars: Scalars) -> str:
        """Validates and writes; what is to be said."""


def is_over(training: Learner) -> bool:
    """Whether there is no step left to make, which is said."""
    if training.fraction() < 1.0:
        return False
    print(f"{training.state}: this training is over; with more --steps or --time-budget it goes on")
    return True


def learn(
    training: Learner, batches: Iterable[Batch], val: Dataset | None, names: Sequence[str], shown: bool = False
) -> None:
    """Makes steps until the recipe or the time is over, or validation gets no better.

    `names` are those of the losses; `shown` puts them beside the bar.
    """
    options, recipe, ranks, progress = training.options, training.recipe, training.ranks, training.progress
    scalars = Scalars(options.work / "scalars")
    if warning := overlap(options.data, options.val):
        print(warning, flush=True)
    clock, left_out = Clock(progress), list[str]()
    started, first = time.monotonic(), progress.step
    with tqdm(total=recipe.steps, initial=first, unit="step", mininterval=5, disable=not ranks.first) as bar:
        for batch in batches:
            spent = training.step(batch)
            clock.step()
            left_out += batch.left_out
            bar.update()
            if shown:
                figures = (f"{name} {value:.2f}" for name, value in zip(names, spent, strict=True))
                bar.set_postfix_str(" ".join(figures), False)
            scalars.add(progress.step, (f"loss {name}" for name in names), spent)
            if progress.step == first + 1:
                started = time.monotonic()
            if progress.step == first + 1 + TRIAL_STEPS and ranks.first:
                each = (time.monotonic() - started) / TRIAL_STEPS
                bar.write(estimate(each, progress, recipe, options.time_budget))
            if _checked(training, val, scalars, clock, bar):
                break
    scalars.close()
    if left_out:
        print(f"{len(left_out)} frames could not be read and were left out; the first: {left_out[0]}")


def _checked(training: Learner, val: Dataset | None, scalars: Scalars, clock: Clock, bar: tqdm[NoReturn]) -> bool:
    """Validates where it is time to; whether this was the last step."""
    recipe, ranks, progress = training.recipe, training.ranks, training.progress
    done = training.fraction() >= 1.0
    if not done and progress.step % recipe.validate_every:
        return False
    if ranks.first:
        bar.write(f"step {progress.step}: {training.check(val, scalars)}")
    clock.start()
    return done or ranks.agree(progress.since_best) >= recipe.patience


def estimate(seconds: float, progress: Progress, recipe: Recipe, minutes: float | None) -> str:
    """What is said before a training starts, given the seconds of one step."""
    left = max(recipe.steps - progress.step, 0) * seconds / 60
    said = f"{recipe.steps - progress.step} steps of {seconds:.2f} s: about {left:.0f} minutes on this machine"
    if minutes is not None:
        room = max(minutes - progress.seconds / 60, 0.0)
        said += f"; --time-budget ends it after {room:.0f}" if room < left else f", within the {room:.0f} allowed"
    return said + " (validation comes on top)"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every training has."""
    from arguments import existing_folder, minutes, out_folder, positive

    parser.add_argument("data", type=existing_folder, help="folder with scenes of any known format, at any depth")
    parser.add_argument("--val", type=existing_folder, help="folder with validation scenes, of other maps")
    parser.add_argument("--val-frames", type=positive, default=60)
    parser.add_argument("--work", type=out_folder, help="state to resume from, scalars (default: DATA.work)")
    parser.add_argument("--resume", action="store_true", help="go on where the last run with this --work stopped")
    parser.add_argument("--steps", type=positive, help="instead of the recipe's")
    parser.add_argument("--time-budget", type=minutes, metavar="MIN", help="the schedule then ends by the clock")
    parser.add_argument("--batch", type=positive, help="frames per step, instead of the recipe's")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--threads", type=positive, default=2, help="of torch; does not change what is drawn")
    parser.add_argument("--seed", type=int, default=0)
