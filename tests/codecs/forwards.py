"""What each learned codec's `forward` says of a view at the rate point of a message, and of which cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from carla_cp.codecs.base import Codec, ViewLike
from carla_cp.codecs.codefilling import CodefillingCodec, CodefillingSymbols
from carla_cp.codecs.dense_sparse import DenseSparseCodec, DenseSparseSymbols
from carla_cp.codecs.dense_sparse_tokens import fine_cells
from carla_cp.codecs.ermvp import ErmvpCodec, ErmvpSymbols
from carla_cp.codecs.infocom import InfocomCodec, InfocomRate
from carla_cp.codecs.infocom_symbols import ABSENT, InfocomSymbols
from carla_cp.codecs.ranking import usefulness
from carla_cp.codecs.revqom import RevqomCodec
from carla_cp.codecs.revqom_packets import RevqomSymbols
from carla_cp.codecs.where2comm import Where2commCodec
from carla_cp.codecs.where2comm_cells import CodedCells

Said = tuple[Tensor, Tensor]  # features (C, rows, columns); (rows, columns) bool, of which cells
Forward = Callable[[Codec[Any], ViewLike, object], Said]


def revqom(codec: Codec[Any], view: ViewLike, symbols: object) -> Said:
    """By the number of stages of each cell."""
    assert isinstance(codec, RevqomCodec) and isinstance(symbols, RevqomSymbols)
    depth = torch.zeros(symbols.mask.shape, dtype=torch.int64)
    depth[torch.from_numpy(symbols.mask)] = torch.from_numpy((symbols.indices < codec.config.codes).sum(0))
    return codec(view.bev[None], depth[None], usefulness(view.heat[None]))[0], depth > 0


def codefilling(codec: Codec[Any], view: ViewLike, symbols: object) -> Said:
    """Of each cell at its depth."""
    assert isinstance(codec, CodefillingCodec) and isinstance(symbols, CodefillingSymbols)
    depth = np.zeros(symbols.mask.shape, np.int64)
    depth[symbols.mask] = symbols.depth
    return at_depths(codec, view, torch.from_numpy(depth))


def dense_sparse(codec: Codec[Any], view: ViewLike, symbols: object) -> Said:
    """Of each cell at its number of stages."""
    assert isinstance(codec, DenseSparseCodec) and isinstance(symbols, DenseSparseSymbols)
    rows, columns = view.bev.shape[1:]
    depth = torch.from_numpy(fine_cells(symbols.patches.depth, codec.config.patch))[:rows, :columns]
    return codec(view.bev[None], depth[None])[0], depth > 0


def at_depths(codec: Codec[Any], view: ViewLike, depth: Tensor) -> Said:
    """What `codec(features, depth)` says, cell by cell; nothing of those of no depth."""
    result = torch.zeros_like(view.bev)
    for stages in range(1, int(depth.max()) + 1):
        result = torch.where(depth == stages, codec(view.bev[None], stages)[0], result)
    return result, depth > 0


def ermvp(codec: Codec[Any], view: ViewLike, symbols: object) -> Said:
    """Of the same clusters, which are told apart by what they say."""
    assert isinstance(codec, ErmvpCodec) and isinstance(symbols, ErmvpSymbols)
    _, owner = np.unique(symbols.values, axis=0, return_inverse=True)
    owners = torch.full((1, *symbols.mask.shape), -1)
    owners[0][torch.from_numpy(symbols.mask)] = torch.from_numpy(owner)
    return codec(view.bev[None], owners)[0][0], owners[0] >= 0


def where2comm(codec: Codec[Any], view: ViewLike, symbols: object) -> Said:
    """At the message's precision."""
    assert isinstance(codec, Where2commCodec) and isinstance(symbols, CodedCells)
    sent = torch.zeros(view.bev.shape[1:], dtype=torch.bool)
    sent.view(-1)[torch.from_numpy(symbols.cells)] = True
    return codec(view.bev[None], symbols.precision)[0], sent


def infocom(codec: Codec[Any], view: ViewLike, symbols: object) -> Said:
    """Of as many pillars and channels, with the latent or without."""
    assert isinstance(codec, InfocomCodec) and isinstance(symbols, InfocomSymbols)
    channels = int((symbols.values[1:, 0] != ABSENT).sum())
    rate = InfocomRate(int(symbols.mask.sum()), channels, symbols.latent is not None)
    said = codec(view.pillars[None], usefulness(view.heat[None]), rate)
    return said.pillars[0], said.valid[0]


FORWARD: dict[str, Forward] = {
    "revqom": revqom,
    "codefilling": codefilling,
    "dense_sparse": dense_sparse,
    "ermvp": ermvp,
    "where2comm": where2comm,
    "infocom": infocom,
}
