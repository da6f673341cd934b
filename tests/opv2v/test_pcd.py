from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from carla_cp.opv2v import PcdError, read_cloud, read_pcd, write_pcd

from .test_lzf import compress

COORDINATE = st.floats(-500, 500, width=32)
CLOUDS = st.integers(0, 20).flatmap(lambda n: arrays(np.float32, (n, 4), elements=COORDINATE))


@pytest.mark.parametrize("binary", [False, True])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(cloud=CLOUDS)
def test_a_written_cloud_reads_back_with_exact_coordinates_and_intensity_to_a_255th(
    tmp_path: Path, binary: bool, cloud: np.ndarray
) -> None:
    cloud[:, 3] = np.abs(cloud[:, 3]) / 500
    write_pcd(tmp_path / "a.pcd", cloud, binary)
    back = read_pcd(tmp_path / "a.pcd")
    assert back.dtype == np.float32 and back.shape == cloud.shape
    assert np.array_equal(back[:, :3], cloud[:, :3])
    assert np.array_equal(back[:, 3], (np.round(cloud[:, 3] * 255) / 255).astype(np.float32))
    assert [path.name for path in tmp_path.iterdir()] == ["a.pcd"]


def test_the_ascii_text_is_as_published(tmp_path: Path) -> None:
    write_pcd(tmp_path / "a.pcd", np.array([[-106.0023499, -7.881004333, 3.711892843, 167 / 255]], np.float32))
    lines = (tmp_path / "a.pcd").read_text().splitlines()
    assert lines[2:4] == ["FIELDS x y z rgb", "SIZE 4 4 4 4"]
    assert lines[-1] == "-106.0023499 -7.881004333 3.711892843 1.533652786e-38"


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_an_intensity_field_is_read_as_it_is(tmp_path: Path, encoding: str) -> None:
    header = (
        "VERSION 0.7\nFIELDS x y z intensity\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\nPOINTS 1\nDATA " + encoding
    )
    row = np.array([1.0, 2.0, 3.0, 0.25], "<f4")
    body = row.tobytes() if encoding == "binary" else b"1 2 3 0.25"
    (tmp_path / "a.pcd").write_bytes(header.encode() + b"\n" + body)
    assert np.array_equal(read_pcd(tmp_path / "a.pcd"), row[None])


def test_points_that_are_not_finite_are_left_out_and_counted(tmp_path: Path) -> None:
    cloud = np.array([[1, 2, 3, 0], [np.nan, 0, 0, 0], [4, 5, np.inf, 0]], np.float32)
    write_pcd(tmp_path / "a.pcd", cloud, binary=True)
    assert read_pcd(tmp_path / "a.pcd").shape == (1, 4)
    assert read_cloud(tmp_path / "a.pcd")[1] == 2


def compressed(cloud: np.ndarray, rings: np.ndarray) -> bytes:
    """A binary_compressed file of x, y, z, a byte `ring` and `intensity`, field after field."""
    columns = [cloud[:, 0], cloud[:, 1], cloud[:, 2], rings.astype(np.uint8), cloud[:, 3]]
    plain = b"".join(np.ascontiguousarray(column).tobytes() for column in columns)
    packed = compress(plain)
    head = "FIELDS x y z ring intensity\nSIZE 4 4 4 1 4\nTYPE F F F U F\nPOINTS {}\nDATA binary_compressed\n"
    sizes = len(packed).to_bytes(4, "little") + len(plain).to_bytes(4, "little")
    return head.format(len(cloud)).encode() + sizes + packed


def test_a_compressed_cloud_is_read_with_the_intensity_that_counts_as_full(tmp_path: Path) -> None:
    cloud = np.array([[1, 2, 3, 255], [4, 5, 6, 0], [4, 5, 6, 51]], np.float32)
    (tmp_path / "a.pcd").write_bytes(compressed(cloud, np.arange(3)))
    points, dropped = read_cloud(tmp_path / "a.pcd", full_intensity=255.0)
    assert np.array_equal(points, cloud / np.array([1, 1, 1, 255], np.float32)) and dropped == 0


def test_a_compressed_cloud_that_is_damaged_or_announces_too_much_is_refused(tmp_path: Path) -> None:
    whole = compressed(np.ones((50, 4), np.float32), np.arange(50))
    start = whole.index(b"compressed\n") + len(b"compressed\n")
    huge = whole.replace(b"POINTS 50", b"POINTS 250000000")[: start + 7]
    huge += (4).to_bytes(4, "little") + (4_250_000_000 % 2**32).to_bytes(4, "little") + bytes(4)
    for data in (whole[:-1], whole[: start + 3], whole[:start] + bytes(8), huge, whole[:-4] + b"\xff" * 4):
        (tmp_path / "a.pcd").write_bytes(data)
        with pytest.raises(PcdError, match=r"a\.pcd"):
            read_pcd(tmp_path / "a.pcd")


def test_a_cloud_that_is_not_there_is_told_with_a_reason_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(PcdError, match=r"a\.pcd: No such file") as caught:
        read_pcd(tmp_path / "a.pcd")
    assert caught.value.reason == "missing cloud"


@pytest.mark.parametrize("binary", [False, True])
def test_a_cut_file_is_refused_by_name(tmp_path: Path, binary: bool) -> None:
    write_pcd(tmp_path / "a.pcd", np.ones((5, 4), np.float32), binary)
    data = (tmp_path / "a.pcd").read_bytes()
    for keep in (0, 20, len(data) - 20):
        (tmp_path / "cut.pcd").write_bytes(data[:keep])
        with pytest.raises(PcdError, match=r"cut\.pcd"):
            read_pcd(tmp_path / "cut.pcd")


@pytest.mark.parametrize(
    ("old", "new"),
    [("DATA ascii", "DATA binary_compressed"), ("z rgb", "z ring"), ("1 1 1 1", "1 1 1 2"), ("1 1 1\n", "1 a 1\n")],
)
def test_a_foreign_or_damaged_file_is_refused(tmp_path: Path, old: str, new: str) -> None:
    write_pcd(tmp_path / "a.pcd", np.ones((5, 4), np.float32))
    text = (tmp_path / "a.pcd").read_text()
    assert old in text
    (tmp_path / "a.pcd").write_text(text.replace(old, new))
    with pytest.raises(PcdError, match=r"a\.pcd"):
        read_pcd(tmp_path / "a.pcd")
