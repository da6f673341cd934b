"""The rows of a result as curves: one per codec and fusion rule, its points by budget, and the same under noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

NOISE_FREE = "none"


@dataclass(frozen=True, slots=True)
class Curve:
    """What one codec gives: rows of JSON without delay and loss."""

    name: str  # of the codec; with its fusion rule where several are there
    rows: list[dict[str, Any]] = field(default_factory=list)  # without noise: budgets, rising; none; then papers' rates
    others: list[dict[str, Any]] = field(default_factory=list)  # under noise

    def noisy(self, noise: str, row: dict[str, Any]) -> dict[str, Any] | None:
        """The row of the same codec and budget under a noise."""
        known = [item for item in (*self.rows, *self.others) if item["label"] == row["label"]]
        return next((item for item in known if item["noise"] == noise), None)

    @property
    def budgeted(self) -> list[dict[str, Any]]:
        """The points of the curve itself."""
        return [row for row in self.rows if ":" not in row["codec"]]

    @property
    def papers(self) -> list[dict[str, Any]]:
        """The points at the paper's own fixed rates."""
        return [row for row in self.rows if ":" in row["codec"]]


def curves_of(result: dict[str, Any]) -> list[Curve]:
    """The curves of a result, in the order of its rows."""
    found: dict[tuple[str, str | None], Curve] = {}
    calm = [row for row in result["rows"] if not row["delay_ticks"] and not row["loss"]]
    rules = list(dict.fromkeys(row["fusion"] for row in calm if row["fusion"]))
    for row in sorted(calm, key=_by_budget):
        codec = row["codec"].partition(":")[0]
        name = codec if row["fusion"] in (None, *rules[:1]) else f"{codec}, {row['fusion']}"
        curve = found.setdefault((codec, row["fusion"]), Curve(name))
        (curve.rows if row["noise"] == NOISE_FREE else curve.others).append(row)
    order = list(dict.fromkeys((row["codec"].partition(":")[0], row["fusion"]) for row in calm))
    return [found[key] for key in order]


def _by_budget(row: dict[str, Any]) -> tuple[bool, float, str]:
    budget = float("inf") if row["budget_bytes"] is None else row["budget_bytes"]
    return ":" in row["codec"], budget, row["codec"]


def noises_of(result: dict[str, Any]) -> list[str]:
    """The noises of a result, none first."""
    names = dict.fromkeys(row["noise"] for row in result["rows"])
    return [NOISE_FREE, *sorted(name for name in names if name != NOISE_FREE)]


def point(curve: Curve, noise: str, budget: int | None) -> dict[str, Any] | None:
    """The row of a budget under a noise."""
    known = [row for row in (*curve.budgeted, *curve.others) if ":" not in row["codec"]]
    return next((row for row in known if row["noise"] == noise and row["budget_bytes"] == budget), None)


def row_of(curves: Sequence[Curve], label: str) -> dict[str, Any] | None:
    """The first row of that label, as `revqom@2000` or `infocom:paper@max`, without noise."""
    return next((row for curve in curves for row in curve.rows if row["label"] == label), None)


def title(row: dict[str, Any], curve: Curve) -> str:
    """The codec as a row names it."""
    return f"{curve.name}:{row['codec'].partition(':')[2]}" if ":" in row["codec"] else curve.name


def change(row: dict[str, Any] | None, iou: str, key: str = "ap_to_raw") -> str:
    """A difference of AP with its interval, or "-"."""
    difference = None if row is None else row.get(key, {}).get(iou)
    if not difference or difference["value"] is None:
        return "-"
    ends = difference["ci95"]
    return _signed(difference["value"]) + ("" if ends is None else f" [{_signed(ends[0])}, {_signed(ends[1])}]")


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"  # a zero is no loss
