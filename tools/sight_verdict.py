"""What the drives of one situation over its seeds say: one table row, and why it is refused, if it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sights import CRASHES, Drive, Look, Sights, Spread, early_agents, sights_of

from carla_cp.link.sight import crossed
from carla_cp.types import AgentName

CLEAR, PASSIVE = "_clear", "_passive"
SEEDS = 10  # with which a situation is judged in full
HARD_MPS2 = 3.4  # `metrics.braking`: an ego that must brake harder has something to brake for
COLUMNS = (
    "situation",
    "seeds",
    "speed",
    "TTC ego",
    "t_stop",
    "TTC team",
    "margin",
    "short",
    "seen first by",
    "verdict",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One situation."""

    name: str
    cells: tuple[str, ...]  # as COLUMNS, without the first and the last
    faults: tuple[str, ...]  # empty: it is kept
    margin: Spread | None = None

    @property
    def row(self) -> tuple[str, ...]:
        """A line of the table."""
        return (self.name, *self.cells, "refused" if self.faults else "ok")


def judge(drives: Sequence[Drive]) -> Verdict:
    """The verdict on the drives of one file, a seed each; its name says whether it is a control or passive."""
    name = drives[0].scenario.name
    if name.endswith(CLEAR):
        faults = [fault for drive in drives for fault in _control_faults(drive)]
        return Verdict(name, (str(len(drives)), *["-"] * 7), tuple(faults))
    if drives[0].hazard is None:
        return Verdict(name, (str(len(drives)), *["-"] * 7), ("it has no <hazard>; add one, or name it *_clear",))
    sights = [sights_of(drive) for drive in drives]
    faults = _solo_faults(drives, sights)
    faults += _passive_faults(drives) if name.endswith(PASSIVE) else _team_faults(drives, sights)
    return _verdict(name, drives, [item for item in sights if item is not None], faults)


def _verdict(name: str, drives: Sequence[Drive], sights: Sequence[Sights], faults: Sequence[str]) -> Verdict:
    if not sights:
        return Verdict(name, (str(len(drives)), *["-"] * 7), tuple(faults))
    margin = Spread.of([item.margin_s for item in sights])
    early = _names(agent for item in sights for agent in item.early)
    cells = (
        str(len(drives)),
        str(Spread.of([drive.contact.way_speed_mps for drive in drives if drive.contact])),
        str(Spread.of([item.ttc_solo_s or 0.0 for item in sights])),
        str(Spread.of([item.t_stop_s for item in sights])),
        str(Spread.of([item.ttc_team_s or 0.0 for item in sights])),
        str(margin),
        str(Spread.of([item.short_s for item in sights])),
        early or "nobody",
    )
    return Verdict(name, cells, tuple(faults), margin)


def _names(agents: Iterable[str]) -> str:
    return " ".join(sorted(set(agents)))


def _control_faults(drive: Drive) -> list[str]:
    """A control has nothing to brake for and nothing to touch."""
    if drive.hazard is not None:
        return [f"seed {drive.seed}: a control has no <hazard>, but '{drive.hazard}' is one; remove it"]
    if drive.contact is not None:
        return [f"seed {drive.seed}: the ego touches '{drive.contact.other}' at {drive.contact.time_us / 1e6:.2f} s"]
    if drive.hardest_brake_mps2 > HARD_MPS2 and not drive.braked_for.startswith("light"):
        return [f"seed {drive.seed}: the ego must brake with {drive.hardest_brake_mps2:.1f} m/s^2: {drive.braked_for}"]
    return []


def _solo_faults(drives: Sequence[Drive], sights: Sequence[Sights | None]) -> list[str]:
    """The ego alone must be too late in most seeds."""
    late, notes = 0, []
    for drive, seen in zip(drives, sights, strict=True):
        if seen is None:
            notes.append(f"seed {drive.seed}: {_no_contact(drive)}")
        elif seen.short_s <= 0:
            notes.append(f"seed {drive.seed}: the ego alone can stop: {seen.ttc_solo_s:.2f} s >= {seen.t_stop_s:.2f} s")
        else:
            late += 1
    if late >= CRASHES * len(drives):
        return []
    return [f"the ego alone is too late in {late} of {len(drives)} seeds, {CRASHES:.0%} are needed", *notes]


def _no_contact(drive: Drive) -> str:
    if drive.contact is None:
        return f"an ego that knows nothing passes '{drive.hazard}' at {drive.nearest_m:.1f} m: nothing to avoid"
    when = f"at {drive.contact.time_us / 1e6:.2f} s"
    return f"an ego that knows nothing of '{drive.hazard}' touches '{drive.contact.other}' {when} before it gets there"


def _team_faults(drives: Sequence[Drive], sights: Sequence[Sights | None]) -> list[str]:
    """The team must see it in time in every seed, and those who see it first are who the file says."""
    faults = []
    for drive, seen in zip(drives, sights, strict=True):
        if seen is not None and seen.margin_s <= 0:
            need = f"{seen.t_stop_s:.2f} s to stop and {seen.delay_s:.2f} s to tell"
            faults.append(
                f"seed {drive.seed}: the team sees it {seen.ttc_team_s or 0.0:.2f} s before, too late for {need}"
            )
    early = {agent for item in sights if item is not None for agent in item.early}
    declared = set(drives[0].scenario.hazards[0].seen_by)
    if not early <= declared or (len(drives) >= SEEDS and early != declared):  # few seeds do not show all
        has = f'seen_by="{_names(declared)}"'
        faults.append(f'<hazard> has {has}, but who sees it before the ego is: write seen_by="{_names(early)}"')
    return faults


def _passive_faults(drives: Sequence[Drive]) -> list[str]:
    """Nobody who transmits sees it before the ego does."""
    return [
        f"seed {drive.seed}: '{agent}' sees the hazard before the ego does, and transmits"
        for drive in drives
        for agent in early_agents(drive)
    ]


def occluders(drive: Drive, look: Look) -> tuple[str, ...]:
    """Who stands between the ego's LiDAR and the hazard at a look; `building` for a building."""
    target = next((item for item in look.objects if item.rolename == drive.hazard), None)
    if target is None:
        return ()
    mount = drive.scenario.connected[0].lidar.mount
    pose = look.ego.pose
    cos, sin = math.cos(pose.yaw), math.sin(pose.yaw)
    eye = np.array([pose.x + mount.x * cos - mount.y * sin, pose.y + mount.x * sin + mount.y * cos, pose.z + mount.z])
    others = [item for item in look.objects if item.rolename != drive.hazard]
    bodies = np.array([item.box for item in others]).reshape(-1, 7)
    goal = np.array(target.box[:3])
    names = [item.rolename for item, hit in zip(others, crossed(eye, goal, bodies), strict=True) if hit]
    return (*names, *(["building"] if crossed(eye, goal, drive.buildings).any() else []))


def seers(look: Look, drive: Drive) -> tuple[AgentName, ...]:
    """Who sees the hazard at a look."""
    return tuple(agent for agent in drive.agents if look.seen_by([agent]))
