"""The kinds of road users in `random_scene.py`: CARLA's blueprints, the space each is given, and its speed."""

from __future__ import annotations

from dataclasses import dataclass

CARS = (
    "vehicle.audi.a2",
    "vehicle.audi.etron",
    "vehicle.audi.tt",
    "vehicle.bmw.grandtourer",
    "vehicle.chevrolet.impala",
    "vehicle.citroen.c3",
    "vehicle.dodge.charger_2020",
    "vehicle.dodge.charger_police",
    "vehicle.ford.crown",
    "vehicle.ford.mustang",
    "vehicle.lincoln.mkz_2017",
    "vehicle.lincoln.mkz_2020",
    "vehicle.mercedes.coupe",
    "vehicle.mercedes.coupe_2020",
    "vehicle.mini.cooper_s",
    "vehicle.mini.cooper_s_2021",
    "vehicle.nissan.micra",
    "vehicle.seat.leon",
    "vehicle.tesla.model3",
    "vehicle.toyota.prius",
)
VANS = (  # and other cars too high for a LiDAR on an ordinary roof
    "vehicle.jeep.wrangler_rubicon",
    "vehicle.nissan.patrol",
    "vehicle.nissan.patrol_2021",
    "vehicle.ford.ambulance",
    "vehicle.mercedes.sprinter",
    "vehicle.tesla.cybertruck",
    "vehicle.volkswagen.t2",
    "vehicle.volkswagen.t2_2021",
)
TRUCKS = ("vehicle.carlamotors.carlacola", "vehicle.carlamotors.firetruck", "vehicle.carlamotors.european_hgv")
BUSES = ("vehicle.mitsubishi.fusorosa",)
MOTORCYCLES = (
    "vehicle.yamaha.yzf",
    "vehicle.kawasaki.ninja",
    "vehicle.harley-davidson.low_rider",
    "vehicle.vespa.zx125",
)
BICYCLES = ("vehicle.bh.crossbike", "vehicle.diamondback.century", "vehicle.gazelle.omafiets")
WALKERS = tuple(f"walker.pedestrian.{number:04d}" for number in range(1, 49))


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of road user: what it may be, the space it is given, and how fast it goes."""

    name: str
    blueprints: tuple[str, ...]
    length_m: float
    width_m: float
    speed_mps: tuple[float, float]


CAR = Kind("car", CARS, 5.6, 2.3, (4.0, 14.0))
VAN = Kind("van", VANS, 6.6, 2.5, (4.0, 12.0))
TRUCK = Kind("truck", TRUCKS, 9.0, 3.1, (3.0, 10.0))
BUS = Kind("bus", BUSES, 10.6, 4.1, (3.0, 10.0))
MOTORCYCLE = Kind("motorcycle", MOTORCYCLES, 2.4, 1.2, (4.0, 12.0))
BICYCLE = Kind("bicycle", BICYCLES, 2.0, 1.0, (2.5, 6.0))
WALKER = Kind("walker", WALKERS, 0.8, 0.8, (0.6, 1.9))
