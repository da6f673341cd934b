"""Bodies on hills: they stand on the surface that LiDARs see and that the client's map knows."""

from __future__ import annotations

import math
import queue

import carla
import numpy as np
import pytest

from carla_cp.server.episode import Episode
from carla_cp.server.ground import Ground
from carla_cp.server.maps import LoadedMap, load_map
from carla_cp.server.mesh import Tag, make, merge
from carla_cp.server.physics import Body
from carla_cp.server.spawning import SpawnError
from carla_cp.server.stream import Streams
from carla_cp.server.wire import Description, Transform
from tests.server.conftest import PATIENCE_S
from tests.server.opendrive import HILL, TWO_LANES, Road, lane, piece, poly, section, world

PLANE = make([(-50, -50, 0), (50, -50, 10), (50, 50, 10), (-50, 50, 0)], [(0, 1, 2), (0, 2, 3)], Tag.ROAD)
BRIDGE = make([(-50, -5, 16), (50, -5, 16), (50, 5, 16), (-50, 5, 16)], [(0, 1, 2), (0, 2, 3)], Tag.ROAD)
ROOF = make([(-50, -50, 5.2), (50, -50, 5.2), (0, 50, 5.2)], [(0, 1, 2)], Tag.BUILDING)


def car(x: float, y: float, z: float, yaw: float = 0.0) -> Body:
    return Body(x, y, z, yaw, 4.8, 2.0, 1.5, 1 / 1600)


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"),
    [(0.0, 0.1, 0.0), (math.pi, -0.1, 0.0), (math.pi / 2, 0.0, 0.1), (-math.pi / 2, 0.0, -0.1)],
)
def test_a_car_takes_the_tilt_of_a_plane_whichever_way_it_looks(yaw: float, pitch: float, roll: float) -> None:
    body = car(10.0, 3.0, 6.5, yaw)
    Ground(merge([PLANE, ROOF]), None).stand(body)
    assert body.z == pytest.approx(6.0, abs=1e-3)
    assert (math.tan(body.pitch), math.tan(body.roll)) == pytest.approx((pitch, roll), abs=1e-3)


def test_a_car_moves_up_as_fast_as_its_road_rises() -> None:
    body = car(10.0, 0.0, 6.0)
    body.set_velocity(8.0, 2.0)
    Ground(PLANE, None).stand(body)
    assert body.vz == pytest.approx(0.8, abs=1e-3)


def test_bodies_on_and_under_a_bridge_keep_their_level() -> None:
    ground = Ground(merge([PLANE, BRIDGE]), None)
    above, below = car(0.0, 0.0, 16.4), car(0.0, 0.0, 5.3)
    ground.stand(above)
    ground.stand(below)
    assert (above.z, below.z) == pytest.approx((16.0, 5.0), abs=1e-3)


def test_a_body_put_under_the_ground_is_lifted_and_one_beside_the_world_stays() -> None:
    ground = Ground(PLANE, None)
    buried, lost = car(0.0, 0.0, -20.0), car(500.0, 0.0, 3.0)
    ground.stand(buried)
    ground.stand(lost)
    assert (buried.z, lost.z) == (pytest.approx(5.0, abs=1e-3), 3.0)


def test_on_a_level_map_everything_stands_level_at_that_height() -> None:
    body = car(0.0, 0.0, 3.0)
    body.pitch = 0.2
    Ground(PLANE, 0.5).stand(body)
    assert (body.z, body.pitch, body.roll) == (0.5, 0.0, 0.0)


