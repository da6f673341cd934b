"""Detectors of other packages, and what every detector promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from carla_cp.codecs import CodecError, codec_for, load_codec
from carla_cp.codecs.base import Codec
from carla_cp.cooperation import Cooperation
from carla_cp.networks import load_networks
from carla_cp.perception.base import DetectorLike
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.plugins import DETECTORS, GROUP, plugin_detector, with_plugins
from carla_cp.stopwatch import Stopwatch
from carla_cp.types import (
    AgentName,
    ChannelSpec,
    CodecChoice,
    ComputeSpec,
    Detections,
    LocalizationSpec,
    Outcome,
    Pose,
    Stage,
    Sweep,
    TeamSpec,
)
from tests.perception.outside import ClusterDetector
from tests.perception.synthetic import HEIGHT_M, make_sweep

MINI = Path(__file__).resolve().parents[2] / "checkpoints" / "mini"
CARS = np.array([[12.0, 0.0, 0.8, 4.5, 1.9, 1.6, 0.0], [30.0, 12.0, 0.8, 4.5, 1.9, 1.6, 0.0]])  # the first hides a lot


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def sweep(name: str, x: float) -> Sweep:
    return make_sweep(name, CARS, Pose(x=x, z=HEIGHT_M), 0)[0]


def same(one: Detections, two: Detections) -> bool:
    pairs = ((one.boxes, two.boxes), (one.scores, two.scores), (one.labels, two.labels))
    return all(np.array_equal(first, second) for first, second in pairs)


@pytest.fixture(params=["mini", "clusters"])
def pair(request: pytest.FixtureRequest, detector: DetectorLike) -> tuple[DetectorLike, Codec]:
    """A detector and a codec of its boxes."""
    if request.param == "mini":
        return detector, load_codec("late", MINI)
    theirs = ClusterDetector.load("cpu")
    return theirs, codec_for("late:paper", theirs)


def test_every_detector_keeps_the_contract(pair: tuple[DetectorLike, Codec]) -> None:
    detector, _ = pair
    ego, other = detector.view(sweep("ego", 0.0)), detector.view(sweep("cav", 40.0))
    alone, grid = ego.boxes, detector.config.grid
    assert len(alone.scores) == len(alone.boxes) == len(alone.labels) > 0
    assert np.all(np.diff(alone.scores) <= 0) and alone.scores[0] <= 1 and alone.scores[-1] >= 0
    assert np.all(np.abs(alone.boxes[:, :2]) <= (grid.half_length_m, grid.half_width_m))
    assert np.hypot(*(alone.boxes[:, :2] - CARS[0, :2]).T).min() < 2.5
    detector.ahead(ego, Stage.BOXES)
    assert same(detector.finish(ego, []), detector.finish(detector.view(sweep("ego", 0.0)), []))
    with ThreadPoolExecutor(2) as pool:
        side_by_side = list(pool.map(lambda each: detector.view(each).boxes, [sweep("ego", 0.0), sweep("cav", 40.0)]))
    assert same(side_by_side[0], alone) and same(side_by_side[1], other.boxes)
    assert 0 <= detector.fingerprint < 1 << 32 and detector.tap in (Stage.BEV, Stage.BLOCK1)


def test_what_a_partner_sends_is_fused_in_the_loop(pair: tuple[DetectorLike, Codec]) -> None:
    detector, codec = pair
    channel = ChannelSpec(model="ideal")
    team = TeamSpec(AgentName("ego"), (), channel, LocalizationSpec(), ComputeSpec(), 0)
    found = {}
    for loss in (False, True):
        with ThreadPoolExecutor(1) as pool:
            loop = Cooperation(team, CodecChoice("late", 600), 0, detector, codec, pool)
            loop.capture([sweep("ego", 0.0)] + [sweep("cav", 40.0)] * (not loss), (), Stopwatch())
            perceived = loop.fuse(50_000, Stopwatch())
        assert perceived is not None
        found[loss] = perceived.detections
        assert [item.outcome for item in loop.settled(True)] == [Outcome.DELIVERED] * (not loss)
    assert not same(found[False], found[True])
    assert np.hypot(*(found[False].boxes[:, :2] - CARS[1, :2]).T).min() < 2.5


def test_a_class_in_the_entry_point_group_is_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    table = with_plugins({}, [point("clusters", "tests.perception.outside:ClusterDetector")])
    monkeypatch.setattr("carla_cp.perception.plugins.DETECTORS", table)
    assert plugin_detector(Path("plugin:clusters")) is ClusterDetector
    networks = load_networks(
        Path("plugin:clusters"), "cpu", None, [CodecChoice("late", 500), CodecChoice("none", None)]
    )
    assert isinstance(networks.detector, ClusterDetector) and len(networks.codecs) == 2
    with pytest.raises(CheckpointError, match=r"no detector 'cluster'; did you mean plugin:clusters\?"):
        plugin_detector(Path("plugin:cluster"))
    with pytest.raises(CheckpointError, match="fuses by its own rule, not by max; leave --fusion out"):
        load_networks(Path("plugin:clusters"), "cpu", "max", [])
    with pytest.raises(CodecError, match=r"--codec raw: sends bev, detector clusters takes none; choose .*late"):
        load_networks(Path("plugin:clusters"), "cpu", None, [CodecChoice("raw", None)])
    with pytest.raises(CodecError, match="--codec revqom: needs weights trained for one of ours"):
        load_networks(Path("plugin:clusters"), "cpu", None, [CodecChoice("revqom", 500)])


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("gone", "no.such.module:Detector", "No module named"),
        ("clusters", "tests.perception.outside:CELL_M", "no subclass"),
        ("other", "tests.perception.outside:ClusterDetector", "must agree"),
    ],
)
def test_a_class_that_cannot_be_used_is_left_out_with_its_reason(name: str, value: str, why: str) -> None:
    with pytest.warns(UserWarning, match=f"detector {name} of .*{why}"):
        assert with_plugins(DETECTORS, [point(name, value)]) == DETECTORS
