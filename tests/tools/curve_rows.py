"""Results for tests of the rate curve."""

from __future__ import annotations

from typing import Any


def row(
    label: str,
    ap: float,
    size: float = 900.0,
    noise: str = "none",
    loss: float = 0.0,
    cut: str = "parts",
    fusion: str | None = None,
    formula: float | None = None,
    to_raw: float | None = None,
) -> dict[str, Any]:
    codec, _, budget = label.partition("@")
    figures = {"0.3": ap, "0.5": ap, "0.7": ap / 2}
    change = {iou: {"value": to_raw, "ci95": [-0.25, 0.25]} for iou in figures}
    return {
        "codec": codec,
        "budget_bytes": None if budget == "max" else int(budget),
        "label": label,
        "fusion": fusion,
        "noise": noise,
        "noise_on": "all",
        "delay_ticks": 0,
        "loss": loss,
        "cut": cut,
        "ap": figures,
        "ap_ci95": {iou: [value - 0.01, value + 0.01] for iou, value in figures.items()},
        **({} if to_raw is None else {"ap_to_raw": change}),
        **({"ap_loss": {iou: {"value": loss / 10, "ci95": None} for iou in figures}} if loss else {}),
        "messages": 0 if codec == "none" else 40,
        "empty": 3,
        "bytes": {"mean": 0.0 if codec == "none" else size, "max": int(size)},
        "formula_bytes": formula,
        "request_bytes": 60.0 if codec == "where2comm" else None,
    }


PROTOCOL = {
    "name": "ours",
    "range_m": None,
    "inside": "centre",
    "com_range_m": None,
    "max_extent_m": None,
    "z_range_m": None,
    "objects": "vehicles",
    "include_ego": False,
    "max_objects": None,
    "score_threshold": None,
    "order": "global",
}


def result(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "command": "the command",
        "commit": "abc",
        "machine": "a machine",
        "checkpoint": "mini",
        "frames": 600,
        "scenes": 60,
        "frame_digest": "01234567",
        "maps": ["test_bends"],
        "agents": {"2": 600},
        "skipped": [],
        "protocol": dict(PROTOCOL),
        "seed": 0,
        "resamples": 200,
        "rows": list(rows),
        **changes,
    }


def some(**changes: Any) -> dict[str, Any]:
    """Two baselines and one codec with a paper, clean, under noise and with loss."""
    noise = "gaussian:0.2/0.2"
    return result(
        row("none@max", 0.5),
        row("raw@max", 0.9, 2e6, fusion="max"),
        row("revqom@250", 0.7, 240.0, fusion="max", to_raw=-0.02),
        row("revqom@1000", 0.88, 950.0, fusion="max", to_raw=-0.005),
        row("revqom@max", 0.9, 3000.0, fusion="max", to_raw=0.0),
        row("revqom:paper@max", 0.9, 40000.0, fusion="max", formula=36864.0, to_raw=0.001),
        row("revqom@1000", 0.8, 950.0, noise, fusion="max", to_raw=-0.004),
        row("revqom@1000", 0.87, 950.0, loss=0.1, fusion="max"),
        row("revqom@1000", 0.6, 950.0, loss=0.1, cut="message", fusion="max"),
        **changes,
    )
