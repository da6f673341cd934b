"""`<channel>` as a ChannelSpec and back; its attributes bear the names of the fields."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from carla_cp.scenario.errors import ScenarioError, near
from carla_cp.scenario.values import decimal, number, text, whole
from carla_cp.types import ChannelSpec


def channel_from(element: etree._Element, folder: Path) -> ChannelSpec:
    """The channel of a valid `<channel>`; `folder` is where its files lie."""
    default = ChannelSpec()
    trace = element.get("trace_file")
    return ChannelSpec(
        model=text(element, "model", default.model),
        range_m=number(element, "range_m", default.range_m),
        latency_ms=number(element, "latency_ms", default.latency_ms),
        jitter_ms=number(element, "jitter_ms", default.jitter_ms),
        loss=number(element, "loss", default.loss),
        bandwidth_mbps=number(element, "bandwidth_mbps", default.bandwidth_mbps),
        mtu_bytes=whole(element, "mtu_bytes", default.mtu_bytes),
        half_duplex=text(element, "half_duplex", "false").strip() in ("true", "1"),
        queue_ms=number(element, "queue_ms", default.queue_ms),
        policy=text(element, "policy", default.policy),
        senders=whole(element, "senders", default.senders),
        total_bytes=whole(element, "total_bytes", default.total_bytes),
        burst_packets=number(element, "burst_packets", default.burst_packets),
        good_loss=number(element, "good_loss", default.good_loss),
        bad_loss=number(element, "bad_loss", default.bad_loss),
        environment=text(element, "environment", default.environment),
        power_dbm=number(element, "power_dbm", default.power_dbm),
        trace_file=None if trace is None else folder / trace,
    )


def element_from(channel: ChannelSpec) -> etree._Element:
    """The `<channel>` that says this; its file by a path from the working folder."""
    element = etree.Element("channel")
    element.set("model", channel.model)
    element.set("range_m", decimal(channel.range_m))
    element.set("latency_ms", decimal(channel.latency_ms))
    element.set("jitter_ms", decimal(channel.jitter_ms))
    element.set("loss", decimal(channel.loss))
    element.set("bandwidth_mbps", decimal(channel.bandwidth_mbps))
    element.set("mtu_bytes", str(channel.mtu_bytes))
    element.set("half_duplex", "true" if channel.half_duplex else "false")
    element.set("queue_ms", decimal(channel.queue_ms))
    element.set("policy", channel.policy)
    element.set("senders", str(channel.senders))
    element.set("total_bytes", str(channel.total_bytes))
    element.set("burst_packets", decimal(channel.burst_packets))
    element.set("good_loss", decimal(channel.good_loss))
    element.set("bad_loss", decimal(channel.bad_loss))
    element.set("environment", channel.environment)
    element.set("power_dbm", decimal(channel.power_dbm))
    if channel.trace_file is not None:
        element.set("trace_file", str(channel.trace_file))
    return element


def check_trace_file(element: etree._Element, folder: Path, where: str) -> None:
    """Raises ScenarioError, with `where` named, for a trace that is no file in `folder`."""
    name = element.get("trace_file")
    if name is None or (folder / name).is_file():
        return
    others = [item.name for item in (folder / name).parent.glob("*.csv")]
    place = "beside the scenario" if folder != Path() else "there"
    raise ScenarioError(f"{where}: <channel> trace_file '{name}' is no file {place}; {near(Path(name).name, others)}")
