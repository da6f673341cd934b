"""Calibration of points: which clouds are looked at, and the command from data to a file of tables that code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from calibrate_points import blank, clouds, main

from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter
from carla_cp.codecs.early import lattice
from carla_cp.codecs.learnt import FOLDER, Rows, made_by, read_tables
from carla_cp.codecs.octree import HALF_ROWS, HALVES, QUARTER_ROWS, QUARTERS, Octree
from carla_cp.types import GridSpec, IntArray, PointArray
from tests.perception.synthetic import make_frame, write

ROOT = Path(__file__).resolve().parents[2]
MINI = ROOT / "checkpoints" / "mini"
COMMAND = "python tools/calibrate_points.py DATA --checkpoint {} --frames {}"


def cloud(seed: int) -> PointArray:
    """In the agent frame."""
    sweep = make_frame(seed).agents[0].sweep
    return sweep.points + np.array([0.0, 0.0, sweep.sensor_height_m, 0.0], np.float32)


def written(tree: Octree, codes: IntArray) -> bytes:
    writer = SymbolWriter()
    tree.tell(writer, codes)
    return writer.to_bytes()


def test_thinned_clouds_hold_the_most_useful_points_rising() -> None:
    points, grid = cloud(1), GridSpec()
    heat = np.zeros((grid.rows, grid.columns), np.float32)
    some, more = clouds(points, heat, grid, (300, 1000))
    assert (len(some), len(more)) == (300, 1000)
    assert (np.diff(more) > 0).all() and np.isin(some, more).all()
    assert clouds(points[:0], heat, grid, (300,)) == []


def test_the_command_writes_a_file_like_the_package_s_that_codes_its_clouds_shorter(tmp_path: Path) -> None:
    write(tmp_path / "data" / "scene", 1, 1)
    values = (tmp_path / "data", "--checkpoint", MINI, "--frames", 1, "--package", tmp_path / "out")
    command = [sys.executable, str(ROOT / "tools" / "calibrate_points.py"), *map(str, values)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "1/1" in done.stderr  # the bar
    path = tmp_path / "out" / "codecs" / "points.safetensors"
    assert made_by(path) == COMMAND.format(MINI, 1)
    assert made_by(FOLDER / path.name) == COMMAND.format("checkpoints/mini", 7).replace("DATA", "data/train_new")
    fields = [
        (Rows(f"{kind}_quarters", QUARTER_ROWS, QUARTERS), Rows(f"{kind}_halves", HALF_ROWS, HALVES))
        for kind in ("thin", "whole")
    ]
    (_, tree), codes = [Octree(*read_tables(path, *each)) for each in fields], lattice(cloud(2))[0]
    data = written(tree, codes)
    assert np.array_equal(tree.read(SymbolReader(data), len(codes)), codes)
    assert len(data) < 0.8 * len(written(blank(), codes))


def test_what_is_wrong_with_the_input_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for data, reason in (("nowhere", "no such folder"), ("empty", "holds no scene")):
        values = (tmp_path / data, "--checkpoint", MINI, "--package", tmp_path / "out")
        monkeypatch.setattr(sys, "argv", ["calibrate_points.py", *map(str, values)])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 2
        assert reason in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
