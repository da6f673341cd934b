"""Trains the detector on OPV2V folders: python tools/train_detector.py DATA --out checkpoints/mini --val DIR

Every scene below DATA is used, also those that appear while it runs. Each step takes a few frames; the trunk runs once
per agent; the loss joins each agent's own heat map, one agent's boxes by itself, and the team's boxes at a random ego.
The schedule follows the clock, so that training ends when --time-budget says, whatever else the machine does; with
--resume it goes on where the last run stopped. Weights are the running mean of the trained ones.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch
from arguments import existing_folder, minutes, out_folder, positive
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from carla_cp.metrics.detection import average_precision
from carla_cp.opv2v import Opv2vError, PcdError, Scene, read_scene
from carla_cp.perception.checkpoint import save_detector
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector
from carla_cp.perception.fusion import warp
from carla_cp.perception.fusion.maximum import MaxFusion, join
from carla_cp.perception.head import Targets, box_loss, heat_loss
from carla_cp.perception.samples import Augmentation, Sample, make_sample
from carla_cp.perception.truth import team_truth
from carla_cp.types import AgentFrame, AgentName, DetectionFrame, Frame, ObjectClass, Pose, Shared, Stage, Sweep
from carla_cp.whole import whole_file

matplotlib.use("Agg")
KEEP_RADIUS_M = 72.5  # the corner of the grid
PEAK_RATE, WARM_UP = 3e-3, 0.08
MEAN_DECAY = 0.998
BOX_WEIGHT = 1.0


# ------------------------------------------------------------------------------------------------------------ data


class FrameStore:
    """The frames below a folder, kept in a compact copy, since parsing text clouds takes longer than a step."""

    def __init__(self, data: Path, cache: Path) -> None:
        self.data, self.cache = data, cache
        self.scenes: dict[Path, Scene] = {}
        self.index: list[tuple[Path, int]] = []

    def rescan(self) -> int:
        """Looks for scenes again; the number of frames."""
        for path in sorted(self.data.rglob("data_protocol.yaml")):
            hidden = any(part.startswith(".") for part in path.relative_to(self.data).parts)  # still being written
            if not hidden and path.parent not in self.scenes:
                scene = self.scenes[path.parent] = read_scene(path.parent)
                self.index += [(path.parent, frame) for frame in range(len(scene))]
        if not self.index:
            raise Opv2vError(f"{self.data}: holds no OPV2V scene; make some with tools/generate_data.py")
        return len(self.index)

    def frame(self, number: int) -> Frame:
        """One frame, its points cropped to what a turned grid can hold."""
        folder, frame = self.index[number]
        scene = self.scenes[folder]
        path = self.cache / f"{folder.parent.name}-{folder.name}-{scene.ticks[frame]:06d}.npz"
        if not path.exists():
            save_frame(path, scene.frame(frame))
        return load_frame(path)


def save_frame(path: Path, frame: Frame) -> None:
    """Writes a frame as arrays, whole, by rename."""
    clouds = [agent.sweep.points for agent in frame.agents]
    clouds = [cloud[np.hypot(cloud[:, 0], cloud[:, 1]) < KEEP_RADIUS_M] for cloud in clouds]
    poses = [agent.true_world_from_lidar for agent in frame.agents]
    with whole_file(path) as file:
        np.savez(
            file,
            names=np.array([agent.sweep.agent for agent in frame.agents]),
            poses=np.array([[p.x, p.y, p.z, p.roll, p.pitch, p.yaw] for p in poses]),
            heights=np.array([agent.sweep.sensor_height_m for agent in frame.agents]),
            points=np.concatenate(clouds),
            point_counts=np.array([len(cloud) for cloud in clouds]),
            boxes=np.concatenate([agent.boxes for agent in frame.agents]),
            ids=np.concatenate([agent.ids for agent in frame.agents]),
            labels=np.concatenate([agent.labels for agent in frame.agents]),
            object_counts=np.array([len(agent.ids) for agent in frame.agents]),
        )


def load_frame(path: Path) -> Frame:
    """Reads what `save_frame` wrote."""
    with np.load(path) as data:
        clouds = np.split(data["points"], np.cumsum(data["point_counts"])[:-1])
        cuts = np.cumsum(data["object_counts"])[:-1]
        boxes, ids, labels = (np.split(data[name], cuts) for name in ("boxes", "ids", "labels"))
        agents = []
        for number, (name, values, height) in enumerate(
            zip(data["names"], data["poses"], data["heights"], strict=True)
        ):
            pose = Pose(*(float(value) for value in values))
            sweep = Sweep(AgentName(str(name)), 0, clouds[number], pose, float(height))
            agents.append(AgentFrame(sweep, pose, boxes[number], ids[number], labels[number]))
    return Frame(0, tuple(agents))


@dataclass(frozen=True, eq=False)
class Batch:
    """A few samples; views of all frames follow one another, the ego first in each."""

    points: Tensor
    counts: Tensor
    cells: Tensor
    agents: tuple[int, ...]  # per frame
    own_heat: Tensor  # (views, classes, cells, cells)
    theta: Tensor  # (senders, 2, 3)
    valid: Tensor  # (senders, cells, cells)
    alone: tuple[int, ...]  # per frame: the view that is also trained by itself
    heat: Tensor  # (2 frames, ...): the team of each frame, then the one agent of each
    boxes: Tensor
    weight: Tensor
    frames: int  # in the data when this batch was made


def make_batch(samples: Sequence[Sample], config: DetectorConfig, rng: np.random.Generator, frames: int) -> Batch:
    """Joins samples into one batch."""
    clouds = [cloud for sample in samples for cloud in sample.clouds]
    per_map = config.grid.pillar_rows * config.grid.pillar_columns
    agents = tuple(len(sample.clouds) for sample in samples)
    picks = [int(rng.integers(count)) for count in agents]
    starts = np.cumsum((0, *agents[:-1]))
    targets: list[Targets] = [sample.team for sample in samples]
    targets += [sample.own[pick] for sample, pick in zip(samples, picks, strict=True)]
    own = [target.heat for sample in samples for target in sample.own]
    return Batch(
        torch.from_numpy(np.concatenate([cloud.points for cloud in clouds])),
        torch.from_numpy(np.concatenate([cloud.counts for cloud in clouds])),
        torch.from_numpy(np.concatenate([cloud.cells + number * per_map for number, cloud in enumerate(clouds)])),
        agents,
        torch.from_numpy(np.stack(own)),
        torch.cat([sample.theta for sample in samples]),
        torch.cat([sample.valid for sample in samples]),
        tuple(int(start) + pick for start, pick in zip(starts, picks, strict=True)),
        torch.from_numpy(np.stack([target.heat for target in targets])),
        torch.from_numpy(np.stack([target.boxes for target in targets])),
        torch.from_numpy(np.stack([target.weight for target in targets])),
        frames,
    )


class Batches(IterableDataset):  # type: ignore[type-arg]
    """Endless batches from step `first` on; the same seed, step and data give the same batch."""

    def __init__(self, store: FrameStore, config: DetectorConfig, size: int, seed: int, first: int) -> None:
        self.store, self.config, self.size, self.seed, self.first = store, config, size, seed, first

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        step, count = self.first, self.store.rescan()
        while True:
            if step % 50 == 0:
                count = self.store.rescan()
            rng = np.random.default_rng([self.seed, step])
            numbers = rng.choice(count, self.size, replace=count < self.size)
            samples = [make_sample(self.store.frame(int(n)), self.config, rng, Augmentation()) for n in numbers]
            yield make_batch(samples, self.config, rng, count)
            step += 1


# -------------------------------------------------------------------------------------------------------- learning


def losses(detector: Detector, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Each agent's own heat, then heat and boxes of teams and single agents."""
    views = sum(batch.agents)
    bev = detector.bev_from_pillars(detector.pillar_net(batch.points, batch.counts, batch.cells, views))
    own = heat_loss(detector.own_heat(bev), batch.own_heat)
    starts = np.cumsum((0, *batch.agents[:-1]))
    senders = [
        view for start, count in zip(starts, batch.agents, strict=True) for view in range(start + 1, start + count)
    ]
    joined = [bev[start].float() for start in starts]
    if senders:
        moved, valid = warp(bev[senders].float(), batch.valid, batch.theta)
        for number, view in enumerate(senders):
            frame = int(np.searchsorted(starts, view, side="right")) - 1
            joined[frame] = join(joined[frame], [(moved[number], valid[number])])
    assert isinstance(detector.fusion, MaxFusion)
    fused = detector.fusion.refine(torch.cat([torch.stack(joined), bev[list(batch.alone)].float()]))
    raw = detector.raw_heads(fused)
    return own, heat_loss(raw.heat, batch.heat), box_loss(raw.boxes, batch.boxes, batch.weight)


