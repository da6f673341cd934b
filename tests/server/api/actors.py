"""Actors, vehicles, walkers, lights and sensors."""

from __future__ import annotations

import math

import carla

from tests.server.api.rows import CLIENT, WORKS, Row, absent, accepted, client, logged, refused, same, values, works
from tests.server.api.stage import CAR_AT, ApiStage

ORIGIN = carla.Location()
NO_SKELETON = "no bones, sockets or components"


def moved(stage: ApiStage, ticks: int = 2) -> carla.Vector3D:
    """The velocity of the driven car after some ticks; then it rests again."""
    for _ in range(ticks):
        stage.world.tick()
    velocity = stage.driven.get_velocity()
    rest(stage)
    return velocity


def rest(stage: ApiStage) -> None:
    """The driven car stands where it stood at first."""
    # The client sends no control that equals the last one it sent, though an Ackermann control came between.
    stage.driven.apply_control(carla.VehicleControl(brake=1.0))
    stage.driven.apply_control(carla.VehicleControl())
    stage.driven.set_target_velocity(carla.Vector3D())
    stage.driven.set_transform(carla.Transform(carla.Location(-140.0, 5.25, 0.0)))
    stage.world.tick()


def held(stage: ApiStage) -> bool:
    """A constant velocity holds, and ends when it is told to."""
    stage.driven.enable_constant_velocity(carla.Vector3D(x=3.0))
    steady = math.isclose(moved(stage, 20).x, 3.0, rel_tol=1e-5)
    stage.driven.disable_constant_velocity()
    rest(stage)
    return steady and stage.driven.get_velocity().length() == 0.0


def pushed(stage: ApiStage) -> bool:
    stage.driven.add_impulse(carla.Vector3D(x=3200.0))
    return math.isclose(moved(stage, 1).x, 2.0 - 0.025, rel_tol=1e-3)


def forced(stage: ApiStage) -> bool:
    """A force of one tick is an impulse."""
    stage.driven.add_force(carla.Vector3D(x=64_000.0))
    return math.isclose(moved(stage, 1).x, 2.0 - 0.025, rel_tol=1e-3)


def put(stage: ApiStage) -> bool:
    place = carla.Transform(carla.Location(-150.0, 5.25, 0.0), carla.Rotation(yaw=5.0))
    stage.driven.set_transform(place)
    stage.world.tick()
    found = stage.driven.get_transform()
    rest(stage)
    return same(found.location.x, -150.0) and abs(found.rotation.yaw - 5.0) < 1e-4


def shifted(stage: ApiStage) -> bool:
    stage.driven.set_location(carla.Location(-145.0, 5.25, 0.0))
    stage.world.tick()
    found = stage.driven.get_location()
    rest(stage)
    return same(found.x, -145.0)


def gone(stage: ApiStage) -> bool:
    actor = stage.spawn("static.prop.barrel", -50.0, -12.0)
    return bool(actor.destroy()) and not actor.is_alive


def unmoved(stage: ApiStage) -> bool:
    """Without physics a car rests whatever its driver does."""
    stage.driven.set_simulate_physics(False)
    stage.driven.apply_control(carla.VehicleControl(throttle=1.0))
    rests = moved(stage, 5).length() == 0.0
    stage.driven.set_simulate_physics(True)
    rest(stage)
    return rests


def passable(stage: ApiStage) -> bool:
    """Without collisions a car drives through what stands in its way."""
    barrel = stage.spawn("static.prop.barrel", -135.0, 5.25)
    stage.driven.set_collisions(False)
    stage.driven.set_target_velocity(carla.Vector3D(x=10.0))
    through = moved(stage, 20).x > 5.0
    barrel.destroy()
    stage.driven.set_collisions(True)
    return through


