"""Sensors, and what they send."""

from __future__ import annotations

import queue
from typing import Any

import carla

from tests.server.api.rows import CLIENT, WORKS, Row, absent, accepted, client, logged, refused, values, works
from tests.server.api.stage import ApiStage
from tests.server.conftest import PATIENCE_S

LIDAR, SEMANTIC = "sensor.lidar.ray_cast", "sensor.lidar.ray_cast_semantic"
GNSS, IMU = "sensor.other.gnss", "sensor.other.imu"
OBSTACLE, RADAR = "sensor.other.obstacle", "sensor.other.radar"
RGB, DEPTH = "sensor.camera.rgb", "sensor.camera.depth"
BOX = "static.prop.container"
COLOR = carla.GBufferTextureID.SceneColor
ONLY_RGB = "the client warns: only RGB cameras have g-buffers"
BY_WHEEL = "the wheel itself cannot convert the answer, on any server"
COLLISION, LANES = "sensor.other.collision", "sensor.other.lane_invasion"


def imu(stage: ApiStage) -> carla.ServerSideSensor:
    return stage.sensors[IMU]


def heard(stage: ApiStage) -> bool:
    """A sensor is listened to until it is stopped."""
    sensor, inbox = imu(stage), queue.SimpleQueue[Any]()
    sensor.listen(inbox.put)
    listens, frame = sensor.is_listening(), stage.world.tick()
    heard_first = inbox.get(timeout=PATIENCE_S).frame  # stopped before it is connected, the wheel may crash
    sensor.stop()
    return listens and heard_first == frame and not sensor.is_listening()


def saved(stage: ApiStage, name: str) -> bool:
    """A cloud is written as a PLY file."""
    path = stage.folder / f"{name}.ply"
    stage.told[name].save_to_disk(str(path))
    return path.read_text(encoding="utf-8", errors="replace").startswith("ply")


def converted(stage: ApiStage) -> bool:
    """A depth image in shades of grey: its three colours are the same."""
    image: Any = stage.told[DEPTH]
    image.convert(carla.ColorConverter.LogarithmicDepth)
    return image.raw_data[0] == image.raw_data[1] == image.raw_data[2]


def photographed(stage: ApiStage) -> bool:
    path = stage.folder / "view.png"
    stage.told[RGB].save_to_disk(str(path))
    return path.read_bytes()[1:4] == b"PNG"


def cloud(stage: ApiStage, name: str, width: int) -> bool:
    sweep: Any = stage.told[name]
    return len(sweep.raw_data) == width * len(sweep) > 0


