"""Maps that are refused before the wheel's own reader crashes on them."""

from __future__ import annotations

import re

import pytest

from carla_cp.server.maps import MapError, MapLibrary, load_map
from tests.server.conftest import CROSSING

GOOD = CROSSING.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [
        (r'signalId="101"', 'signalId="999"', "controller 110 names the signal 999"),
        (r'signalId="101"', "", "controller 110 names the signal None"),
        (r'(<road [^>]*length=")', r"\1-", r"is -[\d.]+ m long"),
        (r'(<road [^>]*length=")[^"]*', r"\g<1>1e9", "is 1000000000.0 m long"),
        (r'(<road [^>]*) length="[^"]*"', r"\1", "is nan m long"),
        (r'(<lane [^>]*?)id="[^"]*"', r"\1", "has a lane without an id"),
        (r'(<connection [^>]*)connectingRoad="[^"]*"', r'\1connectingRoad="9999"', "OpenDRIVE"),
        (r'(<controller [^>]*)sequence="[^"]*"', r'\1sequence="first"', "first"),
    ],
)
def test_a_map_with_one_fault_is_refused_in_one_line(pattern: str, replacement: str, said: str) -> None:
    text = re.sub(pattern, replacement, GOOD, count=1)
    assert text != GOOD
    with pytest.raises(MapError, match=said) as error:
        load_map("crossing", text)
    assert "\n" not in str(error.value)


def test_a_map_is_built_once_until_its_text_changes() -> None:
    library = MapLibrary([CROSSING])
    first = library.get("Carla/Maps/crossing")
    assert library.get("crossing") is first
    library.put_generated(GOOD)
    assert library.get("OpenDriveMap") is not first
