from pathlib import Path

import networkx as nx

from carla_cp.link.drawing import draw_graph
from carla_cp.link.graph import place, traffic
from tests.link.test_graph import SENT


def test_the_same_graph_is_the_same_picture_and_places_move_it(tmp_path: Path) -> None:
    graph = traffic(SENT)
    for name in ("one", "two"):
        draw_graph(graph, tmp_path / f"{name}.png")
    place(graph, [("ego", 0.0, 0.0), ("near", 30.0, 40.0)])
    draw_graph(graph, tmp_path / "placed.png")
    one, two, placed = ((tmp_path / f"{name}.png").read_bytes() for name in ("one", "two", "placed"))
    assert one.startswith(b"\x89PNG") and one == two != placed


def test_nobody_who_speaks_is_a_picture_too(tmp_path: Path) -> None:
    draw_graph(nx.DiGraph(), tmp_path / "none.png")
    assert (tmp_path / "none.png").stat().st_size > 1000
