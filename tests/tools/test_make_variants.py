"""The control and the passive variant of a scenario, and that the committed ones are what the tool writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from make_variants import main, variants
from xml_spans import edited, elements

from carla_cp.scenario import load_scenario
from carla_cp.types import Scenario

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The intersection alone, with its map."""
    (tmp_path / "maps").mkdir()
    shutil.copy(SCENARIOS / "maps" / "crossing.xodr", tmp_path / "maps")
    shutil.copy(SCENARIOS / "intersection.xml", tmp_path)
    return tmp_path


def written(folder: Path, old: str = "", new: str = "") -> tuple[Scenario, Scenario, Scenario]:
    """The intersection with one text replaced, its control and its passive variant."""
    path = folder / "intersection.xml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert main([str(folder)]) == 0
    return tuple(load_scenario(folder / f"intersection{ending}.xml") for ending in ("", "_clear", "_passive"))


def test_the_committed_variants_are_what_the_tool_writes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(SCENARIOS), "--check"]) == 0, capsys.readouterr().out


def test_a_lawful_hazard_stays_in_the_control_and_keeps_the_rules(folder: Path) -> None:
    risky, clear, _ = written(folder)
    assert clear.hazards == () and clear.name == "intersection_clear"
    assert (clear.actors[1:], clear.connected, clear.rsus) == (risky.actors[1:], risky.connected, risky.rsus)
    assert clear.actors[0].obeys_lights and clear.actors[0].yields
    assert clear.actors[0].arrival == risky.actors[0].arrival


def test_any_other_hazard_is_gone_with_its_companions(folder: Path) -> None:
    risky, clear, _ = written(folder, 'control="lawful"', 'companions="walker_1 cav"')
    gone = {"violator", "walker_1", "cav"}
    assert {item.rolename for item in risky.actors} - {item.rolename for item in clear.actors} == gone
    assert {item.rolename for item in clear.connected} == {"hero"}


def test_in_the_passive_variant_those_who_see_it_are_there_and_silent(folder: Path) -> None:
    risky, _, passive = written(folder, 'seen_by="cav rsu_1"', 'seen_by="cav"')
    assert passive.actors == risky.actors
    assert [item.rolename for item in passive.connected] == ["hero"] and passive.rsus == risky.rsus
    assert passive.hazards[0].rolename == "violator" and passive.hazards[0].seen_by == ()


def test_a_hazard_that_is_connected_is_silent_in_the_passive_variant(folder: Path) -> None:
    written(folder, 'seen_by="cav rsu_1"', 'seen_by="rsu_1"')
    _, clear, passive = written(folder, '<connected_vehicle actor="cav">', '<connected_vehicle actor="violator">')
    assert [item.rolename for item in passive.connected] == ["hero"]
    assert [item.rolename for item in clear.connected] == ["hero", "violator"]


def test_all_else_is_as_it_was_written(folder: Path) -> None:
    path = folder / "intersection.xml"
    lines = path.read_text().splitlines()
    for _, text in variants(path):
        kept = text.splitlines()
        assert kept[2:6] == lines[1:5]  # the comment
        assert sum(line not in lines for line in kept) <= 3  # a note, the name, what was tamed or silenced


def test_a_variant_that_was_changed_by_hand_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(folder)
    path = folder / "intersection_clear.xml"
    path.write_text(path.read_text().replace('speed="12"', 'speed="11"'))
    assert main([str(folder), "--check"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{path}: not what")
    assert main([str(folder)]) == 0 and main([str(folder), "--check"]) == 0


def test_what_has_no_variants_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(folder)
    (folder / "plain.xml").write_text((folder / "intersection_clear.xml").read_text().replace("section_clear", "plain"))
    for argument in (folder / "intersection_clear.xml", folder / "gone.xml", folder / "plain.xml"):
        assert main([str(argument)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_elements_are_left_out_by_their_places_in_the_text() -> None:
    text = "<a>\n  <!-- <b/> é -->\n  <b x=\"é>\"\n     y='1'/>\n  <c><b/></c> tail\n</a>\n"
    found = elements(text)
    assert [item.tag for item in found] == ["a", "b", "c", "b"]
    assert text[found[1].start : found[1].end] == "<b x=\"é>\"\n     y='1'/>"
    assert edited(text, [], found[1:]) == "<a>\n  <!-- <b/> é --> tail\n</a>\n"
    assert edited(text, [(found[1], found[1].without_attributes("x"))], found[2:3]).count("<b y=") == 0
    assert found[1].with_attribute("y", "2") == '<b x="é>"\n     y="2"/>'
    assert found[1].without_attributes("x", "z") == "<b\n     y='1'/>"
