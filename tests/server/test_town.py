import carla
import numpy as np
import numpy.typing as npt
import pytest

from carla_cp.server.mesh import Tag
from carla_cp.server.raycast import RayCaster
from carla_cp.server.town import build_town, read_lanes

Floats = npt.NDArray[np.float64]


def lane(number: int, kind: str, width: float) -> str:
    return f'<lane id="{number}" type="{kind}" level="false"><width sOffset="0" a="{width}" b="0" c="0" d="0"/></lane>'


def straight_road(slope: float = 0.0) -> str:
    """A road of 160 m along x with one lane of 3.5 m and one sidewalk of 2 m on each side, and a signal."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<OpenDRIVE><header revMajor="1" revMinor="4" name="straight"/>
<road name="a" length="160" id="1" junction="-1">
<planView><geometry s="0" x="0" y="0" hdg="0" length="160"><line/></geometry></planView>
<elevationProfile><elevation s="0" a="0" b="{slope}" c="0" d="0"/></elevationProfile>
<lanes><laneSection s="0"><left>{lane(2, "sidewalk", 2)}{lane(1, "driving", 3.5)}</left>
<center><lane id="0" type="none" level="false"/></center>
<right>{lane(-1, "driving", 3.5)}{lane(-2, "sidewalk", 2)}</right></laneSection></lanes>
<signals><signal s="150" t="-6.2" id="1" name="light" dynamic="yes" orientation="+" zOffset="0" type="1000001"
subtype="-1" value="-1" height="1" width="1"/></signals></road></OpenDRIVE>"""


TEXT = straight_road()
TOWN = build_town(carla.Map("straight", TEXT), TEXT)
CASTER = RayCaster(TOWN.mesh)


def below(x: npt.ArrayLike, y: npt.ArrayLike, start: float = 2.0) -> tuple[Floats, Floats]:
    """Height and label of what lies under points."""
    hits = [
        CASTER.cast((u, v, start), np.array([(0, 0, -1)], np.float32), 50.0)
        for u, v in zip(np.atleast_1d(x), np.atleast_1d(y), strict=True)
    ]
    return np.array([start - hit.distance[0] for hit in hits]), np.array([int(hit.label[0]) for hit in hits])


def test_a_road_lies_at_its_height_and_bears_its_label() -> None:
    x = np.linspace(1.0, 159.0, 40)
    for y in (-3.0, 0.01, 3.0):
        height, label = below(x, np.full(40, y))
        np.testing.assert_allclose(height, 0.0, atol=1e-3)
        assert set(label.tolist()) == {Tag.ROAD}


def test_sidewalks_rise_over_the_road_by_a_curb() -> None:
    x = np.linspace(1.0, 159.0, 40)
    for y in (-4.5, 4.5):
        height, label = below(x, np.full(40, y))
        np.testing.assert_allclose(height, 0.1, atol=1e-3)
        assert set(label.tolist()) == {Tag.SIDEWALK}


def test_a_ray_along_the_road_s_surface_meets_the_curb() -> None:
    hit = CASTER.cast((80.0, 0.0, 0.05), np.array([(0, 1, 0)], np.float32), 50.0)
    assert (hit.label[0], hit.distance[0]) == (Tag.SIDEWALK, pytest.approx(3.5, abs=2e-3))


def test_terrain_lies_a_little_below_the_road_far_around_it() -> None:
    height, label = below([-120.0, 80.0, 280.0], [0.0, 130.0, -100.0], start=1.0)
    assert set(label.tolist()) == {Tag.TERRAIN} and (height > -0.2).all() and (height < 0.0).all()


def test_both_sides_of_the_road_are_furnished_and_none_of_it_stands_on_the_road() -> None:
    assert {Tag.BUILDING, Tag.POLE, Tag.TRAFFIC_LIGHT, Tag.VEGETATION} <= set(TOWN.mesh.labels.tolist())
    x, y, _, length, width = TOWN.obstacles[:, :5].T
    big = length > 5.0
    assert (y[big] > 0).sum() >= 3 and (y[big] < 0).sum() >= 3
    alongside = (x > 0) & (x < 160)
    assert (np.abs(y) - np.where(big, width, 0.0) / 2)[alongside].min() > 5.5


def test_the_road_is_free_up_to_the_height_of_a_truck() -> None:
    x, y = np.linspace(0.5, 159.5, 80), np.linspace(-5.4, 5.4, 12)
    for v in y:
        height, _ = below(x, np.full(80, v), start=4.5)
        assert height.max() < 0.11


def test_the_signal_stands_by_the_road_and_faces_the_traffic() -> None:
    corners = TOWN.mesh.vertices[TOWN.mesh.triangles[TOWN.mesh.labels == Tag.TRAFFIC_LIGHT]].reshape(-1, 3)
    # OpenDRIVE's t is positive to the left, so -6.2 is on CARLA's positive y.
    assert abs(corners[:, 0].mean() - 150.0) < 1.0 and 5.5 < corners[:, 1].mean() < 9.0


def test_the_same_map_and_seed_give_the_same_town() -> None:
    again = build_town(carla.Map("straight", TEXT), TEXT)
    other = build_town(carla.Map("straight", TEXT), TEXT, seed=1)
    assert again.mesh.vertices.tobytes() == TOWN.mesh.vertices.tobytes() != other.mesh.vertices.tobytes()
    np.testing.assert_array_equal(again.obstacles, TOWN.obstacles)


def test_lanes_have_their_widths_and_their_ends() -> None:
    for strip in read_lanes(carla.Map("straight", TEXT), TEXT):
        width = np.linalg.norm(strip.right - strip.left, axis=1)
        np.testing.assert_allclose(width, 3.5 if strip.kind == "driving" else 2.0, atol=1e-3)
        assert strip.left[:, 0].min() <= 0.0 and strip.left[:, 0].max() >= 160.0


def test_terrain_under_a_sloping_road_stays_below_it() -> None:
    text = straight_road(slope=0.05)
    caster = RayCaster(build_town(carla.Map("slope", text), text).mesh)
    for x in np.linspace(1.0, 159.0, 50):
        hit = caster.cast((x, 1.0, 0.05 * x + 2.0), np.array([(0, 0, -1)], np.float32), 50.0)
        assert (hit.label[0], hit.distance[0]) == (Tag.ROAD, pytest.approx(2.0, abs=2e-2))


def test_a_map_without_roads_is_refused() -> None:
    with pytest.raises(ValueError, match="no lane to drive on"):
        build_town(carla.Map("straight", TEXT), "<OpenDRIVE/>")
