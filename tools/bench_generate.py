"""Speed of `generate_data.py`: the whole command, its start included."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from timing import Row

TOOL = Path(__file__).resolve().parent / "generate_data.py"
SCENES, FRAMES, RUNS = 8, 12, 3


def bench_generate() -> Iterator[Row]:
    """Frames of two agents with 64 x 1024 rays that two jobs write in a second, as text and as binary clouds."""
    for label, options in (("ascii", ()), ("binary", ("--binary",))):
        rates = [_rate(options) for _ in range(RUNS)]
        yield Row(f"generate: two-agent frames per second, 2 jobs, {label}", statistics.median(rates), "1/s", RUNS)


def _rate(options: tuple[str, ...]) -> float:
    with tempfile.TemporaryDirectory() as out:
        sizes = ["--scenes", str(SCENES), "--frames", str(FRAMES), "--agents", "2-2", "--jobs", "2"]
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, str(TOOL), out, "--split", "train", *sizes, *options], check=True, capture_output=True
        )
        return SCENES * FRAMES / (time.perf_counter() - start)
