"""The sparse encoder against a dense one with the same weights, and spconv against its twin where it is installed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from carla_cp.perception import sparse
from carla_cp.perception.checkpoint import load_detector, save_detector
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector
from carla_cp.perception.head import heat_loss
from carla_cp.perception.pillars import PillarPoints
from carla_cp.perception.presets import SECOND_MINI
from carla_cp.perception.samples import Augmentation, make_sample
from carla_cp.perception.sparse import Engine, SparseEncoder, installed_engine
from carla_cp.types import GridSpec, Shared, Stage
from tests.perception.synthetic import make_frame

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what spconv imports

CONFIG = DetectorConfig(
    grid=GridSpec(6.4, 3.2, -0.5, 4.5, 1.6, 1),
    points_per_pillar=5,
    voxel_height_m=0.2,
    pillar_channels=32,
    filters=(16,),
    layers=(1,),
    strides=(1,),
)


def random_cloud(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform([-6.4, -3.2, -0.5, 0], [6.4, 3.2, 4.5, 1], (900, 4)).astype(np.float32)


def encoder(engine: Engine) -> SparseEncoder:
    """With weights and batch norms that keep features near one."""
    torch.manual_seed(1)
    result = SparseEncoder(CONFIG, engine).eval()
    with torch.no_grad():
        for block in result.blocks:
            block.conv.weight.mul_(3.0)
            block.norm.running_mean.uniform_(-0.2, 0.2)
            block.norm.bias.uniform_(-0.2, 0.3)
    return result


def encode(net: SparseEncoder, clouds: list[PillarPoints]) -> Tensor:
    cells = [cloud.cells + index * net.cells_per_map for index, cloud in enumerate(clouds)]
    parts = [cloud.points for cloud in clouds], [cloud.counts for cloud in clouds], cells
    device = next(net.parameters()).device
    result: Tensor = net(*(torch.from_numpy(np.concatenate(part)).to(device) for part in parts), len(clouds))
    return result


def dense_map(net: SparseEncoder, cloud: PillarPoints) -> Tensor:
    """The same layers as dense convolutions, with everything outside the occupied cells set to zero after each."""
    occupied = torch.zeros((1, 1, 26, 32, 64))
    values = torch.zeros((1, 4, 26, 32, 64))
    layer, row, column = (torch.from_numpy(part) for part in np.unravel_index(cloud.cells, (25, 32, 64)))
    occupied[0, 0, layer, row, column] = 1.0
    values[0, :, layer, row, column] = torch.from_numpy(cloud.points[:, 0]).T
    for block in net.blocks:
        step = block.layer
        how = {"stride": step.stride or 1, "padding": step.padding}
        if step.stride is not None:
            occupied = (functional.conv3d(occupied, torch.ones((1, 1, *step.kernel)), **how) > 0).float()
        values = functional.conv3d(values, block.conv.weight.permute(0, 4, 1, 2, 3), **how)
        norm = block.norm
        values = functional.batch_norm(values, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-3)
        values = values.relu() * occupied
    return values.flatten(1, 2)


def test_the_map_is_that_of_dense_convolutions_at_occupied_cells() -> None:
    net = encoder(Engine.TORCH)
    cloud = net.group(random_cloud(3))
    with torch.no_grad():
        found, expected = encode(net, [cloud]), dense_map(net, cloud)
    assert found.shape == (1, 32, 4, 8) and found.is_contiguous(memory_format=torch.channels_last)
    assert expected.max() > 0.5 and found.min() >= 0.0
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_clouds_of_a_batch_do_not_touch_one_another() -> None:
    net = encoder(Engine.TORCH)
    clouds = [net.group(random_cloud(3)), net.group(np.zeros((0, 4), np.float32)), net.group(random_cloud(4))]
    with torch.no_grad():
        together = encode(net, clouds)
        alone = torch.cat([encode(net, [cloud]) for cloud in clouds])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert together[1].max() == 0.0 and together[0].max() > 0.5


def test_gradients_reach_every_weight() -> None:
    net = encoder(Engine.TORCH).train()
    encode(net, [net.group(random_cloud(3))]).square().mean().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in net.parameters())


def test_channels_that_do_not_divide_are_refused() -> None:
    config = DetectorConfig(grid=CONFIG.grid, filters=(16,), layers=(1,), strides=(1,), pillar_channels=36)
    with pytest.raises(ValueError, match="pillar_channels is 36; 2 layers need a multiple of 16"):
        SparseEncoder(config, Engine.TORCH)


def test_two_builds_of_spconv_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [SimpleNamespace(name=name) for name in ("numpy", "spconv", "spconv-cu126")]
    monkeypatch.setattr(sparse, "distributions", lambda: both)
    with pytest.raises(ImportError, match="spconv and spconv-cu126 are both installed; uninstall"):
        installed_engine()


def test_without_spconv_the_twin_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "distributions", lambda: [SimpleNamespace(name="numpy")])
    assert SparseEncoder(CONFIG).engine is Engine.TORCH


@pytest.mark.parametrize(("build", "engine"), [("spconv", Engine.SPCONV_CPU), ("spconv-cu126", Engine.SPCONV_CUDA)])
def test_the_installed_build_says_where_it_computes(
    build: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse, "distributions", lambda: [SimpleNamespace(name=build)])
    assert installed_engine() is engine


@pytest.mark.skipif(installed_engine() is Engine.TORCH, reason="spconv is not installed")
@pytest.mark.skipif(
    installed_engine() is Engine.SPCONV_CUDA and not torch.cuda.is_available(), reason="this build needs a GPU"
)
def test_spconv_and_its_twin_give_the_same_map_from_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    device = "cuda" if installed_engine() is Engine.SPCONV_CUDA else "cpu"
    fast, twin = encoder(installed_engine()), encoder(Engine.TORCH)
    for name, value in twin.state_dict().items():
        assert torch.equal(value, fast.state_dict()[name]), "a seed gives the same weights whoever computes"
    fast.load_state_dict(twin.state_dict())
    fast.to(device)
    clouds = [twin.group(random_cloud(seed)) for seed in (3, 4)]
    with torch.no_grad():
        expected = encode(twin, clouds)
        with monkeypatch.context() as only:
            only.setattr(fast, "_by_torch", None)
            found = encode(fast, clouds)
        assert encode(fast, [twin.group(np.zeros((0, 4), np.float32))]).max() == 0.0
    assert expected.max() > 0.5
    torch.testing.assert_close(found.cpu(), expected, atol=1e-5, rtol=1e-5)
    for net in (fast, twin):
        encode(net, clouds).square().mean().backward()  # also where the build has no gradient of its own
    gradients = [net.blocks[0].conv.weight.grad for net in (fast, twin)]
    torch.testing.assert_close(gradients[0].cpu(), gradients[1], atol=1e-4, rtol=1e-3)


def test_one_step_trains_a_sparse_detector_and_its_checkpoint_finds_boxes(tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = replace(SECOND_MINI, grid=replace(SECOND_MINI.grid, half_length_m=25.6, half_width_m=25.6))
    detector = Detector(config).train()
    frame = make_frame(3)
    sample = make_sample(frame, config, np.random.default_rng(0), Augmentation())
    raw = detector.raw_heads(detector.bev_from_pillars(detector.pillars_from_points(sample.clouds)))
    heat = torch.from_numpy(np.stack([target.heat for target in sample.own]))
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-3)
    heat_loss(raw.heat, heat).backward()
    optimizer.step()
    with torch.no_grad():
        detector.eval().head.get_submodule("heat").get_parameter("bias").fill_(-1.5)
    save_detector(detector, tmp_path)
    loaded = load_detector(tmp_path)
    ego, sender = (loaded.view(agent.sweep) for agent in frame.agents)
    assert ego.pillars.shape == (64, 64, 64) and ego.bev.shape == (64, 64, 64)
    everywhere = torch.ones((64, 64), dtype=torch.bool)
    shared = Shared(sender.sweep.agent, 0, sender.world_from_agent, Stage.BEV, features=sender.bev, valid=everywhere)
    found = loaded.finish(ego, [shared])
    assert len(found.scores) > 0 and not np.array_equal(found.scores, ego.boxes.scores)
