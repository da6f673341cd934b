"""Plain values, which the client alone computes with."""

from __future__ import annotations

import math

import carla

from tests.server.api.rows import CLIENT, Row, client, same, values

UP = carla.Vector3D(0.0, 0.0, 2.0)
SLANT = carla.Vector3D(3.0, 4.0, 0.0)
TURNED = carla.Transform(carla.Location(1.0, 2.0, 3.0), carla.Rotation(yaw=90.0))
BOX = carla.BoundingBox(carla.Location(1.0, 0.0, 0.0), carla.Vector3D(2.0, 1.0, 0.5))


def near(found: carla.Vector3D, x: float, y: float, z: float) -> bool:
    """Whether a vector is this one."""
    return (found.x - x) ** 2 + (found.y - y) ** 2 + (found.z - z) ** 2 < 1e-8


def unit(value: carla.Vector3D) -> bool:
    return near(value, 0.6, 0.8, 0.0)


VECTORS: list[Row] = [
    *values("Vector3D", CLIENT, lambda s: carla.Vector3D(1.0, 2.0, 3.0), x=1.0, y=2.0, z=3.0),
    client("Vector3D.cross", lambda s: near(SLANT.cross(UP), 8.0, -6.0, 0.0)),
    client("Vector3D.distance", lambda s: same(SLANT.distance(UP), math.sqrt(29.0))),
    client("Vector3D.distance_2d", lambda s: same(SLANT.distance_2d(UP), 5.0)),
    client("Vector3D.distance_squared", lambda s: same(SLANT.distance_squared(UP), 29.0)),
    client("Vector3D.distance_squared_2d", lambda s: same(SLANT.distance_squared_2d(UP), 25.0)),
    client("Vector3D.dot", lambda s: same(SLANT.dot(SLANT), 25.0)),
    client("Vector3D.dot_2d", lambda s: same(SLANT.dot_2d(UP), 0.0)),
    client("Vector3D.get_vector_angle", lambda s: same(SLANT.get_vector_angle(UP), math.pi / 2)),
    client("Vector3D.length", lambda s: same(SLANT.length(), 5.0)),
    client("Vector3D.make_unit_vector", lambda s: unit(SLANT.make_unit_vector())),
    client("Vector3D.squared_length", lambda s: same(SLANT.squared_length(), 25.0)),
    *values("Vector2D", CLIENT, lambda s: carla.Vector2D(3.0, 4.0), x=3.0, y=4.0),
    client("Vector2D.length", lambda s: same(carla.Vector2D(3.0, 4.0).length(), 5.0)),
    client("Vector2D.make_unit_vector", lambda s: same(carla.Vector2D(3.0, 0.0).make_unit_vector().x, 1.0)),
    client("Vector2D.squared_length", lambda s: same(carla.Vector2D(3.0, 4.0).squared_length(), 25.0)),
    *values("Location", CLIENT, lambda s: carla.Location(1.0, 2.0, 3.0), x=1.0, y=2.0, z=3.0),
    client("Location.distance", lambda s: same(carla.Location(3.0, 0.0, 0.0).distance(carla.Location()), 3.0)),
    *values("Rotation", CLIENT, lambda s: carla.Rotation(1.0, 2.0, 3.0), pitch=1.0, yaw=2.0, roll=3.0),
    client("Rotation.get_forward_vector", lambda s: near(TURNED.rotation.get_forward_vector(), 0.0, 1.0, 0.0)),
    client("Rotation.get_right_vector", lambda s: near(TURNED.rotation.get_right_vector(), -1.0, 0.0, 0.0)),
    client("Rotation.get_up_vector", lambda s: near(TURNED.rotation.get_up_vector(), 0.0, 0.0, 1.0)),
    client("Transform.location", lambda s: near(TURNED.location, 1.0, 2.0, 3.0)),
    client("Transform.rotation", lambda s: same(TURNED.rotation.yaw, 90.0)),
    client("Transform.get_forward_vector", lambda s: near(TURNED.get_forward_vector(), 0.0, 1.0, 0.0)),
    client("Transform.get_right_vector", lambda s: near(TURNED.get_right_vector(), -1.0, 0.0, 0.0)),
    client("Transform.get_up_vector", lambda s: near(TURNED.get_up_vector(), 0.0, 0.0, 1.0)),
    client("Transform.get_matrix", lambda s: TURNED.get_matrix()[1][3] == 2.0),
    client("Transform.get_inverse_matrix", lambda s: abs(TURNED.get_inverse_matrix()[2][3] + 3.0) < 1e-5),
    client("Transform.transform", lambda s: near(TURNED.transform(carla.Location(x=1.0)), 1.0, 3.0, 3.0)),
    client("Transform.inverse_transform", lambda s: near(moved_back(), 1.0, 0.0, 0.0)),
    client("Transform.transform_vector", lambda s: near(TURNED.transform_vector(carla.Vector3D(x=1.0)), 0.0, 1.0, 0.0)),
    client("BoundingBox.contains", lambda s: BOX.contains(carla.Location(2.5, 0.0, 0.0), carla.Transform())),
    client("BoundingBox.get_local_vertices", lambda s: max(v.x for v in BOX.get_local_vertices()) == 3.0),
    client("BoundingBox.get_world_vertices", lambda s: max(v.x for v in BOX.get_world_vertices(TURNED)) < 2.001),
    client("BoundingBox.actor_id", lambda s: isinstance(BOX.actor_id, int)),
    client("BoundingBox.extent", lambda s: near(BOX.extent, 2.0, 1.0, 0.5)),
    client("BoundingBox.location", lambda s: near(BOX.location, 1.0, 0.0, 0.0)),
    client("BoundingBox.rotation", lambda s: BOX.rotation.yaw == 0.0),
    *values(
        "GeoLocation", CLIENT, lambda s: carla.GeoLocation(1.0, 2.0, 3.0), latitude=1.0, longitude=2.0, altitude=3.0
    ),
    *values("Color", CLIENT, lambda s: carla.Color(1, 2, 3, 4), r=1, g=2, b=3, a=4),
    *values("FloatColor", CLIENT, lambda s: carla.FloatColor(0.25, 0.5, 0.75, 1.0), r=0.25, g=0.5, b=0.75, a=1.0),
]


