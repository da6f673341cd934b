"""The map side of the view: points, boxes, tracks, path and links around the ego."""

from __future__ import annotations

import itertools
import math

import numpy as np

from carla_cp.geometry import bev_corners, matrix_from_pose, transform_boxes
from carla_cp.metrics.boxes import box_of
from carla_cp.types import AgentName, FloatArray, Outcome, Sweep, TickRecord, Track, Transmission, TruthObject
from carla_cp.view import theme
from carla_cp.view.camera import Camera
from carla_cp.view.canvas import Canvas, Dot
from carla_cp.view.info import Memory, ViewInfo
from carla_cp.view.theme import Colour

GROUND_M = 0.3  # points below this height are drawn dim
ARROW_S = 1.0  # a track's arrow is the way it goes in this time


def draw_scene(canvas: Canvas, camera: Camera, record: TickRecord, info: ViewInfo, memory: Memory) -> None:
    """Everything between the ground and the links, in that order."""
    _draw_rings(canvas, camera)
    _draw_route(canvas, camera, info)
    for sweep in memory.sweeps:
        _draw_sweep(canvas, camera, sweep, sender_colour(sweep.agent, info, memory))
    _draw_path(canvas, camera, record)
    for item in record.truth.objects:
        _draw_truth(canvas, camera, item, info)
    _draw_detections(canvas, camera, memory)
    conflict = None if record.plan is None else record.plan.conflict_track
    for track in record.tracks:
        _draw_track(canvas, camera, track, track.id == conflict)
    _draw_agents(canvas, camera, record, info, memory)
    _draw_ego(canvas, camera, record)


def sender_colour(agent: AgentName, info: ViewInfo, memory: Memory) -> Colour:
    """The colour of an agent's points, marker and links; the same all through an episode."""
    names = tuple(dict.fromkeys((*info.agents, *memory.agents)))
    return theme.SENDERS[names.index(agent) % len(theme.SENDERS)] if agent in names else theme.SOFT


def message_colour(item: Transmission) -> Colour:
    """Good, late or bad news about a message."""
    if item.outcome is Outcome.DELIVERED:
        return theme.GOOD
    return theme.WARN if item.outcome in (Outcome.LATE, Outcome.EMPTY) else theme.BAD


def message_text(item: Transmission) -> str:
    """Bytes and delay of a message, or what became of it."""
    if item.outcome is Outcome.EMPTY:
        return "nothing fits"
    delay = "" if item.arrived_us is None else f" · {(item.arrived_us - item.sent_us) / 1000:.0f} ms"
    size = f"{item.payload_bytes:,} B".replace(",", " ")
    cause = "" if item.loss is None else f", {item.packets_lost} packets by {item.loss.value.replace('_', ' ')}"
    return size + delay + ("" if item.outcome is Outcome.DELIVERED else f" · {item.outcome.value}") + cause


def _draw_rings(canvas: Canvas, camera: Camera) -> None:
    for metres in (25, 50, 75, 100):
        canvas.circle(camera.anchor, metres * camera.scale, theme.RING, fill=False)
        aside = math.sqrt(0.5) * metres * camera.scale
        label = (camera.anchor[0] + aside + 4, camera.anchor[1] - aside - 12)
        canvas.text(label, f"{metres} m", theme.FAINT, size=11)


def _draw_route(canvas: Canvas, camera: Camera, info: ViewInfo) -> None:
    if len(info.route) > 1:
        dots = _dots(camera.to_screen(np.array(info.route)))
        for start, end in itertools.pairwise(dots):
            canvas.dashes(start, end, theme.ROUTE, width=1.5)


def _draw_sweep(canvas: Canvas, camera: Camera, sweep: Sweep, colour: Colour) -> None:
    world = matrix_from_pose(sweep.world_from_lidar)
    turn, shift = camera.affine()
    rows = np.concatenate([turn @ world[:2, :3], world[2:3, :3]]).astype(np.float32)
    mapped = sweep.points[:, :3] @ rows.T  # screen x and y, and height above the sensor, in one product
    high = mapped[:, 2] > GROUND_M - sweep.sensor_height_m
    dots = mapped[:, :2] + (turn @ world[:2, 3] + shift).astype(np.float32)
    canvas.points(dots[~high], theme.mix(theme.BACKGROUND, colour, 0.34))
    canvas.points(dots[high], theme.mix(theme.BACKGROUND, colour, 0.85), size=2 if camera.scale > 5 else 1)


def _draw_path(canvas: Canvas, camera: Camera, record: TickRecord) -> None:
    if record.plan is not None and len(record.plan.path) > 1:
        canvas.lines(
            _dots(camera.to_screen(np.array(record.plan.path))), theme.mix(theme.BACKGROUND, theme.PATH, 0.7), width=3.0
        )


