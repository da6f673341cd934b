"""The library: CARLA's names, every kind of road user, and shapes for all of them."""

from __future__ import annotations

from collections import Counter

import pytest

from carla_cp.server.blueprints import LIBRARY, find
from carla_cp.server.shapes import actor_mesh


def test_there_are_enough_of_every_kind() -> None:
    kinds = Counter(blueprint.kind for blueprint in LIBRARY)
    assert kinds["car"] >= 12
    assert kinds["prop"] >= 10
    assert min(kinds[kind] for kind in ("van", "truck", "motorcycle", "bicycle")) >= 2
    assert kinds["bus"] >= 1
    assert kinds["pedestrian"] >= 14


def test_names_and_numbers_are_unique() -> None:
    assert len({blueprint.id for blueprint in LIBRARY}) == len(LIBRARY)
    assert len({blueprint.uid for blueprint in LIBRARY}) == len(LIBRARY)


def test_whatever_has_a_body_has_a_shape_and_a_tag() -> None:
    for blueprint in LIBRARY:
        if blueprint.kind != "sensor":
            mesh = actor_mesh(blueprint.kind, blueprint.length, blueprint.width, blueprint.height)
            assert len(mesh.triangles) > 0
            assert len(blueprint.tags) == 1


def test_sizes_are_those_of_carlas_boxes() -> None:
    truck = find("vehicle.carlamotors.firetruck")
    assert (truck.length, truck.width, truck.height) == pytest.approx((8.47, 2.89, 3.83), abs=0.01)
    assert find("static.prop.streetbarrier").mass == float("inf")


def test_two_wheelers_say_so_and_the_definition_is_in_the_protocols_order() -> None:
    uid, name, tags, attributes = find("vehicle.bh.crossbike").definition()
    assert (name, tags) == ("vehicle.bh.crossbike", "vehicle,bh,crossbike")
    assert uid == find(name).uid
    assert ["number_of_wheels", 2, "2", [], False, False] in attributes
