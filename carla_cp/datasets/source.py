"""What every data set looks like to those who read it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from carla_cp.opv2v import Reading
from carla_cp.types import AgentName, Frame


class SceneSource(Protocol):
    """Consecutive frames of one team; a frame is read when asked for. Can be pickled."""

    @property
    def name(self) -> str:
        """Of the scene, unique in its data set."""

    @property
    def agents(self) -> tuple[AgentName, ...]:
        """Everybody who appears, the ego first; a roadside unit's name begins with a minus sign."""

    def __len__(self) -> int:
        """Number of frames."""

    def frame(self, index: int) -> Frame:
        """The index-th frame; raises DatasetError, and nothing else, for files that are missing or broken."""

    def read(self, index: int) -> Reading:
        """The same frame with what was noticed in its files."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """The scenes below a folder, and their frames counted through from 0."""

    folder: Path
    format: str  # "opv2v" | "v2xset" | "v2v4real" | "dair"
    scenes: tuple[SceneSource, ...]
    _ends: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", tuple(accumulate(len(scene) for scene in self.scenes)))

    def __len__(self) -> int:
        """Number of frames over all scenes."""
        return self._ends[-1] if self._ends else 0

    def locate(self, index: int) -> tuple[SceneSource, int]:
        """The scene that holds the index-th frame, and the frame's number in it."""
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        scene = bisect_right(self._ends, index)
        return self.scenes[scene], index - (self._ends[scene - 1] if scene else 0)

    def frame(self, index: int) -> Frame:
        """The index-th frame; raises DatasetError for files that are missing or broken."""
        return self.read(index).frame

    def read(self, index: int) -> Reading:
        """The index-th frame with what was noticed in its files."""
        scene, number = self.locate(index)
        return scene.read(number)
