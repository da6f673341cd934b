"""The C library's heap, asked to hand back what is freed."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os
from carla_cp.heap import hand_back_freed_memory

def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

blocks = [bytearray(b"x" * 100_000) for _ in range(1500)]
last = blocks[-1]  # as long as it is there, nothing below it goes back by itself
blocks.clear()
before = resident_mib()
hand_back_freed_memory()
print(before - resident_mib())
"""


def test_what_lies_freed_below_something_in_use_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 100
