"""What entropy coding saves."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import coding_gain
import pytest
import torch

from carla_cp.codecs.bitstream import cut
from carla_cp.codecs.infocom import InfocomCodec
from carla_cp.codecs.revqom import RevqomCodec
from tests.codecs.fake import fake_view


def test_a_set_drawn_at_random_has_the_logarithm_of_how_many_there_are() -> None:
    assert coding_gain.log2_choose(10, 3) == pytest.approx(math.log2(math.comb(10, 3)))
    assert coding_gain.log2_choose(65536, 6554) / 65536 == pytest.approx(0.469, abs=1e-3)


def test_revqom_is_held_against_as_many_bits_as_its_paper_counts() -> None:
    torch.manual_seed(0)
    codec = RevqomCodec().eval()
    saving = coding_gain.revqom(codec, fake_view())  # type: ignore[arg-type]
    assert saving.otherwise == 128 * 128 * 8 * 6 / 8
    assert saving.coded == len(codec.encode(fake_view(), None))


def test_infocom_is_held_against_the_same_message_with_positions_of_a_random_set() -> None:
    torch.manual_seed(3)
    codec = InfocomCodec().eval()
    view = fake_view()
    saving = coding_gain.infocom(codec, view, 2000)  # type: ignore[arg-type]
    payload = codec.encode(view, 2000)
    positions = sum(codec.tables().where.bits(codec.parse(packet)[1].mask) for packet in cut(payload)) / 8
    count = int(codec.parse(payload)[1].mask.sum())
    assert saving.coded == len(payload)
    assert saving.otherwise == pytest.approx(len(payload) - positions + coding_gain.log2_choose(65536, count) / 8)


def test_the_table_has_the_means_of_each_kind() -> None:
    found = [coding_gain.Saving("a", 10.0, 40.0), coding_gain.Saving("a", 30.0, 40.0)]
    assert coding_gain.table(found).splitlines()[-1] == "| a | 20 | 40 | 50% |"


def test_a_missing_checkpoint_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["coding_gain.py", str(tmp_path), "--checkpoint", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as ended:
        coding_gain.main()
    assert ended.value.code == 2 and len(capsys.readouterr().err.splitlines()) == 1
