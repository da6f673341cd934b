"""Movements of a scene's bodies as CSS animations: they run without a script, and stop under the pointer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carla_cp.metrics.scene import Body

PLACE_CM, HEADING_DDEG = 5.0, 10.0  # a frame this near the straight way between two others is left out


@dataclass(frozen=True, slots=True)
class Key:
    """One body at one time."""

    time_ms: int
    x_cm: float
    y_cm: float
    yaw_ddeg: float

    @property
    def transform(self) -> str:
        """As CSS; a unit of the drawing is a decimetre."""
        return f"translate({self.x_cm / 10:.1f}px,{self.y_cm / 10:.1f}px) rotate({self.yaw_ddeg / 10:.1f}deg)"


def keys(times_ms: Sequence[int], body: Body) -> tuple[Key, ...]:
    """As few keys as a body's way needs, the first frame's and the last one's among them."""
    frames = [at_frame(times_ms, body, index) for index in range(len(times_ms))]
    kept, start = [frames[0]], 0
    for index in range(2, len(frames)):
        if not all(_on_the_way(frames[start], frames[index], frame) for frame in frames[start + 1 : index]):
            start = index - 1
            kept.append(frames[start])
    return tuple(kept if len(frames) == 1 else [*kept, frames[-1]])


def at_frame(times_ms: Sequence[int], body: Body, index: int) -> Key:
    """Where a body is at a frame."""
    x, y, yaw = (column[min(index, len(column) - 1)] for column in (body.x_cm, body.y_cm, body.yaw_ddeg))
    return Key(times_ms[index], x, y, yaw)


def moving(body: Body) -> bool:
    """Whether it ever moves."""
    return max(len(body.x_cm), len(body.y_cm), len(body.yaw_ddeg)) > 1


def movement(name: str, found: Sequence[Key], span_ms: int) -> str:
    """`@keyframes` of a body's way within `span_ms`, at whose end it stays where it came to."""
    steps = "".join(f"{percent(key.time_ms, span_ms)}{{transform:{key.transform}}}" for key in found)
    return f"@keyframes {name}{{{steps}100%{{transform:{found[-1].transform}}}}}"


def switching(name: str, times_ms: Sequence[int], span_ms: int) -> str:
    """`@keyframes` of what is shown from the first of the times, hidden from the second, and so on."""
    steps = "".join(f"{percent(t, span_ms)}{{opacity:{1 - index % 2}}}" for index, t in enumerate(times_ms))
    start = "0%{opacity:0}" if not times_ms or times_ms[0] > 0 else ""
    return f"@keyframes {name}{{{start}{steps}100%{{opacity:{len(times_ms) % 2}}}}}"


def percent(time_ms: int, span_ms: int) -> str:
    """A time's place in the span."""
    return f"{100 * time_ms / span_ms:.2f}%"


def _on_the_way(first: Key, last: Key, frame: Key) -> bool:
    share = (frame.time_ms - first.time_ms) / (last.time_ms - first.time_ms)
    aside = max(
        abs(first.x_cm + share * (last.x_cm - first.x_cm) - frame.x_cm),
        abs(first.y_cm + share * (last.y_cm - first.y_cm) - frame.y_cm),
    )
    turned = abs(first.yaw_ddeg + share * (last.yaw_ddeg - first.yaw_ddeg) - frame.yaw_ddeg)
    return aside <= PLACE_CM and turned <= HEADING_DDEG
