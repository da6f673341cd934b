"""The maps a server knows, and all that it derives from one."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import carla
import numpy as np
import numpy.typing as npt

from carla_cp.server.ground import Ground
from carla_cp.server.physics import Body
from carla_cp.server.raycast import RayCaster
from carla_cp.server.roads import RoadField
from carla_cp.server.town import build_town

GENERATED = "OpenDriveMap"  # CARLA's name of a world made by generate_opendrive_world
_KEPT = 6  # maps of which town and ray caster are kept
_RAY_THREADS = 2
_LONGEST_ROAD_M = 100_000.0

_DEFAULT = "StraightRoad"
_DEFAULT_OPENDRIVE = """<?xml version="1.0"?>
<OpenDRIVE>
  <header revMajor="1" revMinor="4" name="StraightRoad">
    <geoReference>+proj=tmerc +lat_0=0 +lon_0=0</geoReference>
  </header>
  <road name="road" length="400" id="1" junction="-1">
    <planView><geometry s="0" x="-200" y="0" hdg="0" length="400"><line/></geometry></planView>
    <lanes>
      <laneSection s="0">
        <left><lane id="1" type="driving"><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></left>
        <center><lane id="0" type="none"/></center>
        <right><lane id="-1" type="driving"><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></right>
      </laneSection>
    </lanes>
  </road>
</OpenDRIVE>"""


class MapError(Exception):
    """A map that is missing or cannot be used; one line that names it."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedMap:
    """One map, ready to be driven on and looked at."""

    name: str
    opendrive: str
    carla_map: carla.Map
    field: RoadField
    caster: RayCaster
    ground: Ground
    obstacles: tuple[Body, ...]
    places: npt.NDArray[np.float64]  # (M, 3) x, y and radius of the obstacles


def load_map(name: str, opendrive: str) -> LoadedMap:
    """Builds everything; raises MapError when the text is no usable OpenDRIVE."""
    try:
        _check(opendrive)
        carla_map = carla.Map(name, opendrive)
        field = RoadField(carla_map)
        town = build_town(carla_map, opendrive)
    except (RuntimeError, ValueError, LookupError, SyntaxError) as error:
        raise MapError(
            f"map {name}: not a usable OpenDRIVE map ({error}); give a road network with driving lanes"
        ) from error
    boxes = tuple(_obstacle(row.tolist()) for row in town.obstacles)
    places = np.array([(box.x, box.y, np.hypot(box.length, box.width) / 2) for box in boxes]).reshape(-1, 3)
    caster, ground = RayCaster(town.mesh, _RAY_THREADS), Ground(town.mesh, field.level)
    return LoadedMap(name, opendrive, carla_map, field, caster, ground, boxes, places)


def _check(opendrive: str) -> None:
    """Raises ValueError for what would end this process, or never end, in the wheel's reader, which is C++."""
    root = ElementTree.fromstring(opendrive)
    for road in root.iter("road"):
        name, length = road.get("id"), float(road.get("length", "nan"))
        if not 0.0 <= length <= _LONGEST_ROAD_M:
            raise ValueError(f"road {name} is {length} m long")
        if any(lane.get("id") is None for lane in road.iter("lane")):
            raise ValueError(f"road {name} has a lane without an id")
    signals = {signal.get("id") for signal in root.iter("signal")}
    for controller in root.iter("controller"):
        int(controller.get("sequence", "0") or 0)
        unknown = [control.get("signalId") for control in controller.iter("control")]
        unknown = [signal for signal in unknown if signal not in signals]
        if unknown:
            raise ValueError(f"controller {controller.get('id')} names the signal {unknown[0]}, which is nowhere")


def _obstacle(row: list[float]) -> Body:
    x, y, z, length, width, height, yaw = row
    return Body(x, y, z - height / 2, yaw, length, width, height, 0.0)


class MapLibrary:
    """Maps by name: files, and the one that a client last sent."""

    def __init__(self, files: list[Path]) -> None:
        """Reads the files at once; raises MapError for one that is missing."""
        self._texts = {path.stem: _read(path) for path in files}
        self.first = next(iter(self._texts), _DEFAULT)
        self._texts.setdefault(_DEFAULT, _DEFAULT_OPENDRIVE)
        self._loaded: OrderedDict[tuple[str, str], LoadedMap] = OrderedDict()

    @property
    def names(self) -> list[str]:
        """What `get_available_maps` answers."""
        return [f"/Game/Carla/Maps/{name}" for name in self._texts if name != GENERATED]

    def put_generated(self, opendrive: str) -> None:
        """From now on this text is the map OpenDriveMap."""
        self._texts[GENERATED] = opendrive

    def get(self, name: str) -> LoadedMap:
        """The map of this name, with or without CARLA's path before it; raises MapError."""
        stem = name.rpartition("/")[2]
        if stem not in self._texts:
            raise MapError(f"Map '{name}' not found")
        key = (stem, self._texts[stem])
        if key not in self._loaded:
            self._loaded[key] = load_map(*key)
            if len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)[1].caster.close()
        self._loaded.move_to_end(key)
        return self._loaded[key]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MapError(f"map {path}: cannot be read ({error}); give an OpenDRIVE file") from error
