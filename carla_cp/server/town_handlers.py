"""What clients may ask of the town itself: its objects, and what a ray meets."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from carla_cp.server import wire
from carla_cp.server.handlers import RefusedError
from carla_cp.server.mesh import Tag
from carla_cp.server.raycast import RayCaster
from carla_cp.server.scenery import StandingBox, Thing
from carla_cp.server.sensing import place_movers
from carla_cp.server.simulation import Simulation
from carla_cp.server.snapshot import LIGHTS_CHANGED
from carla_cp.server.street_lights import Lamp, read_light, write_light
from carla_cp.server.wire import Raw

Floats = npt.NDArray[np.float64]

_ANY = 255  # CARLA's label for everything
_BEHIND_M = 1e-3  # a surface that a ray has passed, from which it goes on
_MOST_HITS = 256
_ID_END = 1 << 64


def write_standing(box: StandingBox) -> Raw:
    """BoundingBox in the world."""
    return [list(box.centre), list(box.extent), [0.0, math.degrees(box.yaw), 0.0], 0]


def _things(simulation: Simulation, label: Raw) -> list[Thing]:
    wanted = wire.whole(label)
    return simulation.episode.scenery.things(None if wanted == _ANY else wanted)


def level_boxes(simulation: Simulation, label: Raw) -> Raw:
    """The boxes of buildings, poles, signals and trees of one label, or of all."""
    return [write_standing(thing.box) for thing in _things(simulation, label)]


def environment_objects(simulation: Simulation, label: Raw) -> Raw:
    """EnvironmentObjects of one label, or of all."""
    return [_object(thing) for thing in _things(simulation, label)]


def _object(thing: Thing) -> Raw:
    pose = [list(thing.foot), [0.0, math.degrees(thing.box.yaw), 0.0]]
    return [pose, write_standing(thing.box), thing.id, thing.name, thing.label]


def enable_objects(simulation: Simulation, ids: Raw, visible: Raw) -> None:
    """Takes objects out of the world, for sensors and cars, or brings them back."""
    if not isinstance(ids, list):
        raise wire.WireError("the ids are not an array")
    try:
        simulation.episode.scenery.show([wire.whole(number, end=_ID_END) for number in ids], wire.truth(visible))
    except KeyError as error:
        raise RefusedError(f"there is no environment object {error}") from error


def object_names(simulation: Simulation) -> Raw:
    """The names of the environment objects."""
    return [thing.name for thing in simulation.episode.scenery.things()]


def street_lights(simulation: Simulation, client: Raw) -> Raw:
    """LightState of every street light."""
    episode = simulation.episode
    return [write_light(thing, episode.lamps.get(thing.id, Lamp())) for thing in episode.scenery.things(Tag.POLE)]


def set_street_lights(simulation: Simulation, client: Raw, rows: Raw, discard: Raw) -> None:
    """Changes street lights, all that are named or none, and has every client ask for them anew."""
    if not isinstance(rows, list):
        raise wire.WireError("the lights are not an array")
    wire.truth(discard)
    changed = dict(read_light(row) for row in rows)
    unknown = changed.keys() - {thing.id for thing in simulation.episode.scenery.things(Tag.POLE)}
    if unknown:
        raise RefusedError(f"there is no street light {min(unknown)}")
    simulation.episode.lamps.update(changed)
    simulation.announce(LIGHTS_CHANGED)


def cast_ray(simulation: Simulation, start: Raw, end: Raw) -> Raw:
    """LabelledPoints: every surface between two places, the nearest first."""
    origin, target = np.array(wire.vector(start)), np.array(wire.vector(end))
    reach = float(np.linalg.norm(target - origin))
    if reach == 0.0:
        return []
    direction = (target - origin) / reach
    caster = place_movers(simulation.episode)
    found: list[Raw] = []
    gone = 0.0
    while gone < reach and len(found) < _MOST_HITS:
        hit = _first(caster, origin + gone * direction, direction, reach - gone)
        if hit is None:
            break
        gone += hit[0]
        found.append([(origin + gone * direction).tolist(), hit[1]])
        gone += _BEHIND_M
    return found


def project_point(simulation: Simulation, start: Raw, direction: Raw, distance: Raw) -> Raw:
    """Whether a ray meets something, and the LabelledPoint where it does."""
    origin, along, reach = wire.vector(start), wire.vector(direction), wire.real(distance)
    length = math.sqrt(sum(part * part for part in along))
    nothing: Raw = [False, [[0.0, 0.0, 0.0], 0]]
    if length == 0.0 or reach <= 0.0:
        return nothing
    unit = np.array(along) / length
    hit = _first(place_movers(simulation.episode), np.array(origin), unit, reach)
    return nothing if hit is None else [True, [(np.array(origin) + hit[0] * unit).tolist(), hit[1]]]


def _first(caster: RayCaster, origin: Floats, direction: Floats, reach: float) -> tuple[float, int] | None:
    """How far away and of which label is what a ray meets first."""
    hits = caster.cast(origin, direction[None].astype(np.float32), reach)
    return (float(hits.distance[0]), int(hits.label[0])) if np.isfinite(hits.distance[0]) else None
