"""The codec contract: a stage of a view to bytes under a budget, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Protocol, TypeVar

import torch
from torch import nn

from carla_cp.codecs.bitstream import HEADER_BYTES, Header, PayloadError, pack, unpack
from carla_cp.types import Detections, GridSpec, PointArray, Pose, Shared, Stage, Sweep

Symbols = TypeVar("Symbols")


class CodecError(ValueError):
    """A codec name, a budget or codec weights that cannot be used; the message is one line with the mend."""


class ViewLike(Protocol):
    """What one agent sees of one sweep, stage by stage; `perception.View` is one."""

    @property
    def sweep(self) -> Sweep:
        """The sweep that it was made of."""

    @property
    def world_from_agent(self) -> Pose:
        """Where the agent believes its frame is."""

    @property
    def points(self) -> PointArray:
        """(N, 4) in the agent frame."""

    @property
    def pillars(self) -> torch.Tensor:
        """(C_pillar, pillar_rows, pillar_columns), not negative; empty pillars are 0."""

    @property
    def block1(self) -> torch.Tensor:
        """(C_1, H, W) of the backbone's first block, not negative."""

    @property
    def bev(self) -> torch.Tensor:
        """(C_bev, rows, columns), not negative."""

    @property
    def tap(self) -> Stage:
        """The last stage that the receivers' fusion has a use for: `BEV`, or `BLOCK1`."""

    @property
    def heat(self) -> torch.Tensor:
        """(classes, rows, columns) in [0, 1], of the sender alone."""

    @property
    def boxes(self) -> Detections:
        """What the sender alone detects."""


class Codec(nn.Module, ABC, Generic[Symbols]):
    """One way of sharing a stage of the detector; `Symbols` is what a body says, without any network.

    A learned codec has a differentiable `forward` besides; in eval mode, at the same rate point, `decode(encode(view))`
    equals it.
    """

    name: ClassVar[str]
    number: ClassVar[int]  # in the header
    tap: ClassVar[Stage]
    learned: ClassVar[bool] = False  # needs `codecs/<name>.safetensors`
    takes_budget: ClassVar[bool] = True

    def __init__(self, fingerprint: int = 0, grid: GridSpec | None = None) -> None:
        super().__init__()
        self.fingerprint = fingerprint
        self.grid = grid if grid is not None else GridSpec()

    def check_fusion(self, tap: Stage, what: str) -> None:
        """Raises CodecError, with `what` named, unless fusion that takes `tap` has a use for what this codec sends."""
        if tap is Stage.BLOCK1 and self.tap is Stage.BEV:
            raise CodecError(
                f"{what}: the rule fuses every scale of the backbone, the codec sends what comes after; choose raw,"
                " infocom, early or late, or fusion max"
            )

    def encode(self, view: ViewLike, budget: int | None, request: bytes | None = None) -> bytes:
        """The message: at most `budget` bytes, all that the codec has to say without one, b"" where nothing fits.

        `request` is the newest request heard from the receiver; codecs that take none ignore it.
        """
        room = None if budget is None else budget - HEADER_BYTES
        if room is not None and room <= 0:
            return b""
        with torch.no_grad():
            body = self.body(view, room)
        if not body:
            return b""
        header = Header(self.number, self.fingerprint, view.sweep.agent, view.sweep.time_us, view.world_from_agent)
        return pack(header, body)

    def parse(self, payload: bytes) -> tuple[Header, Symbols]:
        """Header and symbols of a message; no network has a part in it. Raises PayloadError, nothing else."""
        header, body = unpack(payload, self.number, self.fingerprint)
        return header, self.read(body)

    def decode(self, payload: bytes) -> Shared:
        """The shared stage. Raises PayloadError for whatever is not a message of this codec, nothing else."""
        header, symbols = self.parse(payload)
        with torch.no_grad():
            return self.reconstruct(header, symbols)

    @abstractmethod
    def body(self, view: ViewLike, room: int | None) -> bytes:
        """What follows the header, at most `room` bytes; b"" where nothing fits."""

    @abstractmethod
    def read(self, body: bytes) -> Symbols:
        """The symbols of a body. Raises PayloadError."""

    @abstractmethod
    def reconstruct(self, header: Header, symbols: Symbols) -> Shared:
        """The stage that these symbols stand for."""


class Silent(Codec[None]):
    """A codec that never sends."""

    tap = Stage.BOXES
    takes_budget = False

    def body(self, view: ViewLike, room: int | None) -> bytes:
        """Nothing."""
        return b""

    def read(self, body: bytes) -> None:
        """Raises PayloadError: nobody sends this."""
        raise PayloadError(f"codec {self.name} sends no messages")

    def reconstruct(self, header: Header, symbols: None) -> Shared:
        """Never reached."""
        raise PayloadError(f"codec {self.name} sends no messages")
