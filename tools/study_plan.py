"""A study's blocks as episodes to play, in an order whose beginning is worth reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from study_blocks import Block
from study_ledger import Key

from carla_cp.codecs import parse_choice
from carla_cp.options import check_link
from carla_cp.scenario import load_scenario, override
from carla_cp.session import Task
from carla_cp.types import Scenario


@dataclass(frozen=True, slots=True)
class Cell:
    """One episode that a study asks for."""

    key: Key
    task: Task


@dataclass(frozen=True, slots=True)
class Planned:
    """A block with the episodes that it asks for; those of situations without a file are left out."""

    block: Block
    cells: tuple[Cell, ...]
    absent: tuple[str, ...]  # such situations


def plan_block(block: Block, scenarios: Path) -> Planned:
    """The episodes of a block, of scenario files in a folder.

    Raises ScenarioError, CodecError or OptionError for a file, setting or codec that is wrong.
    """
    choices = tuple(parse_choice(text) for text in block.codecs)
    there = [name for name in block.situations if _file(scenarios, name).is_file()]
    cells = []
    for name in there:
        nominal = load_scenario(_file(scenarios, name))
        for settings in block.points:
            scenario = _under(nominal, settings)
            check_link(scenario, choices)
            cells += [
                Cell(Key(name, settings, choice.label, seed), Task(scenario, choice, seed))
                for choice in choices
                for seed in block.seeds
            ]
    return Planned(block, tuple(cells), tuple(name for name in block.situations if name not in there))


def in_order(plans: Iterable[Planned]) -> list[Cell]:
    """Every episode once: seed by seed, so that whenever a sitting ends all codecs have had nearly the same ones."""
    cells = {cell.key: cell for planned in plans for cell in planned.cells}
    return sorted(cells.values(), key=lambda cell: cell.task.seed)


def unplanned(blocks: Sequence[Block], scenarios: Path) -> list[str]:
    """Names of scenario files in the folder that no block asks for."""
    planned = {name for block in blocks for name in block.situations}
    return sorted(path.stem for path in scenarios.glob("*.xml") if path.stem not in planned)


def _file(scenarios: Path, name: str) -> Path:
    return scenarios / f"{name}.xml"


def _under(scenario: Scenario, settings: Sequence[str]) -> Scenario:
    for setting in settings:
        scenario = override(scenario, setting)
    return scenario
