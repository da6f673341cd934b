import pytest

from carla_cp.link.graph import connectivity
from carla_cp.link.policy import REQUEST_AGE_US, Allowance, allowance, needs_graph
from carla_cp.types import AgentName, ChannelSpec, Pose

EGO = AgentName("ego")
PLACES = [("ego", 0.0), ("far", 90.0), ("near", 10.0), ("middle", 40.0), ("gone", 500.0)]
GRAPH = connectivity([(AgentName(name), Pose(x=x)) for name, x in PLACES], 100.0)


def allowed(channel: ChannelSpec, budget: int | None = None, age_us: int | None = None) -> dict[str, Allowance]:
    names = [name for name, _ in PLACES if name != "ego"]
    return {name: allowance(channel, GRAPH, (AgentName(name), EGO), budget, age_us) for name in names}


def senders(channel: ChannelSpec, age_us: int | None = None) -> set[str]:
    return {name for name, item in allowed(channel, age_us=age_us).items() if item.sends}


def test_with_broadcast_everybody_sends_all_it_may() -> None:
    assert set(allowed(ChannelSpec(), 700).values()) == {Allowance(True, 700)}


@pytest.mark.parametrize(("count", "chosen"), [(1, {"near"}), (2, {"near", "middle"}), (9, {"near", "middle", "far"})])
def test_the_nearest_are_those_of_the_least_distance_in_range(count: int, chosen: set[str]) -> None:
    assert senders(ChannelSpec(policy="nearest", senders=count)) == chosen


def test_only_who_has_lately_been_asked_answers() -> None:
    asking = ChannelSpec(policy="request")
    assert senders(asking) == set()
    assert senders(asking, REQUEST_AGE_US) == {"near", "middle", "far", "gone"}
    assert senders(asking, REQUEST_AGE_US + 1) == set()


def test_all_in_range_share_the_total_within_their_own_budgets() -> None:
    shared = ChannelSpec(policy="share", total_bytes=1000)
    assert senders(shared) == {"near", "middle", "far"}
    assert allowed(shared)["near"] == Allowance(True, 333)
    assert allowed(shared, 200)["near"] == Allowance(True, 200)


def test_policies_that_choose_by_place_need_all_places_first() -> None:
    needing = [name for name in ("broadcast", "nearest", "request", "share") if needs_graph(ChannelSpec(policy=name))]
    assert needing == ["nearest", "share"]
