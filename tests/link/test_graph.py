import json
from pathlib import Path

import networkx as nx
import pytest

from carla_cp.link.graph import connectivity, heard_by, place, save_graph, traffic
from carla_cp.types import AgentName, Loss, Outcome, Pose, Transmission

EGO, NEAR, FAR = AgentName("ego"), AgentName("near"), AgentName("far")


def test_agents_within_range_hear_each_other() -> None:
    graph = connectivity([(EGO, Pose()), (FAR, Pose(x=200.0)), (NEAR, Pose(x=60.0, y=80.0))], 150.0)
    assert graph.edges[EGO, NEAR]["distance_m"] == pytest.approx(100.0)
    assert heard_by(graph, EGO) == (NEAR,)
    assert heard_by(graph, NEAR) == (EGO,)


def test_the_range_itself_counts_and_height_matters() -> None:
    graph = connectivity([(EGO, Pose()), (NEAR, Pose(x=150.0)), (FAR, Pose(x=150.0, z=1.0))], 150.0)
    assert heard_by(graph, EGO) == (NEAR,)


def test_hearing_keeps_the_order_in_which_agents_were_given() -> None:
    graph = connectivity([(FAR, Pose(x=9.0)), (EGO, Pose()), (NEAR, Pose(x=1.0))], 150.0)
    assert heard_by(graph, EGO) == (FAR, NEAR)


def log(sender: str, outcome: Outcome, lost: int = 0, loss: Loss | None = None, receiver: str = "ego") -> Transmission:
    said = 0 if outcome is Outcome.EMPTY else 1000
    names = AgentName(sender), AgentName(receiver)
    return Transmission(*names, 0, 0, None, said, said // 200, said + 80, outcome, lost, loss)


SENT = (
    log("near", Outcome.DELIVERED),
    log("near", Outcome.DELIVERED, 2, Loss.COLLISION),
    log("near", Outcome.LOST, 5, Loss.HALF_DUPLEX),
    log("near", Outcome.EMPTY),
    log("ego", Outcome.LATE, receiver="near"),
)


def test_an_edge_counts_what_was_sent_and_why_it_was_lost() -> None:
    graph = traffic(SENT)
    assert graph.edges["near", "ego"] == {
        "messages": 4,
        "payload_bytes": 3000,
        "bytes_on_air": 3320,
        "packets": 15,
        "delivered": 2,
        "lost": 1,
        "empty": 1,
        "packets_lost_collision": 2,
        "packets_lost_half_duplex": 5,
        "delivered_share": pytest.approx(2 / 3),
    }
    assert graph.edges["ego", "near"]["delivered_share"] == 0.0
    assert traffic([log("near", Outcome.EMPTY)]).edges["near", "ego"]["delivered_share"] == 0.0


def test_a_saved_graph_reads_back_with_its_places(tmp_path: Path) -> None:
    graph = traffic(SENT)
    place(graph, [("ego", 1.0, 2.0), ("near", 3.5, 4.0), ("nobody", 0.0, 0.0)])
    save_graph(graph, tmp_path / "links.graphml")
    save_graph(graph, tmp_path / "links.json")
    read = nx.read_graphml(tmp_path / "links.graphml")
    again = nx.adjacency_graph(json.loads((tmp_path / "links.json").read_text()))
    for other in (read, again):
        assert dict(other.nodes(data=True)) == {"near": {"x": 3.5, "y": 4.0}, "ego": {"x": 1.0, "y": 2.0}}
        assert nx.get_edge_attributes(other, "messages") == {("near", "ego"): 4, ("ego", "near"): 1}
    with pytest.raises(ValueError, match="saved as"):
        save_graph(graph, tmp_path / "links.txt")
