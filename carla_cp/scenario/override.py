"""`--set KEY=VALUE`: one value of a scenario replaced, under the schema's rules."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from lxml import etree

from carla_cp.scenario.channel import channel_from, check_trace_file, element_from
from carla_cp.scenario.compute import compute_element, compute_from
from carla_cp.scenario.errors import ScenarioError, near
from carla_cp.scenario.localization import localization_element, localization_from
from carla_cp.scenario.schema import check
from carla_cp.types import ChannelSpec, ComputeSpec, LocalizationSpec, Scenario

_LINK, _LOCALIZATION, _COMPUTE = "link.", "localization.", "compute."
_KEYS = (
    *(f"{_LINK}{item.name}" for item in fields(ChannelSpec)),
    *(f"{_LOCALIZATION}{item.name}" for item in fields(LocalizationSpec)),
    *(f"{_COMPUTE}{item.name}" for item in fields(ComputeSpec)),
    "seed",
    "timeout_s",
)


def override(scenario: Scenario, setting: str) -> Scenario:
    """The scenario with one value replaced, as `link.latency_ms=100`, `localization.position_m=0.4` or `seed=3`.

    Raises ScenarioError for an unknown key, naming the valid ones, and for a value that the XML would not accept.
    """
    key, equals, value = (part.strip() for part in setting.partition("="))
    where = f"--set {setting}"
    if not equals or not value:
        raise ScenarioError(f"{where}: no value; write KEY=VALUE, as link.latency_ms=100")
    if key not in _KEYS:
        raise ScenarioError(f"{where}: no key '{key}'; {near(key, _KEYS)} (valid: {', '.join(_KEYS)})")
    if key == "timeout_s":
        return replace(scenario, timeout_s=_timeout(value, where))
    if key == "seed":
        return replace(scenario, seed=_seed(value, where))
    if key.startswith(_LOCALIZATION):
        return replace(scenario, localization=_localization(scenario, key.removeprefix(_LOCALIZATION), value, where))
    if key.startswith(_COMPUTE):
        return replace(scenario, compute=_compute(scenario, key.removeprefix(_COMPUTE), value, where))
    return replace(scenario, channel=_channel(scenario.channel, key.removeprefix(_LINK), value, where))


def _timeout(value: str, where: str) -> float:
    element = etree.Element("timeout", {"value": value})
    check(element, where)
    return float(value)


def _seed(value: str, where: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) >= 2**32:
        raise ScenarioError(f"{where}: '{value}' is no seed; give a whole number from 0 to {2**32 - 1}")
    return int(value)


def _channel(channel: ChannelSpec, field: str, value: str, where: str) -> ChannelSpec:
    """The channel as its XML would say it, with one attribute replaced."""
    element = element_from(channel)
    element.set(field, value)
    check(element, where)
    check_trace_file(element, Path(), where)
    return channel_from(element, Path())


def _localization(scenario: Scenario, field: str, value: str, where: str) -> LocalizationSpec:
    element = localization_element(scenario.localization)
    element.set(field, value)
    check(element, where)
    return localization_from(element)


def _compute(scenario: Scenario, field: str, value: str, where: str) -> ComputeSpec:
    element = compute_element(scenario.compute)
    element.set(field, value)
    check(element, where)
    return compute_from(element)
