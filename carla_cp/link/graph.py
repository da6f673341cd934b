"""Who can hear whom, by range, and who has sent to whom: networkx graphs, and files of them."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import networkx as nx

from carla_cp.types import AgentName, Pose, Transmission
from carla_cp.whole import write_whole


def connectivity(agents: Sequence[tuple[AgentName, Pose]], range_m: float) -> nx.Graph:
    """A node per agent and an edge, with its `distance_m`, between any two no further apart than `range_m`."""
    graph = nx.Graph()
    graph.add_nodes_from(name for name, _ in agents)
    for (name, pose), (other, other_pose) in itertools.combinations(agents, 2):
        separation = distance_m(pose, other_pose)
        if separation <= range_m:
            graph.add_edge(name, other, distance_m=separation)
    return graph


def heard_by(graph: nx.Graph, receiver: AgentName) -> tuple[AgentName, ...]:
    """The agents that `receiver` can hear, in the order in which they were given."""
    neighbours = set(graph[receiver])
    return tuple(name for name in graph.nodes if name in neighbours)


def distance_m(first: Pose, second: Pose) -> float:
    """The straight distance between two poses."""
    return math.dist((first.x, first.y, first.z), (second.x, second.y, second.z))


def traffic(sent: Iterable[Transmission]) -> nx.DiGraph:
    """Who sent to whom, and what became of it: an edge per link that was used.

    Edges hold `messages` and how many of these met each Outcome, `packets` and how many of these were lost in messages
    with each Loss as `packets_lost_<loss>`, `payload_bytes`, `bytes_on_air`, `delivered_share` of what was sent.
    """
    graph = nx.DiGraph()
    for item in sent:
        if not graph.has_edge(item.sender, item.receiver):
            graph.add_edge(item.sender, item.receiver, messages=0, payload_bytes=0, bytes_on_air=0, packets=0)
        edge = graph.edges[item.sender, item.receiver]
        edge["messages"] += 1
        edge["payload_bytes"] += item.payload_bytes
        edge["bytes_on_air"] += item.bytes_on_air
        edge["packets"] += item.packets
        edge[item.outcome.value] = edge.get(item.outcome.value, 0) + 1
        if item.loss is not None:
            lost = f"packets_lost_{item.loss.value}"
            edge[lost] = edge.get(lost, 0) + item.packets_lost
    for _, _, edge in graph.edges(data=True):
        said = edge["messages"] - edge.get("empty", 0)
        edge["delivered_share"] = edge.get("delivered", 0) / said if said else 0.0
    return graph


def place(graph: nx.Graph, places: Iterable[tuple[str, float, float]]) -> None:
    """Gives nodes their `x` and `y` in the world [m]; names that are no nodes are passed over."""
    for name, x, y in places:
        if name in graph:
            graph.nodes[name].update(x=x, y=y)


def save_graph(graph: nx.Graph, path: Path) -> None:
    """Writes the graph as GraphML (`.graphml`) or networkx's adjacency JSON (`.json`).

    Raises ValueError for another ending.
    """
    if path.suffix == ".graphml":
        text = "\n".join(nx.generate_graphml(graph))
    elif path.suffix == ".json":
        text = json.dumps(nx.adjacency_data(graph), indent=1)
    else:
        raise ValueError(f"{path}: a graph is saved as .graphml or .json")
    write_whole(path, f"{text}\n".encode())
