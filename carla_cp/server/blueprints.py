"""What can be spawned: CARLA 0.9.16's own names; vehicles and pedestrians with the sizes of CARLA's bounding boxes.

The sizes of the props are approximate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carla_cp.server.mesh import Tag
from carla_cp.server.wire import Raw

BOOL, INT, FLOAT, STRING, COLOUR = 1, 2, 3, 4, 5

_WHEELS = {"car": 4, "van": 4, "truck": 4, "bus": 4, "motorcycle": 2, "bicycle": 2}
_MASS_KG = {
    "car": 1600.0,
    "van": 2600.0,
    "truck": 9000.0,
    "bus": 11000.0,
    "motorcycle": 290.0,
    "bicycle": 95.0,
    "pedestrian": 75.0,
}
_TAGS = {
    "car": Tag.CAR,
    "van": Tag.CAR,
    "truck": Tag.TRUCK,
    "bus": Tag.BUS,
    "motorcycle": Tag.MOTORCYCLE,
    "bicycle": Tag.BICYCLE,
    "pedestrian": Tag.PEDESTRIAN,
    "prop": Tag.STATIC,
    "light": Tag.TRAFFIC_LIGHT,
    "sign": Tag.TRAFFIC_SIGN,
}


@dataclass(frozen=True, slots=True)
class BlueprintAttribute:
    """An attribute and its default."""

    id: str
    type: int
    value: str
    recommended: tuple[str, ...] = ()
    modifiable: bool = True


@dataclass(frozen=True, slots=True)
class Blueprint:
    """One thing that can be spawned. Sizes are 0 for what has no body."""

    uid: int
    id: str
    kind: str  # car, van, truck, bus, motorcycle, bicycle, pedestrian, prop, sensor, light, sign or spectator
    length: float  # [m]
    width: float
    height: float
    attributes: tuple[BlueprintAttribute, ...]

    @property
    def is_vehicle(self) -> bool:
        """Whether it drives."""
        return self.kind in _WHEELS

    @property
    def tags(self) -> bytes:
        """Its semantic tag as the protocol sends it; empty for what no ray sees."""
        return bytes([_TAGS[self.kind]]) if self.kind in _TAGS else b""

    @property
    def mass(self) -> float:
        """Mass [kg]; infinite for what nothing moves."""
        return _MASS_KG.get(self.kind, float("inf"))

    def definition(self) -> Raw:
        """ActorDefinition."""
        rows = [[a.id, a.type, a.value, list(a.recommended), a.modifiable, False] for a in self.attributes]
        return [self.uid, self.id, self.id.replace(".", ","), rows]


_VEHICLES = """
car vehicle.audi.a2 3.7054 1.7886 1.5471
car vehicle.audi.etron 4.8557 2.0328 1.6494
car vehicle.audi.tt 4.1812 1.9942 1.3853
car vehicle.bmw.grandtourer 4.6110 2.2418 1.6673
car vehicle.chevrolet.impala 5.3577 2.0332 1.4107
car vehicle.citroen.c3 3.9877 1.8509 1.6172
car vehicle.dodge.charger_2020 5.0078 2.0960 1.5353
car vehicle.dodge.charger_police 4.9742 2.0384 1.5421
car vehicle.ford.crown 5.3656 1.8008 1.5749
car vehicle.ford.mustang 4.7178 1.8949 1.3008
car vehicle.jeep.wrangler_rubicon 3.8662 1.9053 1.8779
car vehicle.lincoln.mkz_2017 4.9017 2.1282 1.5108
car vehicle.lincoln.mkz_2020 4.8925 1.8367 1.4904
car vehicle.mercedes.coupe 5.0268 2.1515 1.6355
car vehicle.mercedes.coupe_2020 4.6739 1.8118 1.4418
car vehicle.micro.microlino 2.2072 1.4805 1.3760
car vehicle.mini.cooper_s 3.8058 1.9703 1.4750
car vehicle.mini.cooper_s_2021 4.5527 2.0975 1.7673
car vehicle.nissan.micra 3.6334 1.8451 1.5012
car vehicle.nissan.patrol 4.6045 1.9315 1.8548
car vehicle.nissan.patrol_2021 5.5650 2.1503 2.0452
car vehicle.seat.leon 4.1928 1.8162 1.4738
car vehicle.tesla.cybertruck 6.2736 2.3896 2.0983
car vehicle.tesla.model3 4.7918 2.1630 1.4876
car vehicle.toyota.prius 4.5135 2.0064 1.5248
van vehicle.ford.ambulance 6.3576 2.3511 2.4313
van vehicle.mercedes.sprinter 5.9152 1.9885 2.5607
van vehicle.volkswagen.t2 4.4804 2.0690 2.0379
van vehicle.volkswagen.t2_2021 4.4421 1.7746 1.9873
truck vehicle.carlamotors.carlacola 5.2038 2.6120 2.4674
truck vehicle.carlamotors.european_hgv 7.9356 2.8911 3.4643
truck vehicle.carlamotors.firetruck 8.4680 2.8910 3.8347
bus vehicle.mitsubishi.fusorosa 10.2725 3.9441 4.2528
motorcycle vehicle.harley-davidson.low_rider 2.3557 0.7632 1.6493
motorcycle vehicle.kawasaki.ninja 2.0334 0.7969 1.5230
motorcycle vehicle.vespa.zx125 1.8172 0.8659 1.5900
motorcycle vehicle.yamaha.yzf 2.1907 0.7662 1.5317
bicycle vehicle.bh.crossbike 1.4872 0.8591 1.6182
bicycle vehicle.diamondback.century 1.6422 0.5824 1.6198
bicycle vehicle.gazelle.omafiets 1.8440 0.6562 1.7755
"""
_CHILDREN = {9: 1.10, 10: 1.16, 11: 1.10, 12: 1.30, 13: 1.28, 14: 1.20}
_WALKERS = 48
_PROPS = """
prop static.prop.advertisement 0.35 1.45 2.50
prop static.prop.barrel 0.60 0.60 0.95
prop static.prop.bench01 0.65 1.55 0.80
prop static.prop.box01 0.60 0.60 0.60
prop static.prop.busstop 1.60 3.80 2.70
prop static.prop.constructioncone 0.35 0.35 0.60
prop static.prop.container 1.10 1.95 1.40
prop static.prop.haybale 1.10 1.30 1.10
prop static.prop.kiosk_01 2.60 2.60 2.90
prop static.prop.mailbox 0.50 0.55 1.15
prop static.prop.streetbarrier 0.40 1.25 1.05
prop static.prop.trafficwarning 1.30 2.30 3.00
prop static.prop.trashcan01 0.60 0.70 1.15
prop static.prop.vendingmachine 0.85 1.05 2.05
prop static.prop.warningconstruction 0.35 0.85 1.15
"""
_LIDAR = (
    ("channels", INT, "32"),
    ("range", FLOAT, "10.0"),
    ("points_per_second", INT, "56000"),
    ("rotation_frequency", FLOAT, "10.0"),
    ("upper_fov", FLOAT, "10.0"),
    ("lower_fov", FLOAT, "-30.0"),
    ("horizontal_fov", FLOAT, "360.0"),
    ("sensor_tick", FLOAT, "0.0"),
)
_RAY_CAST = (
    ("atmosphere_attenuation_rate", FLOAT, "0.004"),
    ("dropoff_general_rate", FLOAT, "0.45"),
    ("dropoff_intensity_limit", FLOAT, "0.8"),
    ("dropoff_zero_intensity", FLOAT, "0.4"),
    ("noise_stddev", FLOAT, "0.0"),
    ("noise_seed", INT, "0"),
)
_IMU = tuple((f"noise_accel_stddev_{axis}", FLOAT, "0.0") for axis in "xyz") + tuple(
    (f"noise_gyro_{what}_{axis}", FLOAT, "0.0") for what in ("bias", "stddev") for axis in "xyz"
)
_GNSS = tuple((f"noise_{axis}_{what}", FLOAT, "0.0") for axis in ("alt", "lat", "lon") for what in ("bias", "stddev"))
_TICK_AND_SEED = (("sensor_tick", FLOAT, "0.0"), ("noise_seed", INT, "0"))
_CAMERA = (
    ("image_size_x", INT, "800"),
    ("image_size_y", INT, "600"),
    ("fov", FLOAT, "90.0"),
    ("sensor_tick", FLOAT, "0.0"),
    ("lens_circle_falloff", FLOAT, "5.0"),
    ("lens_circle_multiplier", FLOAT, "0.0"),
    ("lens_k", FLOAT, "-1.0"),
    ("lens_kcube", FLOAT, "0.0"),
    ("lens_x_size", FLOAT, "0.08"),
    ("lens_y_size", FLOAT, "0.08"),
)
# What a user may set of a camera's picture; without effect, as there is no light here.
_PICTURE = """
bloom_intensity 0.675, fstop 1.4, iso 100.0, gamma 2.2, lens_flare_intensity 0.1, shutter_speed 200.0, min_fstop 1.2,
exposure_compensation 0.0, exposure_min_bright 10.0, exposure_max_bright 12.0, exposure_speed_up 3.0,
exposure_speed_down 1.0, calibration_constant 16.0, focal_distance 1000.0, blur_amount 1.0, blur_radius 0.0,
motion_blur_intensity 0.45, motion_blur_max_distortion 0.35, motion_blur_min_object_screen_size 0.1, slope 0.88,
toe 0.55, shoulder 0.26, black_clip 0.0, white_clip 0.04, temp 6500.0, tint 0.0, chromatic_aberration_intensity 0.0,
chromatic_aberration_offset 0.0
"""
_RGB = (
    *((name, FLOAT, value) for name, value in (row.split() for row in _PICTURE.split(","))),
    ("blade_count", INT, "5"),
    ("exposure_mode", STRING, "histogram"),
    ("enable_postprocess_effects", BOOL, "True"),
)
_OBSTACLE = (
    ("distance", FLOAT, "5.0"),
    ("hit_radius", FLOAT, "0.5"),
    ("only_dynamics", BOOL, "False"),
    ("debug_linetrace", BOOL, "False"),
    ("sensor_tick", FLOAT, "0.0"),
)
_RADAR = (
    ("horizontal_fov", FLOAT, "30.0"),
    ("vertical_fov", FLOAT, "30.0"),
    ("range", FLOAT, "100.0"),
    ("points_per_second", INT, "1500"),
    *_TICK_AND_SEED,
)
_SENSORS: tuple[tuple[str, tuple[tuple[str, int, str], ...]], ...] = (
    ("sensor.lidar.ray_cast", _LIDAR + _RAY_CAST),
    ("sensor.lidar.ray_cast_semantic", _LIDAR),
    ("sensor.other.collision", ()),
    ("sensor.other.gnss", _GNSS + _TICK_AND_SEED),
    ("sensor.other.imu", _IMU + _TICK_AND_SEED),
    ("sensor.other.lane_invasion", ()),
    ("sensor.other.obstacle", _OBSTACLE),
    ("sensor.other.radar", _RADAR),
    ("sensor.camera.depth", _CAMERA),
    ("sensor.camera.instance_segmentation", _CAMERA),
    ("sensor.camera.rgb", _CAMERA + _RGB),
    ("sensor.camera.semantic_segmentation", _CAMERA),
)


def _attributes(rows: Sequence[tuple[str, int, str]], role: str) -> tuple[BlueprintAttribute, ...]:
    plain = tuple(BlueprintAttribute(name, kind, value) for name, kind, value in rows)
    return (*plain, BlueprintAttribute("role_name", STRING, role, (role,)))


def _vehicle_attributes(kind: str) -> tuple[BlueprintAttribute, ...]:
    fixed = (
        ("number_of_wheels", INT, str(_WHEELS[kind])),
        ("base_type", STRING, kind),
        ("special_type", STRING, ""),
        ("generation", INT, "1"),
        ("object_type", STRING, ""),
        ("has_lights", BOOL, "False"),
        ("has_dynamic_doors", BOOL, "False"),
    )
    colours = ("17,37,103", "140,3,9", "180,180,180", "40,40,40", "220,220,220")
    return (
        *(BlueprintAttribute(name, type_, value, modifiable=False) for name, type_, value in fixed),
        BlueprintAttribute("color", COLOUR, colours[0], colours),
        BlueprintAttribute("sticky_control", BOOL, "True"),
        BlueprintAttribute("role_name", STRING, "autopilot", ("autopilot", "scenario", "ego_vehicle")),
    )


def _walker_attributes(child: bool) -> tuple[BlueprintAttribute, ...]:
    return (
        BlueprintAttribute("gender", STRING, "other", modifiable=False),
        BlueprintAttribute("generation", INT, "1", modifiable=False),
        BlueprintAttribute("age", STRING, "child" if child else "adult", modifiable=False),
        BlueprintAttribute("is_invincible", BOOL, "true"),
        BlueprintAttribute("speed", FLOAT, "1.7", ("0.0", "1.7", "3.4")),
        BlueprintAttribute("role_name", STRING, "pedestrian", ("pedestrian",)),
    )


def _library() -> tuple[Blueprint, ...]:
    rows: list[tuple[str, str, tuple[float, float, float], tuple[BlueprintAttribute, ...]]] = []
    for line in _VEHICLES.split("\n")[1:-1]:
        kind, name, length, width, height = line.split()
        rows.append((kind, name, (float(length), float(width), float(height)), _vehicle_attributes(kind)))
    for number in range(1, _WALKERS + 1):
        tall = _CHILDREN.get(number, 1.86)
        size = (0.3753, 0.3753, tall) if number not in _CHILDREN else (0.30, 0.30, tall)
        rows.append(("pedestrian", f"walker.pedestrian.{number:04d}", size, _walker_attributes(number in _CHILDREN)))
    for line in _PROPS.split("\n")[1:-1]:
        kind, name, length, width, height = line.split()
        rows.append((kind, name, (float(length), float(width), float(height)), _attributes((), "prop")))
    for name, attributes in _SENSORS:
        rows.append(("sensor", name, (0.0, 0.0, 0.0), _attributes(attributes, "front")))
    return tuple(Blueprint(uid, name, kind, *size, extra) for uid, (kind, name, size, extra) in enumerate(rows, 1))


LIBRARY: tuple[Blueprint, ...] = _library()
_BY_NAME = {blueprint.id: blueprint for blueprint in LIBRARY}
TRAFFIC_LIGHT = Blueprint(1000, "traffic.traffic_light", "light", 0.0, 0.0, 0.0, _attributes((), ""))
SPECTATOR = Blueprint(1001, "spectator", "spectator", 0.0, 0.0, 0.0, _attributes((), ""))


def sign_blueprint(name: str) -> Blueprint:
    """Of a sign that the map has; nobody can spawn one."""
    return Blueprint(1002, name, "sign", 0.0, 0.0, 0.0, _attributes((), ""))


def find(name: str) -> Blueprint:
    """The blueprint of this name; raises KeyError when there is none."""
    return _BY_NAME[name]
