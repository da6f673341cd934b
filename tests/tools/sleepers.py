"""What an evaluation's worker processes do in a test of their end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any


def quick_or_slow(job: Any) -> str:
    """At once the name of a job without frames; of another only after a while, leaving a file where it is told."""
    if not job.frames:
        return "quick"
    Path(job.checkpoint).with_suffix(".begun").touch()
    time.sleep(20)
    Path(job.checkpoint).touch()
    return "slow"
