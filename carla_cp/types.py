"""Every value that crosses a module boundary, with shapes, units and frames.

One frame convention everywhere, CARLA's: left-handed, x forward, y right, z up, metres; yaw grows from x towards y.
Angles are radians. Times that are compared are integer microseconds of simulated time. `a_from_b` maps coordinates
in b to coordinates in a, so that adjacent names cancel.

Frames: *world* is the map; *lidar* is the sensor; *agent* is the lidar frame lowered to the ground under the sensor
(z = 0 is the road), the frame in which an agent computes features and boxes.

Arrays of boxes are (N, 7) float64: x, y, z of the box centre, length, width, height, yaw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, NewType, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch  # takes over a second, which a server and its clients can do without

FloatArray: TypeAlias = npt.NDArray[np.float64]
PointArray: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.int64]
AgentName = NewType("AgentName", str)  # rolename of a connected vehicle, id of an RSU


class ObjectClass(IntEnum):
    """What the detector tells apart; the value is the channel of the head."""

    VEHICLE = 0
    CYCLIST = 1
    PEDESTRIAN = 2


# ---------------------------------------------------------------------------------------------------------- space


@dataclass(frozen=True, slots=True)
class Pose:
    """A rigid pose with 6 degrees of freedom, CARLA's rotation order (yaw, then pitch, then roll)."""

    x: float = 0.0  # [m]
    y: float = 0.0  # [m]
    z: float = 0.0  # [m]
    roll: float = 0.0  # [rad]
    pitch: float = 0.0  # [rad]
    yaw: float = 0.0  # [rad]


@dataclass(frozen=True, slots=True)
class VehicleState:
    """The motion of one body in the world frame: what odometry reports of the ego, and what truth holds of others."""

    pose: Pose  # world_from_body, origin on the ground under the body's middle
    velocity: tuple[float, float, float]  # [m/s], world frame
    acceleration: tuple[float, float, float]  # [m/s^2], world frame
    yaw_rate: float  # [rad/s]
    length: float  # [m]
    width: float  # [m]
    height: float  # [m]

    @property
    def speed(self) -> float:
        """Ground speed in m/s."""
        return float(np.hypot(self.velocity[0], self.velocity[1]))


# ------------------------------------------------------------------------------------------------------- scenario


@dataclass(frozen=True, slots=True)
class LidarSpec:
    """A `sensor.lidar.ray_cast` blueprint's attributes (CARLA's names and meaning) and where it is mounted."""

    mount: Pose  # body_from_lidar on a vehicle; of an RSU, foot_from_lidar: x = y = 0 and z its height over the ground
    channels: int = 64
    range_m: float = 120.0
    points_per_second: int = 1_310_720  # 64 x 1024 in one 0.05 s step
    rotation_frequency_hz: float = 20.0
    upper_fov_deg: float = 2.0
    lower_fov_deg: float = -25.0
    horizontal_fov_deg: float = 360.0
    atmosphere_attenuation_rate: float = 0.004
    dropoff_general_rate: float = 0.1
    dropoff_intensity_limit: float = 0.7
    dropoff_zero_intensity: float = 0.15
    noise_stddev_m: float = 0.02


@dataclass(frozen=True, slots=True)
class Arrival:
    """Moves an actor's start along its path so that it reaches (x, y) when the ego nominally does, plus `offset_s`."""

    x: float  # [m], world
    y: float
    offset_s: float
    waits: bool = False  # the start stays where the path begins; the actor stands there until it is time to go


@dataclass(frozen=True, slots=True)
class Draw:
    """Half-widths of the uniform draws that a seed makes for one actor; zero draws nothing."""

    speed_fraction: float = 0.0
    offset_s: float = 0.0
    along_m: float = 0.0  # of the start position along the actor's heading
    across_m: float = 0.0  # and across it


@dataclass(frozen=True, slots=True)
class ActorSpec:
    """One vehicle, cyclist, walker or prop of a scenario; with a `path` it moves, without one it stays."""

    rolename: str
    blueprint: str
    start: Pose
    speed_mps: float  # both the initial and the target speed
    path: tuple[tuple[float, float], ...] = ()  # world x, y [m], joined by straight segments
    obeys_lights: bool = True
    yields: bool = True  # keeps its distance to what is ahead (IDM); False drives on regardless
    arrival: Arrival | None = None
    draw: Draw = Draw()
    departs_s: float = 0.0  # until then it stands at its start


