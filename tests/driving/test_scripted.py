import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from carla_cp.driving.scripted import Traffic
from carla_cp.types import (
    ActorSpec,
    Command,
    LightState,
    ObjectClass,
    Pose,
    SignalSpec,
    StopLine,
    TruthObject,
    VehicleState,
)
from tests.driving.crossing import STEP_S, body, drive

EGO = body(0.0, 500.0, 0.0, 0.0)
RED = (SignalSpec("7", LightState.RED),)
GREEN = (SignalSpec("7", LightState.GREEN),)
ROAD = ((0.0, 0.0), (150.0, 0.0))


def car(rolename: str = "car", speed: float = 10.0, x: float = 0.0, **changes: object) -> ActorSpec:
    spec = ActorSpec(rolename, "vehicle.tesla.model3", Pose(x=x), speed, ROAD)
    return replace(spec, **changes)  # type: ignore[arg-type]


def truth(rolename: str, state: VehicleState, blueprint: str = "vehicle.tesla.model3") -> TruthObject:
    box = (state.pose.x, state.pose.y, 0.75, state.length, state.width, state.height, state.pose.yaw)
    return TruthObject(1, rolename, blueprint, ObjectClass.VEHICLE, state, box, 0)


def run(
    specs: Sequence[ActorSpec],
    seconds: float,
    states: Sequence[SignalSpec] = (),
    line_m: float | None = None,
    ego: VehicleState = EGO,
) -> dict[str, list[VehicleState]]:
    """The states of all actors over time."""
    lines = {spec.rolename: (StopLine("7", line_m),) for spec in specs} if line_m is not None else {}
    traffic = Traffic(specs, lines)
    bodies = {spec.rolename: body(spec.start.x, spec.start.y, spec.start.yaw, spec.speed_mps) for spec in specs}
    history: dict[str, list[VehicleState]] = {spec.rolename: [] for spec in specs}
    for _ in range(round(seconds / STEP_S)):
        for command in traffic.commands([truth(name, state) for name, state in bodies.items()], ego, states):
            assert command.control is not None
            bodies[command.rolename] = drive(bodies[command.rolename], command.control)
        for name, state in bodies.items():
            history[name].append(state)
    return history


def hardest(states: Sequence[VehicleState]) -> float:
    return max((a.speed - b.speed) / STEP_S for a, b in itertools.pairwise(states))


def test_a_car_keeps_its_speed_and_its_path() -> None:
    states = run([car()], 8.0)["car"]
    assert all(abs(state.speed - 10.0) < 0.2 for state in states)
    assert states[-1].pose.x == pytest.approx(80.0, abs=1.0)


def test_a_car_stops_at_its_red_light_as_gently_as_published() -> None:
    states = run([car(speed=13.0)], 14.0, RED, line_m=100.0)["car"]
    assert 0.3 < 100.0 - (states[-1].pose.x + states[-1].length / 2) < 1.6
    assert states[-1].speed < 0.05
    assert hardest(states) == pytest.approx(2.5, abs=0.5)


@pytest.mark.parametrize(("obeys", "lights"), [(True, GREEN), (False, RED)])
def test_green_and_those_who_do_not_care_pass(obeys: bool, lights: tuple[SignalSpec, ...]) -> None:
    states = run([car(obeys_lights=obeys)], 12.0, lights, line_m=60.0)["car"]
    assert states[-1].pose.x > 110.0


def test_a_car_stands_at_the_end_of_its_path() -> None:
    states = run([car()], 20.0)["car"]
    assert states[-1].pose.x == pytest.approx(150.0, abs=1.0)
    assert states[-1].speed < 0.05


def test_a_yielding_car_stops_behind_a_parked_one() -> None:
    parked = ActorSpec("parked", "vehicle.tesla.model3", Pose(x=80.0), 0.0)
    history = run([car(), parked], 14.0)
    assert 0.5 < 80.0 - history["car"][-1].pose.x - 4.9 < 4.0
    assert history["parked"][-1].pose.x == 80.0


