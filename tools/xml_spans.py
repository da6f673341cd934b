"""Where an XML text's elements stand, so that some can be left out or changed and all else stays as it was written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.parsers import expat

_TAG = re.compile(rb"<(?:\"[^\"]*\"|'[^']*'|[^>\"'])*>")  # a > in quotes does not end it


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a text, by the positions of its characters."""

    tag: str
    attributes: tuple[tuple[str, str], ...]
    start: int
    head: str  # the start tag as it is written
    end: int

    def get(self, name: str) -> str:
        """An attribute's value, empty where there is none."""
        return dict(self.attributes).get(name, "")

    def with_attribute(self, name: str, value: str) -> str:
        """The start tag with another value of an attribute that it has."""
        return re.sub(rf'(\s{name}\s*=\s*)(".*?"|\'.*?\')', rf'\g<1>"{value}"', self.head, count=1)

    def without_attributes(self, *names: str) -> str:
        """The start tag without these attributes."""
        head = self.head
        for name in names:
            head = re.sub(rf'\s+{name}\s*=\s*(".*?"|\'.*?\')', "", head, count=1)
        return head


def elements(text: str) -> list[Element]:
    """The elements of a well-formed text, in the order of their start tags."""
    data = text.encode("utf-8")
    parser = expat.ParserCreate("utf-8")
    begun: list[tuple[str, dict[str, str], int]] = []
    found: list[Element] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        begun.append((tag, attributes, parser.CurrentByteIndex))

    def end(_: str) -> None:
        tag, attributes, first = begun.pop()
        head = _tag_at(data, first)
        closing = first if head.endswith(b"/>") else parser.CurrentByteIndex
        last = closing + len(_tag_at(data, closing))
        place, length = len(data[:first].decode()), len(data[first:last].decode())
        found.append(Element(tag, tuple(attributes.items()), place, head.decode(), place + length))

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.Parse(data, True)
    return sorted(found, key=lambda element: element.start)


def _tag_at(data: bytes, first: int) -> bytes:
    match = _TAG.match(data, first)
    assert match is not None  # the text is well-formed
    return match.group()


def edited(text: str, heads: Sequence[tuple[Element, str]], leave: Sequence[Element]) -> str:
    """The text with other start tags, and without some elements and the lines that held nothing else."""
    changes = [(item.start, item.start + len(item.head), head) for item, head in heads]
    changes += [(_line_start(text, item.start), item.end, "") for item in leave]
    pieces, here = [], 0
    for first, last, new in sorted(changes, key=lambda change: (change[0], -change[1])):
        if first >= here:  # else it lies in what was left out
            pieces += [text[here:first], new]
            here = last
    return "".join([*pieces, text[here:]])


def _line_start(text: str, place: int) -> int:
    """The end of the line before, if only blanks stand between."""
    before = text[:place].rstrip(" \t")
    return len(before) - 1 if before.endswith("\n") else place
