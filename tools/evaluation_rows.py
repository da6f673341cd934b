"""Which rows an evaluation has: what a command line asks for, each combination once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation_loss import PacketLoss
from evaluation_parts import FEATURES, Row
from pose_noise import PoseNoise, parse_noise
from results import TABLE_NOISES

from carla_cp.codecs import CODECS, CodecError, codec_kind, codec_path, parse_choice
from carla_cp.codecs.base import Silent
from carla_cp.perception.checkpoint import trained_rules
from carla_cp.perception.config import CONFIG, load_config
from carla_cp.perception.opencood_model import PREFIX
from carla_cp.types import CodecChoice

DEFAULT_CODECS = ("none", "late", "early", "raw")
BASES = (CodecChoice("none", None), CodecChoice("raw", None))  # what every rate curve is compared with
RATES = (250, 500, 1000, 2000, 4000, 8000, 16000, None)  # bytes; None: as many as a codec sends without a budget


def rows_from(options: argparse.Namespace) -> tuple[Row, ...]:
    """The rows that the command line asks for. Raises CodecError or NoiseError."""
    if options.rate_curve:
        choices = curve_choices(options.codec, options.checkpoint)
    else:
        choices = tuple(parse_choice(text) for text in options.codec or DEFAULT_CODECS)
    if any(choice.name == "oracle" for choice in choices):
        raise CodecError("--codec oracle: it is the truth itself, there is nothing to evaluate; leave it out")
    fusions = options.fusion or (table_rules(options.checkpoint) if options.table else [None])
    noises = options.noise or (TABLE_NOISES if options.table else ["none"])
    return make_rows(
        choices,
        fusions,
        [parse_noise(text, options.noise_on) for text in noises],
        options.delay or [0],
        [PacketLoss(rate, cut) for rate in options.loss or [0.0] for cut in options.cut or ["parts"]],
    )


def make_rows(
    choices: Sequence[CodecChoice],
    fusions: Sequence[str | None],
    noises: Sequence[PoseNoise],
    delays: Sequence[int],
    losses: Sequence[PacketLoss] = (PacketLoss(),),
) -> tuple[Row, ...]:
    """Every combination, in the order given; codecs that share no features know no fusion rule, `none` no noise and
    no loss, and what loses nothing is cut in one way only."""
    rows: dict[Row, None] = {}
    for choice in choices:
        shares = codec_kind(choice.name)[0].tap in FEATURES
        silent = choice.name == "none"
        for fusion in fusions if shares else (None,):
            for noise in (PoseNoise(),) if silent else noises:
                for delay in (0,) if silent else delays:
                    for loss in (PacketLoss(),) if silent else losses:
                        rows[Row(choice, fusion, noise, delay, loss if loss.rate else PacketLoss())] = None
    return tuple(rows)


def curve_choices(asked: Sequence[str] | None, checkpoint: Path) -> tuple[CodecChoice, ...]:
    """The points of a rate curve: of each codec `RATES`, and its paper's fixed rates.

    Of `asked` a bare name means its curve, anything else itself; by default every codec of the table that has what it
    needs, those whose weights are missing being named on stderr. `BASES` are always among them. Raises CodecError.
    """
    names = list(asked) if asked else _at_hand(checkpoint)
    points = dict.fromkeys(BASES[:1])
    for name in names:
        if name in CODECS and CODECS[name].takes_budget:
            points |= dict.fromkeys(CodecChoice(name, rate) for rate in RATES)
            points |= dict.fromkeys(CodecChoice(f"{name}:{each}", None) for each in CODECS[name].variants)
        else:
            points[parse_choice(name)] = None
    return tuple(points | dict.fromkeys(BASES))


def _at_hand(checkpoint: Path) -> list[str]:
    """Every codec that sends, as far as the detector has its weights."""
    found = []
    for name, kind in CODECS.items():
        if issubclass(kind, Silent):
            continue
        if kind.learned and not codec_path(kind, checkpoint).is_file():
            print(
                f"evaluate: {name} is left out: {codec_path(kind, checkpoint)} is not there; train it with"
                f" tools/train_codec.py {name} --detector {checkpoint}",
                file=sys.stderr,
            )
            continue
        found.append(name)
    return found


def table_rules(checkpoint: Path) -> list[str | None]:
    """The rules that the checkpoint holds weights of, and its own as None unless it is one of them."""
    if str(checkpoint).startswith(PREFIX):
        return [None]
    rules = trained_rules(checkpoint)
    own: list[str | None] = [] if load_config(checkpoint / CONFIG).fusion in rules else [None]
    return own + list(rules)
