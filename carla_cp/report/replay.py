"""Episodes as animated bird's-eye views: SVG moved by CSS, with no script."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from carla_cp.metrics.scene import EGO, PROP, Body, Scene
from carla_cp.report.files import StoredEpisode
from carla_cp.report.moments import Moment
from carla_cp.report.motion import at_frame, keys, movement, moving, percent, switching

HALF_VIEW_CM = 4200  # of the square that is shown, around where the ego and the hazard come nearest
HOLD_MS = 1500  # at the end, before it starts again
SIDE = 840  # of the drawing [dm]
BAR_Y, BAR_X = 872, 24  # of the bar of time below it
REPLAY_NOTE = (
    "Dark: the ego. A body is hollow while the ego has no track on it, and filled while it has. Red: the hazard. Green "
    "edge: sends messages. Bands: where bodies drive. Both start together; the pointer on one halts it."
)
REPLAY_STYLE = """
.replays { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); gap: 16px; }
.replay { margin: 0; } .replay figcaption { font-size: 13px; margin-bottom: 6px; }
.replay svg { width: 100%; height: auto; display: block; border: 1px solid var(--line); border-radius: 8px; }
.replay svg:hover * { animation-play-state: paused !important; }
.replay .band { fill: none; stroke: #e9ecf1; stroke-width: 34; stroke-linejoin: round; stroke-linecap: round; }
.replay .route { fill: none; stroke: #b9c2d0; stroke-width: 3; stroke-dasharray: 12 10; }
.replay .edge { fill: #ffffff; stroke: #8a94a6; stroke-width: 2.5; } .replay .known { fill: #8a94a6; }
.replay .edge.hazard { stroke: #d1242f; } .replay .known.hazard { fill: #d1242f; }
.replay .edge.sends { stroke: #0f8a5f; stroke-width: 4; } .replay .edge.prop { fill: #d8dde5; }
.replay .ego { fill: #1d2330; } .replay .glass { fill: #aebbd0; }
.replay .crash { fill: none; stroke: #d1242f; stroke-width: 6; }
.replay text { font: 20px system-ui, "DejaVu Sans", sans-serif; fill: #667085; } .replay text.bad { fill: #d1242f; }
.replay .bar { fill: #e4e7ec; } .replay .gone { fill: #98a2b3; transform-box: fill-box; transform-origin: 0 0; }
.replay .mark { stroke: #667085; stroke-width: 3; } .replay .mark.bad { stroke: #d1242f; }
@media (prefers-reduced-motion: reduce) { .replay svg * { animation: none !important; } }
"""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What all parts of one animation share."""

    name: str  # of its animations, unique in the page
    scene: Scene
    span_ms: int
    still: int  # the frame that is shown where nothing may move
    centre_cm: tuple[int, int]

    def animation(self, part: str, steps: bool = False) -> str:
        """The CSS of one of its animations."""
        timing = "step-end" if steps else "linear"
        return f"animation:{self.name}{part} {self.span_ms / 1000:.2f}s {timing} infinite"


@dataclass(frozen=True, slots=True)
class Mark:
    """What happened at one time, as the bar of time says it."""

    time_ms: int
    text: str
    below: int  # of the bar [dm]
    tone: str = ""  # "bad", or nothing


def replays(moment: Moment, name: str) -> str:
    """The animations of a situation beside each other, as HTML; `name` tells them from others of the page."""
    scenes = [item.trace.scene for item in moment.episodes]
    span = max(scene.time_ms[-1] for scene in scenes) + HOLD_MS
    still = _nearest(moment.episodes[0])
    ego, other = (at_frame(scenes[0].time_ms, body, still) for body in (scenes[0].bodies[0], _hazard(scenes[0])))
    centre = round((ego.x_cm + other.x_cm) / 2), round((ego.y_cm + other.y_cm) / 2)
    parts = []
    for index, item in enumerate(moment.episodes):
        drawing = Drawing(f"{name}{'ab'[index]}", item.trace.scene, span, _nearest(item), centre)
        parts.append(f'<figure class="replay"><figcaption>{_caption(item)}</figcaption>{_svg(drawing, item)}</figure>')
    return f'<p class="soft">{escape(moment.reason)}</p><div class="replays">{"".join(parts)}</div>'


def _caption(item: StoredEpisode) -> str:
    summary = item.summary
    hits = (f"hits {escape(hit.other)} at {hit.impact_mps:.1f} m/s" for hit in summary.collisions[:1])
    end = next(hits, "no collision" if summary.min_gap_m is None else f"least gap {summary.min_gap_m:.1f} m")
    size = summary.bytes.per_message_mean
    sent = "" if size is None else f", {size:,.0f} bytes a message".replace(",", " ").replace("  ", ", ")
    tone = ' class="bad"' if summary.collisions else ""
    return f"<strong>{escape(summary.label)}</strong>{sent}: <span{tone}>{end}</span>"


def _svg(drawing: Drawing, item: StoredEpisode) -> str:
    x, y = (centre / 10 - SIDE / 2 for centre in drawing.centre_cm)
    rules: list[str] = []
    ways = "".join(_way(drawing, body, "band") for body in drawing.scene.bodies if body.kind in (EGO, "vehicle"))
    ways += _way(drawing, drawing.scene.bodies[0], "route")
    others = [_body(drawing, index, body, rules) for index, body in enumerate(drawing.scene.bodies)]
    crash = _crash(drawing, item, rules)
    bar = _bar(drawing, item, rules)
    label = escape(f"bird's-eye view of {item.summary.scenario} with {item.summary.label}, seed {item.summary.seed}")
    return (
        f'<svg viewBox="0 0 {SIDE} {SIDE + 110}" role="img" aria-label="{label}"><style>{"".join(rules)}</style>'
        f'<svg width="{SIDE}" height="{SIDE}" viewBox="{x:.1f} {y:.1f} {SIDE} {SIDE}">'
        f"{ways}{''.join(others[1:])}{others[0]}{crash}</svg>{bar}</svg>"
    )


def _way(drawing: Drawing, body: Body, kind: str) -> str:
    """Where a body drives; nothing of one that stands."""
    if not moving(body):
        return ""
    points = " ".join(f"{key.x_cm / 10:.0f},{key.y_cm / 10:.0f}" for key in keys(drawing.scene.time_ms, body))
    return f'<polyline class="{kind}" points="{points}"/>'


def _body(drawing: Drawing, index: int, body: Body, rules: list[str]) -> str:
    """A body as a group that is moved; its animations are added to the rules."""
    scene = drawing.scene
    style = f"transform:{at_frame(scene.time_ms, body, drawing.still).transform}"
    if moving(body):
        rules.append(movement(f"{drawing.name}m{index}", keys(scene.time_ms, body), drawing.span_ms))
        style += f";{drawing.animation(f'm{index}')}"
    length, width = max(body.length_cm, 50) / 10, max(body.width_cm, 50) / 10
    box = f'x="{-length / 2:.1f}" y="{-width / 2:.1f}" width="{length:.1f}" height="{width:.1f}" rx="4"'
    if body.kind == EGO:
        glass = (
            f'x="{length * 0.08:.1f}" y="{-width * 0.36:.1f}" width="{length * 0.16:.1f}" height="{width * 0.72:.1f}"'
        )
        return f'<g style="{style}"><rect class="ego" {box}/><rect class="glass" {glass}/></g>'
    role = " hazard" if body.name == scene.hazard else " sends" if body.sends else ""
    edge = f'<rect class="edge{role}{" prop" if body.kind == PROP else ""}" {box}/>'
    known = _known(drawing, index, body, role, box, rules)
    return f'<g style="{style}"><title>{escape(body.name)}</title>{edge}{known}</g>'


def _known(drawing: Drawing, index: int, body: Body, role: str, box: str, rules: list[str]) -> str:
    if not body.turns:
        return ""
    times = [drawing.scene.time_ms[frame] for frame in body.turns]
    rules.append(switching(f"{drawing.name}k{index}", times, drawing.span_ms))
    shown = sum(frame <= drawing.still for frame in body.turns) % 2
    return f'<rect class="known{role}" {box} style="opacity:{shown};{drawing.animation(f"k{index}", steps=True)}"/>'


def _crash(drawing: Drawing, item: StoredEpisode, rules: list[str]) -> str:
    if not item.summary.collisions:
        return ""
    time_ms = round(1000 * item.summary.collisions[0].t_s)
    place = at_frame(drawing.scene.time_ms, drawing.scene.bodies[0], drawing.still)
    rules.append(switching(f"{drawing.name}c", [time_ms], drawing.span_ms))
    style = f"opacity:1;{drawing.animation('c', steps=True)}"
    return f'<circle class="crash" cx="{place.x_cm / 10:.1f}" cy="{place.y_cm / 10:.1f}" r="42" style="{style}"/>'


def _bar(drawing: Drawing, item: StoredEpisode, rules: list[str]) -> str:
    """The bar of time, with the trigger above it, and awareness and collision below."""
    width, end = SIDE - 2 * BAR_X, drawing.scene.time_ms[-1]
    full = width * end / drawing.span_ms
    rules.append(
        f"@keyframes {drawing.name}t{{0%{{transform:scaleX(0)}}"
        f"{percent(end, drawing.span_ms)}{{transform:scaleX(1)}}100%{{transform:scaleX(1)}}}}"
    )
    marks = "".join(_mark(BAR_X + width * mark.time_ms / drawing.span_ms, mark) for mark in _marks(drawing.scene, item))
    gone = (
        f'<rect class="gone" x="{BAR_X}" y="{BAR_Y}" width="{full:.1f}" height="10" style="{drawing.animation("t")}"/>'
    )
    return f'<rect class="bar" x="{BAR_X}" y="{BAR_Y}" width="{full:.1f}" height="10"/>{gone}{marks}'


def _marks(scene: Scene, item: StoredEpisode) -> list[Mark]:
    found = []
    aware_s = item.summary.time_to_awareness_s
    if scene.triggered_ms is not None:
        found.append(Mark(scene.triggered_ms, f"trigger {_seconds(scene.triggered_ms)}", -10))
        if aware_s is not None:
            time_ms = scene.triggered_ms + round(1000 * aware_s)
            found.append(Mark(time_ms, f"aware {_seconds(time_ms)}", 34))
        elif scene.hazard is not None:
            found.append(Mark(scene.time_ms[-1], "never aware", 34))
    hits = [round(1000 * hit.t_s) for hit in item.summary.collisions[:1]]
    return found + [Mark(time_ms, f"collision {_seconds(time_ms)}", 58, "bad") for time_ms in hits]


def _mark(x: float, mark: Mark) -> str:
    anchor = "start" if x < SIDE - 220 else "end"
    text = f'<text class="{mark.tone}" x="{x:.1f}" y="{BAR_Y + mark.below}" text-anchor="{anchor}">{mark.text}</text>'
    return f'<line class="mark {mark.tone}" x1="{x:.1f}" x2="{x:.1f}" y1="{BAR_Y - 5}" y2="{BAR_Y + 15}"/>{text}'


def _seconds(time_ms: int) -> str:
    return f"{time_ms / 1000:.1f} s"


def _hazard(scene: Scene) -> Body:
    """The hazard's body, or without one the ego's."""
    return next((body for body in scene.bodies if body.name == scene.hazard), scene.bodies[0])


def _nearest(item: StoredEpisode) -> int:
    """The frame at the collision, or at the least gap."""
    trace = item.trace
    gaps = [(gap, time) for gap, time in zip(trace.gap_m, trace.time_s, strict=True) if gap is not None]
    time_s = item.summary.collisions[0].t_s if item.summary.collisions else min(gaps, default=(0.0, 0.0))[1]
    times = trace.scene.time_ms
    return min(range(len(times)), key=lambda index: abs(times[index] - 1000 * time_s))
