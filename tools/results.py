"""Evaluations as the results table: results.py F.json [MORE.json ...] --out checkpoints/RESULTS.md

One section per checkpoint, one line per way of sharing, clean and with pose noise, with 95 % intervals over scenes. A
picture of AP@0.7 against the noise is written beside it. `evaluate.py --table` writes the same of its own result.
Evaluations of one checkpoint on the same frames, of which each has some of the rows, become one section.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arguments import out_file
from matplotlib import style
from matplotlib.figure import Figure

from carla_cp.perception.checkpoint import FUSION, WEIGHTS
from carla_cp.perception.presets import PRESETS
from carla_cp.report.drawing import BASELINES, PALETTE, STYLE
from carla_cp.whole import whole_file, write_whole

TABLE_NOISES = ("none", "gaussian:0.2/0.2", "gaussian:0.4/0.4")
SHARED = {"none": "none", "late": "late", "early": "early"}  # codecs without a fusion rule
PUBLISHED = ("max", "attention", "where2comm", "cobevt", "coalign", "v2vnet", "v2xvit")  # rules, in the table's order
# What tells a row from another, and an evaluation from another.
ROW = ("label", "fusion", "noise", "noise_on", "delay_ticks", "loss", "cut")
SETTING = (
    "checkpoint",
    "frames",
    "scenes",
    "frame_digest",
    "maps",
    "agents",
    "skipped",
    "protocol",
    "seed",
    "resamples",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One way of sharing, with its rows by noise."""

    name: str
    rows: dict[str, dict[str, Any]]  # of JSON, by noise

    def row(self, noise: str) -> dict[str, Any] | None:
        """The row at a noise; of `none`, which no noise reaches, the only one."""
        return self.rows.get("none") if self.name == "none" else self.rows.get(noise)


