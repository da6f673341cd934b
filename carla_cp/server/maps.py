"""The maps a server knows, and all that it derives from one."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import carla
import numpy as np
import numpy.typing as npt

from carla_cp.server import cache
from carla_cp.server.ground import Ground
from carla_cp.server.limits import SpeedLimits
from carla_cp.server.opendrive import Mended, OpenDriveError, mend, try_out
from carla_cp.server.physics import Body
from carla_cp.server.raycast import RayCaster
from carla_cp.server.roads import RoadField
from carla_cp.server.town import Town, build_town

GENERATED = "OpenDriveMap"  # CARLA's name of a world made by generate_opendrive_world
_KEPT = 6  # maps of which town and ray caster are kept
_RAY_THREADS = 2
_TOLD = 20  # faults that are told one by one
_LOG = logging.getLogger("carla_cp.server")

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
    limits: SpeedLimits
    caster: RayCaster
    ground: Ground
    town: Town
    obstacles: tuple[Body, ...]
    places: npt.NDArray[np.float64]  # (M, 3) x, y and radius of the obstacles
    mended: Mended  # of the text that was given; `opendrive` is what is left of it


def load_map(name: str, opendrive: str, source: str | None = None) -> LoadedMap:
    """Builds everything; raises MapError when the text is no usable OpenDRIVE. `source` is how messages call it."""
    source = source or name
    try:
        mended = mend(opendrive)
        known = cache.load(mended.text)
        if known is None:
            try_out(mended.text)
        carla_map = carla.Map(name, mended.text)
        field, limits = RoadField(carla_map), SpeedLimits(carla_map, mended.text)
        town = known or build_town(carla_map, mended.text)
    except (OpenDriveError, RuntimeError, ValueError, LookupError, SyntaxError) as error:
        raise MapError(f"map {source}: not a usable OpenDRIVE map: {error}") from error
    _tell(source, mended)
    if known is None:
        cache.save(mended.text, town)
    boxes = tuple(_obstacle(row.tolist()) for row in town.obstacles)
    places = np.array([(box.x, box.y, np.hypot(box.length, box.width) / 2) for box in boxes]).reshape(-1, 3)
    caster, ground = RayCaster(town.mesh, _RAY_THREADS), Ground(town.mesh, field.level)
    return LoadedMap(name, mended.text, carla_map, field, limits, caster, ground, town, boxes, places, mended)


def _tell(source: str, mended: Mended) -> None:
    faults = [*mended.skipped, *mended.dropped]
    for fault in faults[:_TOLD]:
        _LOG.warning("map %s: %s", source, fault)
    if faults:
        counts = (len(mended.skipped), len(mended.dropped))
        _LOG.warning("map %s: %d roads skipped, %d references and records dropped", source, *counts)


def _obstacle(row: list[float]) -> Body:
    x, y, z, length, width, height, yaw = row
    return Body(x, y, z - height / 2, yaw, length, width, height, 0.0)


class MapLibrary:
    """Maps by name: files, those of a folder, and the one that a client last sent."""

    def __init__(self, files: Sequence[Path], folder: Sequence[Path] = ()) -> None:
        """Reads the files at once; raises MapError for one that is missing.

        What is broken in the folder is named on the log and left out: whoever loads it is told why.
        """
        self._texts = {path.stem: _read(path) for path in files}
        self._sources = {path.stem: str(path) for path in (*folder, *files)}
        self._broken: dict[str, str] = {}  # why
        for path in folder:
            self._take(path)
        self.first = next(iter(self._texts), _DEFAULT)
        self._texts.setdefault(_DEFAULT, _DEFAULT_OPENDRIVE)
        self._loaded: OrderedDict[tuple[str, str], LoadedMap] = OrderedDict()

    def _take(self, path: Path) -> None:
        if path.stem in self._texts:
            return
        try:
            text = _read(path)
            mend(text)
        except (MapError, OpenDriveError) as error:
            self._broken[path.stem] = str(error) if isinstance(error, MapError) else f"map {path}: {error}"
            _LOG.warning("%s; left out", self._broken[path.stem])
        else:
            self._texts[path.stem] = text

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
        if stem in self._broken:
            raise MapError(self._broken[stem])
        if stem not in self._texts:
            raise MapError(f"Map '{name}' not found")
        key = (stem, self._texts[stem])
        if key not in self._loaded:
            self._loaded[key] = load_map(*key, self._sources.get(stem))
            if len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)[1].caster.close()
        self._loaded.move_to_end(key)
        return self._loaded[key]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MapError(f"map {path}: cannot be read ({error}); give an OpenDRIVE file") from error
