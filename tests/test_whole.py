"""Files and folders are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from carla_cp.whole import whole_file, whole_folder, write_whole


@pytest.mark.parametrize(
    ("data", "stored"), [("Kreuzung \u00e4\n", b"Kreuzung \xc3\xa4\n"), (b"\x00\xff", b"\x00\xff")]
)
def test_text_and_bytes_are_written_into_a_new_folder(tmp_path: Path, data: bytes | str, stored: bytes) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    write_whole(path, data)
    assert path.read_bytes() == stored
    assert list(path.parent.iterdir()) == [path]


def test_text_that_cannot_be_encoded_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half \ud800")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_in_the_middle_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "0.ticks"
    write_whole(path, "old")
    with pytest.raises(error), whole_file(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_while_it_is_written_the_old_file_stands_and_no_search_finds_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "0.ticks"
    write_whole(path, "old")
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert len(list(tmp_path.iterdir())) == 2
        assert list(tmp_path.glob("*.ticks")) == [path]
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_with_all_its_files(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "new" / "scene") as part:
        (part / "one").write_text("1")
        assert not (tmp_path / "new" / "scene").exists()
        (part / "two").write_text("2")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["scene"]
    assert sorted(path.name for path in (tmp_path / "new" / "scene").iterdir()) == ["one", "two"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_in_the_middle_leaves_no_folder(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), whole_folder(tmp_path / "scene") as part:
        (part / "one").write_text("1")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_of_a_folder_is_replaced(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "scene") as part:
        left = part
    left.mkdir()
    (left / "half").write_text("1")
    (tmp_path / "scene").rmdir()
    with whole_folder(tmp_path / "scene") as part:
        (part / "one").write_text("1")
    assert [path.name for path in tmp_path.rglob("*")] == ["scene", "one"]


def test_a_folder_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "scene").mkdir()
    (tmp_path / "scene" / "old").write_text("1")
    with pytest.raises(OSError, match="not empty"), whole_folder(tmp_path / "scene") as part:
        (part / "new").write_text("2")
    assert [path.name for path in tmp_path.rglob("*")] == ["scene", "old"]
