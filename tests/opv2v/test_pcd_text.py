from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from carla_cp.opv2v.pcd_text import ascii_rows
from carla_cp.types import PointArray

DRAW = np.random.default_rng(7)
SIGNS = DRAW.choice([-1.0, 1.0], (4000, 3))
CLOUDS = {
    "as a LiDAR sees": DRAW.uniform(-130.0, 130.0, (4000, 3)),
    "of any magnitude": 10.0 ** DRAW.uniform(-42.0, 38.0, (4000, 3)) * SIGNS,
    "of a magnitude that is scaled": 10.0 ** DRAW.uniform(-4.0, 8.0, (4000, 3)) * SIGNS,
    "with few digits": np.round(DRAW.uniform(-300.0, 300.0, (4000, 3)) * 8.0) / 8.0,
    "halfway between two last digits": (DRAW.integers(0, 2**24, (4000, 3)) | 1) * 2.0**-17,
    "beside a power of ten": np.nextafter(
        np.float32(10.0) ** DRAW.integers(-5, 9, (4000, 3)).astype(np.float32), SIGNS.astype(np.float32) * 1e30
    ),
    "special": np.array([[0.0, -0.0, np.nan], [np.inf, -np.inf, 1.0], [10.0, 1e7, 1e-3], [1e10, 9999999.0, 1e-45]]),
    "none": np.zeros((0, 3)),
}


def by_printf(points: PointArray, red: npt.NDArray[np.uint8]) -> bytes:
    """The plain way: one number after another."""
    rgb = (red.astype("<u4") << 16).view("<f4")
    rows = zip(points.tolist(), rgb.tolist(), strict=True)
    return b"".join(b"%.10g %.10g %.10g %.10g\n" % (*row, colour) for row, colour in rows)


@pytest.mark.parametrize("cloud", CLOUDS.values(), ids=CLOUDS)
def test_the_text_is_what_printf_writes(cloud: npt.NDArray[np.float64]) -> None:
    points = cloud.astype(np.float32)
    red = np.arange(len(points)).astype(np.uint8)
    assert ascii_rows(points, red) == by_printf(points, red)
