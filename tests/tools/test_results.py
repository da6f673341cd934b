"""The results table: one line per way of sharing, what is missing named as such, and the protocol at its head."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tools.claims import load_tool
from tests.tools.curve_rows import PROTOCOL

results = load_tool("results")


def row(
    codec: str, fusion: str | None, noise: str, ap: float, delay: int = 0, budget: int | None = None
) -> dict[str, Any]:
    figures = {"0.3": ap, "0.5": ap, "0.7": ap / 2}
    change = {iou: {"value": 0.125, "ci95": [0.1, 0.15]} for iou in figures}
    return {
        "codec": codec,
        "budget_bytes": budget,
        "label": f"{codec}@{budget or 'max'}",
        "fusion": fusion,
        "noise": noise,
        "noise_on": "all",
        "delay_ticks": delay,
        "delay_s": 0.5 * delay,
        "loss": 0.0,
        "cut": "parts",
        "ap": figures,
        "ap_ci95": {"0.3": None, "0.5": [ap - 0.01, ap + 0.01], "0.7": None},
        "ap_by_class": {"vehicle": figures, "cyclist": figures, "pedestrian": dict.fromkeys(figures)},
        "ap_by_distance": {name: figures | {"objects": 5} for name in ("0-30", "30-50", "50+")},
        "ap_gain": {} if codec == "none" else change,
        "ap_loss": {} if noise == "none" else change,
        "bytes": {"mean": 1234.4, "max": 2000},
    }


def result(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "command": "the command",
        "commit": "abc",
        "machine": "a machine",
        "checkpoint": "mini",
        "frames": 40,
        "scenes": 4,
        "frame_digest": "00000000",
        "maps": ["test_bends"],
        "agents": {"2": 30, "5": 10},
        "skipped": [],
        "noticed": {},
        "protocol": dict(PROTOCOL),
        "seed": 0,
        "resamples": 200,
        "rows": list(rows),
    }


def some() -> dict[str, Any]:
    noises = ("none", "gaussian:0.2/0.2", "gaussian:0.4/0.4")
    shared = [row("raw", rule, noise, 0.9 - 0.1 * n) for rule in ("coalign", "max") for n, noise in enumerate(noises)]
    return result(*shared, row("late", None, "none", 0.8), row("none", None, "none", 0.6))


def test_every_way_of_sharing_has_a_line_and_what_has_no_weights_says_so() -> None:
    text = results.table(results.joined([some()]), "RESULTS.png")
    lines = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert lines[:4] == ["shared", "none", "late", "max"]
    assert "| coalign | 0.900 [0.890, 0.910] | 0.450 | 0.800 [0.790, 0.810] | 0.400 | 0.700" in text
    assert "| none | 0.600 [0.590, 0.610] | 0.300 | 0.600" in text  # no noise reaches silence
    assert "| late | 0.800 [0.790, 0.810] | 0.400 | - | - | - | - | 1,234 |" in text
    assert "| attention | not trained |" in text and "| max | not trained" not in text
    assert "0.125 [0.100, 0.150]" in text and "`the command`" in text and "(RESULTS.png)" in text


def test_the_protocol_stands_at_the_head_in_five_lines() -> None:
    head = results.table(results.joined([some()]), "p").splitlines()[2:8]
    assert [line[:2] for line in head[:5]] == ["1.", "2.", "3.", "4.", "5."] and head[5] == ""
    assert "40 of 4 scenes (maps test_bends, never trained or tuned on)" in head[0]
    assert "normal, on x, y and yaw, anew for each agent and frame, of every agent, the ego too." in head[4]
    assert "2 to 5 agents" in head[0]
    other = some()
    other["protocol"] |= {"com_range_m": 70.0, "include_ego": True, "range_m": [140.0, 40.0], "order": "frame"}
    changed = "\n".join(results.table(results.joined([other]), "p").splitlines()[2:7])
    for text in ("+-140 x +-40 m", "agents within 70.0 m", "the ego's car counts", "frame order"):
        assert text in changed


def test_detectors_without_figures_are_named(tmp_path: Path) -> None:
    (tmp_path / "half256s").mkdir()
    (tmp_path / "half256s" / "weights.safetensors").touch()
    results.write_results([some()], tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert "| half256s | trained, not evaluated here |" in text
    assert "| full | not trained |" in text and "| mini | not" not in text


def test_a_rule_that_has_weights_but_no_figures_is_not_called_untrained(tmp_path: Path) -> None:
    (tmp_path / "mini" / "fusion").mkdir(parents=True)
    (tmp_path / "mini" / "fusion" / "attention.safetensors").touch()
    results.write_results([some()], tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert "| attention | not evaluated |" in text and "| cobevt | not trained |" in text


def test_evaluations_of_one_setting_become_one_section_and_others_do_not() -> None:
    first = result(row("none", None, "none", 0.6), row("raw", "max", "none", 0.9))
    second = result(row("none", None, "none", 0.6), row("raw", "cobevt", "none", 0.8)) | {"command": "another"}
    third = second | {"frames": 39}
    (one,) = results.joined([first, second])
    assert [line.name for line in results.lines_of(one)] == ["none", "max", "cobevt"]
    text = results.table([one], "p")
    assert text.count("## mini") == 1 and "`the command`" in text and "`another`" in text
    assert len(results.joined([first, second, third])) == 2
    assert len(results.joined([first, second | {"maps": ["val_skew"]}])) == 2  # as many frames of other scenes


def test_codecs_with_a_budget_keep_their_name() -> None:
    assert results.name_of(row("revqom", "max", "none", 0.5, budget=2000)) == "revqom@2000, max"
    assert results.name_of(row("raw", "cobevt", "none", 0.5)) == "cobevt"
    assert results.name_of(row("late", None, "none", 0.5, budget=200)) == "late@200"


def test_delays_have_a_table_of_their_own() -> None:
    assert "s old" not in results.table(results.joined([some()]), "p")
    late = result(
        *(row("late", None, "none", 0.8 - 0.1 * ticks, ticks) for ticks in (0, 1)), row("none", None, "none", 0.6)
    )
    text = results.table(results.joined([late]), "p")
    assert "AP@0.7, 0 s old | AP@0.7, 0.5 s old" in text
    assert "| late | 0.400 | 0.350 |" in text and "| none | 0.300 | 0.300 |" in text


def test_two_evaluations_make_two_sections_and_one_picture(tmp_path: Path) -> None:
    other = some() | {"checkpoint": "full"}
    results.write_results([some(), other], tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert "## mini" in text and "## full" in text
    assert (tmp_path / "RESULTS.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_that_is_no_evaluation_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.json").write_text(json.dumps(some()))
    incomplete = some()
    del incomplete["rows"][0]["ap_by_distance"]
    (tmp_path / "bad.json").write_text(json.dumps(incomplete))
    arguments = ["results.py", str(tmp_path / "good.json"), str(tmp_path / "bad.json"), "--out", str(tmp_path / "R.md")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        results.main()
    assert ended.value.code == 2 and "bad.json: no result" in capsys.readouterr().err
    assert not (tmp_path / "R.md").exists()
    monkeypatch.setattr(sys, "argv", [*arguments[:2], *arguments[3:]])
    results.main()
    assert (tmp_path / "R.md").is_file()
