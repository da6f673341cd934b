"""Maps with faults, and when a map is built."""

from __future__ import annotations

import re

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
