from carla_cp.link.base import Flight
from carla_cp.link.ideal import IdealLink
from carla_cp.types import ChannelSpec
from tests.link.carrying import around, message, sent


def test_all_is_there_at_once_whatever_the_other_models_would_do_with_it() -> None:
    channel = ChannelSpec(latency_ms=500.0, loss=1.0, bandwidth_mbps=0.1)
    flights = IdealLink(channel, 0).carry([sent(message(time_us=7), 3), sent(message(time_us=7), 1)], around())
    assert flights == [Flight(7, (None, None, None)), Flight(7, (None,))]
