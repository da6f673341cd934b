"""`opencood:DIR`: a model that is not ours in our loop. A small stand-in has the names of OpenCOOD's modules."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from carla_cp.codecs import CodecError, load_codec, parse_choice
from carla_cp.opv2v import read_scene
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.opencood_model import OpencoodDetector, opencood_files
from carla_cp.types import AgentName, Pose, Shared, Stage, Sweep
from tests.perception.opencood_case import settings
from tests.perception.synthetic import write
from tests.tools.claims import load_tool

HEIGHT_M = 1.7


class Counter(nn.Module):
    """Says how many points each agent has, and where the first one lies."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The clouds as they came, and how many there are."""
        return {"clouds": batch["processed_lidar"]["points"], "agents": batch["record_len"], "scale": self.scale}


class Before:
    """Keeps points as they are."""

    def preprocess(self, points: Any) -> dict[str, Any]:
        return {"points": points}

    def collate_batch(self, parts: dict[str, list[Any]]) -> dict[str, Tensor]:
        return {"points": torch.from_numpy(np.concatenate(parts["points"]))}


class After:
    """One box of 4 x 2 x 1.5 m around each point."""

    def generate_anchor_box(self) -> Any:
        return np.zeros((1, 1, 1, 7))

    def post_process(self, place: Any, said: Any) -> tuple[Tensor | None, Tensor | None]:
        points = said["ego"]["clouds"][:, :3]
        signs = torch.tensor([[1, -1], [1, 1], [-1, 1], [-1, -1]]) / 2
        flat = signs * torch.tensor([4.0, 2.0])
        corners = torch.stack([torch.cat([flat, torch.full((4, 1), z)], dim=1) for z in (-0.75, 0.75)]).reshape(8, 3)
        return points[:, None] + corners, torch.linspace(0.5, 0.9, len(points))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    parts: dict[str, dict[str, Any]] = {
        "opencood": {},
        "opencood.hypes_yaml": {},
        "opencood.hypes_yaml.yaml_utils": {"load_yaml": lambda path: yaml.safe_load(Path(path).read_text("utf-8"))},
        "opencood.tools": {},
        "opencood.tools.train_utils": {"create_model": lambda settings: Counter()},
        "opencood.data_utils": {},
        "opencood.data_utils.pre_processor": {"build_preprocessor": lambda given, train: Before()},
        "opencood.data_utils.post_processor": {"build_postprocessor": lambda given, train: After()},
    }
    for name, members in parts.items():
        module = ModuleType(name)
        for member, value in members.items():
            setattr(module, member, value)
        monkeypatch.setitem(sys.modules, name, module)
    yield


def training(folder: Path, method: str) -> Path:
    (folder / "config.yaml").write_text(yaml.safe_dump(settings(method)), encoding="utf-8")
    torch.save({"scale": torch.tensor(2.0)}, folder / "net_epoch1.pth")
    return Path(f"opencood:{folder}")


def sweep(points: list[list[float]]) -> Sweep:
    return Sweep(AgentName("1"), 0, np.array(points, np.float32), Pose(), HEIGHT_M)


def partner(points: list[list[float]]) -> Shared:
    """Ten metres ahead, facing the ego."""
    return Shared(
        AgentName("2"), 0, Pose(10.0, 0.0, -HEIGHT_M, yaw=np.pi), Stage.POINTS, points=np.array(points, np.float32)
    )


@pytest.mark.usefixtures("stand_in")
def test_points_of_all_agents_reach_the_model_in_the_egos_lidar_frame(tmp_path: Path) -> None:
    detector = load_detector(training(tmp_path, "attfuse"))
    assert isinstance(detector, OpencoodDetector) and detector.state_dict()["model.scale"] == 2.0
    view = detector.view(sweep([[5.0, 1.0, -1.0, 0.3], [9.0, -2.0, -1.0, 0.3], [99.0, 0.0, 0.0, 0.3]]))
    alone = view.boxes
    np.testing.assert_allclose(alone.boxes, [[9, -2, 0.7, 4, 2, 1.5, 0], [5, 1, 0.7, 4, 2, 1.5, 0]], atol=1e-5)
    np.testing.assert_allclose(alone.scores, [0.9, 0.5])
    found = detector.finish(view, [partner([[4.0, 3.0, 0.7, 0.3]])])
    assert len(found.scores) == 3
    np.testing.assert_allclose(found.boxes[0], [6, -3, 0.7, 4, 2, 1.5, 0], atol=1e-5)


