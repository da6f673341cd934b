"""Every fusion rule is measured, on four agents."""

from __future__ import annotations

import bench_fusion as bench
import pytest
import torch

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion import RULES, make_rule
from carla_cp.types import GridSpec


def small() -> DetectorConfig:
    return DetectorConfig(grid=GridSpec(half_length_m=12.8, half_width_m=12.8))


def test_every_rule_the_warps_and_the_pose_graph_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "REPEAT", 1)
    monkeypatch.setattr(bench, "DetectorConfig", small)
    threads = torch.get_num_threads()
    rows = list(bench.bench_fusion())
    assert [row.name.split(": ")[1].split(",")[0] for row in rows] == [
        *RULES,
        "warps of BEV features",
        "warps of scales",
        "pose graph",
    ]
    assert all(row.median > 0 for row in rows)
    assert torch.get_num_threads() == threads


def test_a_team_has_four_agents_that_cover_part_of_the_ego_s_grid() -> None:
    team = bench.teams_for(make_rule("max", small()), small())[0]
    assert len(team.members) == 4
    assert 0.0 < team.members[2].in_ego_grid()[1].float().mean() < 1.0
