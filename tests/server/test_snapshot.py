"""The binary layouts, byte by byte as the protocol's tables give them."""

from __future__ import annotations

import struct

import msgpack
import numpy as np

from carla_cp.server.lidar import LidarReturn
from carla_cp.server.snapshot import (
    LightRecord,
    LightView,
    Motion,
    header,
    imu_payload,
    lidar_payload,
    light_record,
    plain_record,
    snapshot,
    vehicle_record,
    walker_record,
)
from carla_cp.server.wire import Transform, VehicleControl, WalkerControl

POSE = Transform(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
MOTION = Motion(POSE, (7.0, 8.0, 9.0), (10.0, 11.0, 12.0), (13.0, 14.0, 15.0))
COMMON = tuple(float(value) for value in range(1, 16))


def test_every_record_is_119_bytes_and_starts_with_id_state_and_motion() -> None:
    light = LightRecord("101", 10.0, 3.0, 2.0, 1.5, 4, True, 2)
    records = [
        plain_record(9, MOTION),
        vehicle_record(9, MOTION, VehicleControl(), 50.0, LightView()),
        walker_record(9, MOTION, WalkerControl()),
        light_record(9, MOTION, light),
    ]
    for record in records:
        assert len(record) == 119
        assert struct.unpack_from("<IB", record) == (9, 1)
        assert struct.unpack_from("<15f", record, 5) == COMMON


def test_a_vehicles_union_holds_control_limit_and_light() -> None:
    control = VehicleControl(0.5, -0.25, 1.0, True, False, True, -1)
    record = vehicle_record(1, MOTION, control, 50.0, LightView(1, True, 77))
    assert struct.unpack_from("<3f3B", record, 65) == (0.5, -0.25, 1.0, 1, 0, 1)
    assert struct.unpack_from("<ifBBIB", record, 80) == (-1, 50.0, 1, 1, 77, 0)
    assert record[95:] == bytes(24)


def test_a_lights_union_holds_sign_times_pole_and_state() -> None:
    record = light_record(1, MOTION, LightRecord("101", 10.0, 3.0, 2.0, 1.5, 4, True, 2))
    assert record[65:97] == b"101".ljust(32, b"\0")
    assert struct.unpack_from("<4fIBB", record, 97) == (10.0, 3.0, 2.0, 1.5, 4, 1, 2)


def test_a_snapshot_is_header_episode_and_records() -> None:
    message = snapshot(3, 42, 2.1, 0.05, 1, [plain_record(1, MOTION), plain_record(2, MOTION)])
    assert len(message) == 48 + 36 + 2 * 119
    assert struct.unpack_from("<QQd", message) == (17, 42, 2.1)
    episode, _, delta, x, y, z, flags = struct.unpack_from("<Qdf3iI", message, 48)
    assert (episode, np.float32(delta), x, y, z, flags) == (3, np.float32(0.05), 0, 0, 0, 1)


def test_a_sweep_is_angle_channels_counts_and_points() -> None:
    points = np.arange(12, dtype=np.float32).reshape(3, 4)
    payload = lidar_payload(LidarReturn(1.5, np.array([1, 0, 2]), points))
    assert struct.unpack_from("<fI3I", payload) == (1.5, 3, 1, 0, 2)
    assert payload[20:] == points.tobytes()


def test_the_header_and_the_msgpack_payloads_are_as_documented() -> None:
    assert struct.unpack("<QQd6f", header(5, 1, 0.5, POSE)) == (5, 1, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert msgpack.unpackb(imu_payload((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 7.0)) == [[1, 2, 3], [4, 5, 6], 7]
