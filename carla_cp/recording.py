"""A finished episode in one file, `.ticks`: everything metrics, report and view need, float for float.

Layout: the magic, a version byte, a CRC-32 of the rest, then one MessagePack value. Every record is a list in the
order of its dataclass. Two runs of the same command give the same bytes, so what they may differ in (wall times) and
what would be large (points) is not written: `wall_s` and `times` read back as zeros, `sweeps` as none.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgpack
import numpy as np
import numpy.typing as npt

from carla_cp.types import (
    AgentName,
    CodecChoice,
    Collision,
    Control,
    Detections,
    Episode,
    EpisodeEnd,
    LaneLight,
    LightState,
    Loss,
    ObjectClass,
    Outcome,
    Perceived,
    Plan,
    Pose,
    StageTimes,
    TickRecord,
    Track,
    Transmission,
    Truth,
    TruthObject,
    VehicleState,
)
from carla_cp.whole import write_whole

MAGIC = b"CARLACP\x00"
VERSION = 2
_HEADER_BYTES = len(MAGIC) + 1 + 4
Row: TypeAlias = Sequence[Any]  # one MessagePack list


class RecordingError(ValueError):
    """A file that is no recording, is damaged, or is of another version."""


def write_ticks(path: Path, episode: Episode) -> None:
    """Writes the episode whole, by rename."""
    body = bytes(msgpack.packb(_pack_episode(episode), use_bin_type=True))
    write_whole(path, MAGIC + bytes([VERSION]) + zlib.crc32(body).to_bytes(4, "little") + body)


def read_ticks(path: Path) -> Episode:
    """The episode of a file; raises RecordingError for one that this version did not write in full."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror})") from error
    if not data.startswith(MAGIC) or len(data) < _HEADER_BYTES:
        raise RecordingError(f"{path}: not a .ticks recording")
    if data[len(MAGIC)] != VERSION:
        raise RecordingError(f"{path}: recording version {data[len(MAGIC)]}; this program reads {VERSION}; record anew")
    body = data[_HEADER_BYTES:]
    if zlib.crc32(body) != int.from_bytes(data[len(MAGIC) + 1 : _HEADER_BYTES], "little"):
        raise RecordingError(f"{path}: damaged or cut short; record the episode anew")
    try:
        return _unpack_episode(msgpack.unpackb(body, raw=False))
    except (ValueError, TypeError, IndexError) as error:
        raise RecordingError(f"{path}: holds no episode ({error})") from error


# --------------------------------------------------------------------------------------------------------- packing


def _pack_episode(episode: Episode) -> Row:
    codec = [episode.codec.name, episode.codec.budget_bytes]
    records = [_pack_record(record) for record in episode.records]
    return [episode.scenario, codec, episode.seed, episode.end.value, episode.ego, episode.hazard, records]


def _pack_record(r: TickRecord) -> Row:
    light = None if r.light is None else [int(r.light.state), r.light.distance_m]
    return [
        r.tick,
        r.time_us,
        _pack_state(r.ego),
        light,
        None if r.plan is None else _pack_plan(r.plan),
        [_pack_track(track) for track in r.tracks],
        None if r.perceived is None else _pack_perceived(r.perceived),
        [_pack_transmission(sent) for sent in r.transmissions],
        r.route_fraction,
        r.route_offset_m,
        _pack_truth(r.truth),
    ]


def _pack_pose(p: Pose) -> Row:
    return [p.x, p.y, p.z, p.roll, p.pitch, p.yaw]


def _pack_state(s: VehicleState) -> Row:
    return [_pack_pose(s.pose), s.velocity, s.acceleration, s.yaw_rate, s.length, s.width, s.height]


def _pack_plan(p: Plan) -> Row:
    control = [p.control.throttle, p.control.brake, p.control.steer]
    return [control, p.acceleration_mps2, p.reason, p.conflict_track, p.path]


def _pack_track(t: Track) -> Row:
    motion = [t.x, t.y, t.z, t.yaw, t.vx, t.vy, t.length, t.width, t.height]
    return [t.id, int(t.label), *motion, t.hits, t.last_seen_us, t.score]


