"""Model `fixed`: a latency and a uniform jitter per message, Bernoulli loss per packet.

With `bandwidth_mbps`, one queue per sender in front of its radio, which drops what is older than `queue_ms`; with
`half_duplex` besides, a radio that sends hears nothing. Left out: fading, bursts of losses, senders that contend.
"""

from __future__ import annotations

from collections.abc import Sequence

from carla_cp.link.base import Flight, LinkError, LinkModel, Sent
from carla_cp.link.radio import Radios
from carla_cp.types import ChannelSpec, Loss, Message, Surroundings


class FixedLink(LinkModel):
    """The same for every link at every time."""

    name = "fixed"

    def __init__(self, channel: ChannelSpec, seed: int) -> None:
        super().__init__(channel, seed)
        check_radio(channel)
        self._radios = Radios(channel)

    def carry(self, sent: Sequence[Sent], around: Surroundings) -> list[Flight]:
        """Each message after its time on air and its latency; each packet with a draw of its own."""
        flights = []
        for item, packets in zip(sent, self._radios.send(sent), strict=True):
            message = item.message
            who = message.sender, message.receiver
            draws = self.luck.of("loss", who, message.sequence).random(len(packets))
            causes = self._radios.causes(message.receiver, packets)
            losses = tuple(
                cause or (Loss.CHANCE if draw < self.channel.loss else None)
                for cause, draw in zip(causes, draws, strict=True)
            )
            flights.append(Flight(packets[-1].end_us + self._latency_us(message), losses))
        return flights

    def _latency_us(self, message: Message) -> int:
        who = message.sender, message.receiver
        jitter_ms = self.channel.jitter_ms
        jitter_us = jitter_ms * 1000.0 * self.luck.of("jitter", who, message.sequence).uniform(-1.0, 1.0)
        return max(0, round(self.channel.latency_ms * 1000.0 + jitter_us))


def check_radio(channel: ChannelSpec) -> None:
    """Raises LinkError for a radio that takes no time and shall be deaf meanwhile, or have a queue."""
    if channel.bandwidth_mbps == 0 and (channel.half_duplex or channel.queue_ms):
        what = "half_duplex" if channel.half_duplex else f"queue_ms {channel.queue_ms:g}"
        raise LinkError(f"{what} needs a radio that takes its time; give bandwidth_mbps, as 6")
