"""How long a packet occupies the channel: IEEE 802.11p on 10 MHz (IEEE 802.11-2020, 17.4.3)."""

from __future__ import annotations

import math

from carla_cp.link.packets import HEADER_BYTES, packet_count

DEFAULT_MBPS = 6.0  # of ITS-G5's and DSRC's 10 MHz channels, QPSK at rate 1/2


def frame_us(frame_bytes: int, mbps: float) -> int:
    """One packet with all its headers, in microseconds.

    40 us of preamble and signal field, then symbols of 8 us, each of 8 * mbps bits, for 16 service and 6 tail bits and
    the packet. Spaces between frames and back-off are left out.
    """
    return 40 + 8 * math.ceil((22 + 8 * frame_bytes) / (8 * mbps))


def airtime_ms(payload_bytes: int, mbps: float, mtu_bytes: int = 1400) -> float:
    """A payload in packets of at most `mtu_bytes`, headers included, at a bit rate, in milliseconds."""
    if mbps <= 0:
        raise ValueError(f"a bit rate of {mbps} Mbit/s is not positive")
    count = packet_count(payload_bytes, mtu_bytes)
    if count == 0:
        return 0.0
    last = payload_bytes - (count - 1) * (mtu_bytes - HEADER_BYTES) + HEADER_BYTES
    return ((count - 1) * frame_us(mtu_bytes, mbps) + frame_us(last, mbps)) / 1000.0
