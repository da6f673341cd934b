"""The study as data: which situations, codecs, budgets, settings and seeds, block by block."""

from __future__ import annotations

from dataclasses import dataclass

SEEDS = tuple(range(10))
FEW_SEEDS = tuple(range(5))


@dataclass(frozen=True, slots=True)
class Block:
    """Every situation with every codec at every point and seed. An episode that two blocks ask for is played once."""

    name: str
    situations: tuple[str, ...]  # names of scenario files
    codecs: tuple[str, ...]  # as `--codec` takes them
    seeds: tuple[int, ...]
    points: tuple[tuple[str, ...], ...] = ((),)  # of a sweep: the `--set` values of each


SITUATIONS = (
    "intersection",
    "left_turn",
    "overtake",
    "parked_van",
    "pull_out",
    "blind_t",
    "bend",
    "lead_brake",
    "merge",
    "roundabout",
    "cyclist",
    "urban",
)
WIDEST = ("roundabout", "urban", "cyclist", "pull_out")  # margins, by `scenarios/README.md`
SENDERS_IN = "urban_connected"  # where eight can send

BUDGETED = ("late", "where2comm", "infocom", "revqom", "dense_sparse")
SWEPT = ("late@2KB", "revqom@2KB")


def _at(budget: str) -> tuple[str, ...]:
    return tuple(f"{name}@{budget}" for name in BUDGETED)


def _sweep(key: str, *values: str) -> tuple[tuple[str, ...], ...]:
    return tuple((f"{key}={value}",) for value in values)


BLOCKS = (
    Block("bounds", SITUATIONS, ("none", "oracle"), SEEDS),  # whether a situation tells anything apart at all
    Block("situations", SITUATIONS, ("none", *_at("2KB"), "raw", "oracle"), SEEDS),
    Block("budgets", WIDEST, ("none", *_at("500"), *_at("2KB"), *_at("8KB"), "raw", "oracle"), SEEDS),
    Block("clear", tuple(f"{name}_clear" for name in SITUATIONS), ("none", "revqom@2KB", "oracle"), FEW_SEEDS),
    Block("passive", tuple(f"{name}_passive" for name in SITUATIONS), ("none", "revqom@2KB", "oracle"), FEW_SEEDS),
    Block(
        "latency",
        ("intersection",),
        SWEPT,
        FEW_SEEDS,
        _sweep("link.latency_ms", "0", "100", "200", "300", "400", "500"),
    ),
    Block("loss", ("intersection",), SWEPT, FEW_SEEDS, _sweep("link.loss", "0", "0.1", "0.2", "0.3", "0.4", "0.5")),
    Block(
        "pose",
        ("intersection",),
        SWEPT,
        FEW_SEEDS,
        _sweep("localization.position_m", "0", "0.1", "0.2", "0.3", "0.4", "0.6"),
    ),
    Block(
        "senders",
        (SENDERS_IN,),
        SWEPT,
        FEW_SEEDS,
        tuple(("link.policy=nearest", f"link.senders={count}") for count in (1, 2, 3, 4, 6, 8)),
    ),
)