ARC = piece(0, 0, 0, 0, 60, '<arc curvature="0.1"/>')
SPIRAL = piece(0, 0, 0, 0, 60, '<spiral curvStart="0" curvEnd="0.05"/>')
POLY3 = piece(0, 0, 0, 0, 60, '<poly3 a="0" b="0" c="0.005" d="-0.00005"/>')
PARAMETRIC = piece(
    0, 0, 0, 0, 60, '<paramPoly3 aU="0" bU="60" cU="0" dU="0" aV="0" bV="0" cV="20" dV="-10" pRange="normalized"/>'
)
SLOPE = poly("elevation", "s", (0, 0.0, 0.08))
TAPER = section(
    0,
    lane(1, "driving", (0, 3.5)),
    lane(-1, "driving", (0, 3.5)) + lane(-2, "driving", (0, 0.0, 0, 0.0117, -0.00026), (30, 3.5)),
)
SECTIONS = (
    section(0, lane(1, "driving", (0, 3.5)), lane(-1, "driving", (0, 3.5)))
    + section(70.5, lane(1, "driving", (0, 3.5)), lane(-1, "driving", (0, 3.5)) + lane(-2, "parking", (0, 2.0)))
    + section(70.6, lane(1, "driving", (0, 3.5)), lane(-1, "driving", (0, 3.5)))
)
ROADS = {
    "hill": Road(elevation=HILL),
    "superelevation, which the client's map ignores": Road(lateral=poly("superelevation", "s", (0, 0.05))),
    "arc": Road(length=60, plan=ARC, elevation=SLOPE),
    "spiral": Road(length=60, plan=SPIRAL, elevation=SLOPE),
    "poly3": Road(length=60, plan=POLY3, elevation=SLOPE),
    "paramPoly3": Road(length=60, plan=PARAMETRIC, elevation=SLOPE),
    "lane offset": Road(offset=poly("laneOffset", "s", (0, 0), (50, 0, 0, 0.0075, -0.0003), (66.67, 0.69))),
    "a lane that opens": Road(sections=TAPER),
    "three lane sections": Road(sections=SECTIONS),
    "left-hand traffic": Road(rule="LHT"),
}


def lane_places(world_map: carla.Map) -> np.ndarray:
    """(N, 4): x, y, z and what the surface is, across every driving lane and every sidewalk beside one."""
    rows = []
    for waypoint in world_map.generate_waypoints(0.7):
        beside = [way for way in (waypoint.get_left_lane(), waypoint.get_right_lane()) if way is not None]
        for way in [waypoint] + [way for way in beside if way.lane_type == carla.LaneType.Sidewalk]:
            place, yaw, width = way.transform.location, math.radians(way.transform.rotation.yaw), way.lane_width
            kind = Tag.SIDEWALK if way.lane_type == carla.LaneType.Sidewalk else Tag.ROAD
            for share in (-0.47, 0.0, 0.47):
                x, y = place.x - math.sin(yaw) * share * width, place.y + math.cos(yaw) * share * width
                rows.append((x, y, place.z, kind))
    return np.array(rows)


@pytest.mark.parametrize("name", ROADS)
def test_the_surface_that_rays_meet_is_where_the_clients_waypoints_are(name: str) -> None:
    loaded = load_map("hand", world(ROADS[name]))
    places = lane_places(loaded.carla_map)
    assert len(places) > 400
    for x, y, z, kind in places:
        hit = loaded.caster.cast((x, y, z + 1.0), np.array([(0, 0, -1)], np.float32), 20.0)
        assert hit.label[0] == kind
        assert 1.0 - hit.distance[0] == pytest.approx(0.1 if kind == Tag.SIDEWALK else 0.0, abs=0.02)


@pytest.fixture(scope="module")
def hill() -> LoadedMap:
    return load_map("hill", world(Road(elevation=HILL)))


def test_a_car_on_a_hill_has_the_height_and_pitch_of_its_waypoint(hill: LoadedMap) -> None:
    for waypoint in hill.carla_map.generate_waypoints(3.0):
        place, rotation = waypoint.transform.location, waypoint.transform.rotation
        if not 3.0 < place.x < 197.0:
            continue
        body = car(place.x, place.y, place.z + 0.3, math.radians(rotation.yaw))
        hill.ground.stand(body)
        assert body.z == pytest.approx(place.z, abs=0.03)
        slope = (rotation.pitch + 180.0) % 360.0 - 180.0
        assert math.degrees(body.pitch) == pytest.approx(slope, abs=1.0)
        assert abs(math.degrees(body.roll)) < 0.1


