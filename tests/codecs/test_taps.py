"""What codecs tap that serve any fusion."""

from __future__ import annotations

from dataclasses import replace

import torch

from carla_cp.codecs.taps import TapShapes, spread, tapped
from carla_cp.perception.presets import PRESETS
from carla_cp.types import Stage
from tests.codecs.fake import fake_view


def test_shapes_follow_the_detector_and_need_not_be_square() -> None:
    shapes = TapShapes.of_config(PRESETS["full"])
    assert shapes.of(Stage.BEV) == (256, 100, 352) and shapes.of(Stage.BLOCK1) == (64, 100, 352)


def test_what_the_fusion_takes_is_tapped() -> None:
    view = fake_view()
    assert tapped(view) is view.bev
    assert torch.equal(tapped(replace(view, tap=Stage.BLOCK1)), view.block1)


def test_maps_spread_over_cells_of_another_size() -> None:
    heat = torch.rand(3, 4, 6)
    assert spread(heat, 4, 6) is heat
    assert torch.equal(spread(heat, 8, 12), heat.repeat_interleave(2, 1).repeat_interleave(2, 2))
