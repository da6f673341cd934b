"""What is wrong with a scenario."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ScenarioError(Exception):
    """A scenario cannot be used; the text is one line with the file, the line, the value and the mend."""


def near(word: str, known: Iterable[str]) -> str:
    """The mend for a misspelt word: the nearest of the known ones, or all of them."""
    choices = sorted(known)
    found = difflib.get_close_matches(word, choices, n=3, cutoff=0.6)
    if found:
        return f"did you mean {' or '.join(repr(choice) for choice in found)}?"
    return f"use one of: {', '.join(choices)}" if choices else "there is none to choose from; remove it"
