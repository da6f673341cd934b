"""Traffic lights: the controllers of each junction take turns with green, yellow and a short red for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

from carla_cp.server.zones import LightPlace

RED, YELLOW, GREEN, OFF = 0, 1, 2, 3
_GREEN_S, _YELLOW_S, _RED_S = 10.0, 3.0, 2.0


@dataclass(slots=True, eq=False)
class Light:
    """One light's state, its times, and how long it has been in its state."""

    place: LightPlace
    pole: int
    state: int = RED
    green_s: float = _GREEN_S
    yellow_s: float = _YELLOW_S
    red_s: float = _RED_S
    elapsed_s: float = 0.0
    frozen: bool = False

    def show(self, state: int) -> None:
        """Changes the state; its clock starts anew."""
        self.state, self.elapsed_s = state, 0.0


@dataclass(slots=True, eq=False)
class Group:
    """The lights of one junction by controller; one controller at a time has its turn."""

    turns: list[list[Light]]
    turn: int = 0
    phase: int = GREEN
    elapsed_s: float = 0.0
    lights: list[Light] = field(init=False)

    def __post_init__(self) -> None:
        self.lights = [light for turn in self.turns for light in turn]
        self.reset()

    def reset(self) -> None:
        """Back to the start of the cycle."""
        self.turn = 0
        self._enter(GREEN)

    def step(self, dt: float) -> None:
        """Time passes; nothing changes while the group's lights are frozen."""
        if any(light.frozen for light in self.lights):
            return
        self.elapsed_s += dt
        for light in self.lights:
            light.elapsed_s += dt
        leader = self.turns[self.turn][0]
        lasts = {GREEN: leader.green_s, YELLOW: leader.yellow_s, RED: leader.red_s}[self.phase]
        # The tolerance keeps the number of steps independent of rounding.
        if self.elapsed_s + 1e-6 < lasts:
            return
        if self.phase == RED:
            self.turn = (self.turn + 1) % len(self.turns)
        self._enter({GREEN: YELLOW, YELLOW: RED, RED: GREEN}[self.phase])

    def _enter(self, phase: int) -> None:
        self.phase, self.elapsed_s = phase, 0.0
        for index, turn in enumerate(self.turns):
            for light in turn:
                state = phase if index == self.turn else RED
                if light.state != state:
                    light.show(state)


def build_groups(places: Sequence[LightPlace], opendrive: str) -> tuple[list[Light], list[Group]]:
    """The lights of a map, in the order of `places`, and their groups, one per junction."""
    lights = [Light(place, pole) for pole, place in enumerate(places)]
    controllers = _controllers(opendrive)
    junctions = sorted({light.place.junction for light in lights})
    groups = []
    for junction in junctions:
        members = {light.place.signal_id: light for light in lights if light.place.junction == junction}
        turns = [[members.pop(signal) for signal in row if signal in members] for row in controllers]
        turns += [[light] for light in members.values()]
        groups.append(Group([turn for turn in turns if turn]))
    return lights, groups


def _controllers(opendrive: str) -> list[list[str]]:
    """The signal ids of each controller, in the order of their sequence numbers."""
    found = []
    for order, controller in enumerate(ElementTree.fromstring(opendrive).findall("controller")):
        signals = [control.attrib["signalId"] for control in controller.findall("control")]
        found.append((int(controller.get("sequence", "0") or 0), order, signals))
    return [signals for _, _, signals in sorted(found)]
