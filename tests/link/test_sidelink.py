from dataclasses import replace

import numpy as np
import pytest

from carla_cp.link.airtime import frame_us
from carla_cp.link.base import Flight, LinkError
from carla_cp.link.sidelink import SidelinkLink
from carla_cp.types import AgentName, ChannelSpec, Loss, Pose, Surroundings
from tests.link.carrying import CAR, EGO, PACKET, PERIOD_US, RSU, around, message, sent

QUIET = ChannelSpec(model="sidelink", latency_ms=0.0, jitter_ms=0.0)


def pair(distance: float, **between: list[tuple[float, ...]]) -> Surroundings:
    owners = ["truck"] * len(between.get("bodies", []))
    return around((EGO, Pose(z=1.6)), (RSU, Pose(x=distance, z=1.6)), owners=owners, **between)


def lost_share(channel: ChannelSpec, there: Surroundings, seeds: int = 30) -> dict[Loss | None, float]:
    """Of one packet from the rsu, by cause."""
    causes = [SidelinkLink(channel, seed).carry([sent(message())], there)[0].losses[0] for seed in range(seeds)]
    return {cause: causes.count(cause) / seeds for cause in causes}


def test_near_all_arrives_far_around_the_corner_nothing_and_a_truck_matters_between() -> None:
    house = (100.0, 0.0, 5.0, 10.0, 10.0, 10.0, 0.0)
    truck = (100.0, 0.0, 2.0, 8.0, 2.5, 4.0, 0.0)
    assert lost_share(QUIET, pair(50.0)) == {None: 1.0}
    assert lost_share(QUIET, pair(300.0, buildings=[house])) == {Loss.SIGNAL: 1.0}
    weak = replace(QUIET, power_dbm=8.0)
    assert lost_share(weak, pair(200.0)).get(Loss.SIGNAL, 0.0) < 0.2
    assert lost_share(weak, pair(200.0, bodies=[truck]))[Loss.SIGNAL] > 0.5


def test_a_message_takes_its_silence_its_slots_and_its_airtime() -> None:
    model = SidelinkLink(replace(QUIET, latency_ms=20.0), 0)
    (flight,) = model.carry([sent(message(time_us=500_000), 2)], pair(50.0))
    slots = model.luck.of("slots", (RSU,), 500_000).integers(16, size=2).sum()
    assert flight.settled_us == 500_000 + 2 * (58 + frame_us(PACKET, 6.0)) + 13 * slots + 20_000
    assert SidelinkLink(QUIET, 0).mbps == 6.0


def test_all_senders_share_the_airtime() -> None:
    """Eight senders of ten packets need eight times the air, and the last is through when all of it has passed."""
    names = [AgentName(f"car{number}") for number in range(8)]
    there = around((EGO, Pose(z=1.6)), *((name, Pose(x=5.0 + number, z=1.6)) for number, name in enumerate(names)))

    def last(count: int) -> int:
        flights = SidelinkLink(QUIET, 1).carry([sent(message(name), 10) for name in names[:count]], there)
        return max(flight.settled_us for flight in flights)

    air = 10 * frame_us(PACKET, 6.0)
    assert air < last(1) < 1.25 * air
    assert 5.0 * air < last(8) < 8.8 * air  # some packets met in one slot
    loss = [
        item
        for flight in SidelinkLink(QUIET, 1).carry([sent(message(name), 10) for name in names], there)
        for item in flight.losses
    ]
    assert 0.0 < np.mean([item is Loss.COLLISION for item in loss]) < 0.5
    assert set(loss) == {None, Loss.COLLISION}


def test_what_is_left_of_one_tick_delays_the_next() -> None:
    model = SidelinkLink(QUIET, 0)
    (flood,) = model.carry([sent(message(CAR), 100)], around())
    (late,) = model.carry([sent(message(RSU, time_us=PERIOD_US))], around())
    assert flood.settled_us > PERIOD_US and late.settled_us > flood.settled_us
    impatient = SidelinkLink(replace(QUIET, queue_ms=5.0), 0)
    impatient.carry([sent(message(CAR), 2)], around())
    (flight,) = impatient.carry([sent(message(RSU), 10)], around())
    assert flight.losses[0] is None and flight.losses[-1] is Loss.QUEUE


def test_who_sends_at_the_same_time_does_not_hear() -> None:
    """The ego and the rsu do not hear each other start, so both send at once and neither receives."""
    deaf = replace(QUIET, power_dbm=-15.0)  # under the sensing level at 20 m, over the noise
    asked = message(EGO, receiver=RSU)
    flights = SidelinkLink(deaf, 0).carry([sent(message(RSU), 3), sent(asked, 3)], pair(20.0))
    assert [flight.losses[1] for flight in flights] == [Loss.HALF_DUPLEX] * 2


def test_hidden_senders_spoil_each_other_s_packets_and_say_so() -> None:
    """The ego in the middle hears both, who are too far apart, behind a house, to hear each other."""
    there = around(
        (EGO, Pose(y=0.0, z=1.6)),
        (RSU, Pose(x=-40.0, y=40.0, z=1.6)),
        (CAR, Pose(x=40.0, y=40.0, z=1.6)),
        buildings=[(0.0, 40.0, 5.0, 30.0, 30.0, 10.0, 0.0)],
    )
    weak = replace(QUIET, power_dbm=8.0)
    flights = [
        flight
        for seed in range(10)
        for flight in SidelinkLink(weak, seed).carry([sent(message(RSU), 6), sent(message(CAR), 6)], there)
    ]
    causes = [loss for flight in flights for loss in flight.losses]
    assert causes.count(Loss.COLLISION) > 0.4 * len(causes)
    alone = [
        loss for seed in range(10) for loss in SidelinkLink(weak, seed).carry([sent(message(RSU), 6)], there)[0].losses
    ]
    assert Loss.COLLISION not in alone and alone.count(None) > 0.9 * len(alone)


def test_a_message_to_several_is_on_air_once() -> None:
    asked = [sent(replace(message(EGO, receiver=name), parts=(b"where",)), 20) for name in (RSU, CAR)]
    to_rsu, to_car = SidelinkLink(QUIET, 0).carry(asked, around())
    (alone,) = SidelinkLink(QUIET, 0).carry(asked[:1], around())
    assert to_rsu.settled_us == to_car.settled_us == alone.settled_us


def test_another_link_s_luck_stays_when_an_agent_joins_that_says_nothing() -> None:
    weak = replace(QUIET, power_dbm=-14.0, jitter_ms=5.0)
    quiet, crowded = SidelinkLink(weak, 0), SidelinkLink(weak, 0)
    flights: list[list[Flight]] = [[], []]
    for number in range(30):
        said = [sent(message(RSU, number, number * PERIOD_US), 3)]
        apart = ((EGO, Pose(z=1.6)), (RSU, Pose(x=10.0 + number, z=1.6)))
        flights[0] += quiet.carry(said, around(*apart))
        flights[1] += crowded.carry(said, around(*apart, (CAR, Pose(y=9.0, z=1.6))))
    assert flights[0] == flights[1]
    assert {loss for flight in flights[0] for loss in flight.losses} == {None, Loss.SIGNAL}


def test_a_rate_that_the_radio_does_not_have_is_refused() -> None:
    with pytest.raises(LinkError, match=r"bandwidth_mbps 5 .* give 3, 6 or 12"):
        SidelinkLink(replace(QUIET, bandwidth_mbps=5.0), 0)
