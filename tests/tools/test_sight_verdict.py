"""Which situations are kept, and what is said of those that are not."""

from __future__ import annotations

from dataclasses import replace

from sight_verdict import COLUMNS, judge, occluders

from tests.metrics.builders import state, thing
from tests.tools.drives import drive, intersection, since

LATE, EARLY = since(8), since(31)


def test_a_situation_that_only_the_team_can_master_is_kept() -> None:
    verdict = judge([drive({"hero": LATE, "cav": EARLY, "rsu_1": EARLY})])
    assert verdict.faults == ()
    assert len(verdict.row) == len(COLUMNS)
    assert verdict.row[-2:] == ("cav rsu_1", "ok")


def test_one_that_the_ego_masters_alone_in_most_seeds_is_refused() -> None:
    kept = drive({"hero": LATE, "cav": EARLY, "rsu_1": EARLY})
    easy = drive({"hero": since(15), "cav": EARLY, "rsu_1": EARLY})
    assert judge([kept] * 7 + [easy] * 3).faults == ()
    assert judge([kept] * 6 + [easy] * 4).faults[0] == "the ego alone is too late in 6 of 10 seeds, 70% are needed"


def test_one_that_the_team_sees_too_late_in_a_single_seed_is_refused() -> None:
    kept = drive({"hero": LATE, "cav": EARLY, "rsu_1": EARLY})
    late = drive({"hero": LATE, "cav": since(10), "rsu_1": since(10)})
    (fault,) = judge([kept] * 9 + [late]).faults
    assert fault.startswith("seed 0: the team sees it 0.90 s before, too late")


def test_one_without_a_contact_says_who_is_in_the_way_or_how_near_they_pass() -> None:
    returns = {"hero": LATE, "cav": EARLY, "rsu_1": EARLY}
    assert "passes 'violator' at 1.5 m" in judge([drive(returns, touched=None)]).faults[1]
    assert "touches 'occluder'" in judge([drive(returns, touched="occluder")]).faults[1]


def test_agents_that_see_it_first_must_be_those_that_the_file_names() -> None:
    quiet = drive({"hero": LATE, "cav": EARLY, "rsu_1": since(3)})
    assert judge([quiet] * 2).faults == ()
    other = drive({"hero": LATE, "cav": EARLY, "rsu_1": EARLY, "rsu_2": EARLY})
    assert judge([other]).faults[0].endswith('write seen_by="cav rsu_1 rsu_2"')
    (fault,) = judge([quiet] * 10).faults
    assert fault.endswith('has seen_by="cav rsu_1", but who sees it before the ego is: write seen_by="cav"')


def test_a_control_touches_nothing_and_brakes_for_nobody() -> None:
    clear = replace(intersection("x_clear"), hazards=())
    free = drive({"hero": since(0)}, clear, touched=None)
    assert judge([free]).faults == ()
    assert judge([replace(free, hardest_brake_mps2=5.0, braked_for="light")]).faults == ()
    assert "conflict (van)" in judge([replace(free, hardest_brake_mps2=5.0, braked_for="conflict (van)")]).faults[0]
    assert "touches 'van'" in judge([drive({"hero": since(0)}, clear, touched="van")]).faults[0]
    assert "'violator' is one" in judge([drive({"hero": LATE}, intersection("x_clear"))]).faults[0]


def test_a_passive_variant_has_no_sender_that_sees_it_before_the_ego() -> None:
    passive = intersection("x_passive")
    assert judge([drive({"hero": LATE, "south": since(6)}, passive)]).faults == ()
    assert "'south' sees the hazard" in judge([drive({"hero": LATE, "south": EARLY}, passive)]).faults[0]


def test_a_main_scenario_has_a_hazard() -> None:
    assert "no <hazard>" in judge([drive({"hero": LATE}, replace(intersection(), hazards=()))]).faults[0]


def test_who_stands_in_between_is_named() -> None:
    seen = drive({"hero": LATE})
    look = seen.looks[0]
    far = (thing("violator", state(20.0)), thing("van", state(-20.0)), thing("beside", state(-20.0, 8.0)))
    tall = tuple(replace(item, box=(*item.box[:5], 4.0, 0.0)) for item in far)
    assert occluders(seen, replace(look, ego=state(-60.0), objects=tall)) == ("van",)
