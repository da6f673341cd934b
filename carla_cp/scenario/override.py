"""`--set KEY=VALUE`: one value of a scenario replaced, under the schema's rules."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

from lxml import etree

from carla_cp.scenario.errors import ScenarioError, near
from carla_cp.scenario.read import channel_from
from carla_cp.scenario.schema import check
from carla_cp.types import ChannelSpec, Scenario

_LINK = "link."
_KEYS = (*(f"{_LINK}{item.name}" for item in fields(ChannelSpec)), "seed", "timeout_s")


def override(scenario: Scenario, setting: str) -> Scenario:
    """The scenario with one value replaced, as `link.latency_ms=100`, `timeout_s=30` or `seed=3`.

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
    element = etree.Element("channel")
    element.set("model", channel.model)
    element.set("range_m", _decimal(channel.range_m))
    element.set("latency_ms", _decimal(channel.latency_ms))
    element.set("jitter_ms", _decimal(channel.jitter_ms))
    element.set("loss", _decimal(channel.loss))
    element.set("bandwidth_mbps", _decimal(channel.bandwidth_mbps))
    element.set("mtu_bytes", str(channel.mtu_bytes))
    element.set(field, value)
    check(element, where)
    return channel_from(element)


def _decimal(value: float) -> str:
    """The number without an exponent, which the schema's decimals do not have."""
    return format(Decimal(repr(value)), "f")
