"""The client, its world, and what it draws, switches and records."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import carla

from tests.server.api.rows import CLIENT, WORKS, Row, accepted, client, refused, same, values, works
from tests.server.api.stage import CAR_AT, ApiStage
from tests.server.conftest import CROSSING

NO_RECORDER, NO_TEXTURE = "no recorder here", "nothing has a texture"
ABOVE_CAR = carla.Location(CAR_AT[0], CAR_AT[1], 10.0)
DOWN = carla.Vector3D(z=-1.0)
RED = carla.Color(255, 0, 0)


def generated(stage: ApiStage) -> bool:
    text = CROSSING.with_name("train_tee.xodr").read_text(encoding="utf-8")
    world = stage.client.generate_opendrive_world(text, carla.OpendriveGenerationParameters())
    return bool(world.get_map().to_opendrive() == text)


def another(stage: ApiStage) -> bool:
    """Settings are CARLA's defaults after a map was loaded, or kept if that is wished for; the weather is the map's."""
    world = stage.client.load_world("train_tee")
    settings = world.get_settings()
    settings.max_substeps = 7
    world.apply_settings(settings)
    world.set_weather(carla.WeatherParameters(cloudiness=77.0))
    kept = stage.client.load_world("crossing", False)
    survived, weather = kept.get_settings().max_substeps, kept.get_weather().cloudiness
    again = stage.client.load_world("crossing")
    return (survived, weather, again.get_settings().max_substeps) == (7, 10.0, 10)


def different(stage: ApiStage) -> bool:
    """Only another map is loaded anew."""
    before = stage.client.load_world("crossing").id
    stage.client.load_world_if_different("crossing")
    same_episode = stage.client.get_world().id == before
    stage.client.load_world_if_different("train_tee")
    return same_episode and stage.client.get_world().id != before


def reloaded(stage: ApiStage) -> bool:
    before = stage.client.get_world()
    after = stage.client.reload_world()
    return after.id != before.id and after.get_map().name == before.get_map().name


CLIENTS: list[Row] = [
    works("Client.get_client_version", lambda s: s.client.get_client_version() == "0.9.16"),
    works("Client.get_server_version", lambda s: s.client.get_server_version() == "0.9.16"),
    client("Client.set_timeout", lambda s: s.client.set_timeout(200.0) is None),
    works("Client.get_available_maps", lambda s: "/Game/Carla/Maps/crossing" in s.client.get_available_maps()),
    works("Client.load_world", another),
    works("Client.load_world_if_different", different),
    works("Client.reload_world", reloaded),
    works("Client.generate_opendrive_world", generated, "the generation parameters have no effect"),
    works("Client.get_world", lambda s: s.world.id == s.client.get_world().id),
    works("Client.get_required_files", lambda s: list(s.client.get_required_files("", False)) == [], "none are needed"),
    refused("Client.request_file", lambda s: s.client.request_file("a.bin"), "there is no file"),
    client("Client.set_files_base_folder", lambda s: s.client.set_files_base_folder(str(s.folder))),
    refused("Client.start_recorder", lambda s: s.client.start_recorder("a.log"), NO_RECORDER),
    accepted("Client.stop_recorder", lambda s: s.client.stop_recorder() is None, NO_RECORDER),
    refused("Client.replay_file", lambda s: s.client.replay_file("a.log", 0.0, 1.0, 0), NO_RECORDER),
    accepted("Client.stop_replayer", lambda s: s.client.stop_replayer(True) is None, NO_RECORDER),
    accepted("Client.set_replayer_time_factor", lambda s: s.client.set_replayer_time_factor(1.0) is None, NO_RECORDER),
    accepted("Client.set_replayer_ignore_hero", lambda s: s.client.set_replayer_ignore_hero(True) is None, NO_RECORDER),
    accepted(
        "Client.set_replayer_ignore_spectator",
        lambda s: s.client.set_replayer_ignore_spectator(True) is None,
        NO_RECORDER,
    ),
    refused("Client.show_recorder_file_info", lambda s: s.client.show_recorder_file_info("a.log", True), NO_RECORDER),
    refused(
        "Client.show_recorder_collisions", lambda s: s.client.show_recorder_collisions("a.log", "a", "a"), NO_RECORDER
    ),
    refused(
        "Client.show_recorder_actors_blocked",
        lambda s: s.client.show_recorder_actors_blocked("a.log", 1.0, 1.0),
        NO_RECORDER,
    ),
    works("Client.apply_batch", lambda s: s.client.apply_batch([]) is None),
    works(
        "Client.apply_batch_sync",
        lambda s: s.client.apply_batch_sync([carla.command.DestroyActor(9999)], False)[0].has_error(),
    ),
]


def settled(stage: ApiStage) -> bool:
    settings = stage.world.get_settings()
    settings.fixed_delta_seconds = 0.1
    stage.world.apply_settings(settings)
    changed = stage.world.get_settings().fixed_delta_seconds
    settings.fixed_delta_seconds = 0.05
    stage.world.apply_settings(settings)
    return same(changed, 0.1) and same(stage.snap().delta_seconds, 0.05)


def weathered(stage: ApiStage) -> bool:
    stage.world.set_weather(carla.WeatherParameters.HardRainNoon)
    return bool(stage.world.get_weather() == carla.WeatherParameters.HardRainNoon)


def called(stage: ApiStage) -> bool:
    """A callback is called at every tick until it is removed."""
    frames: list[int] = []
    number = stage.world.on_tick(lambda snapshot: frames.append(snapshot.frame))
    frame = stage.world.tick()
    stage.world.remove_on_tick(number)
    stage.world.tick()
    return frames == [frame]


def waited(stage: ApiStage) -> bool:
    """Another thread ticks while this one waits."""
    with ThreadPoolExecutor(1) as pool:
        timer = pool.submit(lambda: (time.sleep(0.2), stage.world.tick()))
        snapshot = stage.world.wait_for_tick(60.0)
        return bool(snapshot.frame == timer.result()[1])


def pulled(stage: ApiStage) -> bool:
    stage.world.set_imui_sensor_gravity(3.7)
    found = stage.world.get_imui_sensor_gravity()
    stage.world.set_imui_sensor_gravity(9.81)
    return same(round(found, 5), 3.7)


def rays(stage: ApiStage) -> bool:
    """Roof, road and what lies under it, from above."""
    below = stage.car.get_location() + carla.Location(z=-1.0)
    points = stage.world.cast_ray(ABOVE_CAR, below)
    labels = [point.label for point in points]
    heights = [point.location.z for point in points]
    return (
        labels[0] == carla.CityObjectLabel.Car
        and carla.CityObjectLabel.Roads in labels
        and heights == sorted(heights)[::-1]
    )


def projected(stage: ApiStage) -> bool:
    point = stage.world.project_point(stage.car.get_location() + carla.Location(z=10.0), DOWN, 20.0)
    short = stage.world.project_point(ABOVE_CAR, DOWN, 5.0)
    return point.label == carla.CityObjectLabel.Car and 1.0 < point.location.z < 1.6 and short is None


def grounded(stage: ApiStage) -> bool:
    point = stage.world.ground_projection(carla.Location(-60.0, 5.25, 10.0), 20.0)
    return point.label == carla.CityObjectLabel.Roads and abs(point.location.z) < 1e-3


def hidden(stage: ApiStage) -> bool:
    """A building that is taken away lets rays through, and comes back."""
    house = stage.world.get_environment_objects(carla.CityObjectLabel.Buildings)[0]
    above = house.bounding_box.location + carla.Location(z=60.0)
    heights = []
    for visible in (True, False, True):
        stage.world.enable_environment_objects({house.id}, visible)
        heights.append(stage.world.ground_projection(above, 200.0).location.z)
    return heights[0] == heights[2] > 3.0 > 1.0 > heights[1]


def boxes(stage: ApiStage) -> bool:
    """Every object has one box, of its own label."""
    counts = [
        len(stage.world.get_level_bbs(label))
        for label in (
            carla.CityObjectLabel.Buildings,
            carla.CityObjectLabel.Poles,
            carla.CityObjectLabel.TrafficLight,
            carla.CityObjectLabel.Vegetation,
        )
    ]
    return min(counts) > 0 and sum(counts) == len(stage.world.get_level_bbs())


def thing(stage: ApiStage) -> carla.EnvironmentObject:
    return stage.world.get_environment_objects(carla.CityObjectLabel.Buildings)[0]


def taken(stage: ApiStage) -> bool:
    """A place that is taken."""
    place = carla.Transform(stage.car.get_location() + carla.Location(1.0, 0.0, 0.3))
    return stage.world.try_spawn_actor(stage.library.find("vehicle.audi.tt"), place) is None


def lights_of(stage: ApiStage) -> list[str]:
    junction = stage.light.get_affected_lane_waypoints()[0].next(12.0)[0].get_junction()
    return sorted(light.get_opendrive_id() for light in stage.world.get_traffic_lights_in_junction(junction.id))


def landmark(stage: ApiStage) -> carla.Landmark:
    return next(mark for mark in stage.map.get_all_landmarks_of_type("1000001") if mark.id == "101")


def before_light(stage: ApiStage) -> carla.Waypoint:
    return stage.light.get_stop_waypoints()[0].previous(5.0)[0]


WORLDS: list[Row] = [
    works("World.id", lambda s: s.world.id == s.client.get_world().id),
    works("World.debug", lambda s: isinstance(s.world.debug, carla.DebugHelper)),
    works("World.apply_settings", settled),
    works("World.get_settings", settled),
    works("World.set_weather", weathered, "kept and told; no sensor sees it"),
    works("World.get_weather", weathered),
    works("World.tick", lambda s: s.world.tick() == s.snap().frame),
    works("World.wait_for_tick", waited),
    works("World.on_tick", called),
    works("World.remove_on_tick", called),
    works("World.get_snapshot", lambda s: s.snap().frame > 0),
    works("World.get_map", lambda s: s.world.get_map().name == "Carla/Maps/crossing"),
    works("World.get_blueprint_library", lambda s: len(s.world.get_blueprint_library()) > 100),
    works("World.get_spectator", lambda s: s.world.get_spectator().type_id == "spectator"),
    works("World.get_actor", lambda s: s.world.get_actor(s.car.id).type_id == s.car.type_id),
    works("World.get_actors", lambda s: len(s.world.get_actors([s.car.id])) == 1 and len(s.world.get_actors()) > 5),
    works("World.spawn_actor", lambda s: s.spawn("static.prop.barrel", -70.0, -12.0).is_alive),
    works("World.try_spawn_actor", taken),
    works("World.cast_ray", rays, "every surface counts, also where the ray leaves a body"),
    works("World.project_point", projected),
    works("World.ground_projection", grounded),
    works("World.get_environment_objects", lambda s: len(s.world.get_environment_objects()) > 20),
    works("World.enable_environment_objects", hidden),
    works("World.get_level_bbs", boxes),
    works("World.get_names_of_all_objects", lambda s: "Building_1" in s.world.get_names_of_all_objects()),
    works("World.get_lightmanager", lambda s: isinstance(s.world.get_lightmanager(), carla.LightManager)),
    works("World.get_vehicles_light_states", lambda s: s.car.id in s.world.get_vehicles_light_states()),
    works("World.get_traffic_light", lambda s: s.world.get_traffic_light(landmark(s)).id == s.light.id),
    works(
        "World.get_traffic_light_from_opendrive_id",
        lambda s: s.world.get_traffic_light_from_opendrive_id("101").id == s.light.id,
    ),
    works(
        "World.get_traffic_lights_from_waypoint",
        lambda s: s.light.id in {x.id for x in s.world.get_traffic_lights_from_waypoint(before_light(s), 20.0)},
    ),
    works("World.get_traffic_lights_in_junction", lambda s: lights_of(s) == ["101", "102", "103", "104"]),
    works("World.get_traffic_sign", lambda s: s.world.get_traffic_sign(landmark(s)).id == s.light.id),
    works(
        "World.freeze_all_traffic_lights",
        lambda s: (
            s.world.freeze_all_traffic_lights(True)
            or (s.world.tick() and s.light.is_frozen() and not s.world.freeze_all_traffic_lights(False))
        ),
    ),
    works(
        "World.reset_all_traffic_lights",
        lambda s: (
            s.world.reset_all_traffic_lights() or (s.world.tick() and s.light.state == carla.TrafficLightState.Green)
        ),
    ),
    works("World.get_imui_sensor_gravity", pulled),
    works("World.set_imui_sensor_gravity", pulled),
    client(
        "World.get_random_location_from_navigation",
        lambda s: s.world.get_random_location_from_navigation() is None,
        "None: no navigation mesh is served",
    ),
    client("World.set_pedestrians_cross_factor", lambda s: s.world.set_pedestrians_cross_factor(0.5) is None),
    client("World.set_pedestrians_seed", lambda s: s.world.set_pedestrians_seed(3) is None),
    accepted(
        "World.load_map_layer",
        lambda s: s.world.load_map_layer(carla.MapLayer.Buildings) is None,
        "there are no layers, as on CARLA's maps that do not end in _Opt",
    ),
    accepted(
        "World.unload_map_layer",
        lambda s: s.world.unload_map_layer(carla.MapLayer.Buildings) is None,
        "there are no layers, as on CARLA's maps that do not end in _Opt",
    ),
    accepted(
        "World.set_annotations_traverse_translucency",
        lambda s: s.world.set_annotations_traverse_translucency(True) is None,
        "nothing is translucent",
    ),
    *[
        refused(f"World.{name}", tried, NO_TEXTURE)
        for name, tried in (
            (
                "apply_color_texture_to_object",
                lambda s: s.world.apply_color_texture_to_object(
                    "a", carla.MaterialParameter.Diffuse, carla.TextureColor(1, 1)
                ),
            ),
            (
                "apply_color_texture_to_objects",
                lambda s: s.world.apply_color_texture_to_objects(
                    ["a"], carla.MaterialParameter.Diffuse, carla.TextureColor(1, 1)
                ),
            ),
            (
                "apply_float_color_texture_to_object",
                lambda s: s.world.apply_float_color_texture_to_object(
                    "a", carla.MaterialParameter.Diffuse, carla.TextureFloatColor(1, 1)
                ),
            ),
            (
                "apply_float_color_texture_to_objects",
                lambda s: s.world.apply_float_color_texture_to_objects(
                    ["a"], carla.MaterialParameter.Diffuse, carla.TextureFloatColor(1, 1)
                ),
            ),
            (
                "apply_textures_to_object",
                lambda s: s.world.apply_textures_to_object(
                    "a",
                    carla.TextureColor(1, 1),
                    carla.TextureFloatColor(1, 1),
                    carla.TextureFloatColor(1, 1),
                    carla.TextureFloatColor(1, 1),
                ),
            ),
            (
                "apply_textures_to_objects",
                lambda s: s.world.apply_textures_to_objects(
                    ["a"],
                    carla.TextureColor(1, 1),
                    carla.TextureFloatColor(1, 1),
                    carla.TextureFloatColor(1, 1),
                    carla.TextureFloatColor(1, 1),
                ),
            ),
        )
    ],
    *values(
        "EnvironmentObject",
        WORKS,
        thing,
        bounding_box=carla.BoundingBox,
        id=1,
        name="Building_1",
        transform=carla.Transform,
        type=carla.CityObjectLabel.Buildings,
    ),
    works("LabelledPoint.label", grounded),
    works("LabelledPoint.location", grounded),
    *values(
        "WorldSnapshot",
        WORKS,
        lambda s: s.snap(),
        delta_seconds=0.05000000074505806,
        elapsed_seconds=float,
        frame=int,
        frame_count=int,
        id=int,
        platform_timestamp=float,
        timestamp=carla.Timestamp,
    ),
    works("WorldSnapshot.find", lambda s: s.snap().find(s.car.id).id == s.car.id),
    works("WorldSnapshot.has_actor", lambda s: s.snap().has_actor(s.car.id) and not s.snap().has_actor(9999)),
    *values(
        "Timestamp",
        CLIENT,
        lambda s: carla.Timestamp(3, 0.5, 0.25, 2.0),
        frame=3,
        frame_count=3,
        elapsed_seconds=0.5,
        delta_seconds=0.25,
        platform_timestamp=2.0,
    ),
]

UNSEEN = "nobody sees it"
DEBUG: list[Row] = [
    accepted("DebugHelper.draw_point", lambda s: s.world.debug.draw_point(ABOVE_CAR, 0.1, RED, 1.0) is None, UNSEEN),
    accepted(
        "DebugHelper.draw_line", lambda s: s.world.debug.draw_line(ABOVE_CAR, ABOVE_CAR, 0.1, RED, 1.0) is None, UNSEEN
    ),
    accepted(
        "DebugHelper.draw_arrow",
        lambda s: s.world.debug.draw_arrow(ABOVE_CAR, ABOVE_CAR, 0.1, 0.1, RED, 1.0) is None,
        UNSEEN,
    ),
    accepted(
        "DebugHelper.draw_box",
        lambda s: s.world.debug.draw_box(s.car.bounding_box, carla.Rotation(), 0.1, RED, 1.0) is None,
        UNSEEN,
    ),
    accepted(
        "DebugHelper.draw_string", lambda s: s.world.debug.draw_string(ABOVE_CAR, "a", False, RED, 1.0) is None, UNSEEN
    ),
    accepted(
        "DebugHelper.draw_hud_point", lambda s: s.world.debug.draw_hud_point(ABOVE_CAR, 0.1, RED, 1.0) is None, UNSEEN
    ),
    accepted(
        "DebugHelper.draw_hud_line",
        lambda s: s.world.debug.draw_hud_line(ABOVE_CAR, ABOVE_CAR, 0.1, RED, 1.0) is None,
        UNSEEN,
    ),
    accepted(
        "DebugHelper.draw_hud_arrow",
        lambda s: s.world.debug.draw_hud_arrow(ABOVE_CAR, ABOVE_CAR, 0.1, 0.1, RED, 1.0) is None,
        UNSEEN,
    ),
    accepted(
        "DebugHelper.draw_hud_box",
        lambda s: s.world.debug.draw_hud_box(s.car.bounding_box, carla.Rotation(), 0.1, RED, 1.0) is None,
        UNSEEN,
    ),
    accepted("DebugHelper.clear_debug_shape", lambda s: s.world.debug.clear_debug_shape() is None, UNSEEN),
    accepted("DebugHelper.clear_debug_string", lambda s: s.world.debug.clear_debug_string() is None, UNSEEN),
]


def lamps(stage: ApiStage) -> carla.LightManager:
    return stage.world.get_lightmanager()


def lamp(stage: ApiStage) -> carla.Light:
    return lamps(stage).get_all_lights()[0]


def told(stage: ApiStage, change: Callable[[carla.LightManager, list[carla.Light]], object]) -> carla.Light:
    """The first street light after a change has gone to the server, and back at the next tick."""
    manager = lamps(stage)
    change(manager, manager.get_all_lights()[:1])
    stage.world.tick()
    stage.world.tick()
    return lamp(stage)


BLUE = carla.Color(0, 0, 255)
HOUSE, STREET = carla.LightGroup.Building, carla.LightGroup.Street
LIT, DIM = carla.LightState(50.0, RED, STREET, True), carla.LightState(100.0, BLUE, STREET, False)
STREET_LIGHTS: list[Row] = [
    works("Light.color", lambda s: told(s, lambda m, x: x[0].set_color(RED)).color == RED),
    works("Light.id", lambda s: lamp(s).id > 0),
    works("Light.intensity", lambda s: told(s, lambda m, x: x[0].set_intensity(20.0)).intensity == 20.0),
    works("Light.is_on", lambda s: told(s, lambda m, x: x[0].turn_on()).is_on),
    works("Light.light_group", lambda s: lamp(s).light_group == STREET),
    works("Light.light_state", lambda s: told(s, lambda m, x: x[0].set_light_state(LIT)).light_state.intensity == 50.0),
    works("Light.location", lambda s: 7.0 < lamp(s).location.z < 9.0),
    works("Light.set_color", lambda s: told(s, lambda m, x: x[0].set_color(BLUE)).color == BLUE),
    works("Light.set_intensity", lambda s: told(s, lambda m, x: x[0].set_intensity(30.0)).intensity == 30.0),
    works("Light.set_light_group", lambda s: told(s, lambda m, x: x[0].set_light_group(STREET)).light_group == STREET),
    works("Light.set_light_state", lambda s: told(s, lambda m, x: x[0].set_light_state(DIM)).intensity == 100.0),
    works("Light.turn_off", lambda s: not told(s, lambda m, x: x[0].turn_off()).is_on),
    works("Light.turn_on", lambda s: told(s, lambda m, x: x[0].turn_on()).is_on),
    works("LightManager.get_all_lights", lambda s: len(lamps(s).get_all_lights()) > 3),
    works("LightManager.get_color", lambda s: len(lamps(s).get_color(lamps(s).get_all_lights())) > 3),
    works("LightManager.get_intensity", lambda s: len(lamps(s).get_intensity(lamps(s).get_all_lights())) > 3),
    works("LightManager.get_light_group", lambda s: lamps(s).get_light_group([lamp(s)]) == [STREET]),
    works("LightManager.get_light_state", lambda s: len(lamps(s).get_light_state([lamp(s)])) == 1),
    works("LightManager.get_turned_off_lights", lambda s: len(lamps(s).get_turned_off_lights(STREET)) > 3),
    works(
        "LightManager.get_turned_on_lights",
        lambda s: told(s, lambda m, x: m.turn_on(x)) and len(lamps(s).get_turned_on_lights(STREET)) == 1,
    ),
    works(
        "LightManager.is_active",
        lambda s: told(s, lambda m, x: m.turn_on(x)) and lamps(s).is_active([lamp(s)]) == [True],
    ),
    works("LightManager.set_active", lambda s: not told(s, lambda m, x: m.set_active(x, [False])).is_on),
    works("LightManager.set_color", lambda s: told(s, lambda m, x: m.set_color(x, RED)).color == RED),
    works("LightManager.set_colors", lambda s: told(s, lambda m, x: m.set_colors(x, [BLUE])).color == BLUE),
    accepted(
        "LightManager.set_day_night_cycle",
        lambda s: lamps(s).set_day_night_cycle(True) is None,
        "the sun switches no lights",
    ),
    works("LightManager.set_intensities", lambda s: told(s, lambda m, x: m.set_intensities(x, [7.0])).intensity == 7.0),
    works("LightManager.set_intensity", lambda s: told(s, lambda m, x: m.set_intensity(x, 8.0)).intensity == 8.0),
    works(
        "LightManager.set_light_group",
        lambda s: told(s, lambda m, x: m.set_light_group(x, STREET)).light_group == STREET,
    ),
    works(
        "LightManager.set_light_groups",
        lambda s: told(s, lambda m, x: m.set_light_groups(x, [STREET])).light_group == STREET,
    ),
    works("LightManager.set_light_state", lambda s: told(s, lambda m, x: m.set_light_state(x, LIT)).intensity == 50.0),
    works(
        "LightManager.set_light_states", lambda s: told(s, lambda m, x: m.set_light_states(x, [DIM])).intensity == 100.0
    ),
    works("LightManager.turn_off", lambda s: not told(s, lambda m, x: m.turn_off(x)).is_on),
    works("LightManager.turn_on", lambda s: told(s, lambda m, x: m.turn_on(x)).is_on),
]