def rate_at(progress: float) -> float:
    """The learning rate after this fraction of the training: a linear rise, then a cosine to zero."""
    if progress < WARM_UP:
        return PEAK_RATE * (0.05 + 0.95 * progress / WARM_UP)
    return float(PEAK_RATE * 0.5 * (1 + np.cos(np.pi * min((progress - WARM_UP) / (1 - WARM_UP), 1.0))))


def follow(mean: Detector, detector: Detector, step: int) -> None:
    """Moves the running mean of the weights."""
    keep = min(MEAN_DECAY, (1 + step) / (10 + step))
    with torch.no_grad():
        for slow, fast in zip(mean.state_dict().values(), detector.state_dict().values(), strict=True):
            if slow.is_floating_point():
                slow.lerp_(fast, 1 - keep)
            else:
                slow.copy_(fast)


def validate(detector: Detector, store: FrameStore, limit: int) -> tuple[float, float]:
    """AP@0.5 of vehicles over evenly spaced frames: with everyone's full features, and of the ego alone."""
    detector.eval()
    count = store.rescan()
    team: list[DetectionFrame] = []
    alone: list[DetectionFrame] = []
    for number in np.linspace(0, count - 1, min(limit, count)).astype(int):
        frame = store.frame(int(number))
        views = [detector.view(agent.sweep) for agent in frame.agents]
        everywhere = torch.ones((detector.config.grid.rows, detector.config.grid.columns), dtype=torch.bool)
        shared = [
            Shared(v.sweep.agent, 0, v.world_from_agent, Stage.BEV, features=v.bev, valid=everywhere) for v in views[1:]
        ]
        boxes, labels = team_truth(frame, detector.config)
        truth = boxes[labels == ObjectClass.VEHICLE]
        for frames, found in ((team, detector.finish(views[0], shared)), (alone, views[0].boxes)):
            mine = found.labels == ObjectClass.VEHICLE
            frames.append(DetectionFrame(boxes=found.boxes[mine], scores=found.scores[mine], truth=truth))
    return average_precision(team, 0.5) or 0.0, average_precision(alone, 0.5) or 0.0


