"""The papers' headline claims beside our figures, computed from the rows of a result.

Papers' figures: InfoCom (AAAI 2026), its table of volumes and AP on OPV2V; ReVQom (ICASSP 2026), its table on
DAIR-V2X-C, where CoBEVT shares whole features. A figure of ours stands for the same method behind our detector on our
maps: what can be compared are differences to whole features and ratios of bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rate_rows import Curve, change, curves_of, row_of

MISSING = "not measured"


@dataclass(frozen=True, slots=True)
class Claim:
    """One line of the table."""

    claim: str
    paper: str
    ours: str
    holds: bool | None  # None: not measured
    why: str = ""


def claims(result: dict[str, Any]) -> list[str]:
    """The section of a joined result; nothing where no claim was measured."""
    curves = curves_of(result)
    found = [
        _near(
            curves,
            "infocom:paper@max",
            "InfoCom is within 0.01 AP of full features",
            "-0.000 AP@0.5, -0.003 AP@0.7 (OPV2V)",
            0.01,
            ("0.5", "0.7"),
        ),
        _fewer(curves, "where2comm", 440, "3.439 MB to 7.875 KB (OPV2V)"),
        _fewer(curves, "ermvp", 90, "0.741 MB to 7.875 KB (OPV2V)"),
        *(
            _near(
                curves, f"revqom:{variant}@max", f"ReVQom at {bits} bits per cell {text}", paper, margin, ("0.3", "0.5")
            )
            for variant, bits, text, paper, margin in (
                ("paper", 18, "is at least equal to raw features", "+0.019 AP@0.3, -0.006 AP@0.5 (DAIR)", 0.0),
                ("paper12", 12, "is within 0.02 of raw features", "-0.029 AP@0.3, -0.048 AP@0.5 (DAIR)", 0.02),
                ("paper6", 6, "is within 0.02 of raw features", "-0.038 AP@0.3, -0.099 AP@0.5 (DAIR)", 0.02),
            )
        ),
        *_charged(curves),
    ]
    if all(claim.holds is None for claim in found):
        return []
    lines = ["## What the papers claim", "", "| claim | paper | ours | holds here | why |", "|---|---|---|---|---|"]
    verdicts = {True: "yes", False: "no", None: "-"}
    lines += [f"| {c.claim} | {c.paper} | {c.ours} | {verdicts[c.holds]} | {c.why} |" for c in found]
    return [*lines, ""]


def _near(curves: Sequence[Curve], label: str, claim: str, paper: str, margin: float, ious: Sequence[str]) -> Claim:
    """A codec's AP against that of whole features; it holds where no threshold's is lower by more than the margin."""
    row = row_of(curves, label)
    gaps = [] if row is None else [row.get("ap_to_raw", {}).get(iou, {}).get("value") for iou in ious]
    if not gaps or any(gap is None for gap in gaps):
        return Claim(claim, paper, MISSING, None)
    ours = ", ".join(f"{change(row, iou)} AP@{iou}" for iou in (*ious, *({"0.7"} - set(ious))))
    short = max(-gap for gap in gaps) - margin
    why = "" if short <= 0 else f"{short:.3f} more than claimed at the worse threshold"
    return Claim(claim, paper, ours, short <= 0, why)


def _fewer(curves: Sequence[Curve], rival: str, times: int, paper: str) -> Claim:
    """How many times fewer bytes InfoCom sends than a rival, each at its paper's rate."""
    claim = f"InfoCom sends {times} times fewer bytes than {rival}"
    ours, theirs = row_of(curves, "infocom:paper@max"), row_of(curves, f"{rival}:paper@max")
    if not (ours and theirs and ours["bytes"]["mean"] and theirs["bytes"]["mean"]):
        return Claim(claim, paper, MISSING, None)
    real = theirs["bytes"]["mean"] / ours["bytes"]["mean"]
    text = f"{real:,.1f} times: {_bytes(theirs)} to {_bytes(ours)}"
    why = ""
    if real < times:
        why = f"{times / real:,.1f} times short with messages that decode"
        if raw := row_of(curves, "raw@max"):
            why += f"; whole features are {_bytes(raw)} here, 34.4 MB of 32-bit floats in InfoCom's table"
    if ours["formula_bytes"] and theirs["formula_bytes"]:
        text += f"; {theirs['formula_bytes'] / ours['formula_bytes']:,.1f} times by the papers' formulas"
    return Claim(claim, paper, text, real >= times, why)


def _charged(curves: Sequence[Curve]) -> list[Claim]:
    """What each paper's formula leaves out, or charges too much, beside the bytes of messages that decode."""
    found = []
    for curve in curves:
        for row in curve.papers:
            formula, real = row["formula_bytes"], row["bytes"]["mean"]
            if not formula or not real:
                continue
            text = f"{real:,.0f} B, {real / formula:.2f} times as many"
            why = "headers, and which cells it holds, are in the message" if real > formula else "entropy coded"
            found.append(Claim(f"{row['codec']}: bytes of a message", f"{formula:,.0f} B", text, real <= formula, why))
    return found


def _bytes(row: dict[str, Any]) -> str:
    return f"{row['bytes']['mean']:,.0f} B"
