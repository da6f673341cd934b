"""The text side of the view: what runs, how the ego drives, what was sent, and what the colours mean."""

from __future__ import annotations

import itertools

from carla_cp.types import LightState, Plan, TickRecord, Transmission
from carla_cp.view import theme
from carla_cp.view.canvas import Canvas
from carla_cp.view.info import HISTORY_S, Memory, ViewInfo
from carla_cp.view.scene import message_colour, message_text, sender_colour
from carla_cp.view.theme import Colour

MARGIN = 18
REASONS: dict[str, Colour] = {
    "free": theme.GOOD,
    "arrived": theme.GOOD,
    "follow": theme.PATH,
    "light": theme.WARN,
    "conflict": theme.BAD,
    "emergency": theme.BAD,
}
LIGHTS: dict[LightState, Colour] = {
    LightState.RED: theme.BAD,
    LightState.YELLOW: theme.WARN,
    LightState.GREEN: theme.GOOD,
}
LEGEND: tuple[tuple[str, Colour], ...] = (
    ("ego", theme.INK),
    ("ground truth", theme.TRUTH),
    ("hazard", theme.HAZARD),
    ("detection", theme.DETECTION),
    ("track, 1 s ahead", theme.TRACK),
    ("conflict", theme.BAD),
    ("planned path", theme.PATH),
    ("route", theme.ROUTE),
)


def draw_panel(canvas: Canvas, record: TickRecord, info: ViewInfo, memory: Memory, keys: str) -> None:
    """The whole panel at the right edge of the canvas; `keys` is its last line."""
    left, (width, height) = canvas.surface.get_width() - theme.PANEL, canvas.surface.get_size()
    canvas.fill(theme.PANEL_BACKGROUND, (left, 0, theme.PANEL, height))
    x, right = left + MARGIN, width - MARGIN
    y = _draw_title(canvas, x, right, record, info, memory)
    y = _draw_driving(canvas, x, y + 16, right, record)
    y = _draw_history(canvas, x, y + 16, right, memory)
    _draw_links(canvas, x, y + 16, right, record, info, memory)
    _draw_legend(canvas, x, height - 172, right)
    canvas.text((x, height - 26), keys, theme.FAINT, size=11)


def draw_banner(canvas: Canvas, memory: Memory, paused: bool) -> None:
    """What must not be missed, over the top of the map."""
    middle = (canvas.surface.get_width() - theme.PANEL) / 2
    if memory.collision is not None:
        text = f"collision with {memory.collision.other} at {memory.collision.ego_speed_mps:.1f} m/s"
        canvas.tag((middle, 28), text, theme.INK, theme.mix(theme.BACKGROUND, theme.BAD, 0.75), size=18)
    if paused:
        canvas.tag((middle, 62), "paused", theme.BACKGROUND, theme.WARN, size=14)


def _draw_title(canvas: Canvas, x: int, right: int, record: TickRecord, info: ViewInfo, memory: Memory) -> int:
    canvas.text((x, 16), info.scenario, theme.SOFT)
    canvas.text((right, 16), f"seed {info.seed}", theme.SOFT, align=1.0)
    canvas.text((x, 34), info.codec.name, theme.INK, size=26, bold=True)
    canvas.text((x, 68), _budget_text(info), theme.SOFT)
    canvas.text((right, 42), f"{(record.time_us - (memory.start_us or 0)) / 1e6:.2f} s", theme.INK, size=17, align=1.0)
    canvas.text((right, 68), f"tick {record.tick}", theme.SOFT, align=1.0)
    return 86


def _draw_driving(canvas: Canvas, x: int, y: int, right: int, record: TickRecord) -> int:
    width = right - x
    canvas.fill(theme.CARD, (x, y, width, 148), radius=10)
    canvas.text((x + 14, y + 10), f"{record.ego.speed:.1f}", theme.INK, size=32, bold=True)
    canvas.text((x + 100, y + 27), "m/s", theme.SOFT, size=14)
    if record.plan is None:
        canvas.text((x + 14, y + 70), "driven by somebody else", theme.FAINT, size=12)
    else:
        _draw_plan(canvas, x, y, right, record.plan)
    if record.route_fraction is not None:
        canvas.text((right - 14, y + 99), f"route {100 * record.route_fraction:.0f} %", theme.SOFT, size=12, align=1.0)
    canvas.text((x + 14, y + 121), "light", theme.SOFT, size=12)
    if record.light is None:
        known = "not known" if record.plan is None else "none ahead"
        canvas.text((x + 84, y + 121), known, theme.FAINT, size=12)
    else:
        shade = LIGHTS.get(record.light.state, theme.FAINT)
        canvas.circle((x + 91, y + 129), 6, shade)
        text = f"{record.light.state.name.lower()}, {record.light.distance_m:.0f} m ahead"
        canvas.text((x + 106, y + 121), text, theme.INK, size=12)
    return y + 148