def _pack_perceived(p: Perceived) -> Row:
    found = [_pack_array(a) for a in (p.detections.boxes, p.detections.scores, p.detections.labels)]
    return [p.time_us, _pack_pose(p.world_from_agent), found, _pack_array(p.truth_boxes), _pack_array(p.truth_labels)]


def _pack_array(array: npt.NDArray[Any]) -> Row:
    kind = "<f8" if array.dtype.kind == "f" else "<i8"
    return [kind, list(array.shape), np.ascontiguousarray(array, kind).tobytes()]


def _pack_transmission(t: Transmission) -> Row:
    size = [t.payload_bytes, t.packets, t.bytes_on_air]
    lost = [] if t.loss is None else [t.packets_lost, t.loss.value]
    return [t.sender, t.receiver, t.sequence, t.sent_us, t.arrived_us, *size, t.outcome.value, *lost]


def _pack_truth(t: Truth) -> Row:
    objects = [
        [
            o.id,
            o.rolename,
            o.blueprint,
            None if o.label is None else int(o.label),
            _pack_state(o.state),
            o.box,
            o.returns,
        ]
        for o in t.objects
    ]
    return [objects, [[c.other, c.other_id, c.ego_speed_mps] for c in t.collisions], t.hazard_active]


# ------------------------------------------------------------------------------------------------------- unpacking


def _unpack_episode(row: Row) -> Episode:
    scenario, (codec, budget), seed, end, ego, hazard, records = row
    ticks = tuple(_unpack_record(record) for record in records)
    return Episode(scenario, CodecChoice(codec, budget), seed, EpisodeEnd(end), ticks, 0.0, AgentName(ego), hazard)


def _unpack_record(row: Row) -> TickRecord:
    tick, time_us, ego, light, plan, tracks, perceived, transmissions, fraction, offset, truth = row
    return TickRecord(
        tick=tick,
        time_us=time_us,
        ego=_unpack_state(ego),
        light=None if light is None else LaneLight(LightState(light[0]), light[1]),
        plan=None if plan is None else _unpack_plan(plan),
        tracks=tuple(_unpack_track(track) for track in tracks),
        perceived=None if perceived is None else _unpack_perceived(perceived),
        transmissions=tuple(_unpack_transmission(sent) for sent in transmissions),
        route_fraction=fraction,
        route_offset_m=offset,
        truth=_unpack_truth(truth),
        times=StageTimes(),
    )


def _unpack_state(row: Row) -> VehicleState:
    pose, velocity, acceleration, *rest = row
    return VehicleState(Pose(*pose), tuple(velocity), tuple(acceleration), *rest)


def _unpack_plan(row: Row) -> Plan:
    control, acceleration, reason, conflict, path = row
    return Plan(Control(*control), acceleration, reason, conflict, tuple((x, y) for x, y in path))


def _unpack_track(row: Row) -> Track:
    number, label, *rest = row
    return Track(number, ObjectClass(label), *rest)


def _unpack_perceived(row: Row) -> Perceived:
    time_us, pose, found, boxes, labels = row
    detections = Detections(*(_unpack_array(array) for array in found))
    return Perceived(time_us, Pose(*pose), detections, _unpack_array(boxes), _unpack_array(labels))


def _unpack_array(row: Row) -> npt.NDArray[Any]:
    kind, shape, data = row
    return np.frombuffer(data, kind).reshape(shape).copy()


def _unpack_transmission(row: Row) -> Transmission:
    sender, receiver, sequence, sent, arrived, payload, packets, on_air, outcome, *lost = row
    names = AgentName(sender), AgentName(receiver)
    packets_lost, loss = (lost[0], Loss(lost[1])) if lost else (0, None)  # where no packet was lost, nothing is said
    return Transmission(*names, sequence, sent, arrived, payload, packets, on_air, Outcome(outcome), packets_lost, loss)


def _unpack_truth(row: Row) -> Truth:
    objects, collisions, active = row
    return Truth(tuple(_unpack_object(thing) for thing in objects), tuple(Collision(*c) for c in collisions), active)


def _unpack_object(row: Row) -> TruthObject:
    number, rolename, blueprint, label, state, box, returns = row
    known = None if label is None else ObjectClass(label)
    return TruthObject(number, rolename, blueprint, known, _unpack_state(state), tuple(box), returns)
