"""One self-contained HTML page about a run: no script, no font, no image from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from carla_cp.metrics.selection import is_control
from carla_cp.report.airtime import airtimes
from carla_cp.report.compared import DRIVING_NOTE, PAIRS_NOTE, comparison_table, driving_table, pairs_table
from carla_cp.report.details import (
    MESSAGES_NOTE,
    airtime_note,
    airtime_table,
    episode_table,
    latency_table,
    messages_table,
)
from carla_cp.report.drawing import svg
from carla_cp.report.files import RunInfo, StoredEpisode
from carla_cp.report.findings import Findings, Picture
from carla_cp.report.matrix import MATRIX_NOTE, matrix_table
from carla_cp.report.moments import most_telling
from carla_cp.report.replay import REPLAY_NOTE, REPLAY_STYLE, replays
from carla_cp.report.style import STYLE
from carla_cp.report.traces import plot_traces

CONTROLS_NOTE = (
    "The same situations without the hazard (clear), or with nobody sending who sees it (passive): no message can help "
    "there, and none should harm. They are not in the comparison."
)
NARROW_IN = 8.0  # a wider figure is scrolled sideways where it would be too small to read
OPEN_AT_MOST = 24  # episodes whose table and traces are shown without being asked for


def page(run: RunInfo, found: Findings) -> str:
    """The report as one HTML document."""
    summaries = [item.summary for item in found.compared]
    controls = sum(cell.row.episodes for cell in found.controls.cells)
    rows = found.rows
    drawn = {picture.name: picture for picture in found.pictures}
    body = [
        "<h1>What is a message worth?</h1>",
        f'<p class="soft">{_opening(found)}</p>',
        _section("Comparison", comparison_table(rows), _comparison_note(controls)),
        '<div class="pair">' + "".join(_figure(drawn[name]) for name in ("collisions", "precision")) + "</div>",
        _section("Situations by codecs", matrix_table(found.matrix), MATRIX_NOTE),
        _section("Controls", matrix_table(found.controls), CONTROLS_NOTE),
        _figure(drawn["awareness"]) if "awareness" in drawn else "",
        *(_figure(picture) for picture in found.pictures if picture.name.startswith("sweep_")),
        _replay_sections(found),
        _section("How it was driven", driving_table(rows), DRIVING_NOTE),
        _section("Collisions, pair by pair", pairs_table(rows), PAIRS_NOTE),
        _traces(found.compared),
        _section(
            "What became of the messages", messages_table([item.summary for item in found.episodes]), MESSAGES_NOTE
        ),
        _section("On the air", airtime_table(airtimes(summaries)), airtime_note()),
        _section(
            "Latency per perception tick",
            latency_table(summaries),
            "Medians of the wall time spent from one perception to the next, in milliseconds.",
        ),
        _section(
            "Episodes",
            _folded(
                f"all {len(found.episodes)}", len(found.episodes), episode_table([e.summary for e in found.episodes])
            ),
            "The least gap is to the hazard, or without one to any actor.",
        ),
        _section("What was run", _run_list(run)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>carla_cp report</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}{REPLAY_STYLE}</style></head>\n"
        f"<body><main>\n{chr(10).join(part for part in body if part)}\n</main></body>\n</html>\n"
    )


def _opening(found: Findings) -> str:
    scenarios = list(dict.fromkeys(item.summary.scenario for item in found.episodes))
    named = ", ".join(scenarios) if len(scenarios) <= 4 else f"{len(scenarios)} scenarios"
    counted = _count(len(found.episodes), "episode"), _count(len(found.rows), "codec and budget", "codecs and budgets")
    text = f"{named}: {', '.join(counted)}"
    settings = found.compared[0].summary.settings if found.compared else ()
    if settings:
        text += f"; --set {' '.join(settings)}"
    others = len(found.episodes) - len(found.compared)
    if others:
        text += f"; {_count(others, 'episode')} under other settings, in sweeps and messages only"
    return escape(text)


def _comparison_note(controls: int) -> str:
    left_out = f" Without {_count(controls, 'episode')} of controls." if controls else ""
    return (
        "Collisions are the ego's, at fault or not, with Wilson's 95 % interval. AP is of vehicles. The score is the "
        "Leaderboard 2.1 driving score, of 100; below it and AP, bootstrap 95 % intervals of their means. Baselines: "
        "none is the ego alone, oracle knows the truth." + left_out
    )


def _section(title: str, content: str, note: str = "") -> str:
    if not content:
        return ""
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{below}{content}</section>"


def _figure(picture: Picture) -> str:
    panels = " panels" if picture.figure.get_figwidth() > NARROW_IN else ""
    return _section(picture.title, f'<div class="plot wide{panels}">{svg(picture.figure)}</div>', picture.note)


def _folded(label: str, episodes: int, content: str) -> str:
    """Content that is open where it is short."""
    is_open = " open" if episodes <= OPEN_AT_MOST else ""
    return f'<details class="part"{is_open}><summary>{escape(label)}</summary>{content}</details>' if content else ""


def _kept(episodes: Sequence[StoredEpisode]) -> list[StoredEpisode]:
    """Those whose trace is here; an episode that another machine played may come without."""
    return [item for item in episodes if item.trace.time_s]


def _by_scenario(episodes: Sequence[StoredEpisode]) -> list[tuple[str, list[StoredEpisode]]]:
    groups: dict[str, list[StoredEpisode]] = {}
    for item in episodes:
        groups.setdefault(item.summary.scenario, []).append(item)
    return list(groups.items())


def _replay_sections(found: Findings) -> str:
    groups = _by_scenario(_kept(found.compared))
    shown = [group for scenario, group in groups if not is_control(scenario)] or [group for _, group in groups]
    parts = []
    for index, group in enumerate(shown):
        moment = most_telling(group)
        parts.append(f"<h3>{escape(moment.scenario)}</h3>{replays(moment, f'r{index}')}")
    return _section("The most telling episodes", "".join(parts), REPLAY_NOTE)


def _traces(episodes: Sequence[StoredEpisode]) -> str:
    note = (
        "One line per seed; the gap is to the hazard's box, or without one to the nearest actor's. A cross: collision."
    )
    parts = [
        _folded(scenario, len(episodes), f'<div class="plot">{svg(plot_traces(group))}</div>')
        for scenario, group in _by_scenario(_kept(episodes))
    ]
    return _section("Speed and gap over time", "".join(parts), note)


def _run_list(run: RunInfo) -> str:
    pairs = (("carla_cp", run.version), ("server", run.server), ("device", run.device))
    items = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f"<dl>{items}</dl><code>{escape(run.command)}</code>"


def _count(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
