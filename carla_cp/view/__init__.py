"""The bird's-eye view, live or from a recording: the only part that imports pygame."""

import os

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # pygame greets on standard output, which belongs to the run

from carla_cp.view.info import ViewInfo, info_of
from carla_cp.view.window import View

__all__ = ["View", "ViewInfo", "info_of"]
