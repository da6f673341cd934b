"""Speed of every fusion rule: four agents at the size of `mini`, on one thread; weights and features are random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from timing import Row, timed_row

from carla_cp.geometry import matrix_from_pose, relative, transform_boxes
from carla_cp.perception.alignment import align
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion import RULES, FusionRule, Member, Team, ego_member, make_rule, plane_theta
from carla_cp.types import Detections, FloatArray, Pose

POSES = (Pose(), Pose(x=20.0, y=3.0, yaw=3.0), Pose(x=-15.0, y=-8.0, yaw=0.4), Pose(x=5.0, y=25.0, yaw=-1.6))
OBJECTS = 20
THREADS = 1
REPEAT = 9


def bench_fusion() -> Iterator[Row]:
    """Each rule on features that lie in the ego's grid already, then the warps and CoAlign's pose graph apart."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with torch.no_grad():
            config = DetectorConfig()
            for name in RULES:
                rule = make_rule(name, config).eval()
                teams = teams_for(rule, config)
                yield timed_row(f"fusion: {name}, {len(POSES)} agents", REPEAT, partial(rule, teams))
            for text, rule in (("BEV features", make_rule("max", config)), ("scales", make_rule("attention", config))):
                fresh = [member for team in teams_for(rule, config) for member in unmoved(team)]
                yield timed_row(f"fusion: warps of {text}, 3 senders", REPEAT, partial(warp_all, fresh))
        yield timed_row(f"fusion: pose graph, {OBJECTS} objects", REPEAT, partial(align, *shared_boxes()))
    finally:
        torch.set_num_threads(threads)


def teams_for(rule: FusionRule, config: DetectorConfig) -> tuple[Team, ...]:
    """One team per scale that the rule takes, resampled already."""
    generator = torch.Generator().manual_seed(0)
    heats = torch.rand((len(POSES), config.grid.rows, config.grid.columns), generator=generator)
    teams = []
    for scale, width in enumerate(rule.widths):
        shape = (width, config.grid.rows >> scale, config.grid.columns >> scale)
        maps = [channels_last(torch.rand(shape, generator=generator)) for _ in POSES]
        members = [ego_member(maps[0], heats[0])]
        for own, heat, pose in zip(maps[1:], heats[1:], POSES[1:], strict=True):
            theta = plane_theta(matrix_from_pose(pose), config.grid)
            everywhere = torch.ones(shape[1:], dtype=torch.bool)
            moved = Member(own, everywhere, theta).in_ego_grid()
            members.append(Member(own, everywhere, theta, heat, moved=moved))
        teams.append(Team(tuple(members)))
    return tuple(teams)


def unmoved(team: Team) -> list[Member]:
    """A team's senders before they are resampled."""
    return [Member(member.features, member.valid, member.theta) for member in team.members[1:]]


def warp_all(members: Sequence[Member]) -> None:
    """Resamples each in the ego's grid."""
    for member in members:
        member.in_ego_grid()


def channels_last(features: torch.Tensor) -> torch.Tensor:
    """Features (C, H, W) laid out as the backbone lays out its own."""
    return features[None].contiguous(memory_format=torch.channels_last)[0]


def shared_boxes() -> tuple[list[FloatArray], list[Detections], list[FloatArray]]:
    """Poses that are 0.3 m off, and every agent's boxes of the same objects."""
    rng = np.random.default_rng(0)
    world = np.zeros((OBJECTS, 7))
    world[:, :2], world[:, 3:6], world[:, 6] = rng.uniform(-40, 40, (OBJECTS, 2)), 2.0, rng.uniform(-3, 3, OBJECTS)
    poses, found = [], []
    for number, pose in enumerate(POSES):
        boxes = transform_boxes(relative(pose, Pose()), world)
        poses.append(matrix_from_pose(Pose(x=pose.x + 0.3 * (number > 0), y=pose.y, yaw=pose.yaw)))
        found.append(Detections(boxes, np.ones(OBJECTS), np.zeros(OBJECTS, np.int64)))
    return poses, found, [np.full((OBJECTS, 3), 0.1) for _ in POSES]
