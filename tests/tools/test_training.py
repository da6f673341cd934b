"""What trainings share: rates, progress, running means, estimates, pictures, scalars, ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from recipes import TRUNKS, Recipe
from torch import nn
from training import Progress, Ranks, Scalars, best_device, estimate, follow, plot_curve

from carla_cp.perception.presets import PRESETS


def test_the_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    recipe = Recipe(steps=10)
    rates = [recipe.rate_at(progress) for progress in np.linspace(0, 1, 101)]
    peak = int(np.argmax(rates))
    assert 0.0 < rates[0] < rates[peak] and rates[peak] == pytest.approx(recipe.peak_rate)
    assert (np.diff(rates[: peak + 1]) > 0).all() and (np.diff(rates[peak:]) < 0).all() and rates[-1] < 1e-9


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": 1, "warm_up": 1.0}, {"steps": 1, "peak_rate": 0.0}])
def test_a_recipe_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Recipe(**wrong)  # type: ignore[arg-type]


def test_every_recipe_has_a_preset() -> None:
    assert TRUNKS.keys() <= PRESETS.keys()


def test_a_training_ends_by_its_steps_or_by_the_clock() -> None:
    recipe = Recipe(steps=100)
    assert Progress(step=50, seconds=30.0).fraction(recipe, None) == 0.5
    assert Progress(step=50, seconds=54.0).fraction(recipe, 1.0) == pytest.approx(0.9)
    assert Progress(step=50, seconds=6.0).fraction(recipe, 1.0) == 0.5


def test_the_estimate_says_minutes_and_whether_the_budget_ends_it() -> None:
    progress, recipe = Progress(step=40), Recipe(steps=100)
    assert "60 steps of 2.00 s: about 2 minutes" in estimate(2.0, progress, recipe, None)
    assert "--time-budget ends it after 1" in estimate(2.0, progress, recipe, 1.0)
    assert "within the 5 allowed" in estimate(2.0, progress, recipe, 5.0)


def test_a_running_mean_goes_towards_the_weights_and_copies_counters() -> None:
    mean, network = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.num_batches_tracked += 7
    follow(mean, network, 1000, 0.9)
    assert torch.allclose(mean.weight, torch.full((2,), 1.2)) and mean.num_batches_tracked == 7


def test_a_curve_becomes_a_picture(tmp_path: Path) -> None:
    plot_curve([(1, 0.1, 0.2), (2, 0.3, 0.4)], ("one", "two"), "AP", tmp_path / "new" / "curve.png")
    assert (tmp_path / "new" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_scalars_are_written_for_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    scalars = Scalars(tmp_path)
    scalars.add(1, ["loss"], [0.5])
    scalars.close()
    assert [path for path in tmp_path.iterdir() if "tfevents" in path.name]


def test_one_process_alone_changes_no_gradient() -> None:
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, 2.0])
    ranks = Ranks(0, 1)
    ranks.average([weight])
    assert weight.grad.tolist() == [1.0, 2.0] and ranks.agree(0.25) == 0.25 and ranks.first


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert best_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="sees no GPU"):
        best_device("cuda")
