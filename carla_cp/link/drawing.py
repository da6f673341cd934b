"""A picture of the graph of who has sent to whom."""

from __future__ import annotations

import io
import math
from pathlib import Path

import networkx as nx
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from carla_cp.whole import write_whole

_SHARE = colormaps["RdYlGn"]
_WIDEST_PT = 6.0
_DARK = "#1d2330"


def draw_graph(graph: nx.DiGraph, path: Path) -> None:
    """Writes a `traffic` graph as PNG: agents where they are, an arrow per link, coloured by the share delivered.

    Seen from above as on CARLA's maps, y downwards. If any node has no place, all stand in a circle.
    """
    figure = Figure((7.0, 6.0), layout="constrained")
    axes = figure.subplots()
    places = _places(graph)
    most = max((edge["payload_bytes"] for *_, edge in graph.edges(data=True)), default=0) or 1
    for sender, receiver, edge in graph.edges(data=True):
        _arrow(axes, places[sender], places[receiver], edge["delivered_share"], edge["payload_bytes"] / most)
        _text(axes, places[sender], places[receiver], _summary(edge["messages"], edge))
    for name, (x, y) in places.items():
        axes.plot(x, y, "o", color=_DARK, markersize=9)
        axes.annotate(name, (x, y), (7, 7), textcoords="offset points", fontsize=10, fontweight="bold", color=_DARK)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.2)
    axes.invert_yaxis()
    axes.set_xlabel("x [m]")
    axes.set_ylabel("y [m]")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120, metadata={"Software": None})
    write_whole(path, picture.getvalue())


def _places(graph: nx.DiGraph) -> dict[str, tuple[float, float]]:
    nodes = list(graph.nodes(data=True))
    if all("x" in data for _, data in nodes):
        return {name: (data["x"], data["y"]) for name, data in nodes}
    turns = [2 * math.pi * index / len(nodes) for index in range(len(nodes))]
    return {name: (math.cos(turn), math.sin(turn)) for (name, _), turn in zip(nodes, turns, strict=True)}


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], share: float, part: float) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=16,
            connectionstyle="arc3,rad=0.12",  # the way back stands beside the way there
            shrinkA=9,
            shrinkB=9,
            color=_SHARE(share),
            linewidth=1.0 + (_WIDEST_PT - 1.0) * part,
        )
    )


def _text(axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str) -> None:
    """Beside the middle of the arrow."""
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    aside = (end[1] - start[1]) * 0.06, (start[0] - end[0]) * 0.06
    paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    place = middle[0] + aside[0], middle[1] + aside[1]
    axes.text(*place, text, ha="center", va="center", fontsize=8, color=_DARK, bbox=paper)


def _summary(messages: int, edge: dict[str, float]) -> str:
    causes = [
        f"{key.removeprefix('packets_lost_').replace('_', ' ')} {value:g}"
        for key, value in sorted(edge.items())
        if key.startswith("packets_lost_")
    ]
    lost = f"\npackets lost: {', '.join(causes)}" if causes else ""
    return f"{messages} messages, {edge['payload_bytes'] / 1000:.1f} KB, {edge['delivered_share']:.0%} delivered{lost}"
