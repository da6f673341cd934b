"""The contract of a link model: of messages that are handed over, when each settles and which packets are lost."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from carla_cp.types import AgentName, ChannelSpec, Loss, Message, Surroundings


class LinkError(ValueError):
    """A channel that its model cannot be; the text is one line that names the value and the mend."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message with something to say, as the radio gets it."""

    message: Message
    sizes: tuple[int, ...]  # bytes of its packets, headers included; one or more


@dataclass(frozen=True, slots=True)
class Flight:
    """What becomes of a message."""

    settled_us: int  # when the last of its packets is there, or would have been
    losses: tuple[Loss | None, ...]  # of each packet


@dataclass(frozen=True, slots=True)
class Luck:
    """Random draws, each from a generator of its own, so that no agent changes another's."""

    seed: int

    def of(self, what: str, who: Sequence[str], number: int) -> np.random.Generator:
        """The generator of one draw: `who` are the agents that it is about, `number` tells their draws apart."""
        keys = [zlib.crc32(name.encode()) for name in who]
        return np.random.default_rng([self.seed, zlib.crc32(what.encode()), *keys, number])


class LinkModel(ABC):
    """One way for packets to be late and to be lost; it keeps what it must remember of one episode."""

    name: ClassVar[str]

    def __init__(self, channel: ChannelSpec, seed: int) -> None:
        """Raises LinkError for a channel that this model cannot be."""
        self.channel = channel
        self.luck = Luck(seed)

    def check_links(self, links: Sequence[tuple[AgentName, AgentName]]) -> None:
        """Raises LinkError if it has nothing to say of one of these links, (sender, receiver). By default never."""
        return None

    @abstractmethod
    def carry(self, sent: Sequence[Sent], around: Surroundings) -> list[Flight]:
        """What becomes of messages that are handed over together; one flight each, in their order.

        Calls come in order of time. Who is out of range is none of its business.
        """