def test_a_car_that_does_not_yield_drives_on() -> None:
    parked = ActorSpec("parked", "vehicle.tesla.model3", Pose(x=80.0), 0.0)
    assert run([car(yields=False), parked], 10.0)["car"][-1].pose.x > 90.0


def test_the_ego_is_kept_clear_of_too() -> None:
    assert run([car()], 14.0, ego=body(80.0, 0.3, 0.0, 0.0))["car"][-1].pose.x < 76.0


def test_cars_follow_each_other_without_touching() -> None:
    history = run([car("behind", 12.0), car("ahead", 6.0, x=25.0)], 10.0)
    gaps = [a.pose.x - b.pose.x - 4.9 for a, b in zip(history["ahead"], history["behind"], strict=True)]
    assert min(gaps) > 2.0


def test_a_parked_car_gets_its_brake_once() -> None:
    parked = ActorSpec("parked", "vehicle.tesla.model3", Pose(), 0.0)
    prop = ActorSpec("box", "static.prop.box01", Pose(), 0.0)
    traffic = Traffic([parked, prop], {})
    (command,) = traffic.commands([], EGO, ())
    assert command.rolename == "parked" and command.control is not None and command.control.brake == 1.0
    assert traffic.commands([], EGO, ()) == ()


def test_a_walker_follows_its_corners_and_stops() -> None:
    spec = ActorSpec("w", "walker.pedestrian.0001", Pose(), 1.5, ((0.0, 0.0), (6.0, 0.0), (6.0, 6.0)))
    traffic = Traffic([spec], {})
    state = VehicleState(Pose(), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0, 0.5, 0.5, 1.8)
    offsets = []
    for _ in range(200):
        (command,) = traffic.commands([truth("w", state, "walker.pedestrian.0001")], EGO, ())
        x, y, speed = walk_of(command)
        assert math.hypot(x, y) == pytest.approx(1.0)
        moved = replace(state.pose, x=state.pose.x + x * speed * STEP_S, y=state.pose.y + y * speed * STEP_S)
        state = replace(state, pose=moved)
        offsets.append(min(abs(state.pose.y), abs(state.pose.x - 6.0)))
    assert speed == 0.0
    assert math.dist((state.pose.x, state.pose.y), (6.0, 6.0)) < 0.3
    assert max(offsets) < 0.5


def test_a_car_that_waits_stands_until_its_departure_and_then_drives() -> None:
    waiting = replace(car(speed_mps=6.0), departs_s=1.0)
    traffic, state = Traffic([waiting], {}), body(waiting.start.x, waiting.start.y, waiting.start.yaw, 0.0)
    brakes = []
    for _ in range(60):
        (command,) = traffic.commands([truth(waiting.rolename, state)], EGO, ())
        assert command.control is not None
        brakes.append(command.control.brake)
        state = drive(state, command.control)
    assert brakes[:20] == [1.0] * 20 and brakes[20] == 0.0
    assert state.speed > 2.0


def test_a_walker_that_waits_faces_its_way_and_stands_until_its_departure() -> None:
    pose = Pose(yaw=math.pi / 2)
    spec = ActorSpec("w", "walker.pedestrian.0001", pose, 1.5, ((0.0, 0.0), (0.0, 6.0)), departs_s=0.5)
    traffic = Traffic([spec], {})
    state = VehicleState(pose, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0, 0.5, 0.5, 1.8)
    walks = [walk_of(traffic.commands([truth("w", state, spec.blueprint)], EGO, ())[0]) for _ in range(12)]
    assert [speed for _, _, speed in walks] == [0.0] * 10 + [1.5] * 2
    assert walks[0][:2] == pytest.approx((0.0, 1.0))


def walk_of(command: Command) -> tuple[float, float, float]:
    assert command.walk is not None and command.control is None
    return command.walk


def test_an_actor_that_is_gone_gets_no_command() -> None:
    assert Traffic([car()], {}).commands([], EGO, ()) == ()
