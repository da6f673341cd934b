"""What trainings share: rates, progress, running means, estimates, pictures, scalars, ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from recipes import TRUNKS, Recipe
from torch import nn
from training import (
    Progress,
    Ranks,
    Scalars,
    best_device,
    estimate,
    follow,
    overlap,
    plot_curve,
    read_state,
    resuming,
    write_state,
)

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


def test_a_device_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="--device gpu: there is no such device"):
        best_device("gpu")


def test_a_state_comes_back_and_one_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "training.pt"
    assert read_state(path, torch.device("cpu")) is None
    assert f"{path}: not found" in capsys.readouterr().out
    write_state(path, {"step": 3})
    assert read_state(path, torch.device("cpu")) == {"step": 3}


@pytest.mark.parametrize("content", [b"", b"no state", b"PK\x03\x04 cut short"])
def test_a_damaged_state_is_refused_with_the_file_and_the_mend(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "training.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"training\.pt: cannot be resumed .*; leave --resume out") as caught:
        read_state(tmp_path / "training.pt", torch.device("cpu"))
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_the_state_are_refused_in_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"a\.pt: cannot be resumed .*size mismatch") as caught,
        resuming(tmp_path / "a.pt"),
    ):
        nn.Linear(2, 2).load_state_dict(nn.Linear(2, 3).state_dict())
    assert "\n" not in str(caught.value)


def test_validation_among_the_training_data_is_warned_of(tmp_path: Path) -> None:
    assert overlap(tmp_path / "train", tmp_path / "val") == overlap(tmp_path, None) == ""
    for data, val in ((tmp_path, tmp_path / "val"), (tmp_path / "train", tmp_path), (tmp_path, tmp_path)):
        assert overlap(data, val).startswith("WARNING: --val")


def test_a_picture_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    plot_curve([(1, 0.1)], ("one",), "AP", path)
    before = path.read_bytes()
    with pytest.raises(ValueError):
        plot_curve([(1, 0.1)], ("one",), "$\\frac$", path)  # fails while it is drawn into the file
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
