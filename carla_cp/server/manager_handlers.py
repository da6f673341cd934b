"""Which clients run a TrafficManager; the managers themselves are no part of the server."""

from __future__ import annotations

from carla_cp.server import wire
from carla_cp.server.simulation import Simulation
from carla_cp.server.wire import Raw


def is_running(simulation: Simulation, port: Raw) -> Raw:
    """Whether one listens on this port."""
    return wire.whole(port) in {known for _, known in simulation.traffic_managers}


def find(simulation: Simulation, port: Raw) -> Raw:
    """The address and port of the one on this port, or nothing."""
    return next(([host, known] for host, known in simulation.traffic_managers if known == port), ["", 0])


def add(simulation: Simulation, raw: Raw) -> Raw:
    """Whether it is the first on its port."""
    host, port = wire.array(raw, 2, "traffic manager")
    if is_running(simulation, port):
        return False
    simulation.traffic_managers.append((wire.text(host), wire.whole(port)))
    return True


def end(simulation: Simulation, port: Raw) -> Raw:
    """Whether there was one on this port."""
    managers = simulation.traffic_managers
    simulation.traffic_managers = [row for row in managers if row[1] != wire.whole(port)]
    return len(simulation.traffic_managers) < len(managers)