def _draw_truth(canvas: Canvas, camera: Camera, item: TruthObject, info: ViewInfo) -> None:
    colour = theme.HAZARD if item.rolename == info.hazard else theme.TRUTH
    (corners,) = _outlines(camera, np.array([item.box]))
    canvas.polygon(corners, colour)
    if item.rolename == info.hazard:
        x, y = camera.at(item.box[0], item.box[1])
        canvas.text((x, y + 0.5 * camera.scale * item.box[3] + 4), item.rolename, colour, size=11, align=0.5)


def _draw_detections(canvas: Canvas, camera: Camera, memory: Memory) -> None:
    if memory.perceived is None:
        return
    boxes = transform_boxes(matrix_from_pose(memory.perceived.world_from_agent), memory.perceived.detections.boxes)
    for corners, score in zip(_outlines(camera, boxes), memory.perceived.detections.scores.tolist(), strict=True):
        canvas.polygon(corners, theme.DETECTION, fill=0.1 + 0.25 * score)


def _draw_track(canvas: Canvas, camera: Camera, track: Track, in_conflict: bool) -> None:
    colour = theme.BAD if in_conflict else theme.TRACK
    box = np.array([[track.x, track.y, track.z, track.length + 0.5, track.width + 0.5, track.height, track.yaw]])
    (corners,) = _outlines(camera, box)
    canvas.lines([*corners, corners[0]], colour, width=2.0)
    end = camera.at(track.x + ARROW_S * track.vx, track.y + ARROW_S * track.vy)
    canvas.arrow(camera.at(track.x, track.y), end, colour, width=2.5)
    speed = math.hypot(track.vx, track.vy)
    if speed > 0.5:
        right = max(x for x, _ in corners) + 6
        canvas.text((right, corners[0][1] - 6), f"{speed:.0f} m/s", colour, size=11)


def _draw_ego(canvas: Canvas, camera: Camera, record: TickRecord) -> None:
    box = box_of(record.ego)[None]
    (corners,) = _outlines(camera, box)
    canvas.polygon(corners, theme.INK, fill=0.95)
    box[0, 3:5] *= (0.35, 0.7)
    box[0, :2] += 0.1 * record.ego.length * np.array([math.cos(box[0, 6]), math.sin(box[0, 6])])
    (windscreen,) = _outlines(camera, box)
    canvas.polygon(windscreen, theme.BACKGROUND, fill=0.8)


def _draw_agents(canvas: Canvas, camera: Camera, record: TickRecord, info: ViewInfo, memory: Memory) -> None:
    """Links with what they carry, and a marker with its name on every other agent."""
    ego = camera.at(record.ego.pose.x, record.ego.pose.y)
    places = _places(record, info, memory)
    links = [item for item in memory.links if item.sender in places]
    for item in links:
        colour = sender_colour(item.sender, info, memory)
        start = camera.at(*places[item.sender])
        if item.outcome is Outcome.DELIVERED:
            canvas.line(start, ego, colour, width=1.6)
        else:
            canvas.dashes(start, ego, message_colour(item), width=1.6)
    for agent, place in places.items():
        x, y = camera.at(*place)
        colour = sender_colour(agent, info, memory)
        canvas.polygon([(x, y - 7), (x + 7, y), (x, y + 7), (x - 7, y)], colour, fill=1.0)
        canvas.text((x - max(13.0, 3.2 * camera.scale), y - 7), agent, colour, size=12, bold=True, align=1.0)
    for index, item in enumerate(links):
        x, y = camera.at(*places[item.sender])
        share = 0.45 + 0.2 * (index % 3)  # apart, as links to one side lie close together
        colour = sender_colour(item.sender, info, memory) if item.outcome is Outcome.DELIVERED else message_colour(item)
        canvas.tag(
            (ego[0] + share * (x - ego[0]), ego[1] + share * (y - ego[1])), message_text(item), colour, theme.CARD
        )


def _places(record: TickRecord, info: ViewInfo, memory: Memory) -> dict[AgentName, tuple[float, float]]:
    """Where the agents other than the ego are, as far as it is known."""
    places = {station.name: (station.x, station.y) for station in info.stations}
    names = dict.fromkeys((*info.agents, *memory.agents))
    moving = {item.rolename: (item.box[0], item.box[1]) for item in record.truth.objects if item.rolename in names}
    places.update({AgentName(name): place for name, place in moving.items()})
    for sweep in memory.sweeps:
        place = (sweep.world_from_lidar.x, sweep.world_from_lidar.y)
        if math.dist(place, (record.ego.pose.x, record.ego.pose.y)) > record.ego.length:
            places.setdefault(sweep.agent, place)
    return places


def _outlines(camera: Camera, boxes: FloatArray) -> list[list[Dot]]:
    corners = bev_corners(boxes)
    return [_dots(polygon) for polygon in camera.to_screen(corners.reshape(-1, 2)).reshape(-1, 4, 2)]


def _dots(points: FloatArray) -> list[Dot]:
    return [(x, y) for x, y in points.tolist()]
