"""Codecs of other packages."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from carla_cp.codecs import CODECS
from carla_cp.codecs.plugins import GROUP, with_plugins
from tests.codecs.outside import CentresCodec


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_a_class_in_the_entry_point_group_joins_the_table() -> None:
    table = with_plugins(CODECS, [point("centres", "tests.codecs.outside:CentresCodec")])
    assert table["centres"] is CentresCodec
    assert list(table)[:-1] == list(CODECS)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("gone", "no.such.module:Codec", "No module named"),
        ("centres", "tests.codecs.outside:POINT_BYTES", "no subclass"),
        ("other", "tests.codecs.outside:CentresCodec", "must agree"),
        ("late", "carla_cp.codecs.late:LateCodec", "not in .128, 255."),
    ],
)
def test_a_class_that_cannot_be_used_is_left_out_with_its_reason(name: str, value: str, why: str) -> None:
    with pytest.warns(UserWarning, match=why):
        assert with_plugins(CODECS, [point(name, value)]) == CODECS


def test_an_installed_package_needs_no_fork(tmp_path: Path) -> None:
    """A distribution's metadata beside its module is all that the installation leaves."""
    outside = Path(__file__).with_name("outside.py").read_text()
    (tmp_path / "their_codecs.py").write_text(outside)
    metadata = tmp_path / "their_codecs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-codecs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\ncentres = their_codecs:CentresCodec\n")
    script = (
        "from carla_cp.codecs import CODECS, parse_choice; print(parse_choice('centres@2KB'), CODECS['centres'].number)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert result.stdout.split()[-1] == "200"
    assert "budget_bytes=2000" in result.stdout


def test_the_example_keeps_the_contract() -> None:
    from tests.codecs.fake import fake_view

    codec, view = CentresCodec().eval(), fake_view()
    payload = codec.encode(view, 200)
    shared = codec.decode(payload)
    assert len(payload) <= 200
    assert shared.detections is not None
    assert np.abs(shared.detections.boxes[:, :2] - view.boxes.boxes[: len(shared.detections.boxes), :2]).max() < 0.3
