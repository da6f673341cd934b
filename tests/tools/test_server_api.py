"""The page on the server's API."""

from __future__ import annotations

from tests.server.api.rows import client, refused, works
from tests.tools.claims import load_tool

tool = load_tool("server_api")
ROWS = [
    works("World.tick", lambda stage: True),
    refused("World.paint", lambda stage: True, "no paint"),
    client("World.id", lambda stage: True, "a number"),
    client("Kind", lambda stage: True),
]


def test_the_page_in_the_repository_is_what_the_table_says() -> None:
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page()


def test_members_are_counted_by_what_becomes_of_them() -> None:
    assert list(tool.counts(ROWS))[-1] == "| 4 | 1 | 0 | 1 | 2 |"


def test_a_class_is_a_line_and_each_note_another() -> None:
    assert list(tool.classes(ROWS))[-2:] == ["| `Kind` |  |  |  | all |", "| `World` | `tick` |  | `paint` | `id` |"]
    assert list(tool.notes(ROWS))[-2:] == [
        "* `World` `id` client-side only: a number",
        "* `World` `paint` refused: no paint",
    ]
