"""From the strength of a signal to the chance that a packet is lost.

The union bound for IEEE 802.11's convolutional code of rate 1/2 (constraint length 7) with hard decisions, as G. Pei
and T. R. Henderson, "Validation of OFDM error rate model in ns-3" (2010), use it: BPSK, QPSK and 16-QAM are 3, 6 and 12
Mbit/s on 10 MHz; half of the packets of 300 bytes are lost at 3.0, 6.0 and 12.4 dB. Interference counts as noise. Left
out: fast fading, soft decisions (some 2 dB better), and other rates of the code.
"""

from __future__ import annotations

import math

RATES_MBPS = (3.0, 6.0, 12.0)
NOISE_DBM = -174.0 + 70.0 + 9.0  # thermal noise in 10 MHz, and a noise figure of 9 dB (TR 37.885's)
_WEIGHTS = (36, 211, 1404, 11633, 77433, 502690, 3322763, 21292910, 134365911)  # of errors at distances 10, 12, ... 26


def packet_error(snr: float, packet_bytes: int, mbps: float) -> float:
    """The chance that a packet of so many bytes is lost, at a ratio of powers and a rate of RATES_MBPS."""
    if mbps == 12.0:
        wrong = 0.375 * math.erfc(math.sqrt(snr / 10.0))
    else:
        wrong = 0.5 * math.erfc(math.sqrt(snr if mbps == 3.0 else snr / 2.0))
    distance = math.sqrt(4.0 * wrong * (1.0 - wrong))
    bit = 0.5 * sum(weight * distance ** (10 + 2 * index) for index, weight in enumerate(_WEIGHTS))
    return 1.0 if bit >= 1.0 else -math.expm1((22 + 8 * packet_bytes) * math.log1p(-bit))


def milliwatts(dbm: float) -> float:
    """A power in dBm as one that can be added."""
    return float(10.0 ** (dbm / 10.0))
