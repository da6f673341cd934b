import zlib

import numpy as np
import pytest

from carla_cp.link.base import LinkError
from carla_cp.link.fixed import FixedLink
from carla_cp.types import ChannelSpec, Loss
from tests.link.carrying import EGO, PERIOD_US, RSU, carry


def test_times_and_losses_are_drawn_message_by_message_of_a_link() -> None:
    """The plain twin."""
    channel = ChannelSpec(latency_ms=20.0, jitter_ms=5.0, loss=0.3, bandwidth_mbps=6.0)
    for number, flight in enumerate(carry(FixedLink(channel, 4), 20, 3)):
        who = zlib.crc32(RSU.encode()), zlib.crc32(EGO.encode())
        jitter = np.random.default_rng([4, zlib.crc32(b"jitter"), *who, number]).uniform(-1.0, 1.0)
        losses = np.random.default_rng([4, zlib.crc32(b"loss"), *who, number]).random(3) < 0.3
        assert flight.settled_us == number * PERIOD_US + 4000 + max(0, round(20_000.0 + 5000.0 * jitter))
        assert flight.losses == tuple(Loss.CHANCE if lost else None for lost in losses)


@pytest.mark.parametrize(
    ("channel", "words"),
    [(ChannelSpec(half_duplex=True), "half_duplex needs"), (ChannelSpec(queue_ms=3.0), "queue_ms 3 needs")],
)
def test_a_radio_that_takes_no_time_has_no_queue_and_is_never_deaf(channel: ChannelSpec, words: str) -> None:
    with pytest.raises(LinkError, match=f"{words}.*give bandwidth_mbps"):
        FixedLink(channel, 0)