@dataclass(frozen=True, slots=True)
class ConnectedVehicleSpec:
    """A vehicle that carries a LiDAR and can send; the ego is always one."""

    rolename: str
    lidar: LidarSpec


@dataclass(frozen=True, slots=True)
class RsuSpec:
    """A roadside unit at a fixed pose; `foot` is on the ground, `lidar.mount` gives the sensor's height and tilt."""

    id: str
    foot: Pose
    lidar: LidarSpec


class LightState(IntEnum):
    """CARLA's traffic-light states."""

    RED = 0
    YELLOW = 1
    GREEN = 2
    OFF = 3
    UNKNOWN = 4


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """The state in which an OpenDRIVE signal is held for the whole episode."""

    signal_id: str
    state: LightState


@dataclass(frozen=True, slots=True)
class TriggerSpec:
    """True once the ego is nearer to (x, y) than `value` metres (`distance`) or seconds (`time_to_arrival`)."""

    condition: str  # "distance" | "time_to_arrival"
    x: float
    y: float
    value: float


@dataclass(frozen=True, slots=True)
class HazardSpec:
    """The actor whose discovery decides the episode, and when it starts to matter (any trigger)."""

    rolename: str
    type: str
    triggers: tuple[TriggerSpec, ...]
    seen_by: tuple[str, ...] = ()  # agents other than the ego that see it before the ego does


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """The radio link: who sends to whom, and what happens to each packet; which fields a model reads, its file says."""

    model: str = "fixed"  # a name in `link.LINKS`
    range_m: float = 150.0
    latency_ms: float = 20.0
    jitter_ms: float = 5.0  # half-width of a uniform draw per message
    loss: float = 0.0  # probability per packet
    bandwidth_mbps: float = 0.0  # 0 = unlimited
    mtu_bytes: int = 1400
    half_duplex: bool = False  # a radio that sends hears nothing meanwhile
    queue_ms: float = 0.0  # what is not on air this long after it was handed over is dropped; 0 = never
    policy: str = "broadcast"  # "broadcast" | "nearest" | "request" | "share": `link.policy`
    senders: int = 3  # of `nearest`
    total_bytes: int = 8000  # of `share`, per perception tick
    burst_packets: float = 5.0  # of `gilbert`: mean stay in the bad state
    good_loss: float = 0.0  # of `gilbert`: probability per packet in the good state
    bad_loss: float = 1.0  # and in the bad one
    environment: str = "urban"  # of `sidelink`: "urban" | "highway"
    power_dbm: float = 23.0  # of `sidelink`
    trace_file: Path | None = None  # of `trace`


@dataclass(frozen=True, slots=True)
class ComputeSpec:
    """How long agents compute, beyond the one world step that perception takes anyway: constants, not measured."""

    encode_ms: float = 0.0  # from the capture of a sweep to its message's way to the radio
    detect_ms: float = 0.0  # from the tick at which messages are taken for a fusion to its result


class Correction(Enum):
    """Whether receivers correct the poses that messages say by the boxes that several agents see."""

    METHOD = "method"  # as the way of fusing says: `late` and fusion `coalign` do, the others do not
    ON = "on"  # with every codec but those that send points
    OFF = "off"


@dataclass(frozen=True, slots=True)
class LocalizationSpec:
    """How far off connected vehicles believe to be, as standard deviations; RSUs are surveyed and know their place."""

    position_m: float = 0.0  # of x and of y, drawn anew at every capture
    heading_deg: float = 0.0  # likewise
    drift_m: float = 0.0  # of x and of y, an offset that wanders
    drift_s: float = 10.0  # after so long it has forgotten all but 1/e of what it was
    correction: Correction = Correction.METHOD


@dataclass(frozen=True, slots=True)
class TeamSpec:
    """Who hears the others, over what, how well all know where they are, and how fast they compute."""

    ego: AgentName
    rsus: tuple[AgentName, ...]  # surveyed
    channel: ChannelSpec
    localization: LocalizationSpec
    compute: ComputeSpec
    seed: int  # mixed into every draw


