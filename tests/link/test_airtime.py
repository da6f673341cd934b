import pytest

from carla_cp.link.airtime import airtime_ms
from carla_cp.link.packets import HEADER_BYTES


def test_airtime_of_one_packet_is_that_of_the_standard() -> None:
    for frame_bytes, mbps, expected in ((300, 6, 448), (800, 12, 576), (1400, 6, 1912), (1400, 27, 456)):
        assert airtime_ms(frame_bytes - HEADER_BYTES, mbps) == pytest.approx(expected / 1000)
    assert airtime_ms(2 * (1400 - HEADER_BYTES), 6) == pytest.approx(2 * 1.912)
    assert airtime_ms(0, 6) == 0.0


def test_no_bit_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="not positive"):
        airtime_ms(100, 0.0)
