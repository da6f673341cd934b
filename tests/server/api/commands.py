"""Commands of a batch. A command's fields are the client's own; that it is carried out is the row `actor_id`."""

from __future__ import annotations

import carla

from tests.server.api.rows import CLIENT, Row, client, refused, values, works
from tests.server.api.stage import ApiStage

command = carla.command
UP, THERE = carla.Vector3D(0.0, 0.0, 1.0), carla.Transform(carla.Location(-140.0, 5.25, 0.0))
WALK = carla.WalkerControl(carla.Vector3D(x=1.0), 0.0)
BY_WHEEL = "the wheel itself cannot convert it, on any server"


def runs(name: str, make: object) -> Row:
    """The command is carried out on the car that is tried on."""
    return works(f"command.{name}.actor_id", lambda s: s.batch(make(s)).actor_id == make(s).actor_id)


def spawned(stage: ApiStage) -> bool:
    """A batch spawns a vehicle, does what is to be done then, and destroys it."""
    place = carla.Transform(carla.Location(-160.0, 5.25, 0.3))
    order = command.SpawnActor(stage.library.find("vehicle.audi.tt"), place)
    brake = command.SetVehicleLightState(command.FutureActor, carla.VehicleLightState(carla.VehicleLightState.Brake))
    number = stage.batch(order.then(brake)).actor_id
    stage.world.tick()
    bright = stage.world.get_vehicles_light_states()[number] == carla.VehicleLightState.Brake
    return bright and not stage.batch(command.DestroyActor(number)).has_error()


def order(stage: ApiStage) -> carla.command.SpawnActor:
    return command.SpawnActor(stage.library.find("vehicle.audi.tt"), THERE)