def _draw_plan(canvas: Canvas, x: int, y: int, right: int, plan: Plan) -> None:
    colour = REASONS.get(plan.reason, theme.SOFT)
    canvas.tag((right - 62, y + 30), plan.reason, theme.BACKGROUND, colour, size=14)
    _draw_bar(canvas, x + 14, y + 60, right - x - 28, "throttle", plan.control.throttle, theme.GOOD)
    _draw_bar(canvas, x + 14, y + 80, right - x - 28, "brake", plan.control.brake, theme.BAD)
    canvas.text((x + 14, y + 99), "wanted", theme.SOFT, size=12)
    canvas.text((x + 84, y + 99), f"{plan.acceleration_mps2:+.1f} m/s²", theme.INK, size=12)


def _draw_bar(canvas: Canvas, x: int, y: int, width: int, name: str, share: float, colour: Colour) -> None:
    canvas.text((x, y), name, theme.SOFT, size=12)
    canvas.fill(theme.BACKGROUND, (x + 70, y + 4, width - 70, 8), radius=4)
    if share > 0.01:
        canvas.fill(colour, (x + 70, y + 4, max(8, round((width - 70) * min(1.0, share))), 8), radius=4)


def _draw_history(canvas: Canvas, x: int, y: int, right: int, memory: Memory) -> int:
    """Speed over the last seconds, red where the brake was on."""
    height, newest = 54, memory.history[-1].time_us
    top = max(10.0, *(moment.speed_mps for moment in memory.history))
    canvas.text((x, y), f"SPEED, LAST {HISTORY_S:.0f} s", theme.SOFT, size=11, bold=True)
    canvas.text((right, y), f"{top:.0f} m/s", theme.FAINT, size=11, align=1.0)
    y += 22
    canvas.fill(theme.CARD, (x, y, right - x, height), radius=6)
    for before, after in itertools.pairwise(memory.history):
        dots = [
            (
                right - (newest - moment.time_us) / 1e6 / HISTORY_S * (right - x),
                y + height - 4 - (height - 8) * moment.speed_mps / top,
            )
            for moment in (before, after)
        ]
        canvas.line(dots[0], dots[1], theme.BAD if after.brake > 0.01 else theme.PATH, width=2.0)
    return y + height


def _draw_links(canvas: Canvas, x: int, y: int, right: int, record: TickRecord, info: ViewInfo, memory: Memory) -> int:
    canvas.text((x, y), "MESSAGES", theme.SOFT, size=11, bold=True)
    canvas.text((right, y), f"{len(record.tracks)} tracks", theme.SOFT, size=11, align=1.0)
    y += 20
    if not memory.links:
        canvas.text((x, y), "none in the last moments", theme.FAINT, size=12)
        return y + 20
    for item in memory.links[:5]:
        y = _draw_link(canvas, x, y, right, item, info, memory)
    return y


def _draw_link(canvas: Canvas, x: int, y: int, right: int, item: Transmission, info: ViewInfo, memory: Memory) -> int:
    colour = sender_colour(item.sender, info, memory)
    canvas.circle((x + 6, y + 9), 5, colour)
    canvas.text((x + 20, y), item.sender, theme.INK, size=13)
    canvas.text((right, y), message_text(item), message_colour(item), size=13, align=1.0)
    if info.codec.budget_bytes is not None:
        share = min(1.0, item.payload_bytes / info.codec.budget_bytes)
        canvas.fill(theme.CARD, (x + 20, y + 20, right - x - 20, 5), radius=2)
        canvas.fill(colour, (x + 20, y + 20, max(2, round((right - x - 20) * share)), 5), radius=2)
        return y + 34
    return y + 26


def _draw_legend(canvas: Canvas, x: int, y: int, right: int) -> None:
    canvas.text((x, y), "LEGEND", theme.SOFT, size=11, bold=True)
    for index, (name, colour) in enumerate(LEGEND):
        column, row = x + (index % 2) * (right - x) // 2, y + 22 + 22 * (index // 2)
        canvas.circle((column + 6, row + 8), 5, colour)
        canvas.text((column + 22, row), name, theme.SOFT, size=12)
    canvas.text((x, y + 114), "points and links take their sender's colour", theme.FAINT, size=11)


def _budget_text(info: ViewInfo) -> str:
    if info.codec.name in ("none", "oracle"):
        return "sends nothing"
    if info.codec.budget_bytes is None:
        return "full rate, no budget"
    return f"{info.codec.budget_bytes:,} bytes per agent and tick".replace(",", " ")
