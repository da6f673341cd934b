"""What an evaluation loads, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from carla_cp.codecs import CodecError, parse_choice
from carla_cp.codecs.infocom import InfocomCodec
from carla_cp.codecs.raw import RawCodec
from carla_cp.codecs.revqom import RevqomCodec
from carla_cp.perception.checkpoint import load_detector, load_trainable, save_rule, start_rule
from tests.tools.claims import load_tool, save_claimer

parts = load_tool("evaluation_parts")


def test_a_codec_of_bev_features_is_refused_where_the_rule_takes_every_scale(tmp_path: Path) -> None:
    detector = load_trainable(save_claimer(tmp_path))
    save_rule(start_rule(detector, "attention"), tmp_path)
    equipment = object.__new__(parts.Equipment)
    equipment.detectors = {"attention": load_detector(tmp_path, fusion="attention")}
    equipment.codecs = {"raw": RawCodec(), "infocom": InfocomCodec(), "revqom": RevqomCodec()}
    for name in ("raw", "infocom"):
        equipment.check(parts.Row(parse_choice(name), "attention"))
    with pytest.raises(CodecError, match="--codec revqom shares BEV features"):
        equipment.check(parts.Row(parse_choice("revqom"), "attention"))


def test_tallies_and_outcomes_are_joined_in_order() -> None:
    first, second = (parts.Tally([()], [size], [0], [2.0 * size], [size], 1) for size in (3, 4))
    joined = parts.Outcome([first], ["a"], [2], [], numbers=[0])
    joined.add(parts.Outcome([second], ["b"], [3], ["b frame 1: broken"], numbers=[5]))
    (tally,) = joined.tallies
    assert tally == parts.Tally([(), ()], [3, 4], [0, 0], [6.0, 8.0], [3, 4], 2)
    assert (joined.scenes, joined.numbers, joined.agents) == (["a", "b"], [0, 5], [2, 3])


def test_silence_is_the_same_row_whatever_disturbs_it(tmp_path: Path) -> None:
    none, late = parts.Row(parse_choice("none"), "max", delay=2), parts.Row(parse_choice("late"), "max", delay=2)
    equipment = parts.Equipment(save_claimer(tmp_path), [parts.Row(none.choice), parts.Row(late.choice)])
    assert equipment.effective(none) == parts.Row(none.choice)
    assert equipment.effective(late) == replace(late, fusion=None)
