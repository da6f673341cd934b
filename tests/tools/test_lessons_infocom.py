"""How many pillars InfoCom's training keeps."""

from __future__ import annotations

import numpy as np
from lessons_infocom import FEWEST_PILLARS, _count, _extras


def counts(progress: float) -> list[int]:
    return [_count(10_000, progress, np.random.default_rng([5, draw])) for draw in range(400)]


def test_the_ratio_falls_from_one_to_a_tenth_by_the_middle_of_the_training() -> None:
    for progress, falling in ((0.0, 10_000), (0.25, 5_000), (0.6, 1_000), (1.0, 1_000)):
        share = np.mean(np.array(counts(progress)) == falling)
        assert 0.2 < share < 0.4


def test_other_steps_keep_what_budgets_would() -> None:
    found = np.array(counts(0.0))
    assert FEWEST_PILLARS <= found.min() < 2 * FEWEST_PILLARS
    assert 0.4 < np.mean(found < 1_000) < 0.6
    assert 0.1 < np.mean((found > 1_000) & (found < 10_000)) < 0.3


def test_content_and_latent_are_left_out_by_chance() -> None:
    drawn = [_extras(2, np.random.default_rng([6, draw])) for draw in range(400)]
    assert {channels for channels, _ in drawn} == {0, 1, 2}
    assert 0.8 < np.mean([latent for _, latent in drawn]) < 0.9
