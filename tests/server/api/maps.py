"""The map, which the client reads from the OpenDRIVE text that the server sends."""

from __future__ import annotations

import carla

from tests.server.api.rows import CLIENT, Row, client, values, works
from tests.server.api.stage import ApiStage
from tests.server.conftest import CROSSING

ON_LANE = carla.Location(-100.0, 5.25, 0.0)
PAST_JUNCTION = carla.Location(60.0, 5.25, 0.0)
LIGHT = "1000001"


def here(stage: ApiStage) -> carla.Waypoint:
    return stage.map.get_waypoint(ON_LANE)


def inside(stage: ApiStage) -> carla.Waypoint:
    return next(point for point in stage.map.generate_waypoints(2.0) if point.is_junction)


def mark(stage: ApiStage) -> carla.Landmark:
    return next(mark for mark in stage.map.get_all_landmarks_of_type(LIGHT) if mark.id == "101")


def road_back(stage: ApiStage) -> bool:
    """From a place to the globe and back."""
    place = stage.map.transform_to_geolocation(ON_LANE)
    return abs(stage.map.geolocation_to_transform(place).x - ON_LANE.x) < 0.01


def stored(stage: ApiStage) -> bool:
    path = stage.folder / "crossing"
    stage.map.save_to_disk(str(path))
    return any(stage.folder.glob("crossing*"))


def cooked(stage: ApiStage) -> bool:
    path = stage.folder / "map.bin"
    stage.map.cook_in_memory_map(str(path))
    return path.stat().st_size > 0


def marked() -> carla.Map:
    """The crossing with a word and a crosswalk painted on its first road."""
    mark = (
        '<objects><object id="7" name="Stencil_STOP" s="20" t="-5.25" zOffset="0" hdg="0" pitch="0" roll="0" '
        'orientation="+" type="roadMark" subtype="none" width="2" length="3" height="0.1"/>'
        '<object id="8" name="crossing" s="100" t="0" zOffset="0" hdg="0" pitch="0" roll="0" orientation="none" '
        'type="crosswalk" width="4" length="14"><outline><cornerLocal u="-2" v="-7" z="0"/>'
        '<cornerLocal u="2" v="-7" z="0"/><cornerLocal u="2" v="7" z="0"/><cornerLocal u="-2" v="7" z="0"/>'
        '<cornerLocal u="-2" v="-7" z="0"/></outline></object></objects>'
    )
    return carla.Map("marked", CROSSING.read_text(encoding="utf-8").replace("</lanes>", f"</lanes>{mark}", 1))


def stencil(stage: ApiStage) -> carla.RoadMark:
    return marked().get_all_road_marks()[0]


def walked_over() -> list[tuple[int, int]]:
    """The corners of the crosswalk."""
    return [(round(corner.x), round(corner.y)) for corner in marked().get_crosswalks()]


