"""The one table of CARLA 0.9.16's remote calls: every name that its client can send, and what this server does with it.

Served: it does what CARLA's documentation says. Accepted: the client goes on, and nothing changes here. Refused: the
client raises the text. A client does not wait for the answers of some calls (CARLA's own choice), so what is refused
of these is said on the server's log. The TrafficManager runs in the client, in a thread that an error would end
together with the client: what it calls is never refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from carla_cp.server import handlers, light_handlers, manager_handlers, road_user_handlers, town_handlers
from carla_cp.server.batch import apply_batch
from carla_cp.server.handlers import RefusedError
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

    arity: int | None  # None: any
    shape: Shape
    call: Callable[..., Raw]
    verdict: str  # served, accepted or refused
    note: str = ""


def _value(arity: int, call: Callable[..., Raw], note: str = "") -> Function:
    return Function(arity, Shape.VALUE, call, "served", note)


def _void(arity: int, call: Callable[..., Raw], note: str = "") -> Function:
    return Function(arity, Shape.VOID, call, "served", note)


def _constant(value: Raw, note: str, verdict: str = "served") -> Function:
    return Function(None, Shape.VALUE, lambda simulation, *_: value, verdict, note)


def _accepted(note: str) -> Function:
    return Function(None, Shape.VOID, lambda simulation, *_: None, "accepted", note)


def _refused(shape: Shape, note: str) -> Function:
    def refuse(simulation: Simulation, *_: Raw) -> Raw:
        raise RefusedError(f"{note}; carla_cp.server does not serve this call")

    return Function(None, shape, refuse, "refused", note)


_SKELETON = "actors have no bones, sockets or components here, only a shape"
_RECORDER = "there is no recorder here; write down world.get_snapshot() at each tick"
_TEXTURES = "nothing has a texture here"
_GBUFFERS = "no camera renders here, so there are no g-buffers"
_ROS = "there is no ROS 2 here"
_PHYSX = "there is one vehicle model here"
_LAYERS = "there are no map layers here, as on CARLA's maps that do not end in _Opt"

TABLE: dict[str, Function] = {
    # the world and its episode
    "version": _value(0, handlers.version),
    "get_episode_info": _value(0, handlers.episode_info),
    "get_sensor_token": _value(1, handlers.sensor_token),
    "get_episode_settings": _value(0, handlers.get_settings),
    "set_episode_settings": _value(1, handlers.set_settings, "of the rest nothing has an effect"),
    "tick_cue": _value(0, handlers.tick),
    "get_map_info": _value(0, handlers.map_info),
    "get_map_data": _value(0, handlers.map_data),
    "get_required_files": _constant([], "no files are needed"),
    "request_file": _value(1, handlers.request_file, "there are none, so any name is refused"),
    "get_navigation_mesh": _constant(b"", "empty: AI walkers have nowhere to go; use WalkerControl"),
    "get_available_maps": _value(0, handlers.available_maps),
    "load_new_episode": _void(3, handlers.load, "all layers at once"),
    "copy_opendrive_to_file": _void(2, handlers.take_opendrive, "the generation parameters have no effect"),
    "get_actor_definitions": _value(0, handlers.definitions),
    "get_weather_parameters": _value(0, handlers.get_weather),
    "set_weather_parameters": _void(1, handlers.set_weather, "kept and told; no sensor sees it"),
    "get_imui_gravity": _value(0, handlers.get_gravity),
    "set_imui_gravity": _void(1, handlers.set_gravity),
    "load_map_layer": _accepted(_LAYERS),
    "unload_map_layer": _accepted(_LAYERS),
    # the town
    "get_environment_objects": _value(1, town_handlers.environment_objects, "buildings, street lights, signals, trees"),
    "enable_environment_objects": _void(2, town_handlers.enable_objects),
    "get_all_level_BBs": _value(1, town_handlers.level_boxes, "buildings, street lights, signals, trees"),
    "get_names_of_all_objects": _value(0, town_handlers.object_names),
    "cast_ray": _value(2, town_handlers.cast_ray, "every surface, also where a ray leaves a body"),
    "project_point": _value(3, town_handlers.project_point),
    "query_lights_state": _value(1, town_handlers.street_lights, "the street lights, off at first"),
    "update_lights_state": _void(3, town_handlers.set_street_lights, "kept and told; nothing is lit"),
    "update_day_night_cycle": _accepted("the sun switches no lights"),
    "draw_debug_shape": _accepted("nobody sees it"),
    "clear_debug_shape": _accepted("nobody sees it"),
    "clear_debug_string": _accepted("nobody sees it"),
    "set_annotations_traverse_translucency": _accepted("nothing is translucent here"),
    "apply_color_texture_to_objects": _refused(Shape.VOID, _TEXTURES),
    "apply_float_color_texture_to_objects": _refused(Shape.VOID, _TEXTURES),
    # actors
    "get_actors_by_id": _value(1, handlers.actors),
    "get_spectator": _value(0, handlers.spectator),
    "spawn_actor": _value(2, handlers.spawn_actor),
    "spawn_actor_with_parent": _value(5, handlers.spawn_attached, "always rigidly"),
    "destroy_actor": _value(1, handlers.destroy),
    "apply_batch": Function(2, Shape.BARE, apply_batch, "served", "each command succeeds or fails by itself"),
    "get_actor_bounding_box": _value(1, handlers.bounding_box),
    "set_actor_transform": _void(2, handlers.set_transform, "vehicles and walkers are put on the ground"),
    "set_actor_location": _void(2, handlers.set_location, "vehicles and walkers are put on the ground"),
    "set_actor_target_velocity": _void(2, handlers.set_velocity),
    "set_actor_target_angular_velocity": _accepted("a vehicle turns by its wheels alone"),
    "enable_actor_constant_velocity": _void(2, handlers.constant_velocity),
    "disable_actor_constant_velocity": _void(1, handlers.no_constant_velocity),
    "add_actor_impulse": _void(2, handlers.add_impulse),
    "add_actor_impulse_at_location": _void(3, handlers.add_impulse, "as at the centre"),
    "add_actor_force": _void(2, handlers.add_force),
    "add_actor_force_at_location": _void(3, handlers.add_force, "as at the centre"),
    "add_actor_angular_impulse": _accepted("a vehicle turns by its wheels alone"),
    "add_actor_torque": _accepted("a vehicle turns by its wheels alone"),
    "set_actor_simulate_physics": _void(2, handlers.set_physical),
    "set_actor_collisions": _void(2, handlers.set_collides),
    "set_actor_enable_gravity": _accepted("vehicles and walkers stay on the ground"),
    "set_actor_autopilot": _accepted("the TrafficManager drives, in the client"),
    "set_actor_dead": _accepted("actors do not die here"),
    "get_actor_component_names": _refused(Shape.VALUE, _SKELETON),
    "get_actor_component_world_transform": _refused(Shape.VALUE, _SKELETON),
    "get_actor_component_relative_transform": _refused(Shape.VALUE, _SKELETON),
    "get_actor_bone_names": _refused(Shape.VALUE, _SKELETON),
    "get_actor_bone_world_transforms": _refused(Shape.VALUE, _SKELETON),
    "get_actor_bone_relative_transforms": _refused(Shape.VALUE, _SKELETON),
    "get_actor_socket_names": _refused(Shape.VALUE, _SKELETON),
    "get_actor_socket_world_transforms": _refused(Shape.VALUE, _SKELETON),
    "get_actor_socket_relative_transforms": _refused(Shape.VALUE, _SKELETON),
    # vehicles
    "apply_control_to_vehicle": _void(2, road_user_handlers.control_vehicle),
    "apply_ackermann_control_to_vehicle": _void(2, road_user_handlers.control_ackermann),
    "get_ackermann_controller_settings": _value(1, road_user_handlers.get_gains),
    "apply_ackermann_controller_settings": _void(2, road_user_handlers.set_gains, "kept and told, without effect"),
    "get_physics_control": _value(1, road_user_handlers.physics_control),
    "apply_physics_control": _void(2, road_user_handlers.set_physics_control, "kept and told; the mass has an effect"),
    "get_telemetry_data": _value(1, road_user_handlers.telemetry, "wheels roll without slipping"),
    "show_vehicle_debug_telemetry": _accepted("nobody sees it"),
    "get_vehicle_light_state": _value(1, road_user_handlers.get_lamps),
    "set_vehicle_light_state": _void(2, road_user_handlers.set_lamps_struct),
    "get_vehicle_light_states": _value(0, road_user_handlers.all_lamps),
    "open_vehicle_door": _void(2, road_user_handlers.open_door, "doors have no shape"),
    "close_vehicle_door": _void(2, road_user_handlers.open_door, "doors have no shape"),
    "get_wheel_steer_angle": _value(2, road_user_handlers.wheel_angle),
    "get_wheel_pitch_angle": _value(2, road_user_handlers.wheel_pitch, "always 0"),
    "set_wheel_steer_direction": _accepted("a wheel that is only drawn elsewhere"),
    "set_wheel_pitch_angle": _accepted("a wheel that is only drawn elsewhere"),
    "get_vehicle_bone_world_transforms": _refused(Shape.VALUE, _SKELETON),
    "enable_carsim": _refused(Shape.VOID, _PHYSX),
    "use_carsim_road": _refused(Shape.VOID, _PHYSX),
    "enable_chrono_physics": _refused(Shape.VOID, _PHYSX),
    "restore_physx_physics": _accepted(_PHYSX),
    # walkers
    "apply_control_to_walker": _void(2, road_user_handlers.control_walker),
    "set_walker_state": _void(3, road_user_handlers.set_walker_state),
    "get_bones_transform": _refused(Shape.VALUE, _SKELETON),
    "set_bones_transform": _refused(Shape.VOID, _SKELETON),
    "blend_pose": _refused(Shape.VOID, _SKELETON),
    "get_pose_from_animation": _refused(Shape.VOID, _SKELETON),
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
    # sensors
    "set_ignored_vehicles": _refused(Shape.VOID, "no sensor here ignores vehicles"),
    "send": _refused(Shape.VOID, "there are no V2X sensors here"),
    "get_gbuffer_token": _refused(Shape.VALUE, _GBUFFERS),
    "enable_gbuffers": _refused(Shape.VOID, _GBUFFERS),
    "are_gbuffers_enabled": _constant(False, _GBUFFERS),
    "enable_sensor_for_ros": _refused(Shape.VOID, _ROS),
    "disable_sensor_for_ros": _accepted(_ROS),
    "is_sensor_enabled_for_ros": _constant(False, _ROS),
    # recorder and replayer
    "start_recorder": _refused(Shape.VALUE, _RECORDER),
    "stop_recorder": _accepted(_RECORDER),
    "show_recorder_file_info": _refused(Shape.VALUE, _RECORDER),
    "show_recorder_collisions": _refused(Shape.VALUE, _RECORDER),
    "show_recorder_actors_blocked": _refused(Shape.VALUE, _RECORDER),
    "replay_file": _refused(Shape.VALUE, _RECORDER),
    "stop_replayer": _accepted(_RECORDER),
    "set_replayer_time_factor": _accepted(_RECORDER),
    "set_replayer_ignore_hero": _accepted(_RECORDER),
    "set_replayer_ignore_spectator": _accepted(_RECORDER),
    # traffic managers, which run in the clients
    "is_traffic_manager_running": _value(1, manager_handlers.is_running),
    "get_traffic_manager_running": _value(1, manager_handlers.find),
    "add_traffic_manager_running": _value(1, manager_handlers.add),
    "destroy_traffic_manager": _value(1, manager_handlers.end),
}


def lines() -> Iterator[str]:
    """The table for people: name, verdict and what else there is to say, one call a line."""
    width = max(map(len, TABLE))
    for name, function in TABLE.items():
        yield f"{name:{width}}  {function.verdict:8}  {function.note}".rstrip()
