import pytest

from carla_cp.link.graph import connectivity, heard_by
from carla_cp.types import AgentName, Pose

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
