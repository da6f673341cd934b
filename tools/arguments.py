"""Values of the tools' command lines, checked as they are read: argparse then names the option and exits with 2."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from pathlib import Path

from carla_cp.whole import writable


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def minutes(text: str) -> float:
    """A finite time above 0."""
    return _above_zero(text, "number of minutes")


def existing_folder(text: str) -> Path:
    """A folder that is there."""
    if not Path(text).is_dir():
        raise ArgumentTypeError(f"{text}: no such folder")
    return Path(text)


def existing_path(text: str) -> Path:
    """A folder or file that is there."""
    if not Path(text).exists():
        raise ArgumentTypeError(f"{text}: no such folder")
    return Path(text)


def out_folder(text: str) -> Path:
    """A folder to write in, which need not be there yet."""
    if not writable(Path(text)):
        raise ArgumentTypeError(f"{text}: cannot write there; give another folder")
    return Path(text)


def out_file(text: str) -> Path:
    """A file to write, whose folder need not be there yet."""
    if Path(text).is_dir() or not writable(Path(text).parent):
        raise ArgumentTypeError(f"{text}: cannot be written; give a file in a folder that can")
    return Path(text)


def natural(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def share(text: str) -> float:
    """A probability."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def metres(text: str) -> float:
    """A finite length above 0."""
    return _above_zero(text, "length in metres")


def _above_zero(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"{text!r} is no {what} above 0")
    return value