@dataclass(frozen=True, slots=True)
class Scenario:
    """One situation, as its XML file states it: nominal values and the half-widths of the seeds' draws."""

    name: str
    type: str
    source: Path  # the XML file
    map_file: Path  # OpenDRIVE
    ego: ActorSpec
    actors: tuple[ActorSpec, ...]  # everything else that is spawned, in file order
    route: tuple[Pose, ...]  # of the ego
    timeout_s: float
    connected: tuple[ConnectedVehicleSpec, ...]  # the ego first
    rsus: tuple[RsuSpec, ...]
    signals: tuple[SignalSpec, ...]
    hazards: tuple[HazardSpec, ...]
    channel: ChannelSpec
    seed: int  # the file's own, mixed into every draw
    localization: LocalizationSpec = LocalizationSpec()
    compute: ComputeSpec = ComputeSpec()
    crossovers: frozenset[int] = frozenset()  # points of the route to which the way leads across the lanes

    @property
    def team(self) -> TeamSpec:
        """What sharing needs of it."""
        rsus = tuple(AgentName(rsu.id) for rsu in self.rsus)
        return TeamSpec(AgentName(self.ego.rolename), rsus, self.channel, self.localization, self.compute, self.seed)


@dataclass(frozen=True, slots=True)
class StopLine:
    """Where a path meets the stop line of a signal."""

    signal_id: str
    s_m: float  # arc length along the path


@dataclass(frozen=True, slots=True)
class Command:
    """What a scripted actor does next: a vehicle or cyclist takes `control`, a walker its velocity."""

    rolename: str
    control: Control | None = None
    walk: tuple[float, float, float] | None = None  # world x and y of the direction (unit length), speed [m/s]


# --------------------------------------------------------------------------------------------- sensing and sharing


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """One LiDAR revolution, and where the agent believes its sensor was."""

    agent: AgentName
    time_us: int
    points: PointArray  # (N, 4): x, y, z [m] in the lidar frame, intensity in [0, 1]
    world_from_lidar: Pose
    sensor_height_m: float  # of the sensor above the ground


@dataclass(frozen=True, slots=True)
class GridSpec:
    """The BEV grid of a detector in the agent frame: rows run along y, columns along x."""

    half_length_m: float = 51.2  # x in [-half_length_m, half_length_m)
    half_width_m: float = 51.2  # y in [-half_width_m, half_width_m)
    z_min_m: float = -0.5  # above the ground
    z_max_m: float = 4.5
    pillar_m: float = 0.4
    bev_stride: int = 2  # pillars per BEV cell along one axis

    @property
    def pillar_rows(self) -> int:
        """Pillars along y."""
        return round(2 * self.half_width_m / self.pillar_m)

    @property
    def pillar_columns(self) -> int:
        """Pillars along x."""
        return round(2 * self.half_length_m / self.pillar_m)

    @property
    def rows(self) -> int:
        """BEV cells along y."""
        return self.pillar_rows // self.bev_stride

    @property
    def columns(self) -> int:
        """BEV cells along x."""
        return self.pillar_columns // self.bev_stride

    @property
    def cell_m(self) -> float:
        """Side of a BEV cell in metres."""
        return self.pillar_m * self.bev_stride


@dataclass(frozen=True, slots=True, eq=False)
class AgentFrame:
    """What one agent has of one frame of a recorded scene."""

    sweep: Sweep
    true_world_from_lidar: Pose
    boxes: FloatArray  # (M, 7) world frame: the objects with at least one return of this agent, never itself
    ids: IntArray  # (M,) of the objects, the same over all agents of the scene
    labels: IntArray  # (M,) ObjectClass


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """All agents of a recorded scene at one time."""

    time_us: int
    agents: tuple[AgentFrame, ...]  # the ego first