COMMANDS: list[Row] = [
    runs("ApplyAngularImpulse", lambda s: command.ApplyAngularImpulse(s.driven.id, UP)),
    client("command.ApplyAngularImpulse.impulse", lambda s: command.ApplyAngularImpulse(1, UP).impulse == UP),
    runs("ApplyForce", lambda s: command.ApplyForce(s.driven.id, UP)),
    client("command.ApplyForce.force", lambda s: command.ApplyForce(1, UP).force == UP),
    runs("ApplyImpulse", lambda s: command.ApplyImpulse(s.driven.id, UP)),
    client("command.ApplyImpulse.impulse", lambda s: command.ApplyImpulse(1, UP).impulse == UP),
    runs("ApplyTargetAngularVelocity", lambda s: command.ApplyTargetAngularVelocity(s.driven.id, UP)),
    client(
        "command.ApplyTargetAngularVelocity.angular_velocity",
        lambda s: command.ApplyTargetAngularVelocity(1, UP).angular_velocity == UP,
    ),
    runs("ApplyTargetVelocity", lambda s: command.ApplyTargetVelocity(s.driven.id, carla.Vector3D())),
    client("command.ApplyTargetVelocity.velocity", lambda s: command.ApplyTargetVelocity(1, UP).velocity == UP),
    runs("ApplyTorque", lambda s: command.ApplyTorque(s.driven.id, UP)),
    client("command.ApplyTorque.torque", lambda s: command.ApplyTorque(1, UP).torque == UP),
    runs("ApplyTransform", lambda s: command.ApplyTransform(s.driven.id, THERE)),
    client("command.ApplyTransform.transform", lambda s: command.ApplyTransform(1, THERE).transform == THERE),
    runs(
        "ApplyVehicleAckermannControl",
        lambda s: command.ApplyVehicleAckermannControl(s.driven.id, carla.VehicleAckermannControl()),
    ),
    client(
        "command.ApplyVehicleAckermannControl.control",
        lambda s: (
            command.ApplyVehicleAckermannControl(1, carla.VehicleAckermannControl(speed=2.0)).control.speed == 2.0
        ),
    ),
    runs("ApplyVehicleControl", lambda s: command.ApplyVehicleControl(s.driven.id, carla.VehicleControl())),
    client(
        "command.ApplyVehicleControl.control",
        lambda s: command.ApplyVehicleControl(1, carla.VehicleControl(throttle=0.5)).control.throttle == 0.5,
    ),
    runs(
        "ApplyVehiclePhysicsControl",
        lambda s: command.ApplyVehiclePhysicsControl(s.driven.id, s.driven.get_physics_control()),
    ),
    client(
        "command.ApplyVehiclePhysicsControl.physics_control",
        lambda s: (
            command.ApplyVehiclePhysicsControl(1, carla.VehiclePhysicsControl(mass=5.0)).physics_control.mass == 5.0
        ),
    ),
    runs("ApplyWalkerControl", lambda s: command.ApplyWalkerControl(s.walker.id, WALK)),
    client("command.ApplyWalkerControl.control", lambda s: command.ApplyWalkerControl(1, WALK).control.speed == 0.0),
    runs("ApplyWalkerState", lambda s: command.ApplyWalkerState(s.walker.id, s.walker.get_transform(), 0.0)),
    *values(
        "command.ApplyWalkerState",
        CLIENT,
        lambda s: command.ApplyWalkerState(1, THERE, 1.5),
        speed=1.5,
        transform=THERE,
    ),
    runs("SetAutopilot", lambda s: command.SetAutopilot(s.driven.id, False, 8000)),
    *values("command.SetAutopilot", CLIENT, lambda s: command.SetAutopilot(1, True, 8001), enabled=True, tm_port=8001),
    runs("SetEnableGravity", lambda s: command.SetEnableGravity(s.driven.id, True)),
    client("command.SetEnableGravity.enabled", lambda s: command.SetEnableGravity(1, True).enabled),
    runs("SetSimulatePhysics", lambda s: command.SetSimulatePhysics(s.driven.id, True)),
    client("command.SetSimulatePhysics.enabled", lambda s: command.SetSimulatePhysics(1, True).enabled),
    runs("SetVehicleLightState", lambda s: command.SetVehicleLightState(s.driven.id, carla.VehicleLightState.NONE)),
    client(
        "command.SetVehicleLightState.light_state",
        lambda s: command.SetVehicleLightState(1, carla.VehicleLightState.Brake).light_state == 8,
    ),
    client(
        "command.ShowDebugTelemetry.actor_id",
        lambda s: command.ShowDebugTelemetry(1, True).actor_id == 1,
        "the wheel itself cannot put it into a batch",
    ),
    client("command.ShowDebugTelemetry.enabled", lambda s: command.ShowDebugTelemetry(1, True).enabled),
    works("command.DestroyActor.actor_id", spawned),
    works("command.SpawnActor.then", spawned),
    refused("command.SpawnActor.parent_id", lambda s: order(s).parent_id, "No Python class", BY_WHEEL),
    *values("command.SpawnActor", CLIENT, order, attachment_type=object, socket_name=str, transform=THERE),
    works(
        "command.Response.actor_id", lambda s: s.batch(command.ApplyImpulse(s.driven.id, UP)).actor_id == s.driven.id
    ),
    works("command.Response.error", lambda s: "is not there" in s.batch(command.ApplyImpulse(9999, UP)).error),
    works("command.Response.has_error", lambda s: s.batch(command.ApplyImpulse(9999, UP)).has_error()),
    client("command.FutureActor", lambda s: command.FutureActor == 0),
]
COLLECTIONS: list[Row] = [
    *[
        client(f"{kind.__name__}.{name}", lambda s, kind=kind, item=item, name=name: filled(kind, name, item) == 1)
        for kind, item in (
            (carla.vector_of_bones, carla.bone_transform()),
            (carla.vector_of_bones_out, carla.bone_transform_out()),
            (carla.vector_of_gears, carla.GearPhysicsControl()),
            (carla.vector_of_ints, 3),
            (carla.vector_of_transform, carla.Transform()),
            (carla.vector_of_vector2D, carla.Vector2D()),
            (carla.vector_of_wheels, carla.WheelPhysicsControl()),
            (carla.vector_of_wheels_telemetry, carla.WheelTelemetryData()),
        )
        for name in ("append", "extend")
    ],
    *[
        client(name, lambda s, name=name, member=member: member in getattr(carla, name).names)
        for name, member in (
            ("ActorAttributeType", "RGBColor"),
            ("ActorState", "Active"),
            ("AttachmentType", "Rigid"),
            ("CityObjectLabel", "Buildings"),
            ("ColorConverter", "Depth"),
            ("GBufferTextureID", "SceneColor"),
            ("LandmarkOrientation", "Both"),
            ("LaneChange", "Left"),
            ("LaneMarkingColor", "White"),
            ("LaneMarkingType", "Solid"),
            ("LaneType", "Driving"),
            ("LightGroup", "Street"),
            ("MapLayer", "All"),
            ("MaterialParameter", "Diffuse"),
            ("RoadMarkOrientation", "Both"),
            ("TrafficLightState", "Red"),
            ("VehicleDoor", "All"),
            ("VehicleFailureState", "Rollover"),
            ("VehicleLightState", "Brake"),
            ("VehicleWheelLocation", "FL_Wheel"),
        )
    ],
]


def filled(kind: type, name: str, item: object) -> int:
    """The length of a vector of the wheel's own after one item was put into it."""
    result = kind()
    getattr(result, name)(item if name == "append" else [item])
    return len(result)
