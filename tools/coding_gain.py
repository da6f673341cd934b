"""What entropy coding saves, at the same symbols: python tools/coding_gain.py data/val --checkpoint checkpoints/mini

ReVQom: messages of every cell and stage, beside log2 K bits an index as its paper counts. InfoCom: messages under a
budget, and at the paper's density (the best tenth of the pillars, levels without content), beside the same messages
with positions at the entropy of a set drawn at random. Means over one view of each of --frames evenly spaced frames.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from arguments import existing_path, positive
from provenance import commit, machine

from carla_cp.codecs import CodecError, load_codec
from carla_cp.codecs.base import PACKET_BYTES, Room
from carla_cp.codecs.bitstream import HEADER_BYTES, cut
from carla_cp.codecs.infocom import InfocomCodec
from carla_cp.codecs.infocom_packets import Packer, read_body
from carla_cp.codecs.infocom_symbols import STEP
from carla_cp.codecs.positions import BoolArray
from carla_cp.codecs.revqom import RevqomCodec
from carla_cp.datasets import DatasetError, open_dataset
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.view import View

BUDGETS = (500, 1000, 2000)


@dataclass(frozen=True, slots=True)
class Saving:
    """The bytes of one message, and what the same symbols take otherwise."""

    what: str
    coded: float
    otherwise: float


def revqom(codec: RevqomCodec, view: View) -> Saving:
    """Every cell and stage, beside log2 K bits an index."""
    payload = codec.encode(view, None)
    return Saving("revqom, every cell", len(payload), codec.formula_bytes(codec.parse(payload)[1]))


def infocom(codec: InfocomCodec, view: View, budget: int) -> Saving:
    """A message under a budget, beside one whose positions are those of a set drawn at random."""
    payload = codec.encode(view, budget)
    masks = [codec.parse(packet)[1].mask for packet in cut(payload)]
    return Saving(f"infocom@{budget}", len(payload), len(payload) + scattered(codec, masks))


def infocom_tenth(codec: InfocomCodec, view: View) -> Saving:
    """Latent, and the levels of the best tenth of all pillars, as the paper sends them."""
    with torch.no_grad():
        choice = codec.choice(view.pillars, view.heat)
    steps = np.rint(choice.latent / np.float32(STEP)).astype(np.int64)
    packer = Packer(codec.shape, codec.tables(), choice, steps)
    bodies = packer.bodies(int(np.count_nonzero(choice.values[0])), 0, Room(None, PACKET_BYTES))
    size = sum(HEADER_BYTES + len(body) for body in bodies)
    masks = [read_body(codec.tables(), body, codec.shape).mask for body in bodies]
    return Saving("infocom, best tenth, levels alone", size, size + scattered(codec, masks))


def scattered(codec: InfocomCodec, masks: Sequence[BoolArray]) -> float:
    """How many bytes more the positions of a message's packets take as one set drawn at random."""
    count = sum(int(mask.sum()) for mask in masks)
    coded = sum(codec.tables().where.bits(mask) for mask in masks)
    return (log2_choose(masks[0].size, count) - coded) / 8


def log2_choose(total: int, count: int) -> float:
    """The entropy [bit] of a set of `count` out of `total`, all sets being equally likely."""
    return (math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)) / math.log(2)


def savings(checkpoint: Path, views: Sequence[View]) -> Iterator[Saving]:
    """All that is compared, view by view."""
    residual, purified = load_codec("revqom", checkpoint), load_codec("infocom", checkpoint)
    assert isinstance(residual, RevqomCodec) and isinstance(purified, InfocomCodec)
    for view in views:
        yield revqom(residual, view)
        yield infocom_tenth(purified, view)
        yield from (infocom(purified, view, budget) for budget in BUDGETS)


def table(found: Sequence[Saving]) -> str:
    """The means of each kind."""
    lines = ["| message | coded [B] | otherwise [B] | share |", "|---|---|---|---|"]
    for what in dict.fromkeys(each.what for each in found):
        coded, otherwise = np.mean([(each.coded, each.otherwise) for each in found if each.what == what], axis=0)
        lines.append(f"| {what} | {coded:,.0f} | {otherwise:,.0f} | {coded / otherwise:.0%} |")
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=existing_path, help="folder with scenes of any known format, at any depth")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--frames", type=positive, default=24, help="evenly spaced (default 24)")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Measures and prints. Raises DatasetError, CodecError or CheckpointError."""
    torch.set_num_threads(1)
    detector, dataset = load_detector(options.checkpoint), open_dataset(options.data)
    chosen = np.unique(np.linspace(0, len(dataset) - 1, options.frames).astype(int))
    views = [detector.view(dataset.frame(int(number)).agents[-1].sweep) for number in chosen]
    print(table(list(savings(options.checkpoint, views))))
    print(f"\n{len(views)} views; commit {commit()}, {machine()}")


def main() -> None:
    """Exit status 2 and one line for bad input."""
    try:
        run(parse())
    except (CheckpointError, CodecError, DatasetError, OSError) as error:
        print(f"coding_gain: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
