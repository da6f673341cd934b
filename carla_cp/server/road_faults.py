"""What can be wrong with one road of an OpenDRIVE file (ASAM OpenDRIVE 1.4 to 1.7), in words.

Each of these faults ends the process of the wheel's own reader, makes it raise, or gives it places that are no numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from xml.etree.ElementTree import Element

LONGEST_ROAD_M = 100_000.0
START_M = 0.01  # by which the first of several records may miss its start; then it is moved there
_LARGEST_ID = 2**31 - 1
_NARROWEST_M, _WIDEST_M = -0.05, 100.0
_HIGHEST_M = 10_000.0
_SHAPES = {
    "line": (),
    "arc": ("curvature",),
    "spiral": ("curvStart", "curvEnd"),
    "poly3": tuple("abcd"),
    "paramPoly3": ("aU", "bU", "cU", "dU", "aV", "bV", "cV", "dV"),
}
_CUBIC = tuple("abcd")


class RoadError(Exception):
    """What is wrong, with its value, and how to mend it."""


def check_road(road: Element) -> None:
    """Raises RoadError for a road that must be left out."""
    if whole(road.get("id")) is None:
        raise RoadError(f"its id is {road.get('id')!r}; give a number from 0 to {_LARGEST_ID}")
    length = number(road.get("length"))
    if length is None or not 0.0 < length <= LONGEST_ROAD_M:
        raise RoadError(f"it is {road.get('length')} m long; give a length above 0 and up to {LONGEST_ROAD_M:.0f} m")
    _check_plan(road)
    _check_cubics(road.findall("elevationProfile/elevation"), length, "an elevation", _HIGHEST_M)
    _check_cubics(road.findall("lanes/laneOffset"), length, "a laneOffset", _WIDEST_M)
    _check_sections(road, length)


def number(text: str | None) -> float | None:
    """The finite number in a text, if it is one."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def whole(text: str | None, lowest: int = 0) -> int | None:
    """The whole number in a text, if it is one of the range that ids have."""
    try:
        value = int(text or "")
    except ValueError:
        return None
    return value if lowest <= value <= _LARGEST_ID else None


def lane_ids(section: Element) -> set[int]:
    """The lanes of a lane section that has been checked."""
    return {int(lane.attrib["id"]) for lane in section.iter("lane")}


def _numbers(record: Element, names: tuple[str, ...], what: str) -> list[float]:
    values = []
    for name in names:
        value = number(record.get(name))
        if value is None:
            raise RoadError(f"{what} has {name}={record.get(name)!r}; give a number")
        values.append(value)
    return values


def _check_cubics(records: list[Element], length: float, what: str, most: float) -> None:
    rows = sorted(_numbers(record, ("s", *_CUBIC), what) for record in records)
    farthest = max((abs(value) for value in _values(rows, length)), default=0.0)
    if farthest > most:
        raise RoadError(f"{what} reaches {farthest:.4g} m; give one within {most:.0f} m")


def _check_start(records: list[Element], name: str, what: str) -> None:
    first = number(records[0].get(name))
    if first is None or abs(first) > START_M:
        raise RoadError(f"{what} begins at {name}={records[0].get(name)}; let the first begin at 0")


def _check_plan(road: Element) -> None:
    pieces = road.findall("planView/geometry")
    if not pieces:
        raise RoadError("its planView has no geometry; give at least one line")
    _check_start(pieces, "s", "its planView")
    for piece in pieces:
        s, _, _, _, length = _numbers(piece, ("s", "x", "y", "hdg", "length"), "a geometry")
        if length < 0.0:
            raise RoadError(f"the geometry at s={s} is {length} m long; give a length of 0 or more")
        shapes = [child for child in piece if child.tag in _SHAPES]
        if len(shapes) != 1:
            raise RoadError(f"the geometry at s={s} has no shape that is known; give one of {', '.join(_SHAPES)}")
        values = _numbers(shapes[0], _SHAPES[shapes[0].tag], f"the {shapes[0].tag} at s={s}")
        if shapes[0].tag == "paramPoly3" and not (any(values[1:4]) or any(values[5:])):
            raise RoadError(f"the paramPoly3 at s={s} stays at one point; give one that moves on")


def _check_sections(road: Element, length: float) -> None:
    sections = road.findall("lanes/laneSection")
    if not sections:
        raise RoadError("it has no laneSection; give at least one")
    starts = [_numbers(section, ("s",), "a laneSection")[0] for section in sections]
    _check_start(sections, "s", "its first laneSection")
    if any(after <= before for before, after in pairwise(starts)) or starts[-1] >= length:
        raise RoadError(f"its laneSections begin at {starts} on {length} m; let each begin behind the one before it")
    for start, end, section in zip(starts, [*starts[1:], length], sections, strict=True):
        _check_lanes(section, start, end)


def _check_lanes(section: Element, start: float, end: float) -> None:
    where = f"the laneSection at s={start}"
    for side, allowed in _SIDES:
        found = [whole(lane.get("id"), -_LARGEST_ID) for lane in section.findall(f"{side}/lane")]
        missing = next((lane.get("id") for lane in section.findall(f"{side}/lane") if lane.get("type") is None), None)
        if missing is not None:
            raise RoadError(f"lane {missing} of {where} has no type; give one, such as driving or none")
        numbers = [lane for lane in found if lane is not None]
        if len(numbers) < len(found) or not allowed(sorted(numbers, key=abs)):
            texts = [lane.get("id") for lane in section.findall(f"{side}/lane")]
            raise RoadError(f"{where} has the {side} lanes {texts}; number them from the centre, without a gap")
    for lane in section.iter("lane"):
        if lane.get("id") != "0":
            _check_width(lane, end - start, f"lane {lane.get('id')} of {where}")


_SIDES: tuple[tuple[str, Callable[[list[int]], bool]], ...] = (
    ("left", lambda lanes: lanes == list(range(1, len(lanes) + 1))),
    ("center", lambda lanes: lanes == [0]),
    ("right", lambda lanes: lanes == list(range(-1, -len(lanes) - 1, -1))),
)


def _check_width(lane: Element, length: float, where: str) -> None:
    records = lane.findall("width")
    if not records:
        return
    _check_start(records, "sOffset", f"the width of {where}")
    rows = sorted(_numbers(record, ("sOffset", *_CUBIC), f"a width of {where}") for record in records)
    widths = list(_values(rows, length))
    for width in (min(widths), max(widths)):
        if not _NARROWEST_M <= width <= _WIDEST_M:
            raise RoadError(f"{where} is {width:.4g} m wide; give widths from 0 to {_WIDEST_M:.0f} m")


def _values(rows: list[list[float]], length: float) -> Iterator[float]:
    """The values of a list of cubics at a few places of each."""
    ends = [*(row[0] for row in rows[1:]), length]
    for (start, a, b, c, d), end in zip(rows, ends[: len(rows)], strict=True):
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            x = share * max(min(end, length) - start, 0.0)
            yield a + x * (b + x * (c + x * d))
