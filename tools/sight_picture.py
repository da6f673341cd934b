"""The geometry of a situation from above: when its team first sees the hazard, and when the ego alone does."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from PIL import Image
from sight_verdict import occluders, seers
from sights import Drive, Look, first_look

from carla_cp.geometry import bev_corners
from carla_cp.metrics.boxes import box_of
from carla_cp.types import FloatArray
from carla_cp.whole import write_whole
from carla_cp.world import Roads

LANE_WIDTH_M, LANE_STEP_M = 3.6, 2.0
MARGIN_M = 12.0
LEAST_M = 60.0  # shown, of each side
COLOURS = 48
ROAD, BUILDING, OTHER, OCCLUDER, EGO, HAZARD, AGENT = (
    "#dfe3e8",
    "#b9b2a6",
    "#aab2bd",
    "#4a5361",
    "#1f6fd6",
    "#d6301f",
    "#12946a",
)


def draw_sights(drive: Drive, path: Path) -> None:
    """Writes a PNG of two panels, y downwards as on CARLA's maps; of a control one, of its first moment."""
    moments = _moments(drive)
    figure = Figure((4.6 * len(moments), 4.8), layout="constrained")
    panels = figure.subplots(1, len(moments), squeeze=False)[0]
    lanes = _lanes(drive)
    window = _window(drive, moments)
    for axes, (title, look) in zip(panels, moments, strict=True):
        axes.set_title(title, fontsize=9)
        _draw(axes, drive, look, lanes)
        axes.set_xlim(window[0], window[1])
        axes.set_ylim(window[3], window[2])
        axes.set_aspect("equal")
        axes.tick_params(labelsize=7)
    figure.suptitle(f"{drive.scenario.name}, seed {drive.seed}", fontsize=10)
    _save(figure, path)


def _moments(drive: Drive) -> list[tuple[str, Look]]:
    contact = drive.contact
    end_us = drive.looks[-1].time_us if contact is None else contact.way_us
    moments = []
    for who, agents in (("the team", drive.agents), ("the ego alone", drive.agents[:1])):
        look = first_look(drive, agents)
        if look is not None:
            moments.append((f"{who} first sees it, {(end_us - look.time_us) / 1e6:.2f} s before", look))
        elif drive.hazard is not None:
            moments.append((f"{who} never sees it in time", drive.looks[-1]))
    return moments or [("at the start", drive.looks[0])]


def _lanes(drive: Drive) -> FloatArray:
    points = Roads.of_file(drive.scenario.map_file).lane_points(LANE_STEP_M)
    boxes = np.zeros((len(points), 7))
    boxes[:, :2], boxes[:, 3:5], boxes[:, 6] = points[:, :2], (1.3 * LANE_STEP_M, LANE_WIDTH_M), points[:, 2]
    return bev_corners(boxes)


def _window(drive: Drive, moments: Sequence[tuple[str, Look]]) -> tuple[float, float, float, float]:
    """Left, right, top, bottom of what matters: ego, hazard and whoever sees it from the first moment to the end."""
    since = min(look.time_us for _, look in moments)
    places = []
    for look in drive.looks:
        if look.time_us >= since:
            matter = {drive.hazard, *seers(look, drive)}
            places += [(look.ego.pose.x, look.ego.pose.y)]
            places += [item.box[:2] for item in look.objects if item.rolename in matter]
    places += [(mast.foot.x, mast.foot.y) for mast in drive.scenario.rsus]
    low, high = np.min(places, axis=0), np.max(places, axis=0)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2 + MARGIN_M, LEAST_M / 2)
    half[:] = half.max()
    return middle[0] - half[0], middle[0] + half[0], middle[1] - half[1], middle[1] + half[1]


def _draw(axes: Axes, drive: Drive, look: Look, lanes: FloatArray) -> None:
    axes.add_collection(PolyCollection(lanes, facecolors=ROAD, edgecolors=ROAD, linewidths=0.5))
    if len(drive.buildings):
        axes.add_collection(PolyCollection(bev_corners(drive.buildings), facecolors=BUILDING))
    _paths(axes, drive)
    hiding = occluders(drive, look)
    target = next((item for item in look.objects if item.rolename == drive.hazard), None)
    connected = {car.rolename for car in drive.scenario.connected}
    for item in look.objects:
        colour = OCCLUDER if item.rolename in hiding else AGENT if item.rolename in connected else OTHER
        _body(axes, np.array(item.box), HAZARD if item is target else colour)
    _body(axes, box_of(look.ego), EGO)
    for name, (x, y) in _agents(drive, look).items():
        axes.plot(x, y, "^" if name not in connected else ".", color=AGENT if name != drive.ego else EGO, markersize=5)
        if name in seers(look, drive) and target is not None:
            axes.plot([x, target.box[0]], [y, target.box[1]], "-", color=AGENT if name != drive.ego else EGO, lw=1.0)
        axes.annotate(name, (x, y), (4, 4), textcoords="offset points", fontsize=7, clip_on=True)
    if target is not None:
        axes.plot(*target.box[:2], "o", color=HAZARD, markersize=3)  # a pedestrian's body alone is too small to see
        _sightless(axes, drive, look, (target.box[0], target.box[1]))
        axes.annotate(target.rolename, target.box[:2], (4, 4), textcoords="offset points", fontsize=7, color=HAZARD)


def _sightless(axes: Axes, drive: Drive, look: Look, target: tuple[float, float]) -> None:
    """A dotted line where the ego's view is blocked."""
    if drive.ego not in seers(look, drive):
        axes.plot([look.ego.pose.x, target[0]], [look.ego.pose.y, target[1]], ":", color=EGO, lw=1.0)


def _paths(axes: Axes, drive: Drive) -> None:
    ego = np.array([(look.ego.pose.x, look.ego.pose.y) for look in drive.looks])
    axes.plot(*ego.T, "-", color=EGO, lw=0.8, alpha=0.5)
    course = [item.box[:2] for look in drive.looks for item in look.objects if item.rolename == drive.hazard]
    if course:
        axes.plot(*np.array(course).T, "-", color=HAZARD, lw=0.8, alpha=0.5)


def _agents(drive: Drive, look: Look) -> dict[str, tuple[float, float]]:
    """Where everybody is who can tell the ego, and the ego."""
    places = {item.rolename: (item.box[0], item.box[1]) for item in look.objects}
    places[drive.ego] = (look.ego.pose.x, look.ego.pose.y)
    places |= {mast.id: (mast.foot.x, mast.foot.y) for mast in drive.scenario.rsus}
    return {agent: places[agent] for agent in drive.agents}


def _body(axes: Axes, box: FloatArray, colour: str) -> None:
    axes.add_collection(PolyCollection(bev_corners(box[None]), facecolors=colour, edgecolors="white", linewidths=0.4))


def _save(figure: Figure, path: Path) -> None:
    """As a PNG of few colours, small enough to be kept with the scenarios."""
    drawn, picture = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=90)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(picture, format="PNG", optimize=True)
    write_whole(path, picture.getvalue())