class Stage(Enum):
    """Where in the detector a codec taps."""

    POINTS = "points"  # (N, 4) float32 in the agent frame
    PILLARS = "pillars"  # (C_pillar, pillar_rows, pillar_columns), the scattered pillar map
    BLOCK1 = "block1"  # (C_1, H, W), after the first backbone block
    BEV = "bev"  # (C_bev, rows, columns), what the head takes
    BOXES = "boxes"  # Detections


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Boxes found in one frame, in the agent frame of whoever found them, by falling score."""

    boxes: FloatArray  # (N, 7)
    scores: FloatArray  # (N,) in [0, 1]
    labels: IntArray  # (N,) ObjectClass
    sigmas: FloatArray | None = None  # (N, 3) standard deviations along, across [m], of the heading [rad]
    ages_s: FloatArray | None = None  # (N,) how long before the ego's sweep each was seen; None: never before

    def take(self, chosen: IntArray | npt.NDArray[np.bool_]) -> Detections:
        """The chosen boxes, in that order."""
        sigmas = None if self.sigmas is None else self.sigmas[chosen]
        ages_s = None if self.ages_s is None else self.ages_s[chosen]
        return Detections(self.boxes[chosen], self.scores[chosen], self.labels[chosen], sigmas, ages_s)

    @staticmethod
    def joined(parts: Sequence[Detections]) -> Detections:
        """All boxes of one or more, in the order given; with sigmas where all have them."""
        sigmas = [part.sigmas for part in parts if part.sigmas is not None]
        ages_s = [np.zeros(len(part.scores)) if part.ages_s is None else part.ages_s for part in parts]
        return Detections(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate(sigmas) if len(sigmas) == len(parts) else None,
            np.concatenate(ages_s) if any(part.ages_s is not None for part in parts) else None,
        )

    @staticmethod
    def empty() -> Detections:
        """No boxes."""
        return Detections(np.zeros((0, 7)), np.zeros(0), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class DetectionFrame:
    """What average precision counts of one class in one frame: boxes, scores and truth in one frame of reference."""

    boxes: FloatArray  # (N, 7)
    scores: FloatArray  # (N,), in any order
    truth: FloatArray  # (M, 7)


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """A decoded message: one stage of the sender's view in the sender's agent frame.

    Exactly one of `points`, `features`, `detections` is set, as `stage` says. `valid` marks the cells that were
    really received; an invalid cell never enters fusion. All poses are the sender's own belief.
    """

    sender: AgentName
    time_us: int  # capture time of the sweep
    world_from_agent: Pose
    stage: Stage
    points: PointArray | None = None  # (N, 4)
    features: torch.Tensor | None = None  # (C, H, W)
    valid: torch.Tensor | None = None  # (H, W) bool, with `features`
    detections: Detections | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What an agent hands to the link; the receiver gets the payload and nothing else."""

    sender: AgentName
    receiver: AgentName
    sequence: int  # of its link from 0, those with nothing to say included: no further agent changes it
    time_us: int  # of its sweep's capture
    parts: tuple[bytes, ...]  # of the payload, each of use without the others; none: there is nothing to say

    @property
    def payload(self) -> bytes:
        """All of it."""
        return b"".join(self.parts)


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """Where antennas are and what stands between them at one time: the truth, which only the link may know."""

    antennas: tuple[tuple[AgentName, Pose], ...]
    bodies: FloatArray  # (N, 7) world frame, without the ego's own
    owners: tuple[str, ...]  # (N,) rolenames of the bodies
    buildings: FloatArray  # (M, 7) world frame


class Outcome(Enum):
    """What became of one message."""

    DELIVERED = "delivered"  # arrived in time and was fused
    LATE = "late"  # arrived after the fusion it was meant for
    LOST = "lost"  # no part of it arrived whole; `Transmission.loss` says why
    REJECTED = "rejected"  # arrived, but its payload did not decode
    EMPTY = "empty"  # the codec had nothing that fits the budget, or the policy did not let the sender speak


class Loss(Enum):
    """Why a packet did not arrive."""

    RANGE = "range"  # the receiver was too far away
    CHANCE = "chance"  # of a model that draws losses without a cause
    BURST = "burst"  # drawn in the bad state of `gilbert`
    SIGNAL = "signal"  # too weak against the noise
    COLLISION = "collision"  # strong enough against the noise, but not against others that sent meanwhile
    HALF_DUPLEX = "half_duplex"  # the receiver was sending
    QUEUE = "queue"  # dropped by its sender, whose radio did not come to it in time


@dataclass(frozen=True, slots=True)
class Transmission:
    """The log line of one message."""

    sender: AgentName
    receiver: AgentName
    sequence: int
    sent_us: int  # its sweep was captured; encoding comes before the air
    arrived_us: int | None  # None: never
    payload_bytes: int
    packets: int
    bytes_on_air: int  # with per-packet headers
    outcome: Outcome
    packets_lost: int = 0  # a message of several parts may lose some and be delivered
    loss: Loss | None = None  # why the first of these was lost


# -------------------------------------------------------------------------------------------------------- driving


@dataclass(frozen=True, slots=True)
class Track:
    """A confirmed object in the world frame, propagated to the tick it is reported at."""

    id: int
    label: ObjectClass
    x: float  # [m] of the box centre
    y: float
    z: float
    yaw: float  # [rad]
    vx: float  # [m/s]
    vy: float
    length: float
    width: float
    height: float
    hits: int
    last_seen_us: int  # capture time of the newest detection
    score: float


