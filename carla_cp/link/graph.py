"""Who can hear whom, by range."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import networkx as nx

from carla_cp.types import AgentName, Pose


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
