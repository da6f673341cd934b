"""Pose noise: its distributions, who has it, and that nothing reshuffles it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from carla_cp.types import AgentName, Pose
from tests.tools.claims import load_tool

pose_noise = load_tool("pose_noise")
POSE = Pose(x=100.0, y=-40.0, z=1.9, roll=0.01, pitch=0.02, yaw=0.5)


def offsets(text: str, count: int = 4000) -> np.ndarray:
    """x, y, z [m] and yaw [deg] of many frames."""
    noise = pose_noise.parse_noise(text)
    poses = [noise.believed(POSE, 0, "scene", frame, AgentName("7")) for frame in range(count)]
    return np.array([[p.x - POSE.x, p.y - POSE.y, p.z - POSE.z, math.degrees(p.yaw - POSE.yaw)] for p in poses])


@pytest.mark.parametrize(("kind", "spread"), [("gaussian", 1.0), ("laplace", math.sqrt(2))])
def test_noise_has_the_asked_spread_in_the_plane_and_no_mean(kind: str, spread: float) -> None:
    drawn = offsets(f"{kind}:0.4/0.2")
    np.testing.assert_allclose(drawn.std(axis=0), [0.4 * spread, 0.4 * spread, 0, 0.2 * spread], rtol=0.06)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.03)
    correlation = np.corrcoef(drawn[:, [0, 1, 3]].T)
    assert np.abs(correlation - np.eye(3)).max() < 0.06


def test_a_laplace_has_heavier_tails_than_a_gaussian() -> None:
    kurtosis = {}
    for kind in ("gaussian", "laplace"):
        x = offsets(f"{kind}:1/1")[:, 0]
        kurtosis[kind] = float(((x - x.mean()) ** 4).mean() / x.var() ** 2)
    assert kurtosis["gaussian"] < 3.5 < 4.5 < kurtosis["laplace"]


def test_the_bias_is_the_one_offset_that_opencood_s_seed_gives() -> None:
    drawn = offsets("bias:0.2/0.2", count=3)
    np.testing.assert_allclose(drawn, [[0.0457, 0.2054, -0.1679, -0.1914]] * 3, atol=5e-5)


def test_a_draw_depends_on_seed_scene_frame_and_agent_alone() -> None:
    noise = pose_noise.parse_noise("gaussian:0.2/0.2")
    base = (0, "scene", 3, AgentName("7"))
    assert noise.believed(POSE, *base) == noise.believed(POSE, *base)
    for other in (
        (1, "scene", 3, AgentName("7")),
        (0, "town", 3, AgentName("7")),
        (0, "scene", 4, AgentName("7")),
        (0, "scene", 3, AgentName("8")),
    ):
        assert noise.believed(POSE, *base).x != noise.believed(POSE, *other).x


def test_a_larger_noise_is_the_same_draw_stretched() -> None:
    np.testing.assert_allclose(2 * offsets("gaussian:0.2/0.2", 5), offsets("gaussian:0.4/0.4", 5), atol=1e-9)


def test_who_is_spared() -> None:
    assert not pose_noise.parse_noise("gaussian:0.2/0.2").spares_ego
    assert pose_noise.parse_noise("gaussian:0.2/0.2", "others").spares_ego
    assert pose_noise.parse_noise("bias:0.2/0.2").spares_ego
    assert pose_noise.parse_noise("none").believed(POSE, 0, "s", 0, AgentName("7")) == POSE


@pytest.mark.parametrize(
    "text", ["uniform:1/1", "gaussian", "gaussian:1", "gaussian:-1/0", "laplace:a/b", "bias:1/inf"]
)
def test_no_noise_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(pose_noise.NoiseError, match=f"--noise {text}"):
        pose_noise.parse_noise(text)
