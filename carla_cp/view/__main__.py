"""`python -m carla_cp.view FILE.ticks`: shows a recording at the speed it was driven."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pygame

from carla_cp.recording import RecordingError, read_ticks
from carla_cp.types import Episode
from carla_cp.view.info import info_of_recording
from carla_cp.view.window import View


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 when shown or closed, 2 for no recording or no display, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m carla_cp.view", description="Shows a recorded episode.")
    parser.add_argument("file", type=Path, metavar="FILE.ticks", help="written by run with --keep-ticks")
    try:
        episode = read_ticks(parser.parse_args(arguments).file)
        view = View()
    except RecordingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except pygame.error as error:
        print(f"error: no window ({error}); set SDL_VIDEODRIVER=dummy to do without a display", file=sys.stderr)
        return 2
    try:
        with view:
            replay(view, episode)
    except KeyboardInterrupt:
        return 130
    return 0


def replay(view: View, episode: Episode) -> None:
    """Show all records, each for as long as it lasted, until the end or until the user closes the view."""
    info, clock = info_of_recording(episode), pygame.time.Clock()
    before = episode.records[0].time_us if episode.records else 0
    for record in episode.records:
        if not view.show(record, info):
            return
        step_us, before = record.time_us - before, record.time_us
        if step_us > 0:
            clock.tick(1e6 / step_us)


if __name__ == "__main__":
    sys.exit(main())
