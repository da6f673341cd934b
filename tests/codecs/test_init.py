"""Names, budgets and weights as a user gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from carla_cp.codecs import CODECS, CodecError, load_codec, parse_choice
from carla_cp.types import CodecChoice


@pytest.mark.parametrize(
    ("text", "bytes_"), [("raw@2000", 2000), ("raw@2KB", 2000), ("raw@2KiB", 2048), ("raw@1", 1), ("raw", None)]
)
def test_choices_are_read(text: str, bytes_: int | None) -> None:
    assert parse_choice(text) == CodecChoice("raw", bytes_)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("raw@abc", "'abc' is no budget; give bytes"),
        ("raw@-5", "'-5' is no budget"),
        ("raw@0", "'0' is no budget"),
        ("raw@", "'' is no budget"),
        ("raw@1.5KB", "'1.5KB' is no budget"),
        ("none@2KB", "takes no budget; write --codec none"),
        ("oracle@2KB", "takes no budget; write --codec oracle"),
        ("lat@2KB", "did you mean late"),
        ("zzz", "choose one of none"),
    ],
)
def test_what_cannot_be_chosen_is_named_with_its_mend_in_one_line(text: str, part: str) -> None:
    with pytest.raises(CodecError, match=r"^[^\n]+$") as caught:
        parse_choice(text)
    assert part in str(caught.value)


def test_every_codec_loads_in_eval_mode(checkpoint: Path) -> None:
    for name in CODECS:
        assert not load_codec(name, checkpoint, "cpu").training


def test_an_unknown_codec_is_named() -> None:
    with pytest.raises(CodecError, match="did you mean early"):
        load_codec("erly", Path("nowhere"), "cpu")


def test_a_checkpoint_without_a_detector_is_named(tmp_path: Path) -> None:
    with pytest.raises(CodecError, match=r"weights\.safetensors: not found; give a checkpoint"):
        load_codec("raw", tmp_path, "cpu")
    assert load_codec("late", tmp_path, "cpu").fingerprint == 0