@pytest.mark.usefixtures("stand_in")
def test_a_model_that_moves_features_gets_clouds_as_they_are(tmp_path: Path) -> None:
    detector = load_detector(training(tmp_path, "coalign"))
    found = detector.finish(detector.view(sweep([[5.0, 1.0, -1.0, 0.3]])), [partner([[4.0, 3.0, 0.7, 0.3]])])
    np.testing.assert_allclose(found.boxes[0, :3], [4, 3, 0.7], atol=1e-5)


@pytest.mark.usefixtures("stand_in")
def test_a_late_model_takes_boxes_alone(tmp_path: Path) -> None:
    detector = load_detector(training(tmp_path, "late"))
    view = detector.view(sweep([[5.0, 1.0, -1.0, 0.3]]))
    heard = Shared(AgentName("2"), 0, Pose(10.0, 0.0, -HEIGHT_M), Stage.BOXES, detections=view.boxes)
    assert sorted(detector.finish(view, [heard]).boxes[:, 0].round(3)) == [5.0, 15.0]
    with pytest.raises(ValueError, match="share boxes"):
        detector.finish(view, [partner([[4.0, 3.0, 0.7, 0.3]])])
    features = Shared(AgentName("2"), 0, Pose(), Stage.BEV, features=torch.zeros(1, 2, 2))
    with pytest.raises(ValueError, match="points or boxes, not bev"):
        detector.finish(view, [features])


def test_without_opencood_the_mend_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opencood", None)
    with pytest.raises(CheckpointError, match=r"OpenCOOD cannot be imported .* tools/import_opencood.py"):
        load_detector(training(tmp_path, "late"))


@pytest.mark.usefixtures("stand_in")
def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config.yaml: not found; give opencood:DIR"):
        load_detector(Path(f"opencood:{tmp_path}"))
    given = training(tmp_path, "late")
    with pytest.raises(CheckpointError, match="fuses by its own rule, not by max"):
        load_detector(given, fusion="max")
    torch.save({"other": torch.zeros(1)}, tmp_path / "net_epoch2.pth")
    with pytest.raises(CheckpointError, match=r"net_epoch2.pth: does not fit config.yaml"):
        load_detector(given)


@pytest.mark.usefixtures("stand_in")
def test_points_go_through_the_early_codec_where_boxes_are_first(tmp_path: Path) -> None:
    given = training(tmp_path, "attfuse")
    codec, detector = load_codec("early", given), load_detector(given)
    view = detector.view(sweep([[5.0, 1.0, -1.0, 0.3], [9.0, -2.0, -1.0, 0.3], [99.0, 0.0, 0.0, 0.3]]))
    payload = codec.encode(view, None)
    points = codec.decode(payload).points
    assert points is not None and sorted(points[:, 0].round()) == [5, 9, 99]
    (first,) = [codec.decode(small).points for size in range(len(payload)) if (small := codec.encode(view, size))][:1]
    assert first is not None and first[:, 0].round().tolist() == [9]  # of the box with the higher score
    heat = view.heat
    assert heat.shape == (3, detector.config.grid.rows, detector.config.grid.columns)
    assert float(heat.max()) == pytest.approx(0.9) and not heat[1:].any()


@pytest.mark.usefixtures("stand_in")
def test_an_evaluation_takes_points_and_boxes_and_refuses_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Before, "preprocess", lambda self, points: {"points": points[:5]})
    write(tmp_path / "scene", 1, 11)
    given, evaluation = training(tmp_path, "attfuse"), load_tool("evaluation")
    rows = tuple(evaluation.Row(parse_choice(name)) for name in ("none", "late", "early"))
    outcome = evaluation.run_job(evaluation.Job(read_scene(tmp_path / "scene"), (0,), given, rows))
    none, late, early = (len(tally.matches[0][0].scores) for tally in outcome.tallies)
    assert none < early and late > 0 and min(outcome.tallies[1].message_bytes + outcome.tallies[2].message_bytes) > 0
    for name in ("raw", "revqom"):
        with pytest.raises(CodecError, match=f"--codec {name}: .* shares no features; choose early or late"):
            load_codec(name, given)


@pytest.mark.usefixtures("stand_in")
def test_its_files_are_named_and_missing_ones_refused(tmp_path: Path) -> None:
    given = training(tmp_path, "late")
    assert opencood_files(str(given)) == [tmp_path / "config.yaml", tmp_path / "net_epoch1.pth"]
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(CheckpointError, match=r"config.yaml: names no cav_lidar_range"):
        load_codec("early", given)
