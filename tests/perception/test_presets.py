"""Presets: the published sizes, and configurations that come back from their file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from carla_cp.perception.config import AnchorSpec, CheckpointError, DetectorConfig, load_config
from carla_cp.perception.presets import FULL_OPV2V, FULL_V2XVIT, HALF256S, MINI, PRESETS, opv2v_grid


def test_presets_have_the_published_maps() -> None:
    shapes = {name: (config.grid.rows, config.grid.columns) for name, config in PRESETS.items()}
    assert shapes["mini"] == shapes["half256s"] == (128, 128)
    assert shapes["full"] == (100, 352) and shapes["full_384"] == (96, 352)
    assert DetectorConfig() == MINI
    assert FULL_OPV2V.grid.z_min_m == pytest.approx(-1.1) and FULL_V2XVIT.grid.half_width_m == 38.4
    assert HALF256S.bev_channels == 128


def test_every_preset_comes_back_from_its_file(tmp_path: Path) -> None:
    imported = replace(
        FULL_OPV2V,
        grid=opv2v_grid(bev_stride=4),
        encoder="vfe",
        head="anchors",
        shrink="double",
        shrink_stride=2,
        anchors=AnchorSpec(yaws_deg=(0.0, 45.0, 90.0), directions=2),
    )
    for config in (*PRESETS.values(), imported):
        config.save(tmp_path / "config.json")
        assert load_config(tmp_path / "config.json") == config


def test_a_file_of_an_older_version_means_what_it_meant(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"schema": 1, "grid": {}, "filters": [32, 64, 64], "layers": [1, 2, 2],'
        ' "strides": [2, 2, 2], "classes": ["vehicle", "cyclist", "pedestrian"]}',
        encoding="utf-8",
    )
    assert load_config(tmp_path / "config.json") == MINI


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoder": "voxels"}, "encoder is 'voxels'; choose one of pillars"),
        ({"head": "boxes"}, "head is 'boxes'"),
        ({"backbone": "deep"}, "backbone is 'deep'"),
        ({"shrink": "half"}, "shrink is 'half'"),
        ({"backbone": "residual", "layers": (0, 1, 1)}, "at least one block"),
        ({"shrink": "none"}, "bev_channels is up_channels"),
        ({"shrink_stride": 2}, "are for shrink = double"),
        ({"shrink": "double", "shrink_kernel": 2}, "odd"),
        ({"shrink": "double", "shrink_stride": 2}, "bev_stride is 2; BEV cells hold 4 pillars"),
    ],
)
def test_layers_that_do_not_fit_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(MINI, **change)  # type: ignore[arg-type]


def test_a_file_with_such_layers_is_named(tmp_path: Path) -> None:
    MINI.save(tmp_path / "config.json")
    text = (tmp_path / "config.json").read_text(encoding="utf-8").replace('"pillars"', '"bricks"')
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"config.json: encoder is 'bricks'"):
        load_config(tmp_path / "config.json")
