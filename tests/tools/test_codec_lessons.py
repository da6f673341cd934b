"""What codecs are taught by: the part of a batch that counts, and how many cells a budget holds."""

from __future__ import annotations

import codec_lessons
import numpy as np
import torch


def test_what_counts_is_a_window_of_each_view_or_all_of_them() -> None:
    maps = torch.arange(2 * 128 * 128).view(2, 128, 128)
    bev = maps[:, None].float()
    corners = ((0, 8), (48, 16))
    part = codec_lessons.Sending(None, bev, maps, corners).seen(maps)
    for view, (row, column) in enumerate(corners):
        side = codec_lessons.WINDOW
        assert torch.equal(part[view], maps[view, row : row + side, column : column + side])
    assert torch.equal(codec_lessons.Sending(None, bev, maps, None).seen(maps), maps)


def test_budgets_hold_some_hundred_to_some_thousand_cells() -> None:
    found = [codec_lessons.budgeted(np.random.default_rng([1, draw])) for draw in range(300)]
    assert 150 <= min(found) < 180 and 2500 < max(found) <= 3000
    assert 0.4 < np.mean(np.array(found) < np.sqrt(150 * 3000)) < 0.6
