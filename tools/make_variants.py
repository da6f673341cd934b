"""Writes the control and the passive variant of every main scenario, so that the three stay one situation.

    python tools/make_variants.py scenarios/ [--check]

`<name>_clear.xml` has no hazard: its actor is gone with its companions, or, where `<hazard control="lawful">`, obeys
lights and yields like everybody. In `<name>_passive.xml` the hazard is there and nobody who sees it before the ego does
transmits: the agents of `seen_by`, and the hazard itself, are no longer connected (they stay where they are), and
roadside units among them are gone. All else, comments included, is as in the main file. `--check` writes nothing: exit
status 1 where a variant is not what would be written. 2: bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sight_verdict import CLEAR, PASSIVE
from xml_spans import edited, elements

from carla_cp.options import OptionError, scenario_files
from carla_cp.scenario import ScenarioError, load_scenario
from carla_cp.whole import write_whole

LAWFUL = "lawful"


def main(arguments: Sequence[str] | None = None) -> int:
    """0, 1 where `--check` finds a difference, 2 with one line for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="+", type=Path, metavar="SCENARIO.xml|FOLDER", help="a folder: its *.xml")
    parser.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args(arguments)
    try:
        files = [path for path in scenario_files(options.scenarios) if not path.stem.endswith((CLEAR, PASSIVE))]
        if not files:
            raise OptionError(f"none of these is a main scenario; give files that end neither in {CLEAR} nor {PASSIVE}")
        texts = [text for path in files for text in variants(path)]
        wrong = [path for path, text in texts if not path.is_file() or path.read_text(encoding="utf-8") != text]
        if not options.check:
            for path, text in texts:
                write_whole(path, text)
                load_scenario(path)
    except (OptionError, ScenarioError, OSError) as error:
        print(f"make_variants: {error}", file=sys.stderr)
        return 2
    for path in wrong:
        print(f"{path}: {'not what make_variants.py writes; run it' if options.check else 'written'}")
    return 1 if options.check and wrong else 0


def variants(path: Path) -> list[tuple[Path, str]]:
    """The files that belong to a main scenario, and what is to be in them.

    Raises ScenarioError for a file that is no scenario, or has no hazard.
    """
    if not load_scenario(path).hazards:
        raise ScenarioError(f"{path}: has no <hazard>, so it has no variants; add one, or name the file *{CLEAR}.xml")
    text = path.read_text(encoding="utf-8")
    return [
        (path.with_name(f"{path.stem}{CLEAR}.xml"), _named(control_of(text), path, CLEAR, "control")),
        (path.with_name(f"{path.stem}{PASSIVE}.xml"), _named(passive_of(text), path, PASSIVE, "passive")),
    ]


def _named(text: str, path: Path, ending: str, what: str) -> str:
    """With the variant's name, and a comment that says where it comes from."""
    scenario = next(item for item in elements(text) if item.tag == "scenario")
    text = edited(text, [(scenario, scenario.with_attribute("name", f"{path.stem}{ending}"))], [])
    note = f"<!-- Written by tools/make_variants.py from {path.name} ({what}); change that file, and run it again. -->"
    root = next(item for item in elements(text) if item.tag == "scenarios")
    head, body = text[: root.start], text[root.start :]
    declaration, end, rest = head.partition("?>")
    return f"{declaration}{end}\n{note}{rest}{body}" if end else f"{note}\n{text}"


def control_of(text: str) -> str:
    """The scenario's text without what endangers the ego."""
    found = elements(text)
    hazards = [item for item in found if item.tag == "hazard"]
    lawful = {item.get("actor") for item in hazards if item.get("control") == LAWFUL}
    gone = {item.get("actor") for item in hazards} - lawful
    gone |= {name for item in hazards for name in item.get("companions").split()}
    leave = [item for item in found if item.tag == "hazards"]
    leave += [item for item in found if item.get("rolename") in gone and item.tag == "other_actor"]
    leave += [item for item in found if item.get("actor") in gone and item.tag in ("behavior", "connected_vehicle")]
    behaviors = [item for item in found if item.tag == "behavior"]
    if behaviors and all(item in leave for item in behaviors):
        leave += [item for item in found if item.tag == "behaviors"]
    tamed = [
        (item, item.without_attributes("obeys_lights", "yields"))
        for item in behaviors
        if item.get("actor") in lawful and item not in leave
    ]
    return edited(text, tamed, leave)


def passive_of(text: str) -> str:
    """The scenario's text in which those who see the hazard early, and the hazard, send nothing."""
    found = elements(text)
    hazards = [item for item in found if item.tag == "hazard"]
    silent = {name for item in hazards for name in (*item.get("seen_by").split(), item.get("actor"))}
    leave = [item for item in found if item.tag == "connected_vehicle" and item.get("actor") in silent]
    leave += [item for item in found if item.tag == "rsu" and item.get("id") in silent]
    plain = [(item, item.without_attributes("seen_by")) for item in hazards]
    return edited(text, plain, leave)


if __name__ == "__main__":
    sys.exit(main())
