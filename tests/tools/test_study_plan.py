"""Blocks to episodes: each once, seed by seed, and without those that have no file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from study_blocks import BLOCKS, Block
from study_plan import in_order, plan_block, unplanned

from carla_cp.codecs import parse_choice
from carla_cp.scenario import ScenarioError

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
FEW = Block("few", ("intersection", "nowhere"), ("none", "late@2KB"), (0, 1))
SWEEP = Block("sweep", ("intersection",), ("late@2KB",), (0, 1), (("link.loss=0",), ("link.loss=0.5",)))


def test_a_block_is_every_situation_codec_point_and_seed() -> None:
    few, sweep = plan_block(FEW, SCENARIOS), plan_block(SWEEP, SCENARIOS)
    assert few.absent == ("nowhere",) and len(few.cells) == 4
    assert [cell.task.scenario.channel.loss for cell in sweep.cells] == [0, 0, 0.5, 0.5]
    assert {cell.key.settings for cell in sweep.cells} == {("link.loss=0",), ("link.loss=0.5",)}


def test_episodes_come_seed_by_seed_and_each_once() -> None:
    cells = in_order([plan_block(FEW, SCENARIOS), plan_block(SWEEP, SCENARIOS), plan_block(FEW, SCENARIOS)])
    assert [cell.task.seed for cell in cells] == [0] * 4 + [1] * 4
    assert [cell.key.codec for cell in cells[:4]] == ["none@max", "late@2000", "late@2000", "late@2000"]
    assert len({cell.key for cell in cells}) == 8


def test_files_that_no_block_asks_for_are_named(tmp_path: Path) -> None:
    for name in ("intersection", "newcomer"):
        shutil.copy(SCENARIOS / "intersection.xml", tmp_path / f"{name}.xml")
    assert unplanned([FEW], tmp_path) == ["newcomer"]


def test_a_setting_that_is_none_is_named() -> None:
    with pytest.raises(ScenarioError, match=r"link\.los=1"):
        plan_block(Block("wrong", ("intersection",), ("none",), (0,), (("link.los=1",),)), SCENARIOS)


def test_the_study_is_what_it_promises_to_be() -> None:
    blocks = {block.name: block for block in BLOCKS}
    asked = [parse_choice(text).label for text in blocks["situations"].codecs]
    budgeted = ("late", "where2comm", "infocom", "revqom", "dense_sparse")
    assert asked == ["none@max", *(f"{name}@2000" for name in budgeted), "raw@max", "oracle@max"]
    assert {f"{name}@{size}" for name in budgeted for size in (500, 8000)} <= {
        parse_choice(text).label for text in blocks["budgets"].codecs
    }
    assert len(blocks["budgets"].situations) == 4 and len(blocks["situations"].seeds) == 10
    for name in ("latency", "loss", "pose", "senders"):
        block = blocks[name]
        assert (len(block.situations), len(block.codecs), len(block.seeds)) == (1, 2, 5) and len(block.points) <= 6