def joined(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The evaluations, those of one setting as one: its rows are those of all, of equal ones the last."""
    merged: dict[str, dict[str, Any]] = {}
    for result in results:
        key = json.dumps([result[name] for name in SETTING], sort_keys=True)
        known = merged.setdefault(key, result | {"rows": [], "made": []})
        rows = {tuple(row[name] for name in ROW): row for row in (*known["rows"], *result["rows"])}
        known["rows"] = list(rows.values())
        known["made"].append(f"`{result['command']}`: commit {result['commit']}, {result['machine']}.")
    return list(merged.values())


def lines_of(result: dict[str, Any]) -> list[Line]:
    """The ways of sharing of an evaluation, without delay and loss: baselines, rules by their papers' order, others."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in result["rows"]:
        if not row["delay_ticks"] and not row["loss"]:
            found.setdefault(name_of(row), {})[row["noise"]] = row
    order = [*SHARED, *PUBLISHED]
    names = sorted(found, key=lambda name: order.index(name) if name in order else len(order))
    return [Line(name, found[name]) for name in names]


def name_of(row: dict[str, Any]) -> str:
    """`none`, `late`, `early`; the rule of whole features; else the codec with its budget and rule."""
    if row["codec"] in SHARED and row["budget_bytes"] is None:
        return str(row["codec"])
    if row["codec"] == "raw" and row["budget_bytes"] is None:
        return str(row["fusion"])
    return f"{row['label']}" + (f", {row['fusion']}" if row["fusion"] else "")


def table(results: Sequence[dict[str, Any]], picture: str, trained: Collection[str] = ()) -> str:
    """RESULTS.md of joined evaluations; `trained` names what has weights: `DETECTOR`, and `DETECTOR/RULE`."""
    parts = ["# Results", "", *protocol_lines(results[0]), ""]
    for result in results:
        parts += _section(result, trained)
    parts += _others({result["checkpoint"] for result in results}, trained)
    parts += [f"![AP@0.7 against pose noise]({picture})", "", "## How this was made", ""]
    for result in results:
        parts += [text for made in dict.fromkeys(result["made"]) for text in (made, "")]
    return "\n".join(parts)


def protocol_lines(result: dict[str, Any]) -> list[str]:
    """The protocol in five lines."""
    protocol, agents = result["protocol"], result["agents"]
    half = protocol["range_m"]
    where = "the detector's grid" if half is None else f"+-{half[0]:g} x +-{half[1]:g} m"
    skipped = f"; {len(result['skipped'])} could not be read" if result["skipped"] else ""
    others = {
        "objects all-as-one": protocol["objects"] == "all-as-one",
        f"agents within {protocol['com_range_m']} m": protocol["com_range_m"] is not None,
        f"no detections over {protocol['max_extent_m']} m": protocol["max_extent_m"] is not None,
        f"z in {protocol['z_range_m']} m": protocol["z_range_m"] is not None,
        "the ego's car counts": protocol["include_ego"],
        f"scores above {protocol['score_threshold']}": protocol["score_threshold"] is not None,
    }
    kept = ", ".join(text for text, holds in others.items() if holds) or "no other filter"
    team = f"{min(map(int, agents))} to {max(map(int, agents))}" if agents else "no"
    return [
        f"1. Frames: {result['frames']} of {result['scenes']} scenes{_maps(result['maps'])}, {team} agents{skipped}.",
        "2. Truth: vehicles with a return at any agent, each once, without the ego"
        f"{' unless another sees it' if protocol['include_ego'] else ''}; current, whatever is late.",
        f"3. Counted: {protocol['inside']} in {where}; {kept} (protocol `{protocol['name']}`).",
        f"4. AP: IoU from above, VOC all-point area, scores in {protocol['order']} order; [95 % interval] from"
        f" {result['resamples']} resamples of the scenes.",
        f"5. Noise: m / deg, the same for all rows: {_noises(result['rows'])}.",
    ]


def _maps(names: Sequence[str]) -> str:
    """Where the scenes lie; the generator puts a map into one split only, which its name begins with."""
    fresh = ", never trained or tuned on" if names and all(name.startswith("test_") for name in names) else ""
    return f" (maps {', '.join(names)}{fresh})" if names else ""


def _noises(rows: Sequence[dict[str, Any]]) -> str:
    texts = {
        "gaussian": "normal, on x, y and yaw, anew for each agent and frame",
        "laplace": "Laplace's with these scales, on x, y and yaw, anew for each agent and frame",
        "bias": "one fixed offset of x, y, z and yaw",
    }
    found = {(row["noise"].partition(":")[0], row["noise_on"]) for row in rows if row["noise"] != "none"}
    who = {"all": "of every agent, the ego too", "others": "of every agent but the ego"}
    return "; ".join(f"{texts[kind]}, {who[on]}" for kind, on in sorted(found)) or "none"


def _section(result: dict[str, Any], trained: Collection[str]) -> list[str]:
    noises = [noise for noise in TABLE_NOISES if any(row["noise"] == noise for row in result["rows"])]
    noises += sorted({row["noise"] for row in result["rows"]} - set(noises))
    heads = [f"{iou} {_short(noise)}" for noise in noises for iou in ("AP@0.5", "AP@0.7")]
    lines = lines_of(result)
    rows = [
        f"## {result['checkpoint']}",
        "",
        f"| shared | {' | '.join(heads)} | mean [B] |",
        "|---" * (len(heads) + 2) + "|",
    ]
    for line in lines:
        cells = [with_interval(line.row(noise), iou) for noise in noises for iou in ("0.5", "0.7")]
        size = next(iter(line.rows.values()))["bytes"]["mean"]
        rows.append(f"| {line.name} | {' | '.join(cells)} | {size:,.0f} |")
    known = {line.name for line in lines}
    for rule in PUBLISHED:
        if rule not in known:
            cell = "not evaluated | " if f"{result['checkpoint']}/{rule}" in trained else "not trained | "
            rows.append(f"| {rule} | {cell * len(heads)}- |")
    return [*rows, "", *_near_and_far(result, lines), *_delays(result)]


def _others(shown: Collection[str], trained: Collection[str]) -> list[str]:
    """The detectors that the table says nothing of."""
    missing = [name for name in PRESETS if name not in shown]
    rows = [f"| {name} | {'trained, not evaluated here' if name in trained else 'not trained'} |" for name in missing]
    return ["| other detectors | |", "|---|---|", *rows, ""] if rows else []


def _short(noise: str) -> str:
    return "clean" if noise == "none" else noise.removeprefix("gaussian:")


def with_interval(row: dict[str, Any] | None, iou: str) -> str:
    if row is None or row["ap"][iou] is None:
        return "-"
    ends = row["ap_ci95"][iou]
    return f"{row['ap'][iou]:.3f}" + ("" if ends is None else f" [{ends[0]:.3f}, {ends[1]:.3f}]")


def _near_and_far(result: dict[str, Any], lines: Sequence[Line]) -> list[str]:
    """AP@0.7 by distance, by class, and how much sharing gains and noise costs."""
    if not lines:
        return []
    bins = list(next(iter(lines[0].rows.values()))["ap_by_distance"])
    worst = max(
        (noise for line in lines for noise in line.rows),
        key=lambda noise: list(TABLE_NOISES).index(noise) if noise in TABLE_NOISES else -1,
    )
    heads = [
        *(f"AP@0.7, {name} m" for name in bins),
        "cyclist @0.5",
        "walker @0.5",
        "gain over none @0.7",
        f"lost @0.7, {_short(worst)}",
    ]
    rows = [f"| shared, clean | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for line in lines:
        row, noisy = line.row("none"), line.row(worst)
        if row is None:
            continue
        figures = [row["ap_by_distance"][name]["0.7"] for name in bins]
        figures += [row["ap_by_class"][name]["0.5"] for name in ("cyclist", "pedestrian")]
        cells = ["-" if value is None else f"{value:.3f}" for value in figures]
        cells += [change_of(row, "ap_gain"), change_of(noisy, "ap_loss")]
        rows.append(f"| {line.name} | {' | '.join(cells)} |")
    return [*rows, ""]


def change_of(row: dict[str, Any] | None, key: str) -> str:
    change = None if row is None else row.get(key, {}).get("0.7")
    if not change or change["value"] is None:
        return "-"
    ends = change["ci95"]
    return f"{change['value']:.3f}" + ("" if ends is None else f" [{ends[0]:.3f}, {ends[1]:.3f}]")


def _delays(result: dict[str, Any]) -> list[str]:
    """AP@0.7 without noise by the age of partners' data."""
    ages = sorted({(row["delay_ticks"], row["delay_s"]) for row in result["rows"] if _calm(row)})
    if len(ages) < 2:
        return []
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in result["rows"]:
        if _calm(row):
            found.setdefault(name_of(row), {})[row["delay_ticks"]] = row
    rows = [
        f"| shared, clean | {' | '.join(f'AP@0.7, {seconds:g} s old' for _, seconds in ages)} |",
        "|---" * (len(ages) + 1) + "|",
    ]
    for name, by_age in found.items():
        cells = [with_interval(by_age.get(0 if name == "none" else ticks), "0.7") for ticks, _ in ages]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return [*rows, ""]


def _calm(row: dict[str, Any]) -> bool:
    return row["noise"] == "none" and not row["loss"]


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """AP@0.7 against the noise, a line per way of sharing, one panel per checkpoint."""
    with style.context(STYLE):
        figure = Figure((6.0 * len(results), 4.2), layout="constrained")
        for axes, result in zip(figure.subplots(1, len(results), squeeze=False)[0], results, strict=True):
            lines = lines_of(result)
            noises = [noise for noise in TABLE_NOISES if any(noise in line.rows for line in lines)]
            for number, line in enumerate(lines):
                points = [(noise, line.row(noise)) for noise in noises]
                shown = [
                    (noises.index(noise), row["ap"]["0.7"])
                    for noise, row in points
                    if row and row["ap"]["0.7"] is not None
                ]
                if shown:
                    dashes = "--" if line.name in SHARED else "-"
                    colour = BASELINES.get(line.name, PALETTE[number % len(PALETTE)])
                    axes.plot(*zip(*shown, strict=True), dashes, marker="o", color=colour, label=line.name)
            axes.set_xticks(range(len(noises)), [_short(noise) for noise in noises])
            axes.set_xlabel("pose noise of every agent, m / deg")
            axes.set_ylabel("AP@0.7, vehicles")
            axes.set_title(result["checkpoint"])
            axes.legend(fontsize=8, ncols=2)
        with whole_file(path) as file:
            figure.savefig(file, dpi=110, format="png", metadata={"Software": None})


def write_results(results: Sequence[dict[str, Any]], path: Path) -> None:
    """The table, and the picture beside it under the same name."""
    picture = path.with_suffix(".png")
    results = joined(results)
    draw(results, picture)
    trained = {weights.parent.name for weights in path.parent.glob(f"*/{WEIGHTS}")}
    trained |= {f"{rule.parents[1].name}/{rule.stem}" for rule in path.parent.glob(f"*/{FUSION}/*.safetensors")}
    write_whole(path, table(results, picture.name, trained))


def read_results(paths: Sequence[Path], check: Callable[[dict[str, Any]], object], tool: str) -> list[dict[str, Any]]:
    """The results in files; exit status 2 and one line, of `tool`, for one of which `check` makes nothing."""
    results = []
    for path in paths:
        try:
            results.append(json.loads(path.read_text(encoding="utf-8")))
            check(results[-1])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
            print(f"{tool}: {path}: no result of tools/evaluate.py ({error}); run it again", file=sys.stderr)
            sys.exit(2)
    return results


def main() -> None:
    """Exit status 2 and one line for a file that is no evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", metavar="F.json", help="results of tools/evaluate.py")
    parser.add_argument("--out", type=out_file, required=True, help="the table, as checkpoints/RESULTS.md")
    options = parser.parse_args()
    results = read_results(options.results, lambda each: table(joined([each]), ""), "results")
    write_results(results, options.out)


if __name__ == "__main__":
    main()
