"""What an evaluation is made of: its rows, the jobs of its workers, what they load, and what they bring back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evaluation_loss import PacketLoss
from pose_noise import PoseNoise

from carla_cp.codecs import Codec, load_codec
from carla_cp.codecs.base import Silent
from carla_cp.datasets import SceneSource
from carla_cp.metrics.detection import Matches
from carla_cp.metrics.protocol import EvaluationProtocol
from carla_cp.opv2v import Note
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.detector import Detector
from carla_cp.perception.view import View
from carla_cp.types import AgentName, CodecChoice, Frame, Stage

THRESHOLDS = (0.3, 0.5, 0.7)
FEATURES = (Stage.PILLARS, Stage.BLOCK1, Stage.BEV)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result."""

    choice: CodecChoice
    fusion: str | None = None  # None: the checkpoint's own, also where no features are shared
    noise: PoseNoise = field(default_factory=PoseNoise)
    delay: int = 0  # [frames]
    loss: PacketLoss = field(default_factory=PacketLoss)


@dataclass(frozen=True, slots=True)
class Job:
    """What one worker does: some frames of one scene."""

    scene: SceneSource
    frames: tuple[int, ...]
    checkpoint: Path
    rows: tuple[Row, ...]
    protocol: EvaluationProtocol = field(default_factory=EvaluationProtocol)
    seed: int = 0


@dataclass(slots=True)
class Tally:
    """What one row gave: per frame the matches of each class, and what was sent."""

    matches: list[tuple[Matches, ...]] = field(default_factory=list)  # by ObjectClass
    message_bytes: list[int] = field(default_factory=list)  # 0: the codec sent nothing
    ages_us: list[int] = field(default_factory=list)  # how old each partner's data were
    formula_bytes: list[float] = field(default_factory=list)  # what the paper charges, where it has a formula
    request_bytes: list[int] = field(default_factory=list)  # of each frame, where the codec has the ego ask
    lost: int = 0  # messages of which nothing of use arrived

    def add(self, other: Tally) -> None:
        """Puts another's frames behind these."""
        self.matches += other.matches
        self.message_bytes += other.message_bytes
        self.ages_us += other.ages_us
        self.formula_bytes += other.formula_bytes
        self.request_bytes += other.request_bytes
        self.lost += other.lost


@dataclass(slots=True)
class Outcome:
    """What some frames gave: one tally per row, and what was left out."""

    tallies: list[Tally]
    scenes: list[str] = field(default_factory=list)  # of each frame that counted
    agents: list[int] = field(default_factory=list)  # how many took part in it
    skipped: list[str] = field(default_factory=list)  # frame and reason
    noticed: Counter[str] = field(default_factory=Counter)  # what else was amiss in frames that counted
    numbers: list[int] = field(default_factory=list)  # of each frame that counted, in its scene

    def add(self, other: Outcome) -> None:
        """Puts another's frames behind these."""
        for tally, more in zip(self.tallies, other.tallies, strict=True):
            tally.add(more)
        self.scenes += other.scenes
        self.agents += other.agents
        self.skipped += other.skipped
        self.noticed.update(other.noticed)
        self.numbers += other.numbers


class Equipment:
    """The detectors and codecs of an evaluation, loaded once per job."""

    def __init__(self, checkpoint: Path, rows: Sequence[Row], counts_itself: bool = False) -> None:
        """`counts_itself`: the ego's own car is an object. Raises CheckpointError, and CodecError as `check` does."""
        self.detectors: dict[str | None, Detector] = {None: load_detector(checkpoint)}
        for row in rows:
            if row.fusion is not None and row.fusion not in self.detectors:
                self.detectors[row.fusion] = load_detector(checkpoint, fusion=row.fusion)
        self.codecs: dict[str, Codec[Any]] = {
            name: load_codec(name, checkpoint) for name in {row.choice.name for row in rows}
        }
        for detector in self.detectors.values():
            detector.counts_itself = counts_itself
        for row in rows:
            self.check(row)

    def check(self, row: Row) -> None:
        """Raises CodecError for a codec whose messages no longer hold what the row's fusion rule takes."""
        detector, codec = self.detectors[row.fusion], self.codecs[row.choice.name]
        codec.check_fusion(
            detector.tap,
            f"--codec {row.choice.name} shares BEV features, of which fusion {detector.config.fusion} takes none",
        )

    @property
    def wants_boxes(self) -> bool:
        """Whether a row needs what agents detect by themselves."""
        return any(codec.tap is Stage.BOXES for codec in self.codecs.values())

    def effective(self, row: Row) -> Row:
        """The row without what makes no difference to it: to silence neither rule nor noise nor delay nor loss does."""
        codec = self.codecs[row.choice.name]
        if isinstance(codec, Silent):
            return Row(row.choice)
        return row if codec.tap in FEATURES else replace(row, fusion=None)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame with every agent's view of it."""

    index: int
    frame: Frame
    views: dict[AgentName, View]
    notes: tuple[Note, ...]
