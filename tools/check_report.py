"""Checks that the report of many episodes is small and opens fast, by repeating a run's episodes.

python tools/check_report.py runs/intersection --episodes 200 --out check/

Writes the report of so many episodes, the run's own over and over under further seeds and situations, then opens it in
a headless Chromium, if there is one, wide and narrow, and saves pictures of it. Exit status 1: it is larger or slower
than it may be, or has to be scrolled sideways.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from browser import Browser, BrowserError, Opened, find_browser, open_browser

from carla_cp import __version__
from carla_cp.metrics.fields import StoredError
from carla_cp.report import RunInfo, StoredEpisode, read_episode, write_report
from carla_cp.whole import write_whole

LARGEST_MB, LONGEST_S = 10.0, 2.0
SEEDS = 10  # of a situation and codec, before the next situation begins
WIDTHS, HEIGHT, PICTURE_PX = (1360, 420), 900, 2400


def repeated(episodes: Sequence[StoredEpisode], count: int) -> list[StoredEpisode]:
    """So many episodes: those given, again and again, ten seeds of each codec to a situation."""
    groups: dict[str, list[StoredEpisode]] = {}
    for item in episodes:
        groups.setdefault(item.summary.label, []).append(item)
    made = []
    for number in range(count):
        place, kind = divmod(number, len(groups))
        situation, seed = divmod(place, SEEDS)
        group = list(groups.values())[kind]
        source = group[place % len(group)]
        name = source.summary.scenario + (f"_{situation + 1}" if situation else "")
        made.append(replace(source, summary=replace(source.summary, scenario=name, seed=seed)))
    return made


def stored_episodes(run: Path) -> list[StoredEpisode]:
    """All episodes of a run's folder; raises StoredError, also where there is none."""
    paths = sorted((run / "episodes").glob("*/*/*.json"))
    if not paths:
        raise StoredError(f"{run}: no episodes/*/*/*.json; give the --out of a run")
    return [read_episode(path) for path in paths]


def opened(browser: Browser, report: Path, width: int) -> Opened:
    """Opens the report, and saves pictures of all of it beside it."""
    found = browser.open(report, width, HEIGHT)
    for number, y in enumerate(range(0, found.height, PICTURE_PX)):
        picture = browser.picture(y, max(width, found.width), min(PICTURE_PX, found.height - y))
        write_whole(report.with_name(f"{width}px_{number}.png"), picture)
    return found


def check(report: Path) -> bool:
    """Whether the report is as small and as fast as it has to be; says what was found."""
    size = report.stat().st_size / 1e6
    good = size < LARGEST_MB
    print(f"{report}: {size:.2f} MB of at most {LARGEST_MB:g}")
    program = find_browser()
    if program is None:
        print("no Chromium found: loading is not measured")
        return good
    with open_browser(program) as browser:
        for width in WIDTHS:
            found = opened(browser, report, width)
            print(
                f"{width} px wide: first content after {found.paint_s:.2f} s, loaded after {found.load_s:.2f} s of at "
                f"most {LONGEST_S:g}, {found.height} px high, {found.width} px used"
            )
            good = good and found.load_s < LONGEST_S and found.width <= width
    return good


def main(values: Sequence[str] | None = None) -> int:
    """0: small and fast; 1: not; 2: bad input, or a browser that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the --out of a run")
    parser.add_argument("--episodes", type=int, default=200, help="how many the report has (default 200)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for report.html and the pictures")
    arguments = parser.parse_args(values)
    try:
        episodes = repeated(stored_episodes(arguments.run), arguments.episodes)
        info = RunInfo(__version__, "repeated", "none", "python tools/check_report.py")
        write_report(arguments.out / "report.html", info, episodes)
        return 0 if check(arguments.out / "report.html") else 1
    except (StoredError, BrowserError, OSError) as error:
        print(f"check_report: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
