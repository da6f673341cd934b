"""What agents believe of their poses: as wrong as stated, and nobody's error hangs on another's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from carla_cp.perception.localization import Localization
from carla_cp.types import AgentName, FloatArray, LocalizationSpec, PointArray, Pose, Sweep

TRUE = Pose(x=50.0, y=-20.0, z=1.9, yaw=1.0)
NOTHING: PointArray = np.zeros((0, 4), np.float32)
PERIOD_US = 100_000


def sweep(agent: str, number: int) -> Sweep:
    return Sweep(AgentName(agent), number * PERIOD_US, NOTHING, TRUE, 1.9)


def errors(spec: LocalizationSpec, count: int, *others: str) -> FloatArray:
    """(count, 3) of x, y and yaw of the car `cav`, beside others."""
    where = Localization(spec, 7, [AgentName("rsu_1")])
    rows = []
    for number in range(count):
        for other in others:
            where.believed(sweep(other, number))
        pose = where.believed(sweep("cav", number)).world_from_lidar
        assert (pose.z, pose.roll, pose.pitch) == (TRUE.z, TRUE.roll, TRUE.pitch)
        rows.append((pose.x - TRUE.x, pose.y - TRUE.y, pose.yaw - TRUE.yaw))
    return np.array(rows)


def test_without_an_error_and_on_a_mast_a_sweep_stays_what_it_is() -> None:
    taken = sweep("cav", 3)
    assert Localization(LocalizationSpec(drift_s=3.0), 7).believed(taken) is taken
    mast = sweep("rsu_1", 3)
    assert Localization(LocalizationSpec(position_m=9.0), 7, [mast.agent]).believed(mast) is mast


def test_white_noise_is_as_wide_as_stated_and_forgets_at_once() -> None:
    found = errors(LocalizationSpec(position_m=0.4, heading_deg=2.0), 2500)
    assert found.std(axis=0) == pytest.approx([0.4, 0.4, math.radians(2.0)], rel=0.05)
    assert np.abs(found.mean(axis=0) / found.std(axis=0)).max() < 0.06
    assert np.abs([np.corrcoef(column[1:], column[:-1])[0, 1] for column in found.T]).max() < 0.06


def test_a_drift_is_as_wide_as_stated_and_keeps_a_share_of_1_in_e_over_its_time() -> None:
    found = errors(LocalizationSpec(drift_m=0.5, drift_s=0.5), 4000)[:, :2]
    assert found.std(axis=0) == pytest.approx([0.5, 0.5], rel=0.08)
    kept = [np.corrcoef(column[5:], column[:-5])[0, 1] for column in found.T]
    assert kept == pytest.approx([1 / math.e] * 2, abs=0.08)
    assert errors(LocalizationSpec(drift_m=0.5), 1)[0, 2] == 0.0


def test_a_larger_error_is_the_same_draw_stretched_and_no_other_agent_changes_it() -> None:
    spec = LocalizationSpec(position_m=0.2, heading_deg=0.3, drift_m=0.1)
    small = errors(spec, 6)
    large = errors(LocalizationSpec(position_m=0.6, heading_deg=0.9, drift_m=0.3), 6)
    assert large == pytest.approx(3.0 * small, rel=1e-9)
    assert (errors(spec, 6, "hero", "rsu_1") == small).all()