MAPS: list[Row] = [
    works("Map.name", lambda s: s.map.name == "Carla/Maps/crossing"),
    works("Map.to_opendrive", lambda s: s.map.to_opendrive().startswith("<?xml")),
    works("Map.get_spawn_points", lambda s: len(s.map.get_spawn_points()) > 10),
    client("Map.cook_in_memory_map", cooked),
    client("Map.save_to_disk", stored),
    client("Map.generate_waypoints", lambda s: len(s.map.generate_waypoints(5.0)) > 50),
    client("Map.geolocation_to_transform", road_back),
    client("Map.transform_to_geolocation", road_back),
    client("Map.get_all_landmarks", lambda s: len(s.map.get_all_landmarks()) >= 4),
    client(
        "Map.get_all_landmarks_from_id", lambda s: {m.id for m in s.map.get_all_landmarks_from_id("101")} == {"101"}
    ),
    client(
        "Map.get_all_landmarks_of_type",
        lambda s: {m.id for m in s.map.get_all_landmarks_of_type(LIGHT)} == {"101", "102", "103", "104"},
    ),
    client("Map.get_landmark_group", lambda s: "101" in {m.id for m in s.map.get_landmark_group(mark(s))}),
    client("Map.get_all_road_marks", lambda s: len(marked().get_all_road_marks()) == 1),
    client("Map.get_all_road_marks_of_type", lambda s: len(marked().get_all_road_marks_of_type("STOP")) == 1),
    client("Map.get_road_marks_from_id", lambda s: len(marked().get_road_marks_from_id("7")) == 1),
    client("Map.get_crosswalks", lambda s: walked_over() == [(-84, 7), (-80, 7), (-80, -7), (-84, -7), (-84, 7)]),
    client("Map.get_topology", lambda s: len(s.map.get_topology()) > 4),
    client("Map.get_waypoint", lambda s: abs(here(s).transform.location.y - 5.25) < 0.01),
    client(
        "Map.get_waypoint_xodr",
        lambda s: s.map.get_waypoint_xodr(here(s).road_id, here(s).lane_id, here(s).s).id == here(s).id,
    ),
    client("Waypoint.get_junction", lambda s: inside(s).get_junction().id == inside(s).junction_id),
    client("Waypoint.get_landmarks", lambda s: len(here(s).get_landmarks(200.0)) >= 1),
    client("Waypoint.get_landmarks_of_type", lambda s: len(here(s).get_landmarks_of_type(200.0, LIGHT)) >= 1),
    client("Waypoint.get_left_lane", lambda s: here(s).get_left_lane().lane_id != here(s).lane_id),
    client(
        "Waypoint.get_right_lane",
        lambda s: here(s).get_right_lane() is None or here(s).get_right_lane().lane_id != here(s).lane_id,
    ),
    client("Waypoint.next", lambda s: abs(here(s).next(5.0)[0].transform.location.x + 95.0) < 0.01),
    client("Waypoint.next_until_lane_end", lambda s: len(here(s).next_until_lane_end(5.0)) > 5),
    client("Waypoint.previous", lambda s: abs(here(s).previous(5.0)[0].transform.location.x + 105.0) < 0.01),
    client(
        "Waypoint.previous_until_lane_start",
        lambda s: len(s.map.get_waypoint(PAST_JUNCTION).previous_until_lane_start(5.0)) > 1,
        "on a lane that nothing leads to, the wheel crashes",
    ),
    *values(
        "Waypoint",
        CLIENT,
        here,
        id=int,
        is_intersection=False,
        is_junction=False,
        is_rht=True,
        junction_id=-1,
        lane_change=carla.LaneChange,
        lane_id=int,
        lane_type=carla.LaneType.Driving,
        lane_width=float,
        left_lane_marking=carla.LaneMarking,
        right_lane_marking=carla.LaneMarking,
        road_id=int,
        s=float,
        section_id=0,
        transform=carla.Transform,
    ),
    *values(
        "LaneMarking",
        CLIENT,
        lambda s: here(s).left_lane_marking,
        color=carla.LaneMarkingColor,
        lane_change=carla.LaneChange,
        type=carla.LaneMarkingType,
        width=float,
    ),
    client("Junction.get_waypoints", lambda s: len(inside(s).get_junction().get_waypoints(carla.LaneType.Driving)) > 3),
    *values("Junction", CLIENT, lambda s: inside(s).get_junction(), bounding_box=carla.BoundingBox, id=int),
    client("Landmark.get_lane_validities", lambda s: len(mark(s).get_lane_validities()) >= 1),
    client("Landmark.waypoint", lambda s: here(s).get_landmarks(200.0)[0].waypoint.road_id == here(s).road_id),
    *values(
        "RoadMark",
        CLIENT,
        stencil,
        distance=0.0,
        heading=float,
        id="7",
        length=3.0,
        name="Stencil_STOP",
        orientation=carla.RoadMarkOrientation.Positive,
        pitch=0.0,
        road_id=1,
        roll=0.0,
        s=20.0,
        t=-5.25,
        transform=carla.Transform,
        type="STOP",
        waypoint=None,
        width=2.0,
        z_offset=0.0,
    ),
    *values(
        "Landmark",
        CLIENT,
        mark,
        country=str,
        distance=float,
        h_offset=float,
        height=float,
        id="101",
        is_dynamic=True,
        name=str,
        orientation=carla.LandmarkOrientation,
        pitch=float,
        road_id=int,
        roll=float,
        s=float,
        sub_type=str,
        t=float,
        text=str,
        transform=carla.Transform,
        type=LIGHT,
        unit=str,
        value=float,
        width=float,
        z_offset=float,
    ),
    *[
        client(f"LandmarkType.{name}", lambda s, name=name: getattr(carla.LandmarkType, name).isdigit())
        for name in [
            "AbsoluteNoStop",
            "AccessForbidden",
            "AccessForbiddenBicycle",
            "AccessForbiddenHeight",
            "AccessForbiddenMotorvehicles",
            "AccessForbiddenTrucks",
            "AccessForbiddenWeight",
            "AccessForbiddenWidth",
            "AccessForbiddenWrongDirection",
            "CautionBicycle",
            "CautionPedestrian",
            "CityBegin",
            "CityEnd",
            "Danger",
            "DeadEnd",
            "ForbiddenOvertakingMotorvehicles",
            "ForbiddenOvertakingTrucks",
            "ForbiddenUTurn",
            "HasWayNextIntersection",
            "Highway",
            "LanesMerging",
            "LevelCrossing",
            "MandatoryLeftRightDirection",
            "MandatoryTurnDirection",
            "MaximumSpeed",
            "PassRightLeft",
            "PriorityWay",
            "PriorityWayEnd",
            "RecomendedSpeed",
            "RecomendedSpeedEnd",
            "RestrictedStop",
            "Roundabout",
            "StopSign",
            "TwoChoiceTurnDirection",
            "YieldSign",
        ]
    ],
    client("Osm2Odr.convert", lambda s: carla.Osm2Odr.convert(OSM, carla.Osm2OdrSettings()).startswith("<?xml")),
    *values(
        "Osm2OdrSettings",
        CLIENT,
        lambda s: carla.Osm2OdrSettings(),
        all_junctions_with_traffic_lights=bool,
        center_map=bool,
        default_lane_width=float,
        elevation_layer_height=float,
        generate_traffic_lights=bool,
        offset_x=float,
        offset_y=float,
        proj_string=str,
        use_offsets=bool,
    ),
    client(
        "Osm2OdrSettings.set_osm_way_types", lambda s: carla.Osm2OdrSettings().set_osm_way_types(["primary"]) is None
    ),
    client(
        "Osm2OdrSettings.set_traffic_light_excluded_way_types",
        lambda s: carla.Osm2OdrSettings().set_traffic_light_excluded_way_types(["primary"]) is None,
    ),
]
OSM = """<?xml version="1.0"?><osm version="0.6"><bounds minlat="49" minlon="8" maxlat="49.01" maxlon="8.01"/>
<node id="1" lat="49.001" lon="8.001" visible="true"/><node id="2" lat="49.003" lon="8.002" visible="true"/>
<way id="3" visible="true"><nd ref="1"/><nd ref="2"/><tag k="highway" v="primary"/></way></osm>"""
