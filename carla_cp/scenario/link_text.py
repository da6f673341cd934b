"""A radio link in one line of text, as `fixed latency_ms=50 loss=0.1`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from carla_cp.scenario.channel import channel_from, check_trace_file, element_from
from carla_cp.scenario.errors import ScenarioError, near
from carla_cp.scenario.schema import check
from carla_cp.types import ChannelSpec

_KEYS = tuple(item.name for item in fields(ChannelSpec) if item.name != "model")


def channel_of(link: str | ChannelSpec) -> ChannelSpec:
    """The channel of `MODEL [KEY=VALUE ...]`, keys as in `<channel>`, or the given one; checked as the XML is.

    Raises ScenarioError for an unknown key, naming the valid ones, and for a value that the XML would not accept.
    """
    if isinstance(link, ChannelSpec):
        element, where = element_from(link), "link"
    else:
        where = f"link '{link}'"
        model, *settings = link.split() or [ChannelSpec().model]
        element = element_from(ChannelSpec(model=model))
        for setting in settings:
            key, equals, value = setting.partition("=")
            if not equals or not value:
                raise ScenarioError(f"{where}: '{setting}' has no value; write it as in 'fixed latency_ms=50'")
            if key not in _KEYS:
                raise ScenarioError(f"{where}: no key '{key}'; {near(key, _KEYS)} (valid: {', '.join(_KEYS)})")
            element.set(key, value)
    check(element, where)
    check_trace_file(element, Path(), where)
    return channel_from(element, Path())
