"""AP over evenly spaced validation frames, for several ways of using the same views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from carla_cp.codecs.base import Codec
from carla_cp.datasets import Dataset, DatasetError, Tally, stream_frames
from carla_cp.metrics.detection import average_precision
from carla_cp.perception.detector import Detector
from carla_cp.perception.truth import team_truth
from carla_cp.perception.view import View
from carla_cp.types import DetectionFrame, Detections, ObjectClass, Shared, Stage

Use: TypeAlias = Callable[[Sequence[View]], Detections]


def everyone_shares(detector: Detector) -> Use:
    """The ego's detections when everyone sends, without loss, what the detector's fusion takes."""

    def use(views: Sequence[View]) -> Detections:
        ego, *others = [view.of(detector) for view in views]
        return detector.finish(ego, [_whole(view, detector.tap) for view in others])

    return use


def through(detector: Detector, codec: Codec[Any], budget: int | None) -> Use:
    """The ego's detections when everyone else sends what the codec says within the budget, without loss."""

    def use(views: Sequence[View]) -> Detections:
        ego, *others = views
        request = codec.request(ego)
        payloads = [codec.encode(view, budget, request or None) for view in others]
        return detector.finish(ego, [codec.decode(payload) for payload in payloads if payload])

    return use


def _whole(view: View, stage: Stage) -> Shared:
    features = view.bev if stage is Stage.BEV else view.block1
    everywhere = torch.ones(features.shape[1:], dtype=torch.bool)
    sweep = view.sweep
    return Shared(sweep.agent, sweep.time_us, view.world_from_agent, stage, features=features, valid=everywhere)


def average_precisions(
    data: Dataset, limit: int, uses: Sequence[Use], detector: Detector, iou: float = 0.5
) -> tuple[float, ...]:
    """AP of vehicles of each use of the views that `detector` makes of evenly spaced frames.

    What cannot be read is left out and said; raises DatasetError where nothing can.
    """
    order = np.unique(np.linspace(0, len(data) - 1, min(limit, len(data))).astype(int)).tolist()
    frames: list[list[DetectionFrame]] = [[] for _ in uses]
    tally = Tally()
    for _, frame in stream_frames(data, order, tally=tally):
        views = [detector.view(agent.sweep) for agent in frame.agents]
        boxes, labels = team_truth(frame, detector.config)
        truth = boxes[labels == ObjectClass.VEHICLE]
        for use, kept in zip(uses, frames, strict=True):
            found = use(views)
            mine = found.labels == ObjectClass.VEHICLE
            kept.append(DetectionFrame(boxes=found.boxes[mine], scores=found.scores[mine], truth=truth))
    if not tally.read:
        raise DatasetError(f"{data.folder}: no validation frame can be read; give another --val. {tally}")
    if tally.left_out:
        print(f"validation: {tally}", flush=True)
    return tuple(average_precision(kept, iou) or 0.0 for kept in frames)
