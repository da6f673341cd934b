"""The things beside the roads: their names and boxes, and what hiding one changes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from carla_cp.server.maps import LoadedMap, load_map
from carla_cp.server.mesh import Tag
from carla_cp.server.scenery import Scenery, StandingBox
from tests.server.conftest import CROSSING

DOWN = np.array([(0.0, 0.0, -1.0)], np.float32)


@pytest.fixture(scope="module")
def crossing() -> LoadedMap:
    return load_map("crossing", CROSSING.read_text(encoding="utf-8"))


def height_at(scenery: Scenery, box: StandingBox) -> float:
    """Of what a ray from 100 m meets in the middle of a box."""
    x, y, _ = box.centre
    return float(100.0 - scenery.caster.cast((x, y, 100.0), DOWN, 200.0).distance[0])


def test_every_obstacle_is_one_thing_with_a_name_of_its_own_and_a_box_around_its_mesh(crossing: LoadedMap) -> None:
    things = Scenery(crossing).things()
    counts = Counter(Tag(thing.label) for thing in things)
    assert len(things) == len(crossing.obstacles) == len({thing.name for thing in things})
    assert set(counts) == {Tag.BUILDING, Tag.POLE, Tag.TRAFFIC_LIGHT, Tag.VEGETATION}
    assert counts[Tag.TRAFFIC_LIGHT] == 4
    for thing in things:
        rows = crossing.town.mesh.triangles[crossing.town.parts[thing.id - 1] : crossing.town.parts[thing.id]]
        corners = crossing.town.mesh.vertices[rows].reshape(-1, 3)
        middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
        assert np.hypot(*(middle[:2] - thing.box.centre[:2])) < 1.0


def test_the_things_of_one_label_are_a_part_of_all(crossing: LoadedMap) -> None:
    scenery = Scenery(crossing)
    poles = scenery.things(Tag.POLE)
    assert poles == [thing for thing in scenery.things() if thing.label == Tag.POLE]
    assert scenery.things(Tag.CAR) == []


def test_a_hidden_building_is_neither_seen_nor_met_until_it_is_shown_again(crossing: LoadedMap) -> None:
    scenery = Scenery(crossing)
    first, second = scenery.things(Tag.BUILDING)[:2]
    scenery.show([first.id], False)
    assert height_at(scenery, first.box) < 1.0
    assert height_at(scenery, second.box) > 4.0
    assert len(scenery.obstacles) == len(scenery.places) == len(crossing.obstacles) - 1
    assert crossing.obstacles[first.id - 1] not in scenery.obstacles
    scenery.show([first.id], True)
    assert scenery.caster is crossing.caster
    assert scenery.obstacles == crossing.obstacles
    assert height_at(scenery, first.box) > 4.0


@pytest.mark.parametrize("number", [0, 100_000])
def test_a_number_that_no_thing_has_changes_nothing(crossing: LoadedMap, number: int) -> None:
    scenery = Scenery(crossing)
    with pytest.raises(KeyError):
        scenery.show([1, number], False)
    assert scenery.obstacles is crossing.obstacles


def test_a_lamp_box_is_the_head_of_the_nearest_signal(crossing: LoadedMap) -> None:
    scenery = Scenery(crossing)
    signal = scenery.things(Tag.TRAFFIC_LIGHT)[2]
    box = scenery.lamp_box(*signal.foot[:2])
    assert box is not None
    assert np.hypot(box.centre[0] - signal.foot[0], box.centre[1] - signal.foot[1]) < 0.3
    assert box.centre[2] - signal.foot[2] == pytest.approx(3.2, abs=0.01)
    assert 2 * np.array(box.extent) == pytest.approx((0.22, 0.36, 1.0), abs=0.01)
    assert scenery.lamp_box(1e6, 1e6) is None