def moved_back() -> carla.Location:
    """A place seen from a turned frame and back again."""
    place = carla.Location(1.0, 3.0, 3.0)
    TURNED.inverse_transform(place)
    return place


def texture(colour: carla.Color) -> carla.TextureColor:
    """Two by one pixels, the second coloured."""
    result = carla.TextureColor(2, 1)
    result.set(1, 0, colour)
    return result


def float_texture(colour: carla.FloatColor) -> carla.TextureFloatColor:
    result = carla.TextureFloatColor(2, 1)
    result.set(1, 0, colour)
    return result


def resized(image: carla.TextureColor | carla.TextureFloatColor) -> int:
    image.set_dimensions(3, 5)
    return int(image.height)


GEARS = (2.0, 0.25, 0.75)
WHEEL = {
    "tire_friction": 1.0,
    "damping_rate": 2.0,
    "max_steer_angle": 3.0,
    "radius": 4.0,
    "max_brake_torque": 5.0,
    "max_handbrake_torque": 6.0,
    "lat_stiff_max_load": 7.0,
    "lat_stiff_value": 8.0,
    "long_stiff_value": 9.0,
}

CONTROLS: list[Row] = [
    *values(
        "VehicleControl",
        CLIENT,
        lambda s: carla.VehicleControl(0.25, 0.5, 0.75, True, True, True, 2),
        throttle=0.25,
        steer=0.5,
        brake=0.75,
        hand_brake=True,
        reverse=True,
        manual_gear_shift=True,
        gear=2,
    ),
    *values(
        "VehicleAckermannControl",
        CLIENT,
        lambda s: carla.VehicleAckermannControl(0.25, 0.5, 3.0, 4.0, 5.0),
        steer=0.25,
        steer_speed=0.5,
        speed=3.0,
        acceleration=4.0,
        jerk=5.0,
    ),
    *values(
        "AckermannControllerSettings",
        CLIENT,
        lambda s: carla.AckermannControllerSettings(1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
        speed_kp=1.0,
        speed_ki=2.0,
        speed_kd=3.0,
        accel_kp=4.0,
        accel_ki=5.0,
        accel_kd=6.0,
    ),
    *values("WalkerControl", CLIENT, lambda s: carla.WalkerControl(UP, 1.5, True), direction=UP, speed=1.5, jump=True),
    *values(
        "GearPhysicsControl",
        CLIENT,
        lambda s: carla.GearPhysicsControl(*GEARS),
        ratio=2.0,
        down_ratio=0.25,
        up_ratio=0.75,
    ),
    *values(
        "WheelPhysicsControl", CLIENT, lambda s: carla.WheelPhysicsControl(**WHEEL, position=UP), **WHEEL, position=UP
    ),
    *values(
        "VehiclePhysicsControl",
        CLIENT,
        lambda s: carla.VehiclePhysicsControl(mass=5.0, moi=2.0),
        center_of_mass=carla.Vector3D,
        clutch_strength=float,
        damping_rate_full_throttle=float,
        damping_rate_zero_throttle_clutch_disengaged=float,
        damping_rate_zero_throttle_clutch_engaged=float,
        drag_coefficient=float,
        final_ratio=float,
        forward_gears=list,
        gear_switch_time=float,
        mass=5.0,
        max_rpm=float,
        moi=2.0,
        steering_curve=list,
        torque_curve=list,
        use_gear_autobox=bool,
        use_sweep_wheel_collision=bool,
        wheels=list,
    ),
    *values(
        "OpendriveGenerationParameters",
        CLIENT,
        lambda s: carla.OpendriveGenerationParameters(),
        vertex_distance=2.0,
        max_road_length=50.0,
        wall_height=1.0,
        additional_width=0.6,
        smooth_junctions=True,
        enable_mesh_visibility=True,
        enable_pedestrian_navigation=True,
    ),
    *values(
        "WorldSettings",
        CLIENT,
        lambda s: carla.WorldSettings(),
        synchronous_mode=False,
        no_rendering_mode=False,
        fixed_delta_seconds=None,
        substepping=True,
        max_substep_delta_time=0.01,
        max_substeps=10,
        max_culling_distance=0.0,
        deterministic_ragdolls=False,
        tile_stream_distance=3000.0,
        actor_active_distance=2000.0,
        spectator_as_ego=True,
    ),
    *values(
        "WeatherParameters",
        CLIENT,
        lambda s: carla.WeatherParameters(cloudiness=80.0),
        cloudiness=80.0,
        dust_storm=float,
        fog_density=float,
        fog_distance=float,
        fog_falloff=float,
        mie_scattering_scale=float,
        precipitation=float,
        precipitation_deposits=float,
        rayleigh_scattering_scale=float,
        scattering_intensity=float,
        sun_altitude_angle=float,
        sun_azimuth_angle=float,
        wetness=float,
        wind_intensity=float,
    ),
    *values(
        "LightState",
        CLIENT,
        lambda s: carla.LightState(5.0, carla.Color(1, 2, 3), carla.LightGroup.Street, True),
        active=True,
        color=carla.Color(1, 2, 3),
        group=carla.LightGroup.Street,
        intensity=5.0,
    ),
    *values("TextureColor", CLIENT, lambda s: carla.TextureColor(2, 3), width=2, height=3),
    client("TextureColor.get", lambda s: texture(carla.Color(1, 2, 3)).get(1, 0).b == 3),
    client("TextureColor.set", lambda s: texture(carla.Color(1, 2, 3)).get(1, 0).r == 1),
    client("TextureColor.set_dimensions", lambda s: resized(carla.TextureColor(2, 1)) == 5),
    *values("TextureFloatColor", CLIENT, lambda s: carla.TextureFloatColor(2, 3), width=2, height=3),
    client("TextureFloatColor.get", lambda s: float_texture(carla.FloatColor(b=0.5)).get(1, 0).b == 0.5),
    client("TextureFloatColor.set", lambda s: float_texture(carla.FloatColor(r=0.5)).get(1, 0).r == 0.5),
    client("TextureFloatColor.set_dimensions", lambda s: resized(carla.TextureFloatColor(2, 1)) == 5),
]
