from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from carla_cp.lifeline import end_with_parent

PROGRAM = """
import multiprocessing, os, time
from carla_cp.lifeline import end_with_parent

def work():
    end_with_parent()
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
"""


def test_a_worker_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        os.kill(worker, 0)
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.read() == ""  # the worker holds the other end of this pipe: it ends when the worker does


def test_the_main_program_has_no_parent_and_goes_on() -> None:
    before = threading.active_count()
    end_with_parent()
    assert threading.active_count() == before
