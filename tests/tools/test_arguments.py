"""Every tool names a bad option in one line, and exits with 2, before it does or leaves anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("evaluate.py nowhere --checkpoint C --out o.json", "nowhere: no such folder"),
        ("evaluate.py . --checkpoint C --out o.json --frames 0", "--frames: '0'"),
        ("evaluate.py . --checkpoint C --out o.json --jobs -1", "--jobs: '-1'"),
        ("evaluate.py . --checkpoint C --out file/o.json", "file/o.json: cannot be written"),
        ("bench.py --out .", ".: cannot be written"),
        ("generate_data.py file --scenes 1 --split val", "file: cannot write there"),
        ("make_maps.py --out file", "file: cannot write there"),
        ("train_detector.py file --out ck", "file: no such folder"),
        ("train_detector.py . --out file/ck", "file/ck: cannot write there"),
        ("train_detector.py . --out ck", "holds no scene"),
        ("train_detector.py . --out ck --time-budget nan", "--time-budget: 'nan'"),
        ("train_codec.py revqom --detector ck --data . --batch 0", "--batch: '0'"),
        ("readme.py file", "file: not the summary.json of a run"),
    ],
)
def test_a_bad_option_is_named_and_nothing_is_left(tmp_path: Path, command: str, named: str) -> None:
    (tmp_path / "file").write_text("text")
    tool, *values = command.split()
    done = subprocess.run([sys.executable, TOOLS / tool, *values], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
