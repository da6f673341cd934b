"""Table weights that come with the package, learnt from training data: `tools/calibrate_*.py` write the files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from safetensors.numpy import save

from carla_cp.types import IntArray
from carla_cp.whole import write_whole

FOLDER = Path(__file__).resolve().parent
_MADE_BY = "made by"  # in the file's metadata


@dataclass(frozen=True, slots=True)
class Rows:
    """The tables of one field, in a file."""

    name: str
    count: int  # one table per context
    symbols: int


def read_tables(path: Path, *fields: Rows) -> list[IntArray]:
    """The weights (count, symbols) of each field. Raises ValueError where the file has others."""
    with safe_open(path, "np") as file:
        found = [np.asarray(file.get_tensor(field.name), np.int64) for field in fields]
    for field, weights in zip(fields, found, strict=True):
        if weights.shape != (field.count, field.symbols):
            raise ValueError(f"{path.name}: {field.name} is {weights.shape}, not {(field.count, field.symbols)}")
    return found


def made_by(path: Path) -> str:
    """The command that made a file."""
    with safe_open(path, "np") as file:
        return str(file.metadata()[_MADE_BY])


def write_tables(path: Path, command: str, tables: Iterable[tuple[str, npt.ArrayLike]]) -> None:
    """Writes a file of named rows of weights, with the command that made them."""
    weights = {name: np.array(rows, np.int32) for name, rows in tables}
    write_whole(path, save(weights, {_MADE_BY: command}))
