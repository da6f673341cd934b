"""The codec contract: a stage of a view to bytes under a budget, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import torch
from torch import nn

from carla_cp.codecs.bitstream import HEADER_BYTES, Header, PayloadError, cut, pack, unpack
from carla_cp.perception.base import ViewLike as ViewLike
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import GridSpec, Shared, Stage

Symbols = TypeVar("Symbols")
MOST_PACKETS = 256
PACKET_BYTES = 1384  # what 1,400 bytes on the air leave behind the link's own header


class CodecError(ValueError):
    """A codec name, a budget or codec weights that cannot be used; the message is one line with the mend."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many bytes a message may take."""

    total: int | None  # with all its headers; None: as many as it takes
    packet: int  # of each packet, with its header

    def fits(self, bodies: Sequence[bytes]) -> bool:
        """Whether packets with these bodies stay within both."""
        sizes = [HEADER_BYTES + len(body) for body in bodies]
        return max(sizes, default=0) <= self.packet and (self.total is None or sum(sizes) <= self.total)


Bodies = Callable[[Room], list[bytes]]  # what follows the headers, packet by packet; [] where nothing fits


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """The messages of one view at any budget; what hangs on the view alone was done when it was made."""

    header: Header
    bodies: Bodies
    most_packets: int

    def encode(self, budget: int | None, packet_bytes: int = PACKET_BYTES) -> bytes:
        """As `Codec.encode`."""
        if budget is not None and budget <= HEADER_BYTES:
            return b""
        room = Room(budget, packet_bytes)
        with torch.no_grad():
            bodies = self.bodies(room)
            while len(bodies) > self.most_packets and room.packet < sum(map(len, bodies)):
                room = Room(budget, 2 * room.packet)
                bodies = self.bodies(room)
        return b"".join(pack(self.header, body) for body in bodies if body)


class Codec(nn.Module, ABC, Generic[Symbols]):
    """One way of sharing a stage of the detector; `Symbols` is what a body says, without any network.

    A learned codec has a differentiable `forward` besides; in eval mode, at the same rate point, `decode(encode(view))`
    equals it.
    """

    name: ClassVar[str]
    number: ClassVar[int]  # in the header; 128 to 255 are for codecs from elsewhere
    tap: ClassVar[Stage]
    learned: ClassVar[bool] = False  # needs `codecs/<name>.safetensors`
    takes_budget: ClassVar[bool] = True
    asks: ClassVar[bool] = False  # receivers say what they want, by `request`
    most_packets: ClassVar[int] = MOST_PACKETS  # of a message; more are refused, for each takes its time to read
    variants: ClassVar[tuple[str, ...]] = ()  # `NAME:VARIANT`; those named `paper...` have the paper's fixed rates

    def __init__(self, fingerprint: int = 0, grid: GridSpec | None = None) -> None:
        super().__init__()
        self.fingerprint = fingerprint
        self.grid = grid if grid is not None else GridSpec()
        self.variant = ""  # one of `variants`, or none

    @classmethod
    def for_detector(cls, fingerprint: int, config: DetectorConfig) -> Codec[Symbols]:
        """An untrained one for a detector; the fingerprint tells weights apart."""
        return cls(fingerprint, config.grid)

    @property
    def fixed_rate(self) -> bool:
        """Whether this variant takes no budget: the rate is the paper's own."""
        return self.variant.startswith("paper")

    def check_fusion(self, tap: Stage, what: str) -> None:
        """Raises CodecError, with `what` named, unless fusion that takes `tap` has a use for what this codec sends."""
        if tap is Stage.BLOCK1 and self.tap is Stage.BEV:
            raise CodecError(
                f"{what}: the rule fuses every scale of the backbone, the codec sends what comes after; choose raw,"
                " infocom, early or late, or fusion max"
            )

    def encode(
        self, view: ViewLike, budget: int | None, request: bytes | None = None, packet_bytes: int = PACKET_BYTES
    ) -> bytes:
        """The message: at most `budget` bytes, all that the codec has to say without one, b"" where nothing fits.

        `request` is the newest request heard from the receiver; codecs that take none ignore it. No packet is longer
        than `packet_bytes`, unless the codec cannot cut what it says, or more packets would be needed than can be read.
        """
        return self.prepare(view, request).encode(budget, packet_bytes)

    def prepare(self, view: ViewLike, request: bytes | None = None) -> Encoder:
        """What encodes this view, at as many budgets as are asked for."""
        header = Header(self.number, self.fingerprint, view.sweep.agent, view.sweep.time_us, view.world_from_agent)
        with torch.no_grad():
            return Encoder(header, self.bodies(view, request), self.most_packets)

    def parse(self, payload: bytes) -> tuple[Header, Symbols]:
        """Header and symbols of a message, of what is there of it; no network has a part in it.

        A packet that came twice counts once. Raises PayloadError, nothing else.
        """
        packets = [
            unpack(packet, self.number, self.fingerprint) for packet in dict.fromkeys(cut(payload, self.most_packets))
        ]
        if not packets:
            raise PayloadError("an empty payload is no message")
        header = packets[0][0]
        if any(other != header for other, _ in packets):
            raise PayloadError("packets of several messages stand in one")
        if len(packets) == 1:
            return header, self.read(packets[0][1])
        return header, self.join(self.read(body) for _, body in packets)

    def decode(self, payload: bytes) -> Shared:
        """The shared stage. Raises PayloadError for whatever is not a message of this codec, nothing else."""
        header, symbols = self.parse(payload)
        with torch.no_grad():
            return self.reconstruct(header, symbols)

    def request(self, view: ViewLike) -> bytes:
        """What a receiver with this view asks the others for; b"" where the codec knows no requests."""
        return b""

    def formula_bytes(self, symbols: Symbols) -> float | None:
        """What the paper's own formula charges for a message of these symbols; None where there is none."""
        return None

    @abstractmethod
    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """What makes the bodies of a message as large as the room is. The network runs here, before any room is known.

        A codec that does not cut what it says makes one, however long.
        """

    @abstractmethod
    def read(self, body: bytes) -> Symbols:
        """The symbols of one packet. Raises PayloadError."""

    def join(self, parts: Iterator[Symbols]) -> Symbols:
        """The symbols of a message, of those of its packets, one or more of them missing. Raises PayloadError.

        Each part is let go before the next is read. By default a message has one packet.
        """
        raise PayloadError(f"codec {self.name} sends one packet per message")

    @abstractmethod
    def reconstruct(self, header: Header, symbols: Symbols) -> Shared:
        """The stage that these symbols stand for."""


class Silent(Codec[None]):
    """A codec that never sends."""

    tap = Stage.BOXES
    takes_budget = False

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """None."""
        return lambda room: []

    def read(self, body: bytes) -> None:
        """Raises PayloadError: nobody sends this."""
        raise PayloadError(f"codec {self.name} sends no messages")

    def reconstruct(self, header: Header, symbols: None) -> Shared:
        """Never reached."""
        raise PayloadError(f"codec {self.name} sends no messages")
