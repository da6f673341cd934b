"""The tool as a user meets it: the committed situation, one that is refused, and bad input."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from blind_drive import drive_blind
from check_scenario import main, table
from PIL import Image
from sight_picture import draw_sights
from sights import sights_of

from carla_cp.scenario import load_scenario
from carla_cp.world import World

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


def broken(folder: Path, *changes: tuple[str, str]) -> str:
    """The intersection with some texts replaced."""
    (folder / "maps").mkdir()
    shutil.copy(SCENARIOS / "maps" / "crossing.xodr", folder / "maps")
    text = (SCENARIOS / "intersection.xml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "intersection.xml").write_text(text)
    return str(folder / "intersection.xml")


def test_the_ego_drives_blind_into_a_hazard_that_its_team_saw_long_before(
    tmp_path: Path, server_address: tuple[str, int]
) -> None:
    world = World(*server_address)
    drive = drive_blind(world, load_scenario(SCENARIOS / "intersection.xml"), 0)
    world.close()
    seen = sights_of(drive)
    assert seen is not None and drive.contact is not None
    assert drive.contact.way_speed_mps == pytest.approx(drive.scenario.ego.speed_mps, abs=0.5)
    assert seen.early == ("cav", "rsu_1")
    assert seen.short_s > 0.0 and seen.margin_s > 2.0
    draw_sights(drive, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 600
    assert (tmp_path / "a.png").stat().st_size < 40_000


def test_a_situation_in_which_nothing_happens_is_refused_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = broken(tmp_path, ('<timeout value="20"/>', '<timeout value="0.3"/>'))
    assert main([scenario, "--seeds", "0", "--list", str(tmp_path / "README.md")]) == 1
    said = capsys.readouterr()
    assert "passes 'violator' at" in said.err and "refused" in said.out
    assert "refused: the ego alone is too late in 0 of 1 seeds" in (tmp_path / "README.md").read_text()
    assert (tmp_path / "pictures" / "intersection.png").is_file()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('actor="violator" type', 'actor="violater" type', "unknown actor 'violater'"),
        ('seen_by="cav rsu_1"', 'seen_by="cav rsu_2"', "seen_by names 'rsu_2', which cannot be"),
        ('<waypoint x="-14" y="5.25"', '<waypoint x="-14" y="45"', "x=-14.0 y=45.0 is not on a driving lane"),
        ('<channel model="fixed"', '<channel model="trace" trace_file="maps/gap.csv"', "leaves a gap of more than 1 s"),
    ],
)
def test_bad_input_is_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, named: str
) -> None:
    scenario = broken(tmp_path, (old, new))
    rows = "time_s,sender,receiver,latency_ms,loss\n0,*,*,20,0\n3,*,*,20,0\n"
    (tmp_path / "maps" / "gap.csv").write_text(rows)
    assert main([scenario, "--seeds", "0"]) == 2
    said = capsys.readouterr().err
    assert named in said and said.count("\n") == 1


def test_a_table_has_columns_as_wide_as_their_widest_cell() -> None:
    assert table([("a", "bbb"), ("cc", "d")]) == "a   bbb\ncc  d"
