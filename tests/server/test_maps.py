"""Maps with faults, and when a map is built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from carla_cp.server.maps import MapError, MapLibrary, load_map
from tests.server.conftest import CROSSING
from tests.server.opendrive import Road, world

GOOD = CROSSING.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [
        (r'signalId="101"', 'signalId="999"', "controller 110: the signal 999 is nowhere"),
        (r'signalId="101"', "", "controller 110: the signal None is nowhere"),
        (r'(<road [^>]*length=")', r"\1-", r"road 1 is skipped: it is -[\d.]+ m long"),
        (r'(<road [^>]*length=")[^"]*', r"\g<1>1e9", "road 1 is skipped: it is 1e9 m long"),
        (r'(<road [^>]*) length="[^"]*"', r"\1", "road 1 is skipped: it is None m long"),
        (r'(<lane [^>]*?)id="[^"]*"', r"\1", "road 1 is skipped: .* has the left lanes"),
        (
            r'(<connection [^>]*)connectingRoad="[^"]*"',
            r'\1connectingRoad="9999"',
            "junction 100: the connectingRoad 9999",
        ),
        (
            r"</lanes>",
            '</lanes><objects><object id="5" name="Speed_x" s="20" t="-5" zOffset="0" hdg="0"/></objects>',
            r"road 1: the object 5, 'Speed_x', tells no speed and is dropped",
        ),
        (r'(<controller [^>]*)sequence="[^"]*"', r'\1sequence="first"', "controller 110: the sequence 'first'"),
    ],
)
def test_a_map_with_one_fault_loads_without_it_and_the_fault_is_told(
    pattern: str, replacement: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = re.sub(pattern, replacement, GOOD, count=1)
    assert text != GOOD
    loaded = load_map("crossing", text, "maps/crossing.xodr")
    assert loaded.mended.skipped + loaded.mended.dropped
    assert re.search(f"map maps/crossing.xodr: {said}", caplog.text)
    assert re.search(rf"{len(loaded.mended.skipped)} roads skipped, {len(loaded.mended.dropped)} ref", caplog.text)


def test_a_good_map_is_served_as_it_was_given(caplog: pytest.LogCaptureFixture) -> None:
    assert load_map("crossing", GOOD).opendrive is GOOD
    assert not caplog.text


def test_what_other_programs_keep_in_a_file_under_the_name_of_a_road_is_none() -> None:
    text = world(Road(rest='<userData code="editor"><road/></userData>'))
    assert load_map("a", text).mended.skipped == ()


def test_a_map_of_which_no_road_is_left_is_refused_in_one_line() -> None:
    with pytest.raises(MapError, match=r"^map a.xodr: .*road 1 is skipped: its planView has no geometry") as error:
        load_map("a", world(Road(plan="")), "a.xodr")
    assert "\n" not in str(error.value)


def test_a_map_is_built_once_until_its_text_changes() -> None:
    library = MapLibrary([CROSSING])
    first = library.get("Carla/Maps/crossing")
    assert library.get("crossing") is first
    library.put_generated(GOOD)
    assert library.get("OpenDriveMap") is not first


def test_a_broken_file_of_a_folder_is_named_at_once_and_again_to_whoever_loads_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, text in (("a_cut", GOOD[:500]), ("b_good", GOOD), ("c_empty", "<OpenDRIVE/>")):
        (tmp_path / f"{name}.xodr").write_text(text, encoding="utf-8")
    (tmp_path / "d_bytes.xodr").write_bytes(b"\xff\xfe\x00")
    library = MapLibrary([], sorted(tmp_path.glob("*.xodr")))
    assert library.names == ["/Game/Carla/Maps/b_good", "/Game/Carla/Maps/StraightRoad"]
    assert library.first == "b_good"
    for name in ("a_cut", "c_empty", "d_bytes"):
        told = [message for message in caplog.messages if f"{tmp_path / name}.xodr: " in message]
        assert len(told) == 1
        assert told[0].endswith("; left out")
        with pytest.raises(MapError, match=rf"^map {tmp_path / name}.xodr: "):
            library.get(f"/Game/Carla/Maps/{name}")


def test_the_file_of_map_is_first_and_hides_its_namesake_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.xodr").write_text(GOOD, encoding="utf-8")
    (tmp_path / "crossing.xodr").write_text("<OpenDRIVE", encoding="utf-8")
    library = MapLibrary([CROSSING], sorted(tmp_path.glob("*.xodr")))
    assert library.first == "crossing"
    assert library.names == [f"/Game/Carla/Maps/{name}" for name in ("crossing", "a", "StraightRoad")]
    assert library.get("crossing").opendrive == GOOD
