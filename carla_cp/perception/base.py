"""The contract of a detector: one agent's sweep to its view, and the ego's view plus what was heard to boxes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, ClassVar, Protocol

import torch

from carla_cp.perception.config import DetectorConfig
from carla_cp.types import Correction, Detections, PointArray, Pose, Shared, Stage, Sweep


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


class DetectorLike(Protocol):
    """What the loop asks of a detector; `perception.Detector` is one.

    Views of different agents are used in different threads at the same time. On one machine the same input gives the
    same bits.
    """

    @property
    def config(self) -> DetectorConfig:
        """The grid within which boxes count, and the widths of what codecs tap."""

    @property
    def fingerprint(self) -> int:
        """32 bits that tell whether sender and receiver run the same network."""

    @property
    def tap(self) -> Stage:
        """The last stage that fusion has a use for: `BEV`, or `BLOCK1`."""

    def view(self, sweep: Sweep) -> Any:
        """The agent's view of its own sweep, a `ViewLike`, computed stage by stage as asked for."""

    def ahead(self, ego: Any, tap: Stage) -> None:
        """Computes what `finish` will want of the ego's view whatever is heard, where codecs tap that stage."""

    def finish(
        self,
        ego: Any,
        shared: Sequence[Shared],
        pool: Executor | None = None,
        *,
        correction: Correction = Correction.METHOD,
    ) -> Detections:
        """The ego's detections, in its agent frame by falling score, with all that was heard; `ego` is its own view.

        Senders may be worked on side by side in `pool`, in one thread each. `correction` says whether to move believed
        poses to where shared boxes agree; a detector that cannot leaves them.
        """


class OutsideDetector(ABC):
    """A detector of another package: a `DetectorLike` that names itself and can be loaded.

    Of its views, the stages in `stages` are asked for, and those that its package's own codecs tap.
    """

    name: ClassVar[str]
    stages: ClassVar[tuple[Stage, ...]] = (Stage.BOXES,)  # what `finish` can take
    tap: Stage = Stage.BEV

    @classmethod
    @abstractmethod
    def load(cls, device: str) -> OutsideDetector:
        """The trained detector, for use. Raises CheckpointError where it cannot be."""

    @property
    @abstractmethod
    def config(self) -> DetectorConfig:
        """As `DetectorLike`."""

    @property
    @abstractmethod
    def fingerprint(self) -> int:
        """As `DetectorLike`."""

    @abstractmethod
    def view(self, sweep: Sweep) -> ViewLike:
        """As `DetectorLike`."""

    def ahead(self, ego: Any, tap: Stage) -> None:
        """Nothing, by default."""
        return None

    @abstractmethod
    def finish(
        self,
        ego: Any,
        shared: Sequence[Shared],
        pool: Executor | None = None,
        *,
        correction: Correction = Correction.METHOD,
    ) -> Detections:
        """As `DetectorLike`."""
