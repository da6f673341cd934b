"""What the table says of every codec, and which fusion and rates its name stands for."""

from __future__ import annotations

from typing import Any

import pytest

from carla_cp.codecs import CODECS, Codec, CodecError, PayloadError, parse_choice
from carla_cp.types import Stage
from tests.codecs.contract.cases import KINDS, OUTSIDE, SILENT, message, view


def test_names_and_numbers_are_unique_and_agree_with_the_table() -> None:
    assert [kind.name for kind in KINDS.values()] == list(KINDS)
    assert len({kind.number for kind in KINDS.values()}) == len(KINDS)
    assert all(kind.number < 128 for name, kind in KINDS.items() if name not in OUTSIDE)


def test_silent_codecs_send_nothing_and_take_no_message() -> None:
    for name in SILENT:
        codec = CODECS[name]()
        assert codec.encode(view(), None) == b""
        with pytest.raises(PayloadError):
            codec.decode(b"x" * 60)


def test_the_paper_s_rate_is_fixed(sender: Codec[Any]) -> None:
    if "paper" in sender.variants:
        assert parse_choice(f"{sender.name}:paper").budget_bytes is None
        with pytest.raises(CodecError, match="the paper's rate is fixed"):
            parse_choice(f"{sender.name}:paper@2KB")
    else:
        with pytest.raises(CodecError, match="no variant 'paper'"):
            parse_choice(f"{sender.name}:paper")


def test_what_the_paper_charges_is_a_number_or_nothing(any_sender: Codec[Any]) -> None:
    charged = any_sender.formula_bytes(any_sender.parse(message(any_sender, 2000))[1])
    assert charged is None or (isinstance(charged, (int, float)) and 0 <= charged < float("inf"))


def test_a_codec_behind_the_backbone_is_refused_by_a_fusion_of_its_scales(codec: Codec[Any]) -> None:
    codec.check_fusion(Stage.BEV, "--codec x")
    follows_fusion = type(codec).check_fusion is not Codec.check_fusion
    if codec.tap is Stage.BEV and not follows_fusion:
        with pytest.raises(CodecError, match="--codec x: the rule fuses every scale"):
            codec.check_fusion(Stage.BLOCK1, "--codec x")
    else:
        codec.check_fusion(Stage.BLOCK1, "--codec x")
