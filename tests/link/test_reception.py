import math

import pytest

from carla_cp.link.reception import RATES_MBPS, milliwatts, packet_error


def ratio(db: float) -> float:
    return float(10.0 ** (db / 10.0))


def test_a_packet_s_chance_is_the_union_bound_written_out() -> None:
    """By hand at 7 dB and 6 Mbit/s: QPSK, 800 bits and the code's 22."""
    wrong = 0.5 * math.erfc(math.sqrt(ratio(7.0) / 2.0))
    d = math.sqrt(4 * wrong * (1 - wrong))
    tail = 77433 * d**18 + 502690 * d**20 + 3322763 * d**22 + 21292910 * d**24 + 134365911 * d**26
    bit = 0.5 * (36 * d**10 + 211 * d**12 + 1404 * d**14 + 11633 * d**16 + tail)
    assert packet_error(ratio(7.0), 100, 6.0) == pytest.approx(1 - (1 - bit) ** 822, rel=1e-9) != 1.0


@pytest.mark.parametrize("mbps", RATES_MBPS)
def test_the_chance_falls_with_strength_and_grows_with_length(mbps: float) -> None:
    chances = [packet_error(ratio(db), 1400, mbps) for db in range(-10, 30)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] == 1.0 and chances[-1] < 1e-12
    steep = [db for db in range(-10, 30) if 0.01 < packet_error(ratio(db), 1400, mbps) < 0.99]
    assert len(steep) <= 2, "from all to nothing within some 2 dB"
    assert packet_error(ratio(5.0), 100, mbps) <= packet_error(ratio(5.0), 1400, mbps)


def test_faster_needs_a_stronger_signal_by_3_and_6_db() -> None:
    def half(mbps: float) -> float:
        return next(db / 100 for db in range(-500, 2000) if packet_error(ratio(db / 100), 300, mbps) < 0.5)

    assert half(6.0) - half(3.0) == pytest.approx(3.01, abs=0.02)
    assert half(12.0) - half(6.0) == pytest.approx(6.4, abs=0.1)  # 5 times the power, fewer neighbours


def test_powers_add_in_milliwatts() -> None:
    assert milliwatts(0.0) == 1.0
    assert milliwatts(-97.0) + milliwatts(-97.0) == pytest.approx(milliwatts(-94.0), rel=0.01)