SENSORS: list[Row] = [
    works("Sensor.is_listening", heard),
    works("Sensor.listen", heard),
    works("Sensor.stop", heard),
    works("ClientSideSensor", lambda s: isinstance(s.sensors[LANES], carla.ClientSideSensor)),
    works("LaneInvasionSensor", lambda s: isinstance(s.sensors[LANES], carla.LaneInvasionSensor)),
    logged("ServerSideSensor.enable_for_ros", lambda s: imu(s).enable_for_ros(), "no ROS 2"),
    accepted("ServerSideSensor.disable_for_ros", lambda s: imu(s).disable_for_ros() is None, "there is no ROS 2"),
    works("ServerSideSensor.is_enabled_for_ros", lambda s: imu(s).is_enabled_for_ros() is False),
    refused("ServerSideSensor.enable_gbuffers", lambda s: imu(s).enable_gbuffers(True), "no g-buffers"),
    client("ServerSideSensor.listen_to_gbuffer", lambda s: imu(s).listen_to_gbuffer(COLOR, print) is None, ONLY_RGB),
    client("ServerSideSensor.is_listening_gbuffer", lambda s: imu(s).is_listening_gbuffer(COLOR) is False),
    client("ServerSideSensor.stop_gbuffer", lambda s: imu(s).stop_gbuffer(COLOR) is None, ONLY_RGB),
    refused("ServerSideSensor.set_ignored_vehicles", lambda s: imu(s).set_ignored_vehicles([1]), "ignores vehicles"),
    refused("ServerSideSensor.get_ignored_vehicles", lambda s: imu(s).get_ignored_vehicles(), "to_python", BY_WHEEL),
    client("ServerSideSensor.send", lambda s: imu(s).send("a") is None, "the client warns: only V2X sensors send"),
    *values(
        "SensorData",
        WORKS,
        lambda s: s.told[IMU],
        frame=int,
        frame_number=int,
        timestamp=float,
        transform=carla.Transform,
    ),
    *values("LidarMeasurement", WORKS, lambda s: s.told[LIDAR], channels=32, horizontal_angle=float, raw_data=object),
    works(
        "LidarMeasurement.get_point_count",
        lambda s: sum(s.told[LIDAR].get_point_count(c) for c in range(32)) == len(s.told[LIDAR]),
    ),
    works("LidarMeasurement.save_to_disk", lambda s: saved(s, LIDAR)),
    works("LidarDetection.intensity", lambda s: 0.0 < s.told[LIDAR][0].intensity <= 1.0),
    works("LidarDetection.point", lambda s: cloud(s, LIDAR, 16) and s.told[LIDAR][0].point.length() <= 10.01),
    *values(
        "SemanticLidarMeasurement",
        WORKS,
        lambda s: s.told[SEMANTIC],
        channels=32,
        horizontal_angle=float,
        raw_data=object,
    ),
    works(
        "SemanticLidarMeasurement.get_point_count",
        lambda s: sum(s.told[SEMANTIC].get_point_count(c) for c in range(32)) == len(s.told[SEMANTIC]),
    ),
    works("SemanticLidarMeasurement.save_to_disk", lambda s: saved(s, SEMANTIC)),
    works("SemanticLidarDetection.point", lambda s: cloud(s, SEMANTIC, 24)),
    works("SemanticLidarDetection.cos_inc_angle", lambda s: 0.0 <= s.told[SEMANTIC][0].cos_inc_angle <= 1.0001),
    works("SemanticLidarDetection.object_idx", lambda s: {d.object_idx for d in s.told[SEMANTIC]} >= {0}),
    works("SemanticLidarDetection.object_tag", lambda s: {d.object_tag for d in s.told[SEMANTIC]} >= {1}),
    *values("GnssMeasurement", WORKS, lambda s: s.told[GNSS], latitude=float, longitude=float, altitude=float),
    *values(
        "IMUMeasurement",
        WORKS,
        lambda s: s.told[IMU],
        accelerometer=carla.Vector3D,
        gyroscope=carla.Vector3D,
        compass=float,
    ),
    works("CollisionEvent.actor", lambda s: s.told[COLLISION].actor.id == s.car.id),
    works("CollisionEvent.other_actor", lambda s: s.told[COLLISION].other_actor.type_id == "static.prop.container"),
    works("CollisionEvent.normal_impulse", lambda s: s.told[COLLISION].normal_impulse.length() > 100.0),
    works("ObstacleDetectionEvent.actor", lambda s: s.told[OBSTACLE].actor.id == s.car.id),
    works("ObstacleDetectionEvent.other_actor", lambda s: s.told[OBSTACLE].other_actor.type_id == BOX),
    works("ObstacleDetectionEvent.distance", lambda s: 0.0 < s.told[OBSTACLE].distance <= 5.0),
    works("RadarMeasurement.get_detection_count", lambda s: s.told[RADAR].get_detection_count() == len(s.told[RADAR])),
    works("RadarMeasurement.raw_data", lambda s: len(s.told[RADAR].raw_data) == 16 * len(s.told[RADAR]) > 0),
    works("RadarDetection.velocity", lambda s: s.told[RADAR][0].velocity <= 0.0),
    works("RadarDetection.azimuth", lambda s: abs(s.told[RADAR][0].azimuth) < 0.27),
    works("RadarDetection.altitude", lambda s: abs(s.told[RADAR][0].altitude) < 0.27),
    works("RadarDetection.depth", lambda s: 0.0 < s.told[RADAR][0].depth <= 100.0),
    *values("Image", WORKS, lambda s: s.told[RGB], width=64, height=48, fov=90.0),
    works(
        "Image.raw_data", lambda s: len(s.told[RGB].raw_data) == 4 * 64 * 48, "colours by kind of thing, plainly shaded"
    ),
    works("Image.convert", converted),
    works("Image.save_to_disk", photographed),
    refused(
        "LaneInvasionEvent.actor",
        lambda s: s.told[LANES].actor,
        "destroyed actor",
        "the wheel itself raises, on any server",
    ),
    works("LaneInvasionEvent.crossed_lane_markings", lambda s: len(s.told[LANES].crossed_lane_markings) >= 1),
]
UNSERVED: list[Row] = [
    *absent("FakeImage", "sensor.camera.dvs", "append extend fov height raw_data width"),
    *absent(
        "DVSEventArray",
        "sensor.camera.dvs",
        "to_array to_array_pol to_array_t to_array_x to_array_y to_image fov height raw_data width",
    ),
    *absent("OpticalFlowImage", "sensor.camera.optical_flow", "get_color_coded_flow fov height raw_data width"),
    *absent("CAMEvent", "sensor.other.v2x", "get_message_count"),
    *absent("CAMMessage", "sensor.other.v2x", "get"),
    *absent("CustomV2XEvent", "sensor.other.v2x_custom", "get_message_count"),
    *absent("CustomV2XData", "sensor.other.v2x_custom", "get"),
    client("CAMMessage.power", lambda s: carla.CAMMessage().power == 0.0),
    client("CustomV2XData.power", lambda s: carla.CustomV2XData().power == 0.0),
    *values("DVSEvent", CLIENT, lambda s: carla.DVSEvent(), pol=bool, t=int, x=int, y=int),
    *values("OpticalFlowPixel", CLIENT, lambda s: carla.OpticalFlowPixel(), x=0.0, y=0.0),
]
