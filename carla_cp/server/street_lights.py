"""Street lights that clients switch, colour and group; nothing is lit by them."""

from __future__ import annotations

from dataclasses import dataclass

from carla_cp.server import wire
from carla_cp.server.scenery import Thing
from carla_cp.server.wire import Raw

_STREET, _GROUPS, _COLOURS = 2, 5, 256
_LUMENS = 100.0


@dataclass(frozen=True, slots=True)
class Lamp:
    """What a client may change of a street light."""

    intensity: float = _LUMENS
    group: int = _STREET
    colour: tuple[int, int, int] = (255, 255, 255)
    on: bool = False


def write_light(thing: Thing, lamp: Lamp) -> Raw:
    """LightState of a street light, which bears its thing's number."""
    x, y, z = thing.box.centre
    return [thing.id, [x, y, z + thing.box.extent[2]], lamp.intensity, lamp.group, list(lamp.colour), lamp.on]


def read_light(raw: Raw) -> tuple[int, Lamp]:
    """The number and the new state in a LightState."""
    number, _, intensity, group, colour, on = wire.array(raw, 6, "light state")
    red, green, blue = (wire.whole(part, end=_COLOURS) for part in wire.array(colour, 3, "colour"))
    lamp = Lamp(wire.real(intensity), wire.whole(group, end=_GROUPS), (red, green, blue), wire.truth(on))
    return wire.whole(number), lamp
