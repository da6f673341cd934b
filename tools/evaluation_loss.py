"""Packet loss of an evaluation: what of a message arrives when each of its packets is lost with some probability.

Packets and what a receiver makes of them are those of `carla_cp.link`: 1,400 bytes on the air, headers included. Cut
into `parts`, what arrives are the parts of the message that are whole; cut as a whole `message`, one lost packet loses
all of it, as where a frame is one unit.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from carla_cp.codecs.bitstream import cut
from carla_cp.link.packets import reassemble, split
from carla_cp.types import AgentName, ChannelSpec

Cut: TypeAlias = Literal["parts", "message"]
CUTS: tuple[str, ...] = get_args(Cut)
MTU_BYTES = ChannelSpec().mtu_bytes


@dataclass(frozen=True, slots=True)
class PacketLoss:
    """Independent loss of packets; without it, `cut` makes no difference."""

    rate: float = 0.0  # of each packet, in [0, 1]
    cut: Cut = "parts"

    def received(self, payload: bytes, seed: int, scene: str, frame: int, agent: AgentName) -> bytes:
        """What arrives of a message; b"" where nothing does.

        The draws depend on seed, scene, frame and agent alone, so that the n-th packet meets the same luck in every
        row, and what a loss takes a larger one takes too.
        """
        if not self.rate or not payload:
            return payload
        parts = cut(payload) if self.cut == "parts" else (payload,)
        packets = split(parts, MTU_BYTES, agent, frame)
        names = [zlib.crc32(text.encode()) for text in ("packet loss", scene, agent)]
        draws = np.random.default_rng([seed, *names, frame]).random(len(packets))
        return reassemble([packet for packet, draw in zip(packets, draws, strict=True) if draw >= self.rate]) or b""