ACTORS: list[Row] = [
    works("Actor.actor_state", lambda s: s.car.actor_state == carla.ActorState.Active),
    works("Actor.attributes", lambda s: s.car.attributes["number_of_wheels"] == "4"),
    works("Actor.bounding_box", lambda s: math.isclose(2 * s.car.bounding_box.extent.x, 4.7918, rel_tol=1e-5)),
    works("Actor.id", lambda s: s.world.get_actor(s.car.id).id == s.car.id),
    works("Actor.is_active", lambda s: s.car.is_active),
    works("Actor.is_alive", lambda s: s.car.is_alive),
    works("Actor.is_dormant", lambda s: not s.car.is_dormant, "no map is tiled here, so nothing sleeps"),
    works("Actor.parent", lambda s: s.sensors["sensor.other.imu"].parent.id == s.car.id),
    works("Actor.semantic_tags", lambda s: list(s.car.semantic_tags) == [14]),
    works("Actor.type_id", lambda s: s.car.type_id == "vehicle.tesla.model3"),
    works("Actor.destroy", gone),
    works("Actor.get_world", lambda s: s.car.get_world().id == s.world.id),
    works("Actor.get_acceleration", lambda s: s.driven.get_acceleration().length() == 0.0),
    works("Actor.get_angular_velocity", lambda s: s.driven.get_angular_velocity().length() == 0.0),
    works("Actor.get_location", lambda s: same(s.car.get_location().y, CAR_AT[1])),
    works("Actor.get_transform", lambda s: same(s.car.get_transform().location.x, CAR_AT[0])),
    works("Actor.get_velocity", lambda s: s.car.get_velocity().length() == 0.0),
    works("Actor.set_location", shifted),
    works("Actor.set_transform", put),
    works(
        "Actor.set_target_velocity", lambda s: s.driven.set_target_velocity(carla.Vector3D(x=4.0)) or moved(s).x > 3.9
    ),
    accepted(
        "Actor.set_target_angular_velocity",
        lambda s: s.driven.set_target_angular_velocity(carla.Vector3D(z=9.0)) is None,
        "a vehicle turns by its wheels alone",
    ),
    works("Actor.enable_constant_velocity", held),
    works("Actor.disable_constant_velocity", held),
    works("Actor.add_impulse", pushed),
    works("Actor.add_force", forced),
    accepted(
        "Actor.add_angular_impulse",
        lambda s: s.driven.add_angular_impulse(carla.Vector3D(z=9.0)) is None,
        "a vehicle turns by its wheels alone",
    ),
    accepted(
        "Actor.add_torque",
        lambda s: s.driven.add_torque(carla.Vector3D(z=9.0)) is None,
        "a vehicle turns by its wheels alone",
    ),
    works("Actor.set_simulate_physics", unmoved),
    works("Actor.set_collisions", passable),
    accepted(
        "Actor.set_enable_gravity",
        lambda s: s.driven.set_enable_gravity(False) is None,
        "vehicles and walkers stay on the ground",
    ),
    refused("Actor.get_component_names", lambda s: s.car.get_component_names(), NO_SKELETON),
    refused("Actor.get_component_world_transform", lambda s: s.car.get_component_world_transform("a"), NO_SKELETON),
    refused(
        "Actor.get_component_relative_transform", lambda s: s.car.get_component_relative_transform("a"), NO_SKELETON
    ),
    refused("Actor.get_bone_names", lambda s: s.car.get_bone_names(), NO_SKELETON),
    refused("Actor.get_bone_world_transforms", lambda s: s.car.get_bone_world_transforms(), NO_SKELETON),
    refused("Actor.get_bone_relative_transforms", lambda s: s.car.get_bone_relative_transforms(), NO_SKELETON),
    refused("Actor.get_socket_names", lambda s: s.car.get_socket_names(), NO_SKELETON),
    refused("Actor.get_socket_world_transforms", lambda s: s.car.get_socket_world_transforms(), NO_SKELETON),
    refused("Actor.get_socket_relative_transforms", lambda s: s.car.get_socket_relative_transforms(), NO_SKELETON),
    works(
        "ActorList.filter",
        lambda s: {a.type_id for a in s.world.get_actors().filter("traffic.*")} == {"traffic.traffic_light"},
    ),
    works("ActorList.find", lambda s: s.world.get_actors().find(s.car.id).id == s.car.id),
    works("ActorSnapshot.id", lambda s: s.snap().find(s.car.id).id == s.car.id),
    works("ActorSnapshot.get_acceleration", lambda s: s.snap().find(s.car.id).get_acceleration().length() == 0.0),
    works(
        "ActorSnapshot.get_angular_velocity", lambda s: s.snap().find(s.car.id).get_angular_velocity().length() == 0.0
    ),
    works("ActorSnapshot.get_transform", lambda s: same(s.snap().find(s.car.id).get_transform().location.y, CAR_AT[1])),
    works("ActorSnapshot.get_velocity", lambda s: s.snap().find(s.car.id).get_velocity().length() == 0.0),
    client(
        "ActorBlueprint.get_attribute",
        lambda s: s.library.find("vehicle.audi.tt").get_attribute("role_name").as_str() == "autopilot",
    ),
    client("ActorBlueprint.has_attribute", lambda s: s.library.find("vehicle.audi.tt").has_attribute("color")),
    client("ActorBlueprint.has_tag", lambda s: s.library.find("vehicle.audi.tt").has_tag("audi")),
    client("ActorBlueprint.match_tags", lambda s: s.library.find("vehicle.audi.tt").match_tags("vehicle.*")),
    client(
        "ActorBlueprint.set_attribute",
        lambda s: s.library.find("vehicle.audi.tt").set_attribute("role_name", "me") is None,
    ),
    client("ActorBlueprint.id", lambda s: s.library.find("vehicle.audi.tt").id == "vehicle.audi.tt"),
    client(
        "ActorBlueprint.tags", lambda s: sorted(s.library.find("vehicle.audi.tt").tags) == ["audi", "tt", "vehicle"]
    ),
    client("BlueprintLibrary.filter", lambda s: len(s.library.filter("walker.*")) == 48),
    client(
        "BlueprintLibrary.filter_by_attribute",
        lambda s: len(s.library.filter_by_attribute("number_of_wheels", "2")) == 7,
    ),
    client("BlueprintLibrary.find", lambda s: s.library.find("vehicle.audi.tt").id == "vehicle.audi.tt"),
    client("ActorAttribute.as_bool", lambda s: attribute(s, "sticky_control").as_bool()),
    client("ActorAttribute.as_color", lambda s: attribute(s, "color").as_color() == carla.Color(17, 37, 103)),
    client(
        "ActorAttribute.as_float",
        lambda s: s.library.find("sensor.lidar.ray_cast").get_attribute("range").as_float() == 10.0,
    ),
    client("ActorAttribute.as_int", lambda s: attribute(s, "number_of_wheels").as_int() == 4),
    client("ActorAttribute.as_str", lambda s: attribute(s, "role_name").as_str() == "autopilot"),
    client("ActorAttribute.id", lambda s: attribute(s, "color").id == "color"),
    client("ActorAttribute.is_modifiable", lambda s: not attribute(s, "number_of_wheels").is_modifiable),
    client("ActorAttribute.recommended_values", lambda s: "scenario" in attribute(s, "role_name").recommended_values),
    client("ActorAttribute.type", lambda s: attribute(s, "color").type == carla.ActorAttributeType.RGBColor),
]


