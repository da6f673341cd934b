"""The map side of the view."""

from __future__ import annotations

import dataclasses

import numpy as np
import pygame
import pytest

from carla_cp.types import AgentName, Loss, Outcome, Pose, Sweep
from carla_cp.view import theme
from carla_cp.view.camera import Camera
from carla_cp.view.canvas import Canvas
from carla_cp.view.info import Memory, ViewInfo
from carla_cp.view.scene import draw_scene, message_text, sender_colour
from carla_cp.view.theme import Colour
from tests.metrics.builders import record, state, thing, track, transmission
from tests.view.scenes import INFO, scene

EMPTY = record(0, state(0))
PLAIN = ViewInfo("s", INFO.codec, 0)


def drawn(tick: object, memory: Memory, info: ViewInfo = PLAIN) -> Canvas:
    pygame.font.init()
    canvas = Canvas(pygame.Surface((800, 800), depth=32))
    camera = Camera(Pose(), 10.0, (400.0, 400.0))
    draw_scene(canvas, camera, tick, info, memory)  # type: ignore[arg-type]
    return canvas


def shows(canvas: Canvas, colour: Colour, near: tuple[int, int], within: int = 40) -> bool:
    x, y = near
    pixels = pygame.surfarray.array3d(canvas.surface)[x - within : x + within, y - within : y + within]
    return bool((pixels == colour).all(axis=2).any())


def test_points_stand_where_the_sensor_s_pose_puts_them_low_ones_dim() -> None:
    points = np.array([[10.0, 0.0, -1.7, 1.0], [0.0, 10.0, 0.0, 1.0]], np.float32)
    pose = Pose(x=5.0, y=0.0, z=3.0, yaw=np.pi / 2)  # ahead is y
    memory = Memory(sweeps=(Sweep(AgentName("a"), 0, points, pose, 1.9),), agents=(AgentName("a"),))
    canvas = drawn(EMPTY, memory)
    low, high = (theme.mix(theme.BACKGROUND, theme.SENDERS[0], share) for share in (0.34, 0.85))
    assert shows(canvas, low, (500, 350), within=2)
    assert shows(canvas, high, (400, 450), within=2)


@pytest.mark.parametrize(
    ("what", "colour"),
    [
        ({"objects": [thing("x", state(20))]}, theme.TRUTH),
        ({"tracks": [track(20, 0)]}, theme.TRACK),
    ],
    ids=["truth", "track"],
)
def test_boxes_appear_ahead_in_their_colour(what: dict[str, object], colour: Colour) -> None:
    assert shows(drawn(record(0, state(0), **what), Memory()), colour, (400, 200))  # type: ignore[arg-type]
    assert not shows(drawn(EMPTY, Memory()), colour, (400, 200))


def test_detections_turn_with_the_pose_they_were_made_in() -> None:
    seen = scene().perceived
    assert seen is not None
    box = np.array([[20.0, 0.0, 0.8, 4.5, 1.9, 1.6, 0.0]])
    one = dataclasses.replace(seen.detections, boxes=box, scores=np.ones(1), labels=np.zeros(1, np.int64))
    turned = dataclasses.replace(seen, detections=one, world_from_agent=Pose(yaw=np.pi / 2))
    canvas = drawn(EMPTY, Memory(perceived=turned))
    assert shows(canvas, theme.DETECTION, (600, 400))
    assert not shows(canvas, theme.DETECTION, (400, 200))


def test_a_link_is_drawn_from_a_known_sender_and_left_out_for_an_unknown_one() -> None:
    tick = record(0, state(0), [thing("partner", state(30), 3)])
    for name, visible in (("partner", True), ("stranger", False)):
        memory = Memory(links=(transmission(name, 0, 100),), agents=(AgentName("ego"), AgentName(name)))
        assert shows(drawn(tick, memory), theme.SENDERS[1], (400, 310), within=6) is visible


def test_a_lost_message_is_told_from_one_that_came() -> None:
    assert message_text(transmission("a", 0, 1934)) == "1 934 B · 20 ms"
    assert message_text(transmission("a", 0, 1934, Outcome.LOST)) == "1 934 B · lost"
    burnt = dataclasses.replace(transmission("a", 0, 1934, Outcome.LOST), packets_lost=2, loss=Loss.HALF_DUPLEX)
    assert message_text(burnt) == "1 934 B · lost, 2 packets by half duplex"
    assert message_text(transmission("a", 0, 1934, Outcome.LATE)) == "1 934 B · 20 ms · late"
    assert message_text(transmission("a", 0, 0, Outcome.EMPTY)) == "nothing fits"


def test_senders_keep_their_colours_when_others_appear() -> None:
    fewer, more = Memory(), Memory(agents=(AgentName("new"), AgentName("rsu")))
    assert sender_colour(AgentName("rsu"), INFO, fewer) == sender_colour(AgentName("rsu"), INFO, more)
    assert sender_colour(AgentName("new"), INFO, more) not in {theme.SENDERS[i] for i in range(3)}
