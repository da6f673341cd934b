"""The TrafficManager, which runs in the client; `tests/server/test_traffic_manager.py` has it drive."""

from __future__ import annotations

import carla

from tests.server.api.rows import Row, client, works
from tests.server.api.stage import CAR_AT, ApiStage


def ended(stage: ApiStage) -> bool:
    """After its end a new one can be had on its port."""
    port = stage.manager.get_port()
    stage.car.set_autopilot(False, port)
    stage.manager.set_synchronous_mode(False)
    stage.manager.shut_down()
    return True


MANAGERS: list[Row] = [
    works("Client.get_trafficmanager", lambda s: s.manager.get_port() > 0),
    works("TrafficManager.get_port", lambda s: s.manager.get_port() > 0),
    works("Vehicle.set_autopilot", lambda s: s.car.set_autopilot(True, s.manager.get_port()) is None),
    client("TrafficManager.auto_lane_change", lambda s: s.manager.auto_lane_change(s.car, False) is None),
    client(
        "TrafficManager.collision_detection", lambda s: s.manager.collision_detection(s.car, s.waiting, False) is None
    ),
    client(
        "TrafficManager.distance_to_leading_vehicle",
        lambda s: s.manager.distance_to_leading_vehicle(s.car, 3.0) is None,
    ),
    client("TrafficManager.force_lane_change", lambda s: s.manager.force_lane_change(s.car, True) is None),
    client("TrafficManager.get_all_actions", lambda s: isinstance(s.manager.get_all_actions(s.car), list)),
    client("TrafficManager.get_next_action", lambda s: isinstance(s.manager.get_next_action(s.car), list)),
    client("TrafficManager.global_lane_offset", lambda s: s.manager.global_lane_offset(0.1) is None),
    client(
        "TrafficManager.global_percentage_speed_difference",
        lambda s: s.manager.global_percentage_speed_difference(10.0) is None,
    ),
    client(
        "TrafficManager.ignore_lights_percentage", lambda s: s.manager.ignore_lights_percentage(s.car, 10.0) is None
    ),
    client("TrafficManager.ignore_signs_percentage", lambda s: s.manager.ignore_signs_percentage(s.car, 10.0) is None),
    client(
        "TrafficManager.ignore_vehicles_percentage", lambda s: s.manager.ignore_vehicles_percentage(s.car, 10.0) is None
    ),
    client(
        "TrafficManager.ignore_walkers_percentage", lambda s: s.manager.ignore_walkers_percentage(s.car, 10.0) is None
    ),
    client(
        "TrafficManager.keep_slow_lane_rule_percentage",
        lambda s: s.manager.keep_slow_lane_rule_percentage(s.car, 10.0) is None,
    ),
    client(
        "TrafficManager.random_left_lanechange_percentage",
        lambda s: s.manager.random_left_lanechange_percentage(s.car, 10.0) is None,
    ),
    client(
        "TrafficManager.random_right_lanechange_percentage",
        lambda s: s.manager.random_right_lanechange_percentage(s.car, 10.0) is None,
    ),
    client(
        "TrafficManager.set_boundaries_respawn_dormant_vehicles",
        lambda s: s.manager.set_boundaries_respawn_dormant_vehicles(25.0, 700.0) is None,
    ),
    client("TrafficManager.set_desired_speed", lambda s: s.manager.set_desired_speed(s.car, 20.0) is None),
    client(
        "TrafficManager.set_global_distance_to_leading_vehicle",
        lambda s: s.manager.set_global_distance_to_leading_vehicle(3.0) is None,
    ),
    client("TrafficManager.set_hybrid_physics_mode", lambda s: s.manager.set_hybrid_physics_mode(False) is None),
    client("TrafficManager.set_hybrid_physics_radius", lambda s: s.manager.set_hybrid_physics_radius(50.0) is None),
    client("TrafficManager.set_osm_mode", lambda s: s.manager.set_osm_mode(False) is None),
    client(
        "TrafficManager.set_path",
        lambda s: s.manager.set_path(s.car, [carla.Location(CAR_AT[0] + 50.0, CAR_AT[1], 0.0)]) is None,
    ),
    works("TrafficManager.set_random_device_seed", lambda s: s.manager.set_random_device_seed(3) is None),
    client(
        "TrafficManager.set_respawn_dormant_vehicles", lambda s: s.manager.set_respawn_dormant_vehicles(False) is None
    ),
    client("TrafficManager.set_route", lambda s: s.manager.set_route(s.car, ["Straight"]) is None),
    client("TrafficManager.set_synchronous_mode", lambda s: s.manager.set_synchronous_mode(True) is None),
    client("TrafficManager.update_vehicle_lights", lambda s: s.manager.update_vehicle_lights(s.car, False) is None),
    client("TrafficManager.vehicle_lane_offset", lambda s: s.manager.vehicle_lane_offset(s.car, 0.1) is None),
    client(
        "TrafficManager.vehicle_percentage_speed_difference",
        lambda s: s.manager.vehicle_percentage_speed_difference(s.car, 10.0) is None,
    ),
    works("TrafficManager.shut_down", ended),
]
