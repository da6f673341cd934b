"""The unmodified CARLA client against our server in a process of its own."""

from __future__ import annotations

import math
import queue
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import carla
import numpy as np
import pytest

from tests.server.conftest import CROSSING, PATIENCE_S, Stage

SCRIPT = Path(__file__).with_name("drive_50m.py")
EAST_LANE = (-100.0, 5.25)  # of the crossing, heading +x


def test_twenty_lines_of_the_official_client_drive_fifty_metres(crossing_port: int) -> None:
    command = [sys.executable, str(SCRIPT), str(crossing_port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    counts = [int(count) for count in re.findall(r"points (\d+)", done.stdout)]
    assert len(counts) > 50
    assert min(counts) > 300
    assert 50.0 <= float(re.findall(r"driven ([\d.]+) m", done.stdout)[0]) < 52.0
    assert done.stderr == ""


def test_a_world_is_made_of_the_opendrive_text_that_the_client_sends(stage: Stage) -> None:
    text = CROSSING.with_name("train_tee.xodr").read_text(encoding="utf-8")
    world = stage.client.generate_opendrive_world(text)
    assert world.get_map().name == "Carla/Maps/OpenDriveMap"
    assert world.get_map().to_opendrive() == text
    assert len(world.get_map().get_spawn_points()) > 10
    assert "/Game/Carla/Maps/train_tee" in stage.client.get_available_maps()


def test_a_map_that_is_not_there_is_an_error_and_the_world_stays(stage: Stage) -> None:
    before = stage.world.id
    with pytest.raises(RuntimeError, match="Map 'Nowhere' not found"):
        stage.client.load_world("Nowhere")
    with pytest.raises(RuntimeError, match="OpenDRIVE"):
        stage.client.generate_opendrive_world("<OpenDRIVE></OpenDRIVE>")
    assert stage.client.get_world().id == before


def test_a_new_episode_is_empty_and_counts_ids_anew(stage: Stage) -> None:
    first = stage.spawn("vehicle.audi.tt", *EAST_LANE)
    stage.ticks(1)
    world = stage.client.reload_world(False)
    world.tick()
    assert len(world.get_actors().filter("vehicle.*")) == 0
    again = world.spawn_actor(stage.library.find("vehicle.audi.tt"), first.get_transform())
    assert again.id == first.id


def test_a_place_that_is_taken_is_refused_in_carlas_words(stage: Stage) -> None:
    stage.spawn("vehicle.audi.tt", *EAST_LANE)
    with pytest.raises(RuntimeError, match="Spawn failed because of collision at spawn position"):
        stage.spawn("vehicle.tesla.model3", EAST_LANE[0] + 2.0, EAST_LANE[1])
    blueprint = stage.library.find("vehicle.tesla.model3")
    place = carla.Transform(carla.Location(EAST_LANE[0] + 2.0, EAST_LANE[1], 0.3))
    assert stage.world.try_spawn_actor(blueprint, place) is None


def test_a_vehicle_stands_on_the_road_with_its_real_size(stage: Stage) -> None:
    car = stage.spawn("vehicle.tesla.model3", *EAST_LANE)
    stage.ticks(2)
    box, place = car.bounding_box, car.get_transform()
    assert (2 * box.extent.x, 2 * box.extent.y) == pytest.approx((4.7918, 2.1630), abs=1e-4)
    assert box.location.z == pytest.approx(box.extent.z)
    assert (place.location.x, place.location.y, place.location.z) == pytest.approx((*EAST_LANE, 0.0), abs=1e-3)


def test_control_velocity_and_constant_velocity_act_as_they_do_in_carla(stage: Stage) -> None:
    driven = stage.spawn("vehicle.tesla.model3", *EAST_LANE)
    thrown = stage.spawn("vehicle.tesla.model3", -60.0, 5.25)
    held = stage.spawn("vehicle.tesla.model3", -60.0, 1.75)
    parked = stage.spawn("vehicle.tesla.model3", -140.0, 5.25)
    driven.apply_control(carla.VehicleControl(throttle=1.0, steer=0.1))
    thrown.set_target_velocity(carla.Vector3D(10.0, 0.0, 0.0))
    held.enable_constant_velocity(carla.Vector3D(5.0, 0.0, 0.0))
    stage.ticks(10)
    assert driven.get_velocity().length() == pytest.approx(0.5 * (7.61 - 0.5), rel=0.1)
    assert driven.get_transform().rotation.yaw > 0.5
    assert thrown.get_velocity().x == pytest.approx(10.0 - 0.25, abs=0.01)
    assert thrown.get_acceleration().x == pytest.approx(-0.5, abs=0.01)
    assert held.get_velocity().x == pytest.approx(5.0)
    assert held.get_location().x == pytest.approx(-60.0 + 2.5, abs=1e-3)
    assert parked.get_velocity().length() == 0.0
    assert driven.get_control().throttle == 1.0


def test_a_walker_goes_where_it_is_told(stage: Stage) -> None:
    walker = stage.spawn("walker.pedestrian.0001", -50.0, -8.0)
    walker.apply_control(carla.WalkerControl(carla.Vector3D(0.0, -1.0, 0.0), 1.5))
    stage.ticks(20)
    assert walker.get_location().y == pytest.approx(-8.0 - 1.5, abs=0.01)
    assert walker.get_transform().rotation.yaw == pytest.approx(-90.0, abs=1e-3)


def test_a_crash_is_told_and_takes_the_speed(stage: Stage) -> None:
    rammer = stage.spawn("vehicle.tesla.model3", *EAST_LANE)
    target = stage.spawn("vehicle.audi.tt", EAST_LANE[0] + 12.0, EAST_LANE[1], role_name="target")
    told = stage.sense("sensor.other.collision", rammer)
    told_too = stage.sense("sensor.other.collision", target)
    rammer.set_target_velocity(carla.Vector3D(12.0, 0.0, 0.0))
    stage.ticks(30)
    event: Any = told.get(timeout=PATIENCE_S)
    other: Any = told_too.get(timeout=PATIENCE_S)
    assert event.other_actor.id == target.id
    assert event.other_actor.attributes["role_name"] == "target"
    assert other.other_actor.id == rammer.id
    assert event.normal_impulse.x < -1000.0
    assert event.normal_impulse.x == pytest.approx(-other.normal_impulse.x)
    assert 0.0 < rammer.get_velocity().x < 7.0
    gap = (
        target.get_location().x - rammer.get_location().x - target.bounding_box.extent.x - rammer.bounding_box.extent.x
    )
    assert gap > -0.01


def test_a_building_stops_a_car(stage: Stage) -> None:
    car = stage.spawn("vehicle.tesla.model3", -100.0, 5.25, 90.0)
    told = stage.sense("sensor.other.collision", car)
    car.set_target_velocity(carla.Vector3D(0.0, 30.0, 0.0))
    stage.ticks(60)
    event: Any = told.get(timeout=PATIENCE_S)
    assert event.other_actor.type_id.startswith("static.")
    assert car.get_velocity().length() < 25.0


def where(actor: carla.Actor) -> tuple[float, float]:
    """Its place on the ground."""
    place = actor.get_transform().location
    return place.x, place.y


def test_what_was_attached_stays_where_it_is_when_its_parent_goes(stage: Stage) -> None:
    car = stage.spawn("vehicle.tesla.model3", *EAST_LANE)
    behind = carla.Transform(carla.Location(x=-4.0))
    attached = [
        stage.world.spawn_actor(stage.library.find(name), behind, attach_to=car)
        for name in ("static.prop.constructioncone", "sensor.other.imu")
    ]
    car.set_target_velocity(carla.Vector3D(10.0, 0.0, 0.0))
    stage.ticks(20)
    left = where(attached[0])
    assert left[0] == pytest.approx(where(car)[0] - 4.0, abs=0.01)
    car.destroy()
    stage.ticks(2)
    for actor in attached:
        assert where(actor) == pytest.approx(left, abs=1e-4)
        assert actor.get_velocity().length() == 0.0
    taken = carla.Transform(carla.Location(*left, 0.3))
    assert stage.world.try_spawn_actor(stage.library.find("vehicle.audi.tt"), taken) is None


def test_an_attached_sensor_can_be_moved_and_stays_attached(stage: Stage) -> None:
    car = stage.spawn("vehicle.tesla.model3", *EAST_LANE)
    sensor = stage.world.spawn_actor(stage.library.find("sensor.other.imu"), carla.Transform(), attach_to=car)
    stage.ticks(1)
    sensor.set_transform(carla.Transform(carla.Location(EAST_LANE[0] + 1.0, EAST_LANE[1], 2.0)))
    car.set_target_velocity(carla.Vector3D(10.0, 0.0, 0.0))
    stage.ticks(10)
    assert where(sensor) == pytest.approx((where(car)[0] + 1.0, where(car)[1]), abs=1e-3)
    assert sensor.get_transform().location.z == pytest.approx(2.0, abs=1e-3)


def test_an_actor_without_physics_rests_and_is_not_pushed(stage: Stage) -> None:
    car = stage.spawn("vehicle.tesla.model3", *EAST_LANE)
    car.set_target_velocity(carla.Vector3D(10.0, 0.0, 0.0))
    stage.ticks(2)
    car.set_simulate_physics(False)
    stage.ticks(1)
    there = where(car)
    assert car.get_velocity().length() == 0.0
    rammer = stage.spawn("vehicle.audi.tt", there[0] - 8.0, there[1])
    rammer.set_target_velocity(carla.Vector3D(12.0, 0.0, 0.0))
    stage.ticks(20)
    gap = there[0] - car.bounding_box.extent.x - where(rammer)[0] - rammer.bounding_box.extent.x
    assert gap > -0.01
    car.set_simulate_physics(True)
    stage.ticks(1)
    assert where(car) == pytest.approx(there, abs=1e-4)


def test_lights_take_turns_and_can_be_set_timed_and_frozen(stage: Stage) -> None:
    lights = {light.get_opendrive_id(): light for light in stage.world.get_actors().filter("traffic.traffic_light")}
    assert sorted(lights) == ["101", "102", "103", "104"]
    red, green = carla.TrafficLightState.Red, carla.TrafficLightState.Green

    def states() -> list[carla.TrafficLightState]:
        return [lights[name].state for name in sorted(lights)]

    stage.ticks(1)
    assert states() == [green, red, red, red]
    stage.ticks(220)
    assert states() == [carla.TrafficLightState.Yellow, red, red, red]
    stage.ticks(100)
    assert states() == [red, green, red, red]
    assert sorted(light.id for light in lights["101"].get_group_traffic_lights()) == sorted(
        x.id for x in lights.values()
    )
    stage.world.freeze_all_traffic_lights(True)
    lights["101"].set_state(green)
    stage.ticks(400)
    assert states() == [green, green, red, red]
    assert lights["101"].is_frozen()
    assert len(lights["101"].get_stop_waypoints()) >= 2


def test_a_car_before_a_light_is_told_of_it(stage: Stage) -> None:
    near = stage.spawn("vehicle.tesla.model3", -17.0, 5.25)
    near.set_simulate_physics(False)  # as cars far from the hero are in the TrafficManager's hybrid mode
    far = stage.spawn("vehicle.tesla.model3", -60.0, 5.25)
    opposite = stage.spawn("vehicle.tesla.model3", -25.0, -1.75, 180.0)
    stage.ticks(2)
    assert near.is_at_traffic_light()
    assert near.get_traffic_light().get_opendrive_id() in {"101", "102", "103", "104"}
    assert near.get_traffic_light_state() == near.get_traffic_light().state
    assert not far.is_at_traffic_light()
    assert not opposite.is_at_traffic_light()


def test_gnss_is_the_wheels_own_conversion(stage: Stage) -> None:
    car = stage.spawn("vehicle.tesla.model3", *EAST_LANE)
    fixes = stage.sense("sensor.other.gnss", car, z=1.0)
    frame = stage.ticks(1)
    fix: Any = fixes.get(timeout=PATIENCE_S)
    there = stage.world.get_map().transform_to_geolocation(carla.Location(*EAST_LANE, 1.0))
    assert fix.frame == frame
    assert (fix.latitude, fix.longitude) == pytest.approx((there.latitude, there.longitude), abs=1e-9)
    assert fix.altitude == pytest.approx(1.0, abs=1e-3)


def test_imu_feels_gravity_and_braking_and_knows_north(stage: Stage) -> None:
    car = stage.spawn("vehicle.tesla.model3", *EAST_LANE)
    car.set_target_velocity(carla.Vector3D(10.0, 0.0, 0.0))
    car.apply_control(carla.VehicleControl(brake=1.0))
    told = stage.sense("sensor.other.imu", car)
    stage.ticks(3)
    last: Any = [told.get(timeout=PATIENCE_S) for _ in range(3)][-1]
    assert last.accelerometer.x == pytest.approx(-8.0, abs=0.05)
    assert last.accelerometer.z == pytest.approx(9.81, abs=0.01)
    assert last.compass == pytest.approx(math.pi / 2, abs=1e-3)


def test_sensors_keep_their_period_and_the_first_message_is_not_missed(stage: Stage) -> None:
    car = stage.spawn("vehicle.tesla.model3", *EAST_LANE)
    sweeps = stage.sense("sensor.lidar.ray_cast", car, z=1.8, sensor_tick="0.1", rotation_frequency="20")
    frames = []
    for _ in range(6):
        frames.append(stage.ticks(1))
    told: list[Any] = [sweeps.get(timeout=PATIENCE_S) for _ in range(3)]
    assert [sweep.frame for sweep in told] == frames[::2]
    assert sweeps.empty()


def test_a_semantic_sweep_knows_the_car_ahead(stage: Stage) -> None:
    car = stage.spawn("vehicle.tesla.model3", *EAST_LANE)
    ahead = stage.spawn("vehicle.audi.tt", EAST_LANE[0] + 8.0, EAST_LANE[1])
    spec = {"rotation_frequency": "20", "range": "50", "points_per_second": "200000"}
    sweeps = stage.sense("sensor.lidar.ray_cast_semantic", car, z=1.8, **spec)
    stage.ticks(1)
    sweep: Any = sweeps.get(timeout=PATIENCE_S)
    kind = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("cos", "<f4"), ("id", "<u4"), ("tag", "<u4")])
    points = np.frombuffer(sweep.raw_data, kind)
    own = points[points["id"] == ahead.id]
    assert len(own) > 20
    assert set(own["tag"]) == {14}
    assert own["x"].min() > 8.0 - 2.2
    assert own["x"].max() < 8.0 + 2.2
    assert {1, 14} <= set(points["tag"])


