"""What every link model promises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from carla_cp.link import LINKS, LinkError, LinkModel, open_model
from carla_cp.link.base import Flight
from carla_cp.types import ChannelSpec
from tests.link.carrying import CAR, EGO, PERIOD_US, RSU, around, message, sent

CHANNEL = ChannelSpec(loss=0.3, bandwidth_mbps=6.0, queue_ms=20.0, power_dbm=-20.0)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    file = tmp_path / "links.csv"
    file.write_text("time_s,sender,receiver,latency_ms,loss\n0,*,*,10,0.3\n0.5,*,*,30,0.1\n1,*,*,0,0\n")
    return file


def model(name: str, trace: Path, seed: int = 0) -> LinkModel:
    return open_model(replace(CHANNEL, model=name, trace_file=trace if name == "trace" else None), seed)


def talk(link: LinkModel) -> list[Flight]:
    """Ten perception ticks of two senders and an ego that asks."""
    flights = []
    for number in range(10):
        said = [message(RSU, number, number * PERIOD_US), message(CAR, number, number * PERIOD_US)]
        asked = [message(EGO, number, number * PERIOD_US, receiver) for receiver in (RSU, CAR)]
        flights += link.carry([sent(said[0], 12), sent(said[1], 5), *map(sent, asked)], around())
    return flights


@pytest.mark.parametrize("name", LINKS)
def test_the_same_seed_gives_the_same_flights(name: str, trace: Path) -> None:
    assert talk(model(name, trace)) == talk(model(name, trace))


@pytest.mark.parametrize("name", [name for name in LINKS if name != "ideal"])
def test_another_seed_gives_others(name: str, trace: Path) -> None:
    assert talk(model(name, trace)) != talk(model(name, trace, seed=1))


@pytest.mark.parametrize("name", LINKS)
def test_nothing_arrives_before_it_was_handed_over_and_every_packet_has_its_fate(name: str, trace: Path) -> None:
    for index, flight in enumerate(talk(model(name, trace))):
        assert flight.settled_us >= index // 4 * PERIOD_US
        assert len(flight.losses) == (12, 5, 1, 1)[index % 4]


@pytest.mark.parametrize("name", ["fixed", "gilbert", "trace"])
def test_a_further_sender_changes_nobodys_luck(name: str, trace: Path) -> None:
    both, alone, beside = model(name, trace), [], []
    single = model(name, trace)
    for number in range(10):
        said = [sent(message(name, number, number * PERIOD_US), 3) for name in (CAR, RSU)]
        beside += both.carry(said, around())[1:]
        alone += single.carry(said[1:], around())
    assert beside == alone and any(any(flight.losses) for flight in alone)


@pytest.mark.parametrize("name", LINKS)
def test_a_tick_at_which_nobody_speaks_is_nothing(name: str, trace: Path) -> None:
    assert model(name, trace).carry([], around()) == []


def test_the_table_and_the_classes_agree_and_a_name_that_is_none_is_told_with_the_nearest() -> None:
    assert [kind.name for kind in LINKS.values()] == list(LINKS)
    with pytest.raises(LinkError, match="'gilbet'; did you mean gilbert"):
        open_model(ChannelSpec(model="gilbet"), 0)
    with pytest.raises(LinkError, match="choose one of ideal"):
        open_model(ChannelSpec(model="xyz"), 0)
