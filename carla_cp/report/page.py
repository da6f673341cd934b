"""One self-contained HTML page about a run: no script, no font, no image from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from statistics import median

from carla_cp.metrics.comparison import comparison
from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.report.airtime import PACKET_BYTES, RATE_MBPS, Airtime, airtimes
from carla_cp.report.compared import DRIVING_NOTE, PAIRS_NOTE, comparison_table, driving_table, pairs_table, table
from carla_cp.report.files import RunInfo, StoredEpisode
from carla_cp.report.plots import plot_collisions, plot_precision, plot_traces
from carla_cp.report.table import number
from carla_cp.whole import write_whole

STYLE = """
:root { --ink: #1d2330; --soft: #667085; --line: #e4e7ec; --paper: #ffffff; --ground: #f5f6f8; --bad: #d1242f; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 28px; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 0 0 4px; }
p { margin: 0 0 12px; } .soft, .note { color: var(--soft); } .note { font-size: 13px; max-width: 90ch; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 20px 22px;
  margin-top: 18px; overflow-x: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 0 18px; }
.plot svg { max-width: 100%; height: auto; display: block; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 13.5px; }
th { text-align: right; font-weight: 600; color: var(--soft); font-size: 12px; white-space: nowrap; }
th, td { padding: 6px 8px; border-bottom: 1px solid var(--line); }
td { text-align: right; white-space: nowrap; } th.left, td.left { text-align: left; }
tbody tr:last-child td { border-bottom: 0; } tbody tr:hover { background: #f8fafc; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 5px; margin-right: 8px; }
.interval { color: var(--soft); font-size: 12px; } .bad { color: var(--bad); font-weight: 600; }
.track { display: inline-block; position: relative; width: 110px; height: 8px; border-radius: 4px; background: #edf0f3;
  vertical-align: middle; margin-left: 10px; }
.track i { position: absolute; top: 0; bottom: 0; border-radius: 4px; background: #f2b8bb; }
.track b { position: absolute; top: -2px; bottom: -2px; width: 3px; margin-left: -1px; background: var(--bad); }
code { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; background: #f2f4f7; border-radius: 6px;
  padding: 8px 12px; display: block; white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 0 0 12px; }
dt { color: var(--soft); } dd { margin: 0; }
"""


def write_report(path: Path, run: RunInfo, episodes: Sequence[StoredEpisode]) -> None:
    """Write `report.html` of all episodes of a run, whole, by rename."""
    write_whole(path, page(run, episodes))


def page(run: RunInfo, episodes: Sequence[StoredEpisode]) -> str:
    """The report as one HTML document."""
    summaries = [item.summary for item in episodes]
    scenarios = list(dict.fromkeys(item.scenario for item in summaries))
    rows = comparison(summaries)
    body = [
        "<h1>What is a message worth?</h1>",
        f'<p class="soft">{escape(", ".join(scenarios))}: {_count(len(summaries), "episode")}, '
        f"{_count(len(rows), 'codec and budget', 'codecs and budgets')}</p>",
        _section(
            "Comparison",
            comparison_table(rows),
            "Collisions are the ego's, at fault or not, with Wilson's 95 % interval. AP is of vehicles. The score is "
            "the Leaderboard 2.1 driving score, of 100; below it and AP, bootstrap 95 % intervals of their means. "
            "Baselines: none is the ego alone, oracle knows the truth.",
        ),
        _section("How it was driven", driving_table(rows), DRIVING_NOTE),
        _section("Collisions, pair by pair", pairs_table(rows), PAIRS_NOTE),
        '<div class="pair">'
        + _section("Bytes against precision", _plot(plot_precision(rows)), "Dashed: what sends nothing.")
        + _section("Bytes against collisions", _plot(plot_collisions(rows)), "Codecs stand a little apart, to be seen.")
        + "</div>",
        *(_traces(name, [item for item in episodes if item.summary.scenario == name]) for name in scenarios),
        _section("On the air", _airtime_table(airtimes(summaries)), _airtime_note()),
        _section(
            "Latency per perception tick",
            _latency_table(summaries),
            "Medians of the wall time spent from one perception to the next, in milliseconds.",
        ),
        _section("Episodes", _episode_table(summaries), "The least gap is to the hazard, or without one to any actor."),
        _section("What was run", _run_list(run)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>carla_cp report</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body><main>\n{chr(10).join(part for part in body if part)}\n</main></body>\n</html>\n"
    )


def _section(title: str, content: str, note: str = "") -> str:
    if not content:
        return ""
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{below}{content}</section>"


def _plot(svg: str) -> str:
    return f'<div class="plot">{svg}</div>'


def _traces(scenario: str, episodes: Sequence[StoredEpisode]) -> str:
    note = (
        "One line per seed; the gap is to the hazard's box, or without one to the nearest actor's. A cross: collision."
    )
    return _section(f"Speed and gap over time: {scenario}", _plot(plot_traces(episodes)), note)


def _airtime_table(items: Sequence[Airtime]) -> str:
    header = ("codec", "bytes per message", "packets", "airtime [ms]", "channel used by one sender")
    cells = []
    for item in items:
        load = f"{100 * item.channel_load:,.1f} %"
        cells.append(
            (
                escape(item.label),
                number(item.bytes_per_message, 0),
                number(item.packets, 0),
                number(item.airtime_ms, 2),
                f'<span class="bad">{load}</span>' if item.channel_load > 1 else load,
            )
        )
    return table(header, cells)


def _airtime_note() -> str:
    return (
        f"The mean message in packets of at most {PACKET_BYTES} bytes, with their headers, at {RATE_MBPS:g} Mb/s, the "
        "default rate of ITS-G5 and DSRC, sent ten times a second, without spaces and contention. Above 100 % one "
        "sender alone does not fit the channel."
    )


def _latency_table(summaries: Sequence[EpisodeSummary]) -> str:
    groups: dict[str, list[EpisodeSummary]] = {}
    for item in summaries:
        groups.setdefault(item.label, []).append(item)
    cells = []
    for label, group in groups.items():
        times = [item.latency_ms for item in group]
        stages = (
            median(item.sense for item in times),
            median(item.encode for item in times),
            median(item.decode for item in times),
            median(item.detect for item in times),
            median(item.plan for item in times),
            median(item.tick for item in times),
        )
        cells.append((escape(label), *(number(value, 1) for value in stages)))
    return table(("codec", "sense", "encode", "decode", "detect", "plan", "whole tick"), cells)


def _episode_table(summaries: Sequence[EpisodeSummary]) -> str:
    header = (
        *("scenario", "codec", "seed", "end", "collision", "least TTC [s]", "PET [s]", "least gap [m]", "brake [m/s²]"),
        *("aware after [s]", "route", "score", "AP@0.5", "mean / max bytes", "lost / late", "time [s]"),
    )
    return table(header, [_episode_cells(item) for item in summaries], left=2)


def _episode_cells(item: EpisodeSummary) -> tuple[str, ...]:
    largest = item.bytes.per_message_max
    sizes = "–" if largest is None else f"{number(item.bytes.per_message_mean, 0)} / {number(largest, 0)}"  # noqa: RUF001
    end = item.end.value
    return (
        escape(item.scenario),
        escape(item.label),
        str(item.seed),
        f'<span class="bad">{end}</span>' if item.collisions else end,
        _collisions(item),
        number(item.min_ttc_s, 2),
        number(item.conflict.pet_s, 2),
        number(item.min_gap_m, 2),
        number(item.max_brake_mps2, 1),
        number(item.time_to_awareness_s, 2),
        f"{100 * item.route_completion:.0f} %",
        number(item.driving_score.lb21, 1),
        number(item.ap.iou50),
        sizes,
        f"{item.messages.lost} / {item.messages.late}",
        number(item.sim_s, 1),
    )


def _collisions(item: EpisodeSummary) -> str:
    hits = (f"{escape(h.other)} at {h.speed_mps:.1f} m/s, impact {h.impact_mps:.1f} m/s" for h in item.collisions)
    return "<br>".join(hits) or "–"  # noqa: RUF001


def _run_list(run: RunInfo) -> str:
    pairs = (("carla_cp", run.version), ("server", run.server), ("device", run.device))
    items = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f"<dl>{items}</dl><code>{escape(run.command)}</code>"


def _count(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