def replayed(stage: Stage, ticks: int) -> list[bytes]:
    """Every snapshot and cloud of a fixed script."""
    car = stage.spawn("vehicle.tesla.model3", *EAST_LANE)
    target = stage.spawn("vehicle.carlamotors.firetruck", -60.0, 5.25)
    walker = stage.spawn("walker.pedestrian.0001", -50.0, -8.0)
    walker.apply_control(carla.WalkerControl(carla.Vector3D(1.0, 0.0, 0.0), 1.5))
    spec = {"rotation_frequency": "20", "range": "60", "noise_stddev": "0.02", "noise_seed": "7"}
    sweeps = stage.sense("sensor.lidar.ray_cast", car, z=1.8, sensor_tick="0.1", **spec)
    hits = stage.sense("sensor.other.collision", car)
    car.apply_control(carla.VehicleControl(throttle=0.8, steer=0.01))
    result = []
    start = stage.world.get_snapshot().frame
    for _ in range(ticks):
        stage.ticks(1)
        snapshot = stage.world.get_snapshot()
        states = [snapshot.find(actor.id) for actor in (car, target, walker)]
        for state in states:
            place, velocity = state.get_transform(), state.get_velocity()
            values = (place.location.x, place.location.y, place.rotation.yaw, velocity.x, velocity.y)
            result.append(struct.pack("<5d", *values))
        result.append(struct.pack("<qd", snapshot.frame - start, snapshot.timestamp.elapsed_seconds))
    for _ in range(ticks // 2):
        sweep: Any = sweeps.get(timeout=PATIENCE_S)
        result.append(bytes(sweep.raw_data))
    with pytest.raises(queue.Empty):
        sweeps.get_nowait()
    hit: Any = hits.get(timeout=PATIENCE_S)
    return [*result, struct.pack("<qd", hit.frame - start, hit.normal_impulse.x)]


def test_the_same_script_gives_the_same_snapshots_and_clouds(crossing_port: int) -> None:
    runs = []
    for _ in range(2):
        stage = Stage(crossing_port)
        runs.append(replayed(stage, 200))
        stage.close()
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 300


def test_the_town_s_buildings_are_boxes_that_the_lidar_would_meet(stage: Stage) -> None:
    houses = stage.world.get_level_bbs(carla.CityObjectLabel.Buildings)
    assert len(houses) > 10
    assert all(min(box.extent.x, box.extent.y) > 1.0 and box.extent.z > 1.5 for box in houses)
    assert any(abs(box.rotation.yaw) > 1.0 for box in houses)
    poles = stage.world.get_level_bbs(carla.CityObjectLabel.Poles)
    assert poles
    assert all(max(pole.extent.x, pole.extent.y) < 2.0 < pole.extent.z for pole in poles)
