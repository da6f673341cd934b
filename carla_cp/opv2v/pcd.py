"""Point clouds in PCD v0.7 as OPV2V publishes them: `x y z rgb`, the red byte of `rgb` being the intensity.

Read are `x y z rgb` and `x y z intensity`, ascii, binary and binary_compressed, whatever other fields of one number
there are; written is `x y z rgb`, as published.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carla_cp.opv2v.layout import DatasetError
from carla_cp.opv2v.lzf import LzfError, decompress
from carla_cp.opv2v.pcd_text import ascii_rows
from carla_cp.types import PointArray
from carla_cp.whole import write_whole

_TYPES = {(kind.upper(), size): f"<{kind}{size}" for kind in "ui" for size in (1, 2, 4, 8)}
_TYPES |= {("F", 4): "<f4", ("F", 8): "<f8"}
_MOST_EXPANSION = 100  # LZF turns three bytes into 264 at the most
_HEADER = """# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS x y z rgb
SIZE 4 4 4 4
TYPE F F F F
COUNT 1 1 1 1
WIDTH {count}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {count}
DATA {encoding}
"""


class PcdError(DatasetError):
    """A point cloud file that is not what this module reads."""

    def __init__(self, message: str, reason: str = "broken cloud") -> None:
        super().__init__(message, reason)


def read_pcd(path: Path) -> PointArray:
    """The points (N, 4) of a file: x, y, z [m], intensity in [0, 1]; points that are not finite are left out.

    Raises PcdError for a file that is not there, is cut short, or lacks a field.
    """
    return read_cloud(path)[0]


def read_cloud(path: Path, full_intensity: float | None = None) -> tuple[PointArray, int]:
    """What `read_pcd` returns, and how many points were left out because they are not finite.

    `full_intensity` is the value of an `intensity` field that means 1; None: 255 in an integer field, 1 in a float.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PcdError(f"{path}: {error.strerror}; copy it again or remove its yaml", "missing cloud") from error
    fields, count, encoding, start = _read_header(path, data)
    table = _TABLES[encoding](path, data[start:], fields, count)
    with np.errstate(over="ignore", invalid="ignore"):
        columns = [table["x"], table["y"], table["z"], _intensity(table, full_intensity)]
        points = np.stack(columns, axis=1).astype(np.float32)
    finite = np.isfinite(points).all(axis=1)
    return np.asarray(points[finite]), int(count - finite.sum())


def write_pcd(path: Path, points: PointArray, binary: bool = False) -> None:
    """Writes the points (N, 4) whole, by rename; intensity is rounded to 1/255."""
    red = np.round(np.clip(points[:, 3], 0.0, 1.0) * 255.0).astype(np.uint8)
    header = _HEADER.format(count=len(points), encoding="binary" if binary else "ascii").encode()
    if binary:
        rgb = (red.astype("<u4") << np.uint32(16)).view("<f4")
        body = np.concatenate([points[:, :3].astype("<f4"), rgb[:, None]], axis=1).tobytes()
    else:
        body = ascii_rows(points, red)
    write_whole(path, header + body)


def _read_header(path: Path, data: bytes) -> tuple[np.dtype[np.void], int, str, int]:
    """Fields of one point, number of points, encoding, and where the points start."""
    words: dict[str, list[str]] = {}
    start = 0
    while "DATA" not in words:
        end = data.find(b"\n", start)
        if end < 0 or start > 4096:
            raise PcdError(f"{path}: not a PCD file (no DATA line in its header)")
        line = data[start:end].decode("ascii", "replace").split()
        start = end + 1
        if line and not line[0].startswith("#"):
            words[line[0]] = line[1:]
    try:
        kinds = zip(words["FIELDS"], words["TYPE"], words["SIZE"], strict=True)
        fields = np.dtype([(name, _TYPES[kind, int(size)]) for name, kind, size in kinds])
        count, encoding = int(words["POINTS"][0]), words["DATA"][0]
    except (KeyError, ValueError, IndexError) as error:
        raise PcdError(f"{path}: broken PCD header ({error!r})") from error
    names = fields.names or ()
    if count < 0:
        raise PcdError(f"{path}: {count} points")
    if not {"x", "y", "z"} <= set(names) or not {"rgb", "intensity"} & set(names):
        raise PcdError(f"{path}: fields {' '.join(names)}; x y z and rgb or intensity are needed")
    if set(words.get("COUNT", ["1"])) != {"1"}:
        raise PcdError(f"{path}: COUNT {' '.join(words['COUNT'])} is not read; every field must be one number")
    if "intensity" not in names and fields["rgb"].itemsize != 4:
        raise PcdError(f"{path}: rgb of {fields['rgb'].itemsize} bytes; 4 are needed")
    if encoding not in _TABLES:
        raise PcdError(f"{path}: DATA {encoding} is not read; convert the file to {', '.join(_TABLES)}")
    return fields, count, encoding, start


def _binary_table(path: Path, body: bytes, fields: np.dtype[np.void], count: int) -> npt.NDArray[np.void]:
    if len(body) < count * fields.itemsize:
        raise PcdError(f"{path}: cut short: {len(body)} bytes of points, {count * fields.itemsize} announced")
    return np.frombuffer(body, fields, count)


def _compressed_table(path: Path, body: bytes, fields: np.dtype[np.void], count: int) -> npt.NDArray[np.void]:
    """Two sizes of four bytes, then LZF of one field after the other."""
    packed, size = (int.from_bytes(body[at : at + 4], "little") for at in (0, 4))
    if len(body) < 8 + packed:
        raise PcdError(f"{path}: cut short: {len(body)} bytes of points, {8 + packed} announced")
    if size != count * fields.itemsize or size > packed * _MOST_EXPANSION:
        raise PcdError(f"{path}: {packed} bytes for {size}, where {count * fields.itemsize} are announced")
    try:
        columns = decompress(body[8 : 8 + packed], size)
    except LzfError as error:
        raise PcdError(f"{path}: broken compression: {error}") from error
    table = np.zeros(count, fields)
    for name in fields.names or ():
        kind, start = fields.fields[name][:2] if fields.fields else (fields, 0)
        table[name] = np.frombuffer(columns, kind, count, start * count)
    return table


def _ascii_table(path: Path, body: bytes, fields: np.dtype[np.void], count: int) -> npt.NDArray[np.void]:
    names = fields.names or ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            numbers = np.fromstring(body.decode("ascii"), np.float64, sep=" ") if body.strip() else np.zeros(0)
        except (DeprecationWarning, ValueError) as error:
            raise PcdError(f"{path}: a point is not a number") from error
    if len(numbers) != count * len(names):
        raise PcdError(f"{path}: {len(numbers)} numbers, {count} points of {len(names)} announced; cut short?")
    table = np.zeros(count, fields)
    with np.errstate(over="ignore", invalid="ignore"):
        for name, column in zip(names, numbers.reshape(count, len(names)).T, strict=True):
            table[name] = column
    return table


_TABLES = {"ascii": _ascii_table, "binary": _binary_table, "binary_compressed": _compressed_table}


def _intensity(table: npt.NDArray[np.void], full: float | None) -> npt.NDArray[np.float32]:
    if "intensity" in (table.dtype.names or ()):
        scale = full or (1.0 if table.dtype["intensity"].kind == "f" else 255.0)
        return np.asarray(table["intensity"] / scale, np.float32)
    bits = np.ascontiguousarray(table["rgb"]).view("<u4")
    return np.asarray(((bits >> np.uint32(16)) & np.uint32(255)) / 255.0, np.float32)
