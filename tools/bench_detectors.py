"""Speed of detectors by size and part, and of all of one beside its bare convolutions; weights are random."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from timing import Row, timed, timed_row
from torch import Tensor, nn

from carla_cp.geometry import relative
from carla_cp.perception.backbone import lay_channels_last
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector
from carla_cp.perception.folding import fold_batch_norms
from carla_cp.perception.fusion import Member, Team, ego_member, plane_theta
from carla_cp.perception.pillars import agent_points
from carla_cp.perception.presets import PRESETS
from carla_cp.perception.view import View
from carla_cp.types import Detections, Shared, Stage, Sweep

SIZES = ("mini", "half256s", "full", "second_mini", "second")
THREADS = 2
REPEAT = 7
CANDIDATES = 40  # per class: boxes that NMS has to look at, about as many as a trained detector claims
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
CALIBRATED = 1.0  # momentum: statistics of this batch alone


@dataclass(frozen=True)
class Call:
    """One call of a convolution."""

    layer: nn.Module
    shape: tuple[int, ...]


def random_detector(config: DetectorConfig, sweeps: Sequence[Sweep]) -> Detector:
    """A detector as loaded for use, with random weights, whose features are near one and whose boxes are some."""
    torch.manual_seed(0)
    detector = Detector(config)
    for part in detector.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.momentum = CALIBRATED
    with torch.no_grad():
        both_in(detector.train(), sweeps)
        fold_batch_norms(detector.eval())
        lay_channels_last(detector)
        heat = detector.raw_heads(detector.fuse((team_of(detector, sweeps),))[None]).heat[0]
        peaks = torch.where(heat == nn.functional.max_pool2d(heat[None], 3, 1, 1)[0], heat, -torch.inf)
        wanted = torch.logit(torch.tensor(config.score_threshold))
        last = peaks.flatten(1).topk(CANDIDATES, dim=1).values[:, -1]
        detector.head.get_parameter("heat.bias").add_(wanted - last)
    return detector


def both_in(detector: Detector, sweeps: Sequence[Sweep]) -> Detections:
    """The ego's boxes from two clouds: the second agent's BEV features reach it as they are."""
    ego, sender = (detector.view(sweep) for sweep in sweeps[:2])
    return detector.finish(ego, [message(sender)])


def message(sender: View) -> Shared:
    """A sender's BEV features, all of them."""
    everywhere = torch.ones(sender.bev.shape[1:], dtype=torch.bool)
    return Shared(sender.sweep.agent, 0, sender.world_from_agent, Stage.BEV, features=sender.bev, valid=everywhere)


def team_of(detector: Detector, sweeps: Sequence[Sweep]) -> Team:
    """The BEV features of two agents, those of the second still in its own grid."""
    ego, sender = (detector.view(sweep) for sweep in sweeps[:2])
    theta = plane_theta(relative(ego.world_from_agent, sender.world_from_agent), detector.config.grid)
    everywhere = torch.ones(sender.bev.shape[1:], dtype=torch.bool)
    return Team((ego_member(ego.bev), Member(sender.bev, everywhere, theta)))


def convolutions_of(detector: Detector, sweeps: Sequence[Sweep]) -> list[Call]:
    """Every call of a 2-D convolution on the way from two clouds to boxes."""
    calls: list[Call] = []

    def watch(layer: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        calls.append(Call(layer, tuple(inputs[0].shape)))

    hooks = [part.register_forward_hook(watch) for part in detector.modules() if isinstance(part, CONVOLUTIONS)]
    both_in(detector, sweeps)
    for hook in hooks:
        hook.remove()
    return calls


@torch.no_grad()
def bare_ms(calls: Sequence[Call]) -> float:
    """The sum over all calls of each convolution's median alone, on inputs of the same shape."""
    total, known = 0.0, dict[Call, float]()
    for call in calls:
        if call not in known:
            values = torch.rand(call.shape).contiguous(memory_format=torch.channels_last)
            known[call] = statistics.median(timed(REPEAT, lambda c=call, v=values: c.layer(v)))  # type: ignore[misc]
        total += 1e3 * known[call]
    return total


def parts(name: str, detector: Detector, sweeps: Sequence[Sweep]) -> Iterator[Row]:
    """Each part by itself, for one agent, fusion for two."""
    config, encoder = detector.config, detector.pillar_net
    ego, team = detector.view(sweeps[0]), team_of(detector, sweeps)
    cloud = encoder.group(ego.points)
    yield timed_row(f"{name}: voxelising", REPEAT, lambda: encoder.group(agent_points(sweeps[0], config)))
    yield timed_row(f"{name}: encoder", REPEAT, lambda: detector.pillars_from_points([cloud]))
    yield timed_row(f"{name}: backbone", REPEAT, lambda: detector.backbone(ego.pillars[None]))
    yield timed_row(f"{name}: warp and fusion of two, max", REPEAT, lambda: detector.fuse((team,)))
    fused = detector.fuse((team,))[None]
    yield timed_row(f"{name}: head", REPEAT, lambda: detector.raw_heads(fused))
    raw = detector.raw_heads(fused)
    boxes = len(detector.head.decode(raw).scores)
    yield timed_row(f"{name}: decoding and NMS, {boxes} boxes left", REPEAT, lambda: detector.head.decode(raw))


def whole(name: str, detector: Detector, sweeps: Sequence[Sweep]) -> Iterator[Row]:
    """Two clouds in, boxes out, the plain sum of its 2-D convolutions, and what is added on top."""
    row = timed_row(f"{name}: two clouds in, boxes out", REPEAT, lambda: both_in(detector, sweeps))
    bare = bare_ms(convolutions_of(detector, sweeps))
    yield row
    yield Row(f"{name}: the sum of its 2-D convolutions alone", bare, "ms", REPEAT)
    yield Row(f"{name}: added on top of the convolutions", 100 * (row.median / bare - 1), "%", REPEAT)


def bench_detectors(sweeps: Sequence[Sweep]) -> Iterator[Row]:
    """Every size, on two threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    with torch.no_grad():
        for size in SIZES:
            detector = random_detector(PRESETS[size], sweeps)
            yield from parts(f"detector {size}", detector, sweeps)
            yield from whole(f"detector {size}", detector, sweeps)
    torch.set_num_threads(threads)
