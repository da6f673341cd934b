"""Files and folders that are there whole or not at all: written under another name beside their place, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, data: bytes | str) -> None:
    """Writes a file as `whole_file` does; text as UTF-8."""
    content = data.encode("utf-8") if isinstance(data, str) else data
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A new file, open for bytes, that takes its place when the block is done; makes its folder.

    An error or an interrupt in the block leaves the file that was there before, and nothing else. A kill leaves at most
    `.<name>.<pid>.part`, which no search for the file's suffix finds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def writable(folder: Path) -> bool:
    """Whether files can be made in a folder; it need not be there yet, and is not made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder that takes its place, where nothing may lie yet, when the block is done.

    An error or an interrupt in the block leaves nothing. A kill leaves at most `.<name>.partial`, which the next writer
    of the same folder replaces.
    """
    part = path.with_name(f".{path.name}.partial")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