def test_no_car_is_spawned_in_another_however_far_over_or_under_the_road_it_is_put(hill: LoadedMap) -> None:
    episode = Episode(1, hill, Streams("127.0.0.1"))
    episode.spawn(Description(1, "vehicle.audi.tt"), Transform(50.0, 1.75, 6.0), 0, 0)
    for z in (0.0, 20.0):
        with pytest.raises(SpawnError, match="collision"):
            episode.spawn(Description(1, "vehicle.audi.tt"), Transform(51.0, 1.75, z), 0, 0)
    assert episode.spawn(Description(1, "vehicle.audi.tt"), Transform(60.0, 1.75, 0.0), 0, 0).motion.pose.z > 4.0


def test_a_junction_on_a_slope_has_no_floor_above_its_lanes() -> None:
    arms = [
        Road(1, 40, piece(0, -60, 0, 0, 40, "<line/>"), poly("elevation", "s", (0, 3.0, -0.05))),
        Road(2, 40, piece(0, 20, 0, 0, 40, "<line/>"), poly("elevation", "s", (0, 1.0, 0.05))),
        Road(
            3,
            40,
            piece(0, -20, 0, 0, 40, "<line/>"),
            poly("elevation", "s", (0, 1.0, -0.05, 0.00125)),
            sections=TWO_LANES,
            junction=9,
        ),
    ]
    loaded = load_map("valley", world(*arms))
    for x in np.linspace(-19.0, 19.0, 30):
        hit = loaded.caster.cast((x, 1.75, 5.0), np.array([(0, 0, -1)], np.float32), 20.0)
        s = x + 20.0
        assert 5.0 - hit.distance[0] == pytest.approx(1.0 - 0.05 * s + 0.00125 * s * s, abs=0.02)


def test_through_the_official_client_a_car_climbs_a_hill_and_its_lidar_sees_the_road_it_stands_on(
    crossing_port: int,
) -> None:
    client = carla.Client("127.0.0.1", crossing_port)
    client.set_timeout(PATIENCE_S)
    place = client.generate_opendrive_world(world(Road(elevation=HILL)))
    settings = place.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    place.apply_settings(settings)
    library, world_map = place.get_blueprint_library(), place.get_map()
    car = place.spawn_actor(library.find("vehicle.audi.tt"), carla.Transform(carla.Location(50.0, 1.75, 6.0)))
    lidar = library.find("sensor.lidar.ray_cast_semantic")
    for name, value in (("range", "25"), ("rotation_frequency", "20"), ("points_per_second", "200000")):
        lidar.set_attribute(name, value)
    sensor = place.spawn_actor(lidar, carla.Transform(carla.Location(z=1.9)), attach_to=car)
    sweeps: queue.SimpleQueue[carla.SemanticLidarMeasurement] = queue.SimpleQueue()
    sensor.listen(sweeps.put)
    try:
        car.enable_constant_velocity(carla.Vector3D(10.0, 0.0, 0.0))
        for _ in range(40):
            place.tick()
            sweep = sweeps.get(timeout=PATIENCE_S)
            pose, velocity = car.get_transform(), car.get_velocity()
            way = world_map.get_waypoint(pose.location).transform
            assert pose.location.z == pytest.approx(way.location.z, abs=0.03)
            assert pose.rotation.pitch == pytest.approx((way.rotation.pitch + 180.0) % 360.0 - 180.0, abs=1.0)
            assert velocity.z == pytest.approx(velocity.x * math.tan(math.radians(pose.rotation.pitch)), abs=0.05)
        assert pose.location.x == pytest.approx(70.0, abs=0.6)
        matrix = np.array(sensor.get_transform().get_matrix())
        row = np.frombuffer(
            sweep.raw_data, np.dtype([("p", "<f4", 3), ("cos", "<f4"), ("actor", "<u4"), ("tag", "<u4")])
        )
        road = row["p"][row["tag"] == Tag.ROAD].astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        assert len(road) > 500
        for x, y, z in road[::25]:
            at = world_map.get_waypoint(carla.Location(x, y, z)).transform.location
            assert z == pytest.approx(at.z, abs=0.02)
    finally:
        sensor.stop()
        settings.synchronous_mode, settings.fixed_delta_seconds = False, None
        place.apply_settings(settings)
