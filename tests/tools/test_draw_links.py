"""The picture and the files of a recording's links."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pytest

from carla_cp.recording import write_ticks
from tests.metrics.builders import crossing
from tests.tools.claims import load_tool

draw_links = load_tool("draw_links")
SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "intersection.xml"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    write_ticks(tmp_path / "0.ticks", crossing())
    return tmp_path / "0.ticks"


def test_a_recording_is_drawn_and_saved_as_what_the_ending_says(recording: Path) -> None:
    for ending in ("png", "graphml", "json"):
        out = recording.with_suffix(f".{ending}")
        assert draw_links.main([str(recording), "--scenario", str(SCENARIO), "--out", str(out)]) == 0
    assert recording.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    saved = nx.adjacency_graph(json.loads(recording.with_suffix(".json").read_text()))
    assert saved.number_of_edges() > 0
    assert nx.read_graphml(recording.with_suffix(".graphml")).edges == saved.edges


def test_bad_input_is_one_line(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["gone.ticks", "--out", "a.png"], [str(recording), "--out", "a.txt"]):
        assert draw_links.main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1
