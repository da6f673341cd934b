"""Files of learnt tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from carla_cp.codecs.learnt import Rows, made_by, read_tables, write_tables


def test_what_was_written_is_read_with_the_command_that_made_it(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    write_tables(path, "make it", [("first", [[1, 65535]]), ("second", np.arange(6).reshape(3, 2))])
    second, first = read_tables(path, Rows("second", 3, 2), Rows("first", 1, 2))
    assert first.tolist() == [[1, 65535]] and second.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert first.dtype == np.int64 and made_by(path) == "make it"


def test_tables_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    write_tables(path, "make it", [("first", [[1, 65535]])])
    with pytest.raises(ValueError, match=r"some.safetensors: first is \(1, 2\), not \(2, 1\)"):
        read_tables(path, Rows("first", 2, 1))
