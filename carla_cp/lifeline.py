"""Worker processes that end with the process that started them, even when that one was killed."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing import connection
from multiprocessing.process import BaseProcess


def end_with_parent() -> None:
    """From now on this process ends, at once and with status 1, when the process that started it is gone.

    Called first in a worker of `multiprocessing`; without a parent process (the main program) it does nothing.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_end, args=(parent,), name="lifeline", daemon=True).start()


def _wait_and_end(parent: BaseProcess) -> None:
    connection.wait([parent.sentinel])
    os._exit(1)
