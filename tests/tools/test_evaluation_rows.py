"""Which rows a command line asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from carla_cp.codecs import CODECS, CodecError, parse_choice
from carla_cp.codecs.revqom import RevqomCodec
from tests.tools.claims import load_tool, save_claimer

rows_tool = load_tool("evaluation_rows")
evaluate = load_tool("evaluate")
PacketLoss = load_tool("evaluation_loss").PacketLoss
parse_noise = load_tool("pose_noise").parse_noise


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_claimer(tmp_path_factory.mktemp("checkpoint"))


def test_rows_are_all_combinations_that_differ() -> None:
    choices = [parse_choice(text) for text in ("none", "late", "raw")]
    noises = [parse_noise(text) for text in ("none", "bias:0.2/0.2")]
    rows = rows_tool.make_rows(choices, [None, "max"], noises, [0, 2])
    labels = [(row.choice.name, row.fusion, row.noise.kind, row.delay) for row in rows]
    assert labels[0] == ("none", None, "none", 0)
    assert [label[0] for label in labels] == ["none"] + ["late"] * 4 + ["raw"] * 8
    assert len(set(labels)) == len(labels)


def test_what_loses_nothing_is_cut_in_one_way_and_silence_loses_nothing() -> None:
    losses = [PacketLoss(rate, cut) for rate in (0.0, 0.1) for cut in ("parts", "message")]
    rows = rows_tool.make_rows(
        [parse_choice(text) for text in ("none", "late")], [None], [parse_noise("none")], [0], losses
    )
    assert [(row.choice.name, row.loss) for row in rows] == [
        ("none", PacketLoss()),
        ("late", PacketLoss()),
        ("late", PacketLoss(0.1)),
        ("late", PacketLoss(0.1, "message")),
    ]


def test_a_table_takes_every_trained_rule_and_the_usual_noises(checkpoint: Path, tmp_path: Path) -> None:
    base = [str(tmp_path), "--checkpoint", str(checkpoint), "--out", "x"]
    rows = rows_tool.rows_from(evaluate.parse([*base, "--table", str(tmp_path / "RESULTS.md")]))
    assert {row.noise.label for row in rows} == {"none", "gaussian:0.2/0.2", "gaussian:0.4/0.4"}
    assert [row.choice.name for row in rows] == ["none"] + ["late"] * 3 + ["early"] * 3 + ["raw"] * 3
    plain = rows_tool.rows_from(evaluate.parse(base))
    assert [row.choice.name for row in plain] == ["none", "late", "early", "raw"]
    assert rows_tool.table_rules(Path("opencood:anywhere")) == [None]  # no folder of ours


def test_the_oracle_has_nothing_to_evaluate(checkpoint: Path, tmp_path: Path) -> None:
    base = [str(tmp_path), "--checkpoint", str(checkpoint), "--out", "x", "--codec", "oracle"]
    with pytest.raises(CodecError, match="oracle"):
        rows_tool.rows_from(evaluate.parse(base))


def test_a_rate_curve_has_every_codec_at_hand_at_every_rate_and_names_who_has_no_weights(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choices = rows_tool.curve_choices(None, checkpoint)
    labels = [choice.label for choice in choices]
    assert labels[0] == "none@max" and len(set(labels)) == len(labels)
    rates = ("250", "500", "1000", "2000", "4000", "8000", "16000", "max")
    for name in ("late", "early", "raw"):
        assert [label for label in labels if label.startswith(f"{name}@")] == [f"{name}@{rate}" for rate in rates]
    learned = [name for name, kind in CODECS.items() if kind.learned]
    warnings = capsys.readouterr().err
    assert all(f"evaluate: {name} is left out" in warnings for name in learned)
    assert not any(label.startswith(name) for label in labels for name in (*learned, "oracle"))


def test_a_curve_of_chosen_codecs_has_their_papers_and_is_still_held_against_raw(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RevqomCodec, "variants", ("paper",))
    labels = [choice.label for choice in rows_tool.curve_choices(["revqom", "late@300"], checkpoint)]
    assert labels[:2] == ["none@max", "revqom@250"]
    assert labels[8:] == ["revqom@max", "revqom:paper@max", "late@300", "raw@max"]
    with pytest.raises(CodecError, match="there is no codec"):
        rows_tool.curve_choices(["revqon"], checkpoint)
