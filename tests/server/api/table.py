"""The table of CARLA's Python API, in the order in which it is tried.

Rows that change the map come first, while no actor is there; the TrafficManager's come last, after which nothing ticks.
"""

from __future__ import annotations

from tests.server.api.actors import ACTORS, LIGHTS, VEHICLES, WALKERS
from tests.server.api.commands import COLLECTIONS, COMMANDS
from tests.server.api.managers import MANAGERS
from tests.server.api.maps import MAPS
from tests.server.api.rows import Row
from tests.server.api.senses import SENSORS, UNSERVED
from tests.server.api.values import CONTROLS, VECTORS
from tests.server.api.worlds import CLIENTS, DEBUG, STREET_LIGHTS, WORLDS

TABLE: tuple[Row, ...] = (
    *CLIENTS,
    *WORLDS,
    *ACTORS,
    *VEHICLES,
    *WALKERS,
    *LIGHTS,
    *SENSORS,
    *UNSERVED,
    *STREET_LIGHTS,
    *DEBUG,
    *MAPS,
    *VECTORS,
    *CONTROLS,
    *COMMANDS,
    *COLLECTIONS,
    *MANAGERS,
)
