"""Drives to judge: an ego towards a hazard at 10 m/s, with the returns that a test gives each agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sights import Contact, Drive, Look

from carla_cp.scenario import load_scenario
from carla_cp.types import AgentName, Scenario
from tests.metrics.builders import state, thing

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
CONTACT_US = 6_000_000


def intersection(name: str = "intersection") -> Scenario:
    """The committed scenario under another name."""
    return replace(load_scenario(SCENARIOS / "intersection.xml"), name=name)


def looks(returns: Mapping[str, Sequence[int]]) -> tuple[Look, ...]:
    """A look each 100 ms, the last one at the contact, with each agent's returns on the hazard."""
    count = len(next(iter(returns.values())))
    result = []
    for index in range(count):
        time_us = CONTACT_US - 100_000 * (count - 1 - index)
        seen = tuple((AgentName(name), values[index]) for name, values in returns.items())
        away = 1e-5 * (time_us - CONTACT_US)
        result.append(Look(time_us, state(away, speed=10.0), (thing("violator", state(2.0)),), seen))
    return tuple(result)


def drive(
    returns: Mapping[str, Sequence[int]], scenario: Scenario | None = None, touched: str | None = "violator"
) -> Drive:
    """Seed 0, up to the contact with `touched`."""
    contact = None if touched is None else Contact(CONTACT_US, touched, CONTACT_US, 10.0)
    return Drive(scenario or intersection(), 0, looks(returns), contact, 1.5, np.zeros((0, 7)), 0.0, "free")


def since(capture: int, count: int = 50, returns: int = 100) -> list[int]:
    """No returns before the last `capture` captures, `returns` from then on."""
    return [0] * (count - capture) + [returns] * capture
