"""The one table of what the server can do: CARLA's function names, how many arguments each has, and what runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from carla_cp.server import handlers, light_handlers, town_handlers, wire
from carla_cp.server.batch import apply_batch
from carla_cp.server.simulation import Simulation
from carla_cp.server.wire import Raw


class Shape(Enum):
    """How a function's result is wrapped."""

    VALUE = 0
    VOID = 1
    BARE = 2


@dataclass(frozen=True, slots=True)
class Function:
    """One row of the table."""

    arity: int
    shape: Shape
    call: Callable[..., Raw]


def _empty(simulation: Simulation, *_: Raw) -> Raw:
    return []


def _no_bytes(simulation: Simulation, *_: Raw) -> Raw:
    return b""


def _ignored(simulation: Simulation, *_: Raw) -> None:
    """Accepted, and without effect here."""


def _is_manager_running(simulation: Simulation, port: Raw) -> Raw:
    return wire.whole(port) in {known for _, known in simulation.traffic_managers}


def _manager(simulation: Simulation, port: Raw) -> Raw:
    return next(([host, known] for host, known in simulation.traffic_managers if known == port), ["", 0])


def _add_manager(simulation: Simulation, raw: Raw) -> Raw:
    host, port = wire.array(raw, 2, "traffic manager")
    if _is_manager_running(simulation, port):
        return False
    simulation.traffic_managers.append((wire.text(host), wire.whole(port)))
    return True


def _end_manager(simulation: Simulation, port: Raw) -> Raw:
    managers = simulation.traffic_managers
    simulation.traffic_managers = [row for row in managers if row[1] != wire.whole(port)]
    return len(simulation.traffic_managers) < len(managers)


def _value(arity: int, call: Callable[..., Raw]) -> Function:
    return Function(arity, Shape.VALUE, call)


def _void(arity: int, call: Callable[..., Raw]) -> Function:
    return Function(arity, Shape.VOID, call)


TABLE: dict[str, Function] = {
    "version": _value(0, handlers.version),
    "get_episode_info": _value(0, handlers.episode_info),
    "get_sensor_token": _value(1, handlers.sensor_token),
    "get_episode_settings": _value(0, handlers.get_settings),
    "set_episode_settings": _value(1, handlers.set_settings),
    "tick_cue": _value(0, handlers.tick),
    "get_map_info": _value(0, handlers.map_info),
    "get_map_data": _value(0, handlers.map_data),
    "get_required_files": _value(1, _empty),
    "request_file": _value(1, _no_bytes),
    "get_navigation_mesh": _value(0, _no_bytes),
    "get_available_maps": _value(0, handlers.available_maps),
    "load_new_episode": _void(3, handlers.load),
    "copy_opendrive_to_file": _void(2, handlers.take_opendrive),
    "get_actor_definitions": _value(0, handlers.definitions),
    "get_weather_parameters": _value(0, handlers.get_weather),
    "set_weather_parameters": _void(1, handlers.set_weather),
    "query_lights_state": _value(1, _empty),
    "update_lights_state": _void(3, _ignored),
    "get_environment_objects": _value(1, _empty),
    "get_all_level_BBs": _value(1, town_handlers.level_boxes),
    "get_names_of_all_objects": _value(0, _empty),
    "draw_debug_shape": _void(1, _ignored),
    "clear_debug_shape": _void(0, _ignored),
    "load_map_layer": _void(1, _ignored),
    "unload_map_layer": _void(1, _ignored),
    "set_annotations_traverse_translucency": _void(1, _ignored),
    # actors
    "get_actors_by_id": _value(1, handlers.actors),
    "get_spectator": _value(0, handlers.spectator),
    "spawn_actor": _value(2, handlers.spawn_actor),
    "spawn_actor_with_parent": _value(5, handlers.spawn_attached),
    "destroy_actor": _value(1, handlers.destroy),
    "apply_batch": Function(2, Shape.BARE, apply_batch),
    "get_actor_bounding_box": _value(1, handlers.bounding_box),
    "set_actor_transform": _void(2, handlers.set_transform),
    "set_actor_location": _void(2, handlers.set_location),
    "set_actor_target_velocity": _void(2, handlers.set_velocity),
    "set_actor_target_angular_velocity": _void(2, _ignored),
    "enable_actor_constant_velocity": _void(2, handlers.constant_velocity),
    "disable_actor_constant_velocity": _void(1, handlers.no_constant_velocity),
    "add_actor_impulse": _void(2, handlers.add_impulse),
    "add_actor_force": _void(2, _ignored),
    "add_actor_angular_impulse": _void(2, _ignored),
    "add_actor_torque": _void(2, _ignored),
    "set_actor_simulate_physics": _void(2, handlers.set_physical),
    "set_actor_collisions": _void(2, handlers.set_collides),
    "set_actor_enable_gravity": _void(2, _ignored),
    "set_actor_autopilot": _void(2, _ignored),
    # vehicles and walkers
    "apply_control_to_vehicle": _void(2, handlers.control_vehicle),
    "apply_ackermann_control_to_vehicle": _void(2, handlers.control_ackermann),
    "apply_control_to_walker": _void(2, handlers.control_walker),
    "set_walker_state": _void(3, handlers.set_walker_state),
    "get_physics_control": _value(1, handlers.physics_control),
    "apply_physics_control": _void(2, _ignored),
    "get_vehicle_light_state": _value(1, handlers.get_lamps),
    "set_vehicle_light_state": _void(2, handlers.set_lamps_struct),
    "get_vehicle_light_states": _value(0, handlers.all_lamps),
    "get_wheel_steer_angle": _value(2, handlers.wheel_angle),
    "open_vehicle_door": _void(2, _ignored),
    "close_vehicle_door": _void(2, _ignored),
    # traffic lights
    "set_traffic_light_state": _void(2, light_handlers.set_state),
    "set_traffic_light_green_time": _void(2, light_handlers.set_green_time),
    "set_traffic_light_yellow_time": _void(2, light_handlers.set_yellow_time),
    "set_traffic_light_red_time": _void(2, light_handlers.set_red_time),
    "freeze_traffic_light": _void(2, light_handlers.freeze),
    "freeze_all_traffic_lights": _void(1, light_handlers.freeze_all),
    "reset_traffic_light_group": _void(1, light_handlers.reset_group),
    "reset_all_traffic_lights": _void(0, light_handlers.reset_all),
    "get_group_traffic_lights": _value(1, light_handlers.group_lights),
    "get_light_boxes": _value(1, light_handlers.light_boxes),
    # traffic managers, which run in the clients
    "is_traffic_manager_running": _value(1, _is_manager_running),
    "get_traffic_manager_running": _value(1, _manager),
    "add_traffic_manager_running": _value(1, _add_manager),
    "destroy_traffic_manager": _value(1, _end_manager),
}
