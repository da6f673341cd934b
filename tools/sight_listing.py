"""The table of situations, `scenarios/README.md`: what hides what, how much time that leaves, whether it is served."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from sight_verdict import CLEAR, PASSIVE, Verdict, occluders
from sights import Drive, first_look

from carla_cp.types import ObjectClass

PICTURES = "pictures"  # beside the table
CODEC, IOU, SERVED_AP = "raw", "0.3", 0.5  # found by all features at half of the places, however loosely
HEAD = """# The situations

Written by `{command}`; change a scenario and run it again.

An ego that knows of everybody but the hazard drives on, into it. `TTC ego` and `TTC team` are the times before it gets
in the hazard's way at which it alone, and at which its team, first sees the hazard by LiDAR [s]: least/median/greatest
over {seeds} seeds. `margin` is what the team has left when it has told the ego and the ego has stopped. Each situation
has a control without the hazard (`*_clear.xml`) and a passive variant in which nobody who sees it tells
(`*_passive.xml`). *Served* is one whose hazard's class the detector finds with all features shared (`{codec}`, AP@{iou}
at least {least}).

| situation | hazard | hidden by | seen first by | TTC ego | TTC team | margin | served |
|---|---|---|---|---|---|---|---|
"""


class SummaryError(Exception):
    """A run's summary.json does not say what is served; one line with file and mend."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A main scenario in the table."""

    name: str
    hazard: str  # rolename
    blueprint: str
    label: ObjectClass
    hidden_by: tuple[str, ...]  # blueprints, or `building`
    verdict: Verdict


def situation_of(drives: Sequence[Drive], verdict: Verdict) -> Situation | None:
    """The situation of a main scenario's drives, a seed each; None for a variant, or where there is no hazard."""
    name, hazard = verdict.name, drives[0].hazard
    things = {item.rolename: item for item in drives[0].looks[0].objects}
    thing = things.get(hazard or "")
    if name.endswith((CLEAR, PASSIVE)) or thing is None or thing.label is None:
        return None
    hiders: dict[str, None] = {}
    for drive in drives:
        look = first_look(drive, drive.agents)
        for other in occluders(drive, look) if look is not None else ():
            hiders[things[other].blueprint if other in things else other] = None
    return Situation(name, thing.rolename, thing.blueprint, thing.label, tuple(hiders), verdict)


def listing(
    situations: Sequence[Situation], seeds: int, command: str, served: Mapping[tuple[str, ObjectClass], float]
) -> str:
    """The whole file; `served` is the AP of a hazard's class by situation, as `served_ap` reads it."""
    head = HEAD.format(command=command, seeds=seeds, codec=CODEC, iou=IOU, least=SERVED_AP)
    rows = "".join(_row(item, served.get((item.name, item.label))) for item in situations)
    pictures = "".join(f"\n![{item.name}]({PICTURES}/{item.name}.png)\n" for item in situations)
    return head + rows + pictures


def _row(item: Situation, ap: float | None) -> str:
    _, _, solo, _, team, margin, _, early = item.verdict.cells
    hidden = ", ".join(name.rpartition(".")[2] for name in item.hidden_by) or "its distance"
    served = "not measured" if ap is None else f"{'yes' if ap >= SERVED_AP else 'not served'}, AP {ap:.2f}"
    hazard = f"{item.label.name.lower()} `{item.hazard}`"
    if item.verdict.faults:
        served += "; refused: " + item.verdict.faults[0]
    cells = (f"`{item.name}`", hazard, hidden, early, solo, team, margin, served)
    return "| " + " | ".join(cells) + " |\n"


def served_ap(summary: Path) -> dict[tuple[str, ObjectClass], float]:
    """Mean AP of each class in each scenario with all features shared, from a run's summary.json.

    Raises SummaryError for a file that is no summary, or has no such episodes.
    """
    try:
        episodes = json.loads(summary.read_text(encoding="utf-8"))["episodes"]
        found: dict[tuple[str, ObjectClass], list[float]] = {}
        for episode in episodes:
            for label in ObjectClass if episode["codec"] == CODEC else ():
                value = episode["ap_by_class"][label.name.lower()][IOU]
                if value is not None:
                    found.setdefault((episode["scenario"], label), []).append(float(value))
    except (KeyError, TypeError, ValueError) as error:
        raise SummaryError(f"{summary}: is no summary.json of a run ({error!r}); give one") from error
    if not found:
        raise SummaryError(f"{summary}: has no episode with {CODEC}; run the scenarios with --codec {CODEC}")
    return {key: fmean(values) for key, values in found.items()}
