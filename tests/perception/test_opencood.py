"""OpenCOOD's checkpoints: ours compute what its code computes, and what does not fit is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from carla_cp.perception.checkpoint import load_detector, save_detector
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.detector import Detector
from carla_cp.perception.fusion import Member, Team, plane_theta
from carla_cp.perception.head import RawHeads
from carla_cp.perception.opencood import import_checkpoint
from carla_cp.perception.opencood_settings import METHODS
from carla_cp.perception.view import View
from carla_cp.types import AgentName, Detections, PointArray, Pose, Shared, Stage, Sweep
from tests.perception import opencood_case as case

HEIGHT_M = 1.9


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("opencood")
    return {method: case.write_training(folder / method, method) for method in METHODS}


def raised(points: PointArray) -> PointArray:
    """Into the agent frame."""
    return points + np.array([0, 0, HEIGHT_M, 0], np.float32)


def moved(points: PointArray) -> PointArray:
    """The partner's points in the ego's frame."""
    matrix = case.ego_from_partner()
    result = points.copy()
    result[:, :3] = points[:, :3].astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    return result


def said(detector: Detector, method: str) -> RawHeads:
    """What the imported network says of the case, in the setting in which it was trained."""
    ego, partner = case.clouds()
    sweep = Sweep(AgentName("1"), 0, ego, Pose(), HEIGHT_M)
    first = np.concatenate([ego, moved(partner)]) if method == "early" else ego
    members = [View(detector, sweep, raised(first)).members]
    if method == "coalign":
        theta = plane_theta(case.ego_from_partner(), detector.config.grid)
        own = View(detector, sweep, raised(partner)).members
        members.append(tuple(Member(member.features, member.valid, theta) for member in own))
    elif method not in ("early", "late"):
        members.append(View(detector, sweep, raised(moved(partner))).members)
    with torch.no_grad():
        teams = tuple(Team(tuple(team)) for team in zip(*members, strict=True))
        return detector.raw_heads(detector.fuse(teams)[None])


@pytest.mark.parametrize("method", METHODS)
def test_an_imported_network_says_what_opencoods_says(method: str, trained: dict[str, Path]) -> None:
    raw = said(import_checkpoint(trained[method], method), method)
    heads: dict[str, Tensor] = {"psm": raw.heat[0], "rm": raw.boxes[0]}
    known = case.values(method)
    found = [float(heads[value.head][value.place]) for value in known]
    np.testing.assert_allclose(found, [value.value for value in known], atol=1e-4)


@pytest.mark.parametrize("method", ["attfuse", "early"])
def test_the_loop_computes_it_too_when_partners_send_points(method: str, trained: dict[str, Path]) -> None:
    detector = import_checkpoint(trained[method], method)
    detector.counts_itself = True
    ego, partner = case.clouds()
    view = detector.view(Sweep(AgentName("1"), 0, ego, Pose(z=HEIGHT_M), HEIGHT_M))
    where = Pose(case.AHEAD_M, case.ASIDE_M, yaw=case.TURN)
    heard = Shared(AgentName("2"), 0, where, Stage.POINTS, points=raised(partner))
    found = detector.finish(view, [heard])
    expected = detector.head.decode(said(detector, method))
    inside = (np.abs(expected.boxes[:, :2]) <= (case.HALF_LENGTH_M, case.HALF_WIDTH_M)).all(axis=1)
    assert len(found.scores) == inside.sum() > 5
    np.testing.assert_allclose(found.scores, expected.scores[inside], atol=1e-4)
    assert not same(found, detector.finish(view, []))


def same(first: Detections, second: Detections) -> bool:
    return first.boxes.shape == second.boxes.shape and np.allclose(first.boxes, second.boxes)


def test_an_import_is_a_checkpoint_like_any_other(trained: dict[str, Path], tmp_path: Path) -> None:
    detector = import_checkpoint(trained["fcooper"], "fcooper")
    save_detector(detector, tmp_path)
    loaded = load_detector(tmp_path)
    assert loaded.config == detector.config
    torch.testing.assert_close(said(loaded, "fcooper").heat, said(detector, "fcooper").heat, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_of_the_published_size_needs_no_config(method: str, tmp_path: Path) -> None:
    alone = tmp_path / "alone.pth"
    torch.save(case.published(method), alone)
    config = import_checkpoint(alone, method).config
    expected = (38.4 if method == "cobevt" else 40.0, 70.4 if method == "late" else 140.8)
    assert (config.grid.half_width_m, config.grid.half_length_m) == expected
    assert config.encodes_apart == (method not in ("late", "early", "coalign"))
    assert config.score_threshold == 0.2 and config.nms_iou == 0.15 and config.network_z_m == HEIGHT_M


def test_the_last_epoch_is_taken_and_parallel_training_has_a_prefix(tmp_path: Path) -> None:
    case.write_training(tmp_path, "late")
    newer = {f"module.{name}": value for name, value in case.weights("late").items()}
    newer["module.cls_head.bias"] = torch.tensor([3.0, 4.0])
    torch.save(newer, tmp_path / "net_epoch12.pth")
    state = import_checkpoint(tmp_path, "late").state_dict()
    assert state["head.scores.bias"].tolist() == [3.0, 4.0]


def test_a_direction_head_and_a_shrink_header_are_seen_by_their_names(tmp_path: Path) -> None:
    given = case.published("coalign")
    given["cls_head.weight"], given["reg_head.weight"] = torch.zeros(2, 256, 1, 1), torch.zeros(14, 256, 1, 1)
    given["dir_head.weight"], given["dir_head.bias"] = torch.zeros(4, 256, 1, 1), torch.zeros(4)
    for part, inputs in ((0, 384), (2, 256)):
        given[f"shrink_conv.layers.0.double_conv.{part}.weight"] = torch.zeros(256, inputs, 3, 3)
        given[f"shrink_conv.layers.0.double_conv.{part}.bias"] = torch.zeros(256)
    torch.save(given, tmp_path / "latest.pth")
    config = import_checkpoint(tmp_path, "coalign").config
    assert config.anchors.directions == 2 and config.anchors.ignore_between and config.anchors.score_weight == 2.0
    assert (config.shrink, config.shrink_kernel, config.bev_channels) == ("double", 3, 256)


def refused(folder: Path, method: str, weights: object, settings: object = None) -> str:
    """The line with which an import is refused."""
    folder.mkdir(exist_ok=True)
    torch.save(weights, folder / "net_epoch1.pth")
    if settings is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    with pytest.raises(CheckpointError) as error:
        import_checkpoint(folder, method)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    weights = case.published("late")
    missing = {name: value for name, value in weights.items() if name != "reg_head.bias"}
    assert "holds no reg_head.bias" in refused(tmp_path / "missing", "late", missing)
    extra = {**weights, "cls_head.extra": torch.zeros(1)}
    assert "1 tensors are left over, the first cls_head.extra" in refused(tmp_path / "extra", "late", extra)
    squeezed = {**weights, "naive_compressor.encoder.0.weight": torch.zeros(1)}
    assert "trained with a compressor" in refused(tmp_path / "squeezed", "late", squeezed)
    misshapen = {**weights, "cls_head.weight": torch.zeros(2, 256, 1, 1)}
    line = refused(tmp_path / "misshapen", "late", misshapen)
    assert "cls_head.weight is (2, 256, 1, 1), not (2, 384, 1, 1)" in line
    assert "left over, the first fusion_net" in refused(tmp_path / "other", "attfuse", case.published("cobevt"))
    assert "holds no table of tensors" in refused(tmp_path / "list", "late", [1, 2])
    assert "config.yaml: does not fit method late" in refused(tmp_path / "yaml", "late", weights, {"model": {}})
    settings = case.settings("attfuse")
    assert "it is of model point_pillar_intermediate" in refused(tmp_path / "model", "late", weights, settings)
    settings = case.settings("late")
    settings["postprocess"]["anchor_args"]["feature_stride"] = 4
    assert "feature_stride 2" in refused(tmp_path / "stride", "late", weights, settings)


def test_other_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no net_epochN"):
        import_checkpoint(tmp_path, "late")
    (tmp_path / "latest.pth").write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        import_checkpoint(tmp_path, "late")
    with pytest.raises(CheckpointError, match="choose one of late"):
        import_checkpoint(tmp_path, "v2xvit")


def test_a_config_with_numpy_objects_is_read_as_opencood_writes_it(tmp_path: Path) -> None:
    settings = case.settings("late")
    settings["model"]["args"]["point_pillar_scatter"]["grid_size"] = np.array([128, 64, 1])
    case.write_training(tmp_path, "late")
    (tmp_path / "config.yaml").write_text(yaml.dump(settings), encoding="utf-8")
    assert "python/object" in (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert import_checkpoint(tmp_path, "late").config.grid.half_length_m == case.HALF_LENGTH_M
