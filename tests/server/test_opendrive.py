"""Broken OpenDRIVE: roads are skipped, references dropped, the rest refused, and the wheel lives through all of it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import carla
import pytest

from carla_cp.server.opendrive import OpenDriveError, mend, try_out
from tests.server.conftest import CROSSING, PATIENCE_S
from tests.server.opendrive import LINE, TWO_LANES, Road, lane, piece, poly, section, world

GOOD = Road(2, plan=piece(0, 0, 50, 0, 200, "<line/>"))
CROSSING_TEXT = CROSSING.read_text(encoding="utf-8")
NAN = float("nan")


def shaped(shape: str) -> Road:
    return Road(plan=piece(0, 0, 0, 0, 200, shape))


def right(*lanes: str) -> Road:
    return Road(sections=section(0, lane(1, "driving", (0, 3.5)), "".join(lanes)))


BROKEN = {
    "its planView has no geometry": Road(plan=""),
    "begins at s=50": Road(plan=piece(50, 0, 0, 0, 150, "<line/>")),
    "it is -5 m long": Road(length=-5),
    "it is 0 m long": Road(length=0),
    "it is nan m long": Road(length=NAN),
    "has x='nan'": Road(plan=piece(0, NAN, 0, 0, 200, "<line/>")),
    "has hdg='inf'": Road(plan=piece(0, 0, 0, float("inf"), 200, "<line/>")),
    "is -200.0 m long": Road(plan=piece(0, 0, 0, 0, -200, "<line/>")),
    "has no shape that is known": shaped("<bezier/>"),
    "the arc at s=0.0 has curvature='nan'": shaped('<arc curvature="nan"/>'),
    "the spiral at s=0.0 has curvEnd=None": shaped('<spiral curvStart="0"/>'),
    "stays at one point": shaped(
        '<paramPoly3 aU="0" bU="0" cU="0" dU="0" aV="0" bV="0" cV="0" dV="0" pRange="normalized"/>'
    ),
    "an elevation has a='nan'": Road(elevation=poly("elevation", "s", (0, NAN))),
    "a laneOffset has a='nan'": Road(offset=poly("laneOffset", "s", (0, NAN))),
    "it has no laneSection": Road(sections=""),
    "its laneSections begin at [0.0, 300.0] on 200.0 m": Road(
        sections=TWO_LANES + TWO_LANES.replace("0.0", "300.0", 1)
    ),
    "its laneSections begin at [0.0, 0.0]": Road(sections=TWO_LANES * 2),
    "has the right lanes ['-1', '-3']": right(lane(-1, "driving", (0, 3.5)), lane(-3, "driving", (0, 3.5))),
    "has the right lanes ['-1', '-1']": right(lane(-1, "driving", (0, 3.5)), lane(-1, "driving", (0, 3.5))),
    "has the right lanes ['x']": right(lane(-1, "driving", (0, 3.5)).replace('"-1"', '"x"')),
    "has no type": right(lane(-1, "driving", (0, 3.5)).replace(' type="driving"', "")),
    "a width of lane -1 of the laneSection at s=0.0 has a='nan'": right(lane(-1, "driving", (0, NAN))),
    "is -3.5 m wide": right(lane(-1, "driving", (0, -3.5))),
    "is 1e+09 m wide": right(lane(-1, "driving", (0, 1e9))),
    "an elevation reaches 8e+06 m": Road(elevation=poly("elevation", "s", (0, 0, 0, 0, 1.0))),
    "a laneOffset reaches 2000 m": Road(offset=poly("laneOffset", "s", (0, 0, 10.0))),
    "begins at sOffset=50": right(lane(-1, "driving", (50, 3.5))),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_road_is_skipped_and_named_and_the_others_stay(what: str) -> None:
    mended = mend(world(BROKEN[what], GOOD))
    assert [fault for fault in mended.skipped if fault.startswith("road 1 is skipped: ") and what in fault]
    assert (len(mended.skipped), mended.dropped) == (1, ())
    assert {waypoint.road_id for waypoint in carla.Map("m", mended.text).generate_waypoints(20.0)} == {2}


def test_the_second_road_of_an_id_is_skipped_and_so_is_one_without_a_number() -> None:
    mended = mend(world(Road(1), Road(1), GOOD).replace('id="2" junction', 'id="two" junction'))
    assert [fault.partition(":")[0] for fault in mended.skipped] == ["road 1 is skipped", "road two is skipped"]


def test_a_road_far_away_from_the_others_is_skipped_and_a_map_may_lie_anywhere() -> None:
    far = Road(3, plan=piece(0, 6e5, 5e6, 0, 200, "<line/>"))
    assert mend(world(Road(1), GOOD, far)).skipped == (
        "road 3 is skipped: it begins at (600000.0, 5000000.0), 5036 km from the others; give one within 50 km",
    )
    assert mend(world(far)).skipped == ()


LIGHT = (
    '<signals><signal s="{s}" t="-4" id="5" dynamic="yes" orientation="+" zOffset="0" type="1000001" subtype="-1"/>'
    "</signals>"
)
REFERENCE = '<signals><signalReference s="50" t="0" id="44" orientation="+"/></signals>'
CROSSWALK = '<objects><object id="8" type="crosswalk" s="nan" t="0"/></objects>'
LOOSE = Road(
    link='<successor elementType="road" elementId="2" contactPoint="start"/>',
    sections=section(
        0, lane(1, "driving", (0, 3.5)), lane(-1, "driving", (0, 3.5), extra='<link><successor id="-9"/></link>')
    ),
)
INSIDE = Road(
    sections=section(0, "", lane(-1, "driving", (0, 3.5)))
    + section(100, "", lane(-1, "driving", (0, 3.5), extra='<link><predecessor id="7"/></link>'))
)
DANGLING = {
    "road 1: the successor -9 of lane -1 is no lane there": world(LOOSE, GOOD),
    "road 1: the predecessor 7 of lane -1 is no lane there": world(INSIDE),
    "road 1: its successor, road 77, is nowhere": world(Road(link='<successor elementType="road" elementId="77"/>')),
    "road 1: the signal 5 at s=900": world(Road(rest=LIGHT.format(s=900))),
    "road 1: the signal 5 at s=nan": world(Road(rest=LIGHT.format(s="nan"))),
    "road 1: the signalReference 44 names no signal": world(Road(rest=REFERENCE)),
    "road 1: the object 8 at s=nan": world(Road(rest=CROSSWALK)),
    "controller 110: the signal 999 is nowhere": CROSSING_TEXT.replace('signalId="101"', 'signalId="999"'),
    "the connectingRoad 9999 is nowhere": re.sub(
        r'(<connection [^>]*)connectingRoad="[^"]*"', r'\1connectingRoad="9999"', CROSSING_TEXT, count=1
    ),
}


@pytest.mark.parametrize("what", DANGLING)
def test_a_reference_to_nothing_is_dropped_and_named_and_no_road_with_it(what: str) -> None:
    mended = mend(DANGLING[what])
    assert (len(mended.skipped), len(mended.dropped)) == (0, 1)
    assert what in mended.dropped[0]
    try_out(mended.text)


def test_what_hung_on_a_skipped_road_is_dropped_too() -> None:
    text = re.sub(r'(<road [^>]*length=")', r"\1-", CROSSING_TEXT, count=1)
    mended = mend(text)
    assert len(mended.skipped) == 1
    assert any("signal 101 is nowhere" in fault for fault in mended.dropped)
    assert any("incomingRoad 1 is nowhere" in fault for fault in mended.dropped)
    try_out(mended.text)


@pytest.mark.parametrize("name", ["crossing", "train_grid", "test_bends"])
def test_a_good_map_is_left_as_it_is(name: str) -> None:
    text = CROSSING.with_name(f"{name}.xodr").read_text(encoding="utf-8")
    assert mend(text).text is text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CROSSING_TEXT[: len(CROSSING_TEXT) // 2], "no whole XML document"),
        ("", "no whole XML document"),
        ("{}", "no whole XML document"),
        ("<html><body>404</body></html>", "its root is <html>"),
        ("<OpenDRIVE/>", "it has no road"),
        (world(Road(plan="")), "road 1 is skipped"),
    ],
)
def test_a_text_of_which_nothing_can_be_used_is_refused(text: str, said: str) -> None:
    with pytest.raises(OpenDriveError, match=said):
        mend(text)


def test_a_spiral_of_one_curvature_becomes_an_arc_or_a_line() -> None:
    for curvature, shape in (("0.01", "arc"), ("0", "line")):
        mended = mend(world(shaped(f'<spiral curvStart="{curvature}" curvEnd="{curvature}"/>')))
        assert f"<{shape}" in mended.text and not mended.skipped
        try_out(mended.text)


def test_a_start_that_is_off_by_rounding_is_moved_and_a_namespace_is_removed() -> None:
    text = world(Road(plan=LINE.replace('s="0"', 's="1e-9"'))).replace(
        "<OpenDRIVE>", '<OpenDRIVE xmlns="http://code.asam.net/simulation/standard/opendrive_schema">'
    )
    mended = mend(text)
    assert (mended.skipped, mended.dropped) == ((), ())
    assert "xmlns" not in mended.text
    try_out(mended.text)


@pytest.mark.parametrize("width", ['<width a="0"/>', '<width sOffset="x" a="0"/>'])
def test_a_width_of_the_middle_means_nothing(width: str) -> None:
    centre = '<lane id="0" type="none" level="false"'
    mended = mend(world(GOOD).replace(f"{centre}/>", f"{centre}>{width}</lane>", 1))
    assert (mended.skipped, mended.dropped) == ((), ())
    assert width in mended.text
    try_out(mended.text)


def test_a_road_is_level_before_its_first_elevation() -> None:
    mended = mend(world(Road(elevation=poly("elevation", "s", (100, 2.0)))))
    try_out(mended.text)
    heights = [carla.Map("m", mended.text).get_waypoint_xodr(1, -1, s).transform.location.z for s in (50.0, 150.0)]
    assert heights == [0.0, 2.0]


def test_the_trial_tells_a_crash_an_error_and_places_that_are_no_numbers() -> None:
    for text, said in (
        (world(Road(plan="")), "ends on it by signal 11"),
        (world(GOOD).replace("+lat_0=0", "+lat_0=zz"), "stod"),
        (world(shaped('<spiral curvStart="0.01" curvEnd="0.01"/>')), "road 1 has places that are no numbers"),
    ):
        with pytest.raises(OpenDriveError, match=said):
            try_out(text)


HANGING = """
import sys
from carla_cp.server import opendrive
opendrive._TRIAL = "import time; open(sys.stdin.read(), 'w').write(str(os.getpid())); time.sleep(300)"
opendrive.try_out(sys.argv[1])
"""


def alive(process: str) -> bool:
    """Whether it runs; one that waits to be buried does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_trial_that_hangs_ends_with_the_server_that_is_killed_meanwhile(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", HANGING, str(told)]) as server:
        while not (told.exists() and told.read_text()):
            assert server.poll() is None
            time.sleep(0.01)
        server.kill()
    patience = time.monotonic() + PATIENCE_S
    while alive(told.read_text()):
        assert time.monotonic() < patience
        time.sleep(0.01)


def test_the_official_client_lives_through_broken_maps(crossing_port: int) -> None:
    client = carla.Client("127.0.0.1", crossing_port)
    client.set_timeout(PATIENCE_S)
    crossing = client.load_world("crossing")
    for text in (world(Road(plan="")), CROSSING_TEXT[:5000], "no map at all"):
        with pytest.raises(RuntimeError, match="OpenDriveMap: not a usable OpenDRIVE map"):
            client.generate_opendrive_world(text)
    assert crossing.get_map().name.endswith("crossing")
    mended = client.generate_opendrive_world(world(Road(plan=""), Road(3, plan=shaped("<spiral/>").plan), GOOD))
    assert {waypoint.road_id for waypoint in mended.get_map().generate_waypoints(20.0)} == {2}