@dataclass(frozen=True, slots=True)
class LaneLight:
    """The light that governs the ego's lane, as a SPaT message tells it."""

    state: LightState
    distance_m: float  # along the route from the ego's front to the stop line


@dataclass(frozen=True, slots=True)
class Control:
    """What the ego's actuators get, CARLA's ranges."""

    throttle: float = 0.0  # [0, 1]
    brake: float = 0.0  # [0, 1]
    steer: float = 0.0  # [-1, 1], positive right


@dataclass(frozen=True, slots=True)
class Plan:
    """The planner's decision at one tick."""

    control: Control
    acceleration_mps2: float  # wanted
    reason: str  # "free" | "follow" | "conflict" | "light" | "emergency" | "arrived"
    conflict_track: int | None  # Track.id that made it brake
    path: tuple[tuple[float, float], ...]  # world x, y of what lies ahead


# --------------------------------------------------------------------------------------------------------- record


@dataclass(frozen=True, slots=True)
class TruthObject:
    """One actor as the simulator knows it. Read by metrics, recorder, report and view; never by the planner."""

    id: int
    rolename: str
    blueprint: str
    label: ObjectClass | None  # None: a prop
    state: VehicleState
    box: tuple[float, float, float, float, float, float, float]  # world frame, as a row of a box array
    returns: int  # LiDAR points on it over all team members at the newest perception tick


@dataclass(frozen=True, slots=True)
class Collision:
    """An ego collision event."""

    other: str  # rolename, or blueprint where there is none
    other_id: int
    ego_speed_mps: float  # just before


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happened at one tick."""

    objects: tuple[TruthObject, ...]  # without the ego
    collisions: tuple[Collision, ...]
    hazard_active: bool  # a hazard's trigger has fired


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Wall time of one tick's parts in milliseconds: exempt from identity between runs."""

    sense: float = 0.0  # the world's step and its sweeps; agents begin as soon as they have theirs
    encode: float = 0.0  # what is left of the agents' views and messages after the last sweep
    decode: float = 0.0
    detect: float = 0.0
    plan: float = 0.0
    tick: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Perceived:
    """The result of one perception tick, stamped with its capture time and pose."""

    time_us: int  # capture
    world_from_agent: Pose  # the ego's agent frame at capture, by its odometry
    detections: Detections
    truth_boxes: FloatArray  # (M, 7) in the same frame: what AP counts, for metrics only
    truth_labels: IntArray  # (M,) ObjectClass


@dataclass(frozen=True, slots=True, eq=False)
class TickRecord:
    """Everything that metrics, recorder, report and view ever see of one world tick."""

    tick: int
    time_us: int
    ego: VehicleState
    light: LaneLight | None
    plan: Plan | None  # None: somebody else drives
    tracks: tuple[Track, ...]
    perceived: Perceived | None  # on ticks at which a perception result became available
    transmissions: tuple[Transmission, ...]  # settled at this tick
    route_fraction: float | None  # of the route's length behind the ego, in [0, 1]; None: its route is not known
    route_offset_m: float | None  # of the ego's middle from the route's line, positive to the right; None likewise
    truth: Truth
    times: StageTimes
    sweeps: tuple[Sweep, ...] = field(default=())  # on capture ticks, for the live view; never recorded


class EpisodeEnd(Enum):
    """Why an episode ended."""

    ROUTE = "route"
    TIMEOUT = "timeout"
    BLOCKED = "blocked"
    COLLISION = "collision"


@dataclass(frozen=True, slots=True)
class CodecChoice:
    """One `--codec` of the command line."""

    name: str
    budget_bytes: int | None  # None: as much as the codec sends at its full rate

    @property
    def label(self) -> str:
        """`revqom@2000`, or `revqom@max`."""
        return f"{self.name}@{'max' if self.budget_bytes is None else self.budget_bytes}"

    @property
    def folder(self) -> str:
        """The label as a folder's name on every system: `revqom-paper@max` of `revqom:paper`."""
        return self.label.replace(":", "-")


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """A finished episode: what `metrics` scores."""

    scenario: str
    codec: CodecChoice
    seed: int
    end: EpisodeEnd
    records: tuple[TickRecord, ...]
    wall_s: float
    ego: AgentName  # who drives it, and who the messages are for
    hazard: str | None = None  # rolename of the actor whose discovery decides it
