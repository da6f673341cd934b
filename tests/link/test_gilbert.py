import itertools

import numpy as np
import pytest

from carla_cp.link.base import LinkError, Luck
from carla_cp.link.gilbert import GilbertLink
from carla_cp.types import ChannelSpec, Loss
from tests.link.carrying import CAR, EGO, RSU, carry


def losses(channel: ChannelSpec, count: int = 1000, packets: int = 20, seed: int = 0) -> list[Loss | None]:
    return [loss for flight in carry(GilbertLink(channel, seed), count, packets) for loss in flight.losses]


def bursts(lost: list[bool]) -> list[int]:
    return [len(list(run)) for is_lost, run in itertools.groupby(lost) if is_lost]


def test_the_loss_rate_and_the_bursts_are_those_of_the_closed_form() -> None:
    lost = [loss is not None for loss in losses(ChannelSpec(model="gilbert", loss=0.1, burst_packets=8.0))]
    lengths = bursts(lost)
    assert np.mean(lost) == pytest.approx(0.1, abs=0.015)
    assert np.mean(lengths) == pytest.approx(8.0, rel=0.1)
    assert np.mean([length > 8 for length in lengths]) == pytest.approx((1 - 1 / 8) ** 8, abs=0.06)
    gaps = bursts([not item for item in lost])
    assert np.mean(gaps) == pytest.approx(8.0 * 0.9 / 0.1, rel=0.12)  # 1 / p


def test_losses_come_in_both_states_as_often_as_given() -> None:
    channel = ChannelSpec(loss=0.2, burst_packets=10.0, good_loss=0.05, bad_loss=0.8)
    model = GilbertLink(channel, 0)
    assert model.bad_share == pytest.approx(0.15 / 0.75)
    assert model.leave_good == pytest.approx(0.1 * 0.2 / 0.8)
    drawn = losses(channel)
    assert np.mean([loss is not None for loss in drawn]) == pytest.approx(0.2, abs=0.02)
    assert np.mean([loss is Loss.BURST for loss in drawn]) == pytest.approx(0.2 * 0.8, abs=0.02)
    assert np.mean([loss is Loss.CHANCE for loss in drawn]) == pytest.approx(0.8 * 0.05, abs=0.01)


def test_each_packet_is_what_a_plain_walk_of_the_chain_makes_of_the_draws() -> None:
    channel = ChannelSpec(loss=0.3, burst_packets=3.0, good_loss=0.1, bad_loss=0.9)
    luck, link = Luck(5), (RSU, EGO)
    bad = luck.of("state", link, 0).random() < 0.2 / 0.8
    expected: list[Loss | None] = []
    for number in range(30):
        moves, draws = luck.of("burst", link, number).random((2, 4))
        for move, draw in zip(moves, draws, strict=True):
            if bad:
                expected.append(Loss.BURST if draw < 0.9 else None)
                bad = not move < 1 / 3
            else:
                expected.append(Loss.CHANCE if draw < 0.1 else None)
                bad = bool(move < (1 / 3) * 0.25 / 0.75)
    assert losses(channel, 30, 4, seed=5) == expected


def test_bursts_of_one_loss_each_at_a_loss_of_one_half_alternate() -> None:
    lost = [loss is not None for loss in losses(ChannelSpec(loss=0.5, burst_packets=1.0), 10, 10)]
    assert all(one != other for one, other in itertools.pairwise(lost))


def test_another_sender_changes_nobody_elses_luck() -> None:
    channel = ChannelSpec(loss=0.3)
    alone, together = GilbertLink(channel, 1), GilbertLink(channel, 1)
    for number in range(20):
        carry(together, 1, 1 + number % 3, CAR)
        assert carry(alone, 1, 4) == carry(together, 1, 4)


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        (ChannelSpec(burst_packets=0.5), "burst_packets 0.5"),
        (ChannelSpec(loss=0.9, bad_loss=0.5), "loss 0.9 is not between good_loss 0 and bad_loss 0.5"),
        (ChannelSpec(loss=0.1, good_loss=0.2), "loss 0.1"),
        (ChannelSpec(loss=0.9, burst_packets=2.0), "loss 0.9 in bursts of burst_packets 2"),
        (ChannelSpec(loss=1.0), "lower loss"),
    ],
)
def test_a_chain_that_cannot_be_is_refused(channel: ChannelSpec, words: str) -> None:
    with pytest.raises(LinkError) as caught:
        GilbertLink(channel, 0)
    assert words in str(caught.value)