@dataclass
class Progress:
    """What a resumed run needs besides the weights."""

    step: int
    seconds: float
    curve: list[tuple[float, float, float]]  # minutes, AP@0.5 of the team, of the ego alone


def plot(curve: Sequence[tuple[float, float, float]], path: Path) -> None:
    """The validation curve as a picture."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    minutes, team, alone = zip(*curve, strict=True)
    axes.plot(minutes, team, marker="o", label="with partners' full features")
    axes.plot(minutes, alone, marker="o", label="ego alone")
    axes.set(xlabel="training time [min]", ylabel="AP@0.5, vehicles, validation maps", ylim=(0, 1))
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


class Training:
    """Weights, their running mean, the optimiser and the clock."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.detector = Detector(DetectorConfig())
        self.mean = copy.deepcopy(self.detector)
        self.optimiser = torch.optim.AdamW(self.detector.parameters(), lr=PEAK_RATE, weight_decay=0.01)
        self.progress = Progress(0, 0.0, [])
        self.state = options.work / "training.pt"
        if options.resume and self.state.exists():
            saved = torch.load(self.state, weights_only=True)
            self.detector.load_state_dict(saved["detector"])
            self.mean.load_state_dict(saved["mean"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.progress = Progress(saved["step"], saved["seconds"], [tuple(row) for row in saved["curve"]])

    def step(self, batch: Batch) -> tuple[float, float, float]:
        """One step; the three losses."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.progress.seconds / (60 * self.options.time_budget))
        self.detector.train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            own, heat, boxes = losses(self.detector, batch)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(own + heat + BOX_WEIGHT * boxes)
        torch.nn.utils.clip_grad_norm_(self.detector.parameters(), 10.0)
        self.optimiser.step()
        self.progress.step += 1
        follow(self.mean, self.detector, self.progress.step)
        return own.item(), heat.item(), boxes.item()

    def save(self, val: FrameStore | None) -> str:
        """Writes checkpoint and state, each by rename; what the validation says."""
        said = "saved"
        if val is not None:
            team, alone = validate(self.mean, val, self.options.val_frames)
            self.progress.curve.append((self.progress.seconds / 60, team, alone))
            said = f"validation AP@0.5: team {team:.3f}, ego alone {alone:.3f}"
        save_detector(self.mean, self.options.out)
        if self.progress.curve:
            plot(self.progress.curve, self.options.out / "training.png")
        state = {
            "detector": self.detector.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.progress.step,
            "seconds": self.progress.seconds,
            "curve": self.progress.curve,
        }
        with whole_file(self.state) as file:
            torch.save(state, file)
        return said


def train(options: argparse.Namespace) -> None:
    """Runs until the time is spent."""
    torch.set_num_threads(options.threads)
    store = FrameStore(options.data, options.work / "frames")
    val = FrameStore(options.val, options.work / "frames") if options.val else None
    training = Training(options)
    progress = training.progress
    budget = 60 * options.time_budget
    print(f"{store.rescan()} frames; {max(budget - progress.seconds, 0) / 60:.0f} minutes to go, then done", flush=True)
    batches = Batches(store, training.detector.config, options.batch, options.seed, progress.step)
    # "spawn", since torch's thread pool does not survive a fork.
    loader = DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=4, multiprocessing_context="spawn")
    last, saved = time.monotonic(), progress.seconds
    smooth = np.zeros(3)
    with tqdm(total=round(budget), initial=round(progress.seconds), unit="s", mininterval=5, file=sys.stdout) as bar:
        for batch in loader:
            smooth += (np.array(training.step(batch)) - smooth) * (0.02 if smooth.any() else 1.0)
            now = time.monotonic()
            progress.seconds, last = progress.seconds + now - last, now
            bar.n = min(round(progress.seconds), round(budget))
            own, heat, boxes = smooth
            bar.set_postfix_str(
                f"{progress.step} steps {batch.frames} frames own {own:.2f} heat {heat:.2f} box {boxes:.2f}", False
            )
            bar.update(0)
            done = progress.seconds >= budget
            if done or progress.seconds - saved > 60 * options.save_minutes:
                bar.write(f"{progress.seconds / 60:.0f} min, {progress.step} steps: {training.save(val)}")
                last, saved = time.monotonic(), progress.seconds  # validation does not count as training
            if done:
                return


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=existing_folder, help="folder with OPV2V scenes, at any depth")
    parser.add_argument("--out", type=out_folder, required=True, help="checkpoint folder to write")
    parser.add_argument("--val", type=existing_folder, help="folder with validation scenes")
    parser.add_argument("--val-frames", type=positive, default=60)
    parser.add_argument("--work", type=out_folder, help="compact frames and training state (default: DATA.work)")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--time-budget", type=minutes, default=90, metavar="MIN")
    parser.add_argument("--save-minutes", type=minutes, default=4)
    parser.add_argument("--batch", type=positive, default=2, help="frames per step")
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    data = options.data.resolve()  # "." has no name
    options.work = options.work or data.with_name(f"{data.name}.work")
    return options


def main() -> None:
    """Trains; exit status 2 and one line for bad input; Ctrl-C leaves the last checkpoint."""
    try:
        train(parse())
    except (Opv2vError, PcdError, OSError) as error:
        print(f"train_detector: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
