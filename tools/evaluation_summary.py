"""An evaluation's figures as JSON: AP by class, order and distance, with intervals, and the bytes that were sent."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np
from evaluation_parts import THRESHOLDS, Outcome, Row, Tally

from carla_cp.metrics.detection import Curve, Matches, Order, area, curve
from carla_cp.metrics.intervals import interval, resampled_areas, resamples
from carla_cp.metrics.protocol import EvaluationProtocol
from carla_cp.types import CodecChoice, FloatArray, IntArray, ObjectClass

Figures = dict[str, float | None]
Ends = dict[str, list[float] | None]


def rows_of(
    rows: Sequence[Row], outcome: Outcome, protocol: EvaluationProtocol, seed: int, count: int
) -> list[dict[str, object]]:
    """One JSON object per row; intervals from `count` resamples of the scenes, the same for all rows."""
    weights = resamples(outcome.scenes, count, seed)
    samples = _samples(outcome.tallies, protocol.order, weights)
    result = []
    for row, tally, drawn in zip(rows, outcome.tallies, samples, strict=True):
        summary = summarise(row, tally, protocol)
        summary["ap_ci95"] = _ends(drawn)
        bases = {"gain": _without_sharing(rows), "loss": _undisturbed(rows, row), "to_raw": _whole_features(rows, row)}
        for key, base in bases.items():
            if base is not None and rows[base] != row:
                summary[f"ap_{key}"] = _difference(key, outcome.tallies[base], samples[base], tally, drawn, protocol)
        result.append(summary)
    return result


def summarise(row: Row, tally: Tally, protocol: EvaluationProtocol) -> dict[str, object]:
    """The figures of one row. `ap` is that of vehicles in the protocol's order; what has no truth is null."""
    classes = {label: [found[label] for found in tally.matches] for label in ObjectClass}
    vehicles = classes[ObjectClass.VEHICLE]
    sizes = [size for size in tally.message_bytes if size]
    ages = [age for age in tally.ages_us if age]
    return {
        "codec": row.choice.name,
        "budget_bytes": row.choice.budget_bytes,
        "label": row.choice.label,
        "fusion": row.fusion,
        "noise": row.noise.label,
        "noise_on": "others" if row.noise.spares_ego else "all",
        "delay_ticks": row.delay,
        "delay_s": median(ages) / 1e6 if row.delay and ages else 0.0,
        "loss": row.loss.rate,
        "cut": row.loss.cut,
        "ap": _precisions(vehicles, protocol.order),
        "ap_by_class": {label.name.lower(): _precisions(found, protocol.order) for label, found in classes.items()},
        "ap_by_distance": {
            _name(within): _precisions(vehicles, protocol.order, within) | {"objects": _objects(vehicles, within)}
            for within in protocol.bins
        },
        "ap_global_order": _precisions(vehicles, "global"),
        "ap_frame_order": _precisions(vehicles, "frame"),
        "messages": len(sizes),
        "empty": len(tally.message_bytes) - len(sizes),
        "lost": tally.lost,
        "bytes": {"mean": sum(sizes) / len(sizes) if sizes else 0.0, "max": max(sizes, default=0)},
        "formula_bytes": _mean(tally.formula_bytes),
        "request_bytes": _mean(tally.request_bytes),
    }


def setting_of(outcome: Outcome, protocol: EvaluationProtocol) -> dict[str, object]:
    """What all rows share."""
    return {
        "frames": len(outcome.scenes),
        "scenes": len(set(outcome.scenes)),
        "frame_digest": _digest(outcome),
        "maps": sorted({_map_of(scene) for scene in outcome.scenes} - {""}),
        "agents": {str(agents): frames for agents, frames in sorted(Counter(outcome.agents).items())},
        "skipped": outcome.skipped,
        "noticed": dict(sorted(outcome.noticed.items())),
        "protocol": asdict(protocol),
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _digest(outcome: Outcome) -> str:
    """Tells one set of frames from another."""
    text = "\n".join(f"{scene} {number}" for scene, number in zip(outcome.scenes, outcome.numbers, strict=True))
    return f"{zlib.crc32(text.encode()):08x}"


def _map_of(scene: str) -> str:
    """The map in a scene's name as tools/generate_data.py gives it; of OPV2V's, which are dates, nothing."""
    return re.sub(r"(^|_)\d[\d_]*$", "", scene.rpartition("/")[2])


def _precisions(matches: Sequence[Matches], order: Order, within: tuple[float, float] | None = None) -> Figures:
    return {str(iou): area(curve(matches, index, order, within)) for index, iou in enumerate(THRESHOLDS)}


def _objects(matches: Sequence[Matches], within: tuple[float, float]) -> int:
    return int(curve(matches, 0, "global", within).truths.sum())


def _name(within: tuple[float, float]) -> str:
    low, high = within
    return f"{low:g}+" if high == float("inf") else f"{low:g}-{high:g}"


def _curves(tally: Tally, order: Order) -> tuple[Curve, ...]:
    vehicles = [found[ObjectClass.VEHICLE] for found in tally.matches]
    return tuple(curve(vehicles, index, order) for index in range(len(THRESHOLDS)))


def _samples(tallies: Sequence[Tally], order: Order, weights: IntArray) -> list[FloatArray]:
    """Of each row the resampled AP (thresholds, count); rows that saw the same are computed once."""
    done: dict[tuple[int, ...], FloatArray] = {}
    result = []
    for tally in tallies:
        same = tuple(id(found) for found in tally.matches)
        if same not in done:
            done[same] = np.stack([resampled_areas(item, weights) for item in _curves(tally, order)])
        result.append(done[same])
    return result


def _ends(samples: FloatArray) -> Ends:
    ends = [interval(values) for values in samples]
    return {str(iou): None if end is None else list(end) for iou, end in zip(THRESHOLDS, ends, strict=True)}


def _difference(
    key: str, base: Tally, base_samples: FloatArray, tally: Tally, samples: FloatArray, protocol: EvaluationProtocol
) -> dict[str, Any]:
    """What a row has more than the base, as `loss` less, with the interval of the paired resamples."""
    sign = -1.0 if key == "loss" else 1.0
    here, there = (
        _precisions([found[ObjectClass.VEHICLE] for found in one.matches], protocol.order) for one in (tally, base)
    )
    ends = _ends(sign * (samples - base_samples))
    values = {
        iou: None if here[iou] is None or there[iou] is None else sign * (here[iou] - there[iou])  # type: ignore[operator]
        for iou in here
    }
    return {iou: {"value": values[iou], "ci95": ends[iou]} for iou in here}


def _without_sharing(rows: Sequence[Row]) -> int | None:
    """The row in which nobody says anything."""
    return next((index for index, row in enumerate(rows) if row.choice.name == "none"), None)


def _undisturbed(rows: Sequence[Row], row: Row) -> int | None:
    """The same row without noise, delay and loss."""
    clean = [
        index
        for index, other in enumerate(rows)
        if (other.choice, other.fusion) == (row.choice, row.fusion)
        and other.noise.kind == "none"
        and not other.delay
        and not other.loss.rate
    ]
    return clean[0] if clean else None


def _whole_features(rows: Sequence[Row], row: Row) -> int | None:
    """Raw features at their full rate, under the same noise and delay, nothing lost; of codecs without a fusion rule
    those of the first one."""
    if row.choice.name == "none":
        return None
    raw = [
        index
        for index, other in enumerate(rows)
        if other.choice == CodecChoice("raw", None)
        and (other.noise, other.delay, other.loss.rate) == (row.noise, row.delay, 0.0)
        and row.fusion in (None, other.fusion)
    ]
    return raw[0] if raw else None
