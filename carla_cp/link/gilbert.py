"""Model `gilbert`: losses in bursts, by a chain of two states per link, otherwise as `fixed`.

E. N. Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39 (1960), 1253-1265; losses in the
good state too: E. O. Elliott, "Estimates of error rates for codes on burst-noise channels", BSTJ 42 (1963),
1977-1997.

As there: with every packet the chain moves from good to bad with probability p and back with r, and a packet is lost
with `good_loss` or `bad_loss`. Given are what can be measured: the long-run `loss`, which is that of `fixed` at the
same value, and `burst_packets` = 1 / r, the mean stay in the bad state. With b the share of packets in the bad state,

    loss = (1 - b) good_loss + b bad_loss        p = r b / (1 - b)

Left out: the chain counts packets and not time, so a burst that a message leaves behind awaits the next one.
"""

from __future__ import annotations

from collections.abc import Sequence

from carla_cp.link.base import Flight, LinkError, LinkModel, Sent
from carla_cp.link.fixed import check_radio
from carla_cp.link.radio import Radios
from carla_cp.types import AgentName, ChannelSpec, Loss, Message, Surroundings


class GilbertLink(LinkModel):
    """A good and a bad state per link and direction; the first packet finds the chain in balance."""

    name = "gilbert"

    def __init__(self, channel: ChannelSpec, seed: int) -> None:
        super().__init__(channel, seed)
        check_radio(channel)
        self.bad_share = _bad_share(channel)
        self.leave_bad = 1.0 / channel.burst_packets  # r
        self.leave_good = self.leave_bad * self.bad_share / (1.0 - self.bad_share) if self.bad_share < 1.0 else 1.0  # p
        if self.leave_good > 1.0 or self.bad_share == 1.0:
            raise LinkError(
                f"loss {channel.loss:g} in bursts of burst_packets {channel.burst_packets:g} leaves no good packets"
                " between them; lower loss, or raise burst_packets or bad_loss"
            )
        self._radios = Radios(channel)
        self._bad: dict[tuple[AgentName, AgentName], bool] = {}

    def carry(self, sent: Sequence[Sent], around: Surroundings) -> list[Flight]:
        """Each message after its time on air and its latency; its packets as the chain of its link has them."""
        flights = []
        for item, packets in zip(sent, self._radios.send(sent), strict=True):
            message = item.message
            drawn = self._draw(message, len(packets))
            causes = self._radios.causes(message.receiver, packets)
            losses = tuple(cause or chance for cause, chance in zip(causes, drawn, strict=True))
            flights.append(Flight(packets[-1].end_us + self._latency_us(message), losses))
        return flights

    def _draw(self, message: Message, count: int) -> list[Loss | None]:
        link = message.sender, message.receiver
        if link not in self._bad:
            self._bad[link] = bool(self.luck.of("state", link, 0).random() < self.bad_share)
        moves, losses = self.luck.of("burst", link, message.sequence).random((2, count))
        result: list[Loss | None] = []
        for move, loss in zip(moves, losses, strict=True):
            bad = self._bad[link]
            lost = loss < (self.channel.bad_loss if bad else self.channel.good_loss)
            result.append((Loss.BURST if bad else Loss.CHANCE) if lost else None)
            self._bad[link] = bad != bool(move < (self.leave_bad if bad else self.leave_good))
        return result

    def _latency_us(self, message: Message) -> int:
        draw = self.luck.of("jitter", (message.sender, message.receiver), message.sequence).uniform(-1.0, 1.0)
        return max(0, round(1000.0 * (self.channel.latency_ms + self.channel.jitter_ms * draw)))


def _bad_share(channel: ChannelSpec) -> float:
    good, bad, loss = channel.good_loss, channel.bad_loss, channel.loss
    if channel.burst_packets < 1.0:
        raise LinkError(f"burst_packets {channel.burst_packets:g} is less than one packet; give 1 or more")
    if not good <= loss <= bad or good == bad:
        raise LinkError(
            f"loss {loss:g} is not between good_loss {good:g} and bad_loss {bad:g}; it is the mean of both states"
        )
    return (loss - good) / (bad - good)
