"""The table of situations, and what of them is served."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sight_listing import SummaryError, listing, served_ap, situation_of
from sight_verdict import judge
from sights import Drive

from carla_cp.types import ObjectClass
from tests.metrics.builders import state, thing
from tests.tools.drives import drive, intersection, since


def behind_a_van() -> Drive:
    """The hazard 20 m ahead, with a tall van in between."""
    seen = drive({"hero": since(8), "cav": since(31), "rsu_1": since(31)})
    van = replace(thing("van", state(-20.0), id=8), blueprint="vehicle.mercedes.sprinter")
    tall = tuple(replace(item, box=(*item.box[:5], 4.0, 0.0)) for item in (thing("violator", state(20.0)), van))
    return replace(seen, looks=tuple(replace(look, ego=state(-60.0), objects=tall) for look in seen.looks))


def summary(folder: Path, *episodes: tuple[str, str, float | None]) -> Path:
    """A summary of scenario, codec and AP of vehicles."""
    rows = []
    for scenario, codec, ap in episodes:
        values = {label.name.lower(): {"0.3": None} for label in ObjectClass} | {"vehicle": {"0.3": ap}}
        rows.append({"scenario": scenario, "codec": codec, "ap_by_class": values})
    (folder / "summary.json").write_text(json.dumps({"episodes": rows}))
    return folder / "summary.json"


def test_a_row_says_what_hides_what_who_sees_it_and_the_margin() -> None:
    seen = behind_a_van()
    situation = situation_of([seen], judge([seen]))
    assert situation is not None
    row = listing([situation], 1, "it", {}).splitlines()[-3]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["`intersection`", "vehicle `violator`", "sprinter", "cav rsu_1"]
    assert cells[4:] == ["0.70/0.70/0.70", "3.00/3.00/3.00", "1.75/1.75/1.75", "not measured"]


def test_one_whose_class_is_not_detected_is_not_served() -> None:
    seen = behind_a_van()
    situation = situation_of([seen], judge([seen]))
    assert situation is not None
    key = ("intersection", ObjectClass.VEHICLE)
    assert "| yes, AP 0.90 |" in listing([situation], 1, "it", {key: 0.9})
    assert "| not served, AP 0.21 |" in listing([situation], 1, "it", {key: 0.21})


def test_variants_have_no_row() -> None:
    for name in ("x_clear", "x_passive"):
        seen = drive({"hero": since(8)}, intersection(name))
        assert situation_of([seen], judge([seen])) is None


def test_the_ap_of_a_class_is_its_mean_over_the_episodes_with_all_features(tmp_path: Path) -> None:
    path = summary(tmp_path, ("a", "raw", 0.8), ("a", "raw", 0.6), ("a", "late", 0.1), ("b", "raw", None))
    assert served_ap(path) == {("a", ObjectClass.VEHICLE): pytest.approx(0.7)}


def test_a_summary_that_says_nothing_of_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(SummaryError, match="has no episode with raw"):
        served_ap(summary(tmp_path, ("a", "late", 0.8)))
    (tmp_path / "summary.json").write_text("[]")
    with pytest.raises(SummaryError, match=r"is no summary\.json"):
        served_ap(tmp_path / "summary.json")
