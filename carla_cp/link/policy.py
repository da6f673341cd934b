"""Who sends to whom, and how much: what a sender may say to one receiver at one perception tick.

* `broadcast`: everybody always, each with its own budget.
* `nearest`: the `senders` nearest of those that the receiver can hear.
* `request`: whoever has heard the receiver's request within the last second. What a request says is the codec's
  business; Where2comm's says where the receiver's own confidence is low (Hu et al., NeurIPS 2022, section 4.3).
* `share`: all that the receiver can hear, `total_bytes` between them in equal parts, within their own budgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx

from carla_cp.link.graph import heard_by
from carla_cp.types import AgentName, ChannelSpec

REQUEST_AGE_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a sender may say."""

    sends: bool
    budget_bytes: int | None  # None: as much as it likes


def needs_graph(channel: ChannelSpec) -> bool:
    """Whether the policy must know where all are before anybody encodes."""
    return channel.policy in ("nearest", "share")


def allowance(
    channel: ChannelSpec,
    graph: nx.Graph,
    link: tuple[AgentName, AgentName],
    budget: int | None,
    request_age_us: int | None,
) -> Allowance:
    """What the sender of `link` may say to its receiver; `request_age_us` is that of the newest it has heard."""
    sender, receiver = link
    if channel.policy == "broadcast":
        return Allowance(True, budget)
    if channel.policy == "request":
        return Allowance(request_age_us is not None and request_age_us <= REQUEST_AGE_US, budget)
    heard = heard_by(graph, receiver)
    if channel.policy == "nearest":
        return Allowance(sender in _nearest(graph, receiver, heard)[: channel.senders], budget)
    if sender not in heard:
        return Allowance(False, budget)
    part = channel.total_bytes // len(heard)
    return Allowance(True, part if budget is None else min(part, budget))


def _nearest(graph: nx.Graph, receiver: AgentName, heard: Sequence[AgentName]) -> list[AgentName]:
    return sorted(heard, key=lambda name: (graph.edges[receiver, name]["distance_m"], name))
