"""Towns that were built before."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from carla_cp.server import cache, maps
from carla_cp.server.maps import load_map
from carla_cp.server.mesh import Tag, make
from carla_cp.server.opendrive import OpenDriveError
from carla_cp.server.town import Town
from tests.server.opendrive import Road, world

TEXT = world(Road())
TOWN = Town(
    make([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, 2), (0, 2, 1)], Tag.ROAD),
    np.arange(14.0).reshape(2, 7),
    np.array([0, 1, 2], np.int64),
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "carla_cp" / "maps"


def no_work(*_: object) -> None:
    raise OpenDriveError("built again")


def test_a_town_comes_back_bit_for_bit_and_only_for_its_own_text() -> None:
    assert cache.load(TEXT) is None
    cache.save(TEXT, TOWN)
    again = cache.load(TEXT)
    assert again is not None
    for name in ("vertices", "triangles", "labels"):
        mine, other = getattr(again.mesh, name), getattr(TOWN.mesh, name)
        assert (mine.tobytes(), mine.dtype) == (other.tobytes(), other.dtype)
    assert again.obstacles.tobytes() == TOWN.obstacles.tobytes()
    assert again.parts.tolist() == TOWN.parts.tolist()
    assert cache.load(TEXT + " ") is None


def test_a_map_that_was_loaded_before_is_not_built_again_and_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_map("a", TEXT)
    monkeypatch.setattr(maps, "build_town", no_work)
    monkeypatch.setattr(maps, "try_out", no_work)
    again = load_map("a", TEXT)
    assert first.obstacles == again.obstacles
    down = np.array([(0, 0.1, -1)], np.float32)
    for x in np.linspace(1.0, 199.0, 30):
        here, there = (loaded.caster.cast((x, 1.0, 3.0), down, 50.0) for loaded in (first, again))
        assert here.distance.tobytes() == there.distance.tobytes()


@pytest.mark.parametrize("damage", [b"", b"PK no zip", b"half"])
def test_a_damaged_file_is_built_anew(place: Path, damage: bytes) -> None:
    cache.save(TEXT, TOWN)
    (path,) = place.glob("*.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage == b"half" else damage)
    assert cache.load(TEXT) is None
    cache.save(TEXT, TOWN)
    assert path.read_bytes() == whole


def test_a_file_with_other_arrays_or_a_flipped_bit_is_damaged(place: Path) -> None:
    cache.save(TEXT, TOWN)
    (path,) = place.glob("*.npz")
    flipped = bytearray(path.read_bytes())
    flipped[flipped.index(TOWN.obstacles.tobytes()) + 20] ^= 1
    path.write_bytes(bytes(flipped))
    assert cache.load(TEXT) is None
    np.savez(path, vertices=np.zeros(3))
    assert cache.load(TEXT) is None


def test_no_flipped_bit_of_a_file_keeps_a_map_from_loading(place: Path) -> None:
    cache.save(TEXT, TOWN)
    (path,) = place.glob("*.npz")
    whole = path.read_bytes()
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        path.write_bytes(bytes(flipped))
        found = cache.load(TEXT)
        assert found is None or found.mesh.vertices.tobytes() == TOWN.mesh.vertices.tobytes()
    for flag in (1, 8):  # of an entry in the archive's directory: it is encrypted; it is packed in an unknown way
        flipped = bytearray(whole)
        flipped[flipped.rindex(b"PK\x01\x02") + (8 if flag == 1 else 10)] ^= flag
        path.write_bytes(bytes(flipped))
        assert cache.load(TEXT) is None


def test_what_a_killed_server_left_half_written_is_removed_once_nobody_writes_it(place: Path) -> None:
    place.mkdir(parents=True)
    old, fresh = place / "old.part", place / "fresh.part"
    for part in (old, fresh):
        part.touch()
    os.utime(old, (0, 0))
    cache.save(TEXT, TOWN)
    assert not old.exists() and fresh.exists()


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache.save(TEXT, TOWN)
    assert cache.load(TEXT) is None


def test_no_part_of_a_file_is_left_behind_and_the_oldest_make_room(place: Path) -> None:
    for number in range(70):
        cache.save(f"{TEXT}{number}", TOWN)
    assert len(list(place.iterdir())) == len(list(place.glob("*.npz"))) == 64
    assert cache.load(f"{TEXT}69") is not None


def test_a_relative_folder_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert cache.folder() == Path.home() / ".cache" / "carla_cp" / "maps"