def attribute(stage: ApiStage, name: str) -> carla.ActorAttribute:
    return stage.library.find("vehicle.audi.tt").get_attribute(name)


def rewritten(stage: ApiStage) -> bool:
    """What is written to a vehicle's physics is read again."""
    before = stage.driven.get_physics_control()
    control = stage.driven.get_physics_control()
    control.mass, control.max_rpm = 3200.0, 9000.0
    stage.driven.apply_physics_control(control)
    stage.driven.add_impulse(carla.Vector3D(x=3200.0))
    heavier = math.isclose(moved(stage, 1).x, 1.0 - 0.025, rel_tol=1e-3)
    after = stage.driven.get_physics_control()
    stage.driven.apply_physics_control(before)
    return heavier and (before.mass, after.mass, after.max_rpm) == (1600.0, 3200.0, 9000.0) and len(after.wheels) == 4


def gains(stage: ApiStage) -> bool:
    stage.driven.apply_ackermann_controller_settings(carla.AckermannControllerSettings(1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    return bool(stage.driven.get_ackermann_controller_settings().accel_kd == 6.0)


def lamps(stage: ApiStage) -> bool:
    both = carla.VehicleLightState(carla.VehicleLightState.Brake | carla.VehicleLightState.Fog)
    stage.driven.set_light_state(both)
    stage.world.tick()
    return bool(stage.driven.get_light_state() == both)


def drove(stage: ApiStage, ordered: None) -> bool:
    """The car that was told to drives."""
    return moved(stage, 10).x > 1.0


def wheel_turns(stage: ApiStage) -> bool:
    stage.driven.apply_control(carla.VehicleControl(steer=0.5))
    angle = stage.driven.get_wheel_steer_angle(carla.VehicleWheelLocation.FL_Wheel)
    rear = stage.driven.get_wheel_steer_angle(carla.VehicleWheelLocation.BL_Wheel)
    stage.driven.apply_control(carla.VehicleControl())
    return (angle, rear) == (35.0, 0.0)


def telemetry(stage: ApiStage) -> carla.VehicleTelemetryData:
    """Of a car that is held at 7 m/s."""
    stage.driven.set_target_velocity(carla.Vector3D(x=7.0))
    result = stage.driven.get_telemetry_data()
    stage.driven.set_target_velocity(carla.Vector3D())
    return result


WEIGHT = 1600.0 * 9.81 / 4
VEHICLES: list[Row] = [
    works("Vehicle.apply_control", lambda s: drove(s, s.driven.apply_control(carla.VehicleControl(throttle=1.0)))),
    works(
        "Vehicle.apply_ackermann_control",
        lambda s: drove(s, s.driven.apply_ackermann_control(carla.VehicleAckermannControl(speed=5.0))),
    ),
    works("Vehicle.apply_ackermann_controller_settings", gains, "kept and told, without effect"),
    works("Vehicle.get_ackermann_controller_settings", gains),
    works("Vehicle.apply_physics_control", rewritten, "kept and told; the mass has an effect"),
    works("Vehicle.get_physics_control", rewritten),
    works("Vehicle.get_control", lambda s: s.car.get_control().throttle == 0.0),
    works("Vehicle.get_failure_state", lambda s: s.car.get_failure_state() == carla.VehicleFailureState.NONE),
    works("Vehicle.get_light_state", lamps),
    works("Vehicle.set_light_state", lamps),
    works("Vehicle.get_speed_limit", lambda s: 20.0 <= s.car.get_speed_limit() <= 130.0),
    works("Vehicle.get_telemetry_data", lambda s: same(telemetry(s).speed, 7.0)),
    works("Vehicle.is_at_traffic_light", lambda s: s.waiting.is_at_traffic_light() and not s.car.is_at_traffic_light()),
    works(
        "Vehicle.get_traffic_light",
        lambda s: s.waiting.get_traffic_light().get_opendrive_id() in {"101", "102", "103", "104"},
    ),
    works(
        "Vehicle.get_traffic_light_state",
        lambda s: s.waiting.get_traffic_light_state() == s.waiting.get_traffic_light().state,
    ),
    works("Vehicle.get_wheel_steer_angle", wheel_turns),
    works(
        "Vehicle.get_wheel_pitch_angle",
        lambda s: s.car.get_wheel_pitch_angle(carla.VehicleWheelLocation.FL_Wheel) == 0.0,
    ),
    accepted(
        "Vehicle.set_wheel_steer_direction",
        lambda s: s.car.set_wheel_steer_direction(carla.VehicleWheelLocation.FL_Wheel, 10.0) is None,
        "wheels have no shape of their own",
    ),
    accepted(
        "Vehicle.set_wheel_pitch_angle",
        lambda s: s.car.set_wheel_pitch_angle(carla.VehicleWheelLocation.FL_Wheel, 10.0) is None,
        "wheels have no shape of their own",
    ),
    accepted("Vehicle.open_door", lambda s: s.car.open_door(carla.VehicleDoor.All) is None, "doors have no shape"),
    accepted("Vehicle.close_door", lambda s: s.car.close_door(carla.VehicleDoor.FL) is None, "doors have no shape"),
    accepted("Vehicle.show_debug_telemetry", lambda s: s.car.show_debug_telemetry(True) is None, "nobody sees it"),
    refused(
        "Vehicle.get_vehicle_bone_world_transforms", lambda s: s.car.get_vehicle_bone_world_transforms(), NO_SKELETON
    ),
    logged("Vehicle.enable_carsim", lambda s: s.car.enable_carsim("a.simfile"), "one vehicle model"),
    logged("Vehicle.use_carsim_road", lambda s: s.car.use_carsim_road(True), "one vehicle model"),
    logged(
        "Vehicle.enable_chrono_physics",
        lambda s: s.car.enable_chrono_physics(10, 0.002, "", "", "", ""),
        "one vehicle model",
    ),
    accepted(
        "Vehicle.restore_physx_physics", lambda s: s.car.restore_physx_physics() is None, "there is one vehicle model"
    ),
    *values(
        "VehicleTelemetryData",
        WORKS,
        telemetry,
        speed=7.0,
        steer=0.0,
        throttle=0.0,
        brake=0.0,
        engine_rpm=float,
        gear=1,
        drag=0.0,
        wheels=list,
    ),
    *values(
        "WheelTelemetryData",
        WORKS,
        lambda s: telemetry(s).wheels[0],
        tire_friction=3.5,
        lat_slip=0.0,
        long_slip=0.0,
        omega=20.0,
        tire_load=WEIGHT,
        normalized_tire_load=1.0,
        torque=float,
        long_force=float,
        lat_force=float,
        normalized_long_force=float,
        normalized_lat_force=float,
    ),
]


def walked(stage: ApiStage) -> bool:
    stage.walker.apply_control(carla.WalkerControl(carla.Vector3D(y=-1.0), 1.5))
    for _ in range(20):
        stage.world.tick()
    told, where = stage.walker.get_control(), stage.walker.get_location()
    stage.walker.apply_control(carla.WalkerControl())
    stage.walker.set_transform(carla.Transform(carla.Location(-50.0, -8.0, 0.0)))
    stage.world.tick()
    return told.speed == 1.5 and abs(where.y + 9.5) < 0.01


def posed(stage: ApiStage) -> object:
    return stage.walker.set_bones(carla.WalkerBoneControlIn([("crl_root", carla.Transform())]))


WALKERS: list[Row] = [
    works("Walker.apply_control", walked),
    works("Walker.get_control", walked),
    refused("Walker.get_bones", lambda s: s.walker.get_bones(), NO_SKELETON),
    logged("Walker.set_bones", lambda s: posed(s), NO_SKELETON),
    logged("Walker.blend_pose", lambda s: s.walker.blend_pose(0.5), NO_SKELETON),
    logged("Walker.show_pose", lambda s: s.walker.show_pose(), NO_SKELETON),
    logged("Walker.hide_pose", lambda s: s.walker.hide_pose(), NO_SKELETON),
    logged("Walker.get_pose_from_animation", lambda s: s.walker.get_pose_from_animation(), NO_SKELETON),
    *absent("WalkerAIController", "controller.ai.walker", "go_to_location set_max_speed start stop"),
    client("bone_transform.name", lambda s: carla.bone_transform().name == ""),
    client("bone_transform.transform", lambda s: carla.bone_transform().transform.location == ORIGIN),
    *values(
        "bone_transform_out",
        CLIENT,
        lambda s: carla.bone_transform_out(),
        name="",
        world=carla.Transform(),
        component=carla.Transform(),
        relative=carla.Transform(),
    ),
    client(
        "WalkerBoneControlIn.bone_transforms",
        lambda s: len(carla.WalkerBoneControlIn([("a", carla.Transform())]).bone_transforms) == 1,
    ),
    refused("WalkerBoneControlOut.bone_transforms", lambda s: s.walker.get_bones(), NO_SKELETON),
]


def timed(stage: ApiStage) -> bool:
    """The three times of a light are kept."""
    light = stage.light
    before = (light.get_green_time(), light.get_yellow_time(), light.get_red_time())
    light.set_green_time(7.0)
    light.set_yellow_time(1.5)
    light.set_red_time(0.5)
    stage.world.tick()
    after = (light.get_green_time(), light.get_yellow_time(), light.get_red_time())
    light.set_green_time(before[0])
    light.set_yellow_time(before[1])
    light.set_red_time(before[2])
    stage.world.tick()
    return before == (10.0, 3.0, 2.0) and after == (7.0, 1.5, 0.5)


def switched(stage: ApiStage) -> bool:
    """A frozen light keeps the state that it is set to, until its group starts anew."""
    light = stage.light
    light.freeze(True)
    light.set_state(carla.TrafficLightState.Yellow)
    stage.world.tick()
    kept = light.is_frozen() and light.get_state() == light.state == carla.TrafficLightState.Yellow
    light.freeze(False)
    light.reset_group()
    stage.world.tick()
    return bool(kept and not light.is_frozen() and light.state == carla.TrafficLightState.Green)


def lamp_box(stage: ApiStage) -> bool:
    """The lamps hang over the ground beside the lane that they are for."""
    (box,) = stage.light.get_light_boxes()
    return box.location.distance(stage.light.get_location()) < 14.0 and math.isclose(box.extent.z, 0.5, rel_tol=1e-3)


LIGHTS: list[Row] = [
    works("TrafficLight.freeze", switched, "the wheel freezes all lights"),
    works("TrafficLight.get_affected_lane_waypoints", lambda s: len(s.light.get_affected_lane_waypoints()) >= 1),
    works("TrafficLight.get_elapsed_time", lambda s: 0.0 <= s.light.get_elapsed_time() < 50.0),
    works("TrafficLight.get_green_time", timed),
    works("TrafficLight.get_group_traffic_lights", lambda s: len(s.light.get_group_traffic_lights()) == 4),
    works("TrafficLight.get_light_boxes", lamp_box),
    works("TrafficLight.get_opendrive_id", lambda s: s.light.get_opendrive_id() == "101"),
    works("TrafficLight.get_pole_index", lambda s: s.light.get_pole_index() == 0),
    works("TrafficLight.get_red_time", timed),
    works("TrafficLight.get_state", switched),
    works("TrafficLight.get_stop_waypoints", lambda s: len(s.light.get_stop_waypoints()) >= 1),
    works("TrafficLight.get_yellow_time", timed),
    works("TrafficLight.is_frozen", switched),
    works("TrafficLight.reset_group", switched),
    works("TrafficLight.set_green_time", timed),
    works("TrafficLight.set_red_time", timed),
    works("TrafficLight.set_state", switched),
    works("TrafficLight.set_yellow_time", timed),
    works("TrafficLight.state", switched),
    works("TrafficSign.trigger_volume", lambda s: s.light.trigger_volume.extent.x > 0.5),
]
