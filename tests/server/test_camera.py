"""Images of planes and boxes whose every pixel is known."""

from __future__ import annotations

import math
import struct

import numpy as np
import numpy.typing as npt
import pytest

from carla_cp.server.camera import CameraModel, CameraSettings, Paint, colours, depth, instances, labels
from carla_cp.server.mesh import Tag, cuboid
from carla_cp.server.raycast import Mover, RayCaster

WIDE, HIGH, FOV = 80, 60, 70.0
FOCAL = WIDE / (2.0 * math.tan(math.radians(FOV) / 2.0))
GROUND = RayCaster(cuboid((-900, -900, -1), (900, 900, 0), Tag.ROAD))
WALL = RayCaster(cuboid((10, -99, -99), (11, 99, 99), Tag.BUILDING))
NOTHING = RayCaster(cuboid((-9, -9, -9), (-8, -8, -8), Tag.BUILDING))


def photo(caster: RayCaster, paint: Paint, pose: npt.NDArray[np.float64] | None = None) -> npt.NDArray[np.int64]:
    """The pixels (H, W, 4) of one message."""
    model = CameraModel(CameraSettings(WIDE, HIGH, FOV), paint)
    message = model.image(caster, np.eye(4) if pose is None else pose)
    assert struct.unpack_from("<IIf", message) == (WIDE, HIGH, FOV)
    return np.frombuffer(message, np.uint8, offset=12).reshape(HIGH, WIDE, 4).astype(np.int64)


def metres(pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """CARLA's own formula for a depth image."""
    blue, green, red = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return np.asarray((red + green * 256 + blue * 65536) / (256**3 - 1) * 1000.0)


def test_the_depth_of_a_wall_is_the_same_in_every_pixel_for_it_lies_across_the_axis() -> None:
    np.testing.assert_allclose(metres(photo(WALL, depth)), 10.0, atol=1e-3)


def test_the_depth_of_the_ground_follows_from_the_height_and_the_row() -> None:
    pose = np.eye(4)
    pose[2, 3] = 2.0
    found = metres(photo(GROUND, depth, pose))
    rows = np.arange(HIGH) + 0.5 - HIGH / 2
    low = rows > 0
    expected = 2.0 * FOCAL / rows[low]
    np.testing.assert_allclose(found[low], np.repeat(expected[:, None], WIDE, axis=1), rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(found[~low], 1000.0, atol=1e-3)


def test_a_turned_camera_sees_what_lies_there() -> None:
    pose = np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])  # looks along y
    assert np.all(metres(photo(WALL, depth, pose)) > 10.0)
    side = metres(photo(WALL, depth, pose))[HIGH // 2]
    assert side[0] == pytest.approx(10.0 / ((WIDE / 2 - 0.5) / FOCAL), rel=1e-3)  # the wall is at its left
    assert side[-1] == pytest.approx(1000.0, abs=1e-3)


def test_labels_are_red_and_where_nothing_is_there_is_sky() -> None:
    pixels = photo(WALL, labels)
    assert set(map(tuple, pixels.reshape(-1, 4).tolist())) == {(0, 0, int(Tag.BUILDING), 255)}
    assert set(map(tuple, photo(NOTHING, labels).reshape(-1, 4).tolist())) == {(0, 0, 11, 255)}


def test_an_instance_bears_its_actors_number_in_green_and_blue() -> None:
    caster = RayCaster(cuboid((-9, -9, -9), (-8, -8, -8), Tag.BUILDING))
    caster.place([Mover(300, cuboid((5, -1, -1), (6, 1, 1), Tag.CAR), np.eye(4))])
    found = set(map(tuple, photo(caster, instances).reshape(-1, 4).tolist()))
    assert found == {(1, 44, int(Tag.CAR), 255), (0, 0, 11, 255)}
    wide = np.count_nonzero(photo(caster, instances)[HIGH // 2, :, 2] == Tag.CAR)
    assert wide == pytest.approx(2 * FOCAL / 5.0, abs=1.0)


def test_a_colour_is_that_of_its_label_and_darker_where_the_surface_turns_away() -> None:
    wall = photo(WALL, colours)
    assert wall[HIGH // 2, WIDE // 2].tolist() == pytest.approx([110, 130, 160, 255], abs=1)
    edge = 1.0 / math.hypot(1.0, (WIDE / 2 - 0.5) / FOCAL)
    assert wall[HIGH // 2, 0, 2] == pytest.approx(160 * (0.4 + 0.6 * edge), abs=1.5)


@pytest.mark.parametrize("bad", [{"image_size_x": 0}, {"image_size_y": -1}, {"fov": 0.0}, {"fov": 180.0}])
def test_no_camera_has_no_pixels_or_no_aperture(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="camera attributes"):
        CameraSettings(**bad)  # type: ignore[arg-type]
