"""The tables of ReVQom's symbols, learnt from the messages that budgets really give."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from codec_features import Features
from tqdm import tqdm

from carla_cp.codecs.base import PACKET_BYTES, Room
from carla_cp.codecs.bitstream import Table
from carla_cp.codecs.positions import BoolArray, PositionModel
from carla_cp.codecs.revqom import GROUPS, RevqomCodec
from carla_cp.codecs.revqom_packets import RevqomSymbols, RevqomTables
from carla_cp.codecs.rvq_coder import DEEP, DEEP_CONTEXTS, LEVELS, IndexModel, Layout, level_of
from carla_cp.perception.detector import Detector
from carla_cp.types import FloatArray, IntArray

BUDGETS = (300, 600, 1000, 2000, 4000)
BACK_OFF = 12.0  # symbols of the stage's mean that a context is worth before it has seen any
SWEEPS = 8  # of the grouping


class Counts:
    """How often which index followed which context."""

    def __init__(self, stages: int, codes: int) -> None:
        self.indices = np.zeros((stages, codes + 1, codes))
        self.deep = np.full((LEVELS, DEEP_CONTEXTS, 2), 0.5)
        self.masks: list[BoolArray] = []

    def add(self, model: IndexModel, symbols: RevqomSymbols) -> None:
        """Counts what one packet says."""
        depth = (symbols.indices < self.indices.shape[2]).sum(0)
        low, high = int(depth.min()), int(depth.max())
        deep = depth == high
        layout = Layout(low, high, level_of(deep))

        def code(stage: int, places: IntArray, contexts: IntArray) -> IntArray:
            if stage == DEEP:
                found: IntArray = deep[places].astype(np.int64)
                np.add.at(self.deep[layout.level], (contexts, found), 1.0)
                return found
            said: IntArray = symbols.indices[stage, places]
            np.add.at(self.indices[stage], (contexts, said), 1.0)
            return said

        model.walk(symbols.mask, layout, code, grouped=False)
        self.masks.append(symbols.mask)

    def model(self, books: IntArray) -> IndexModel:
        """The tables that suit what was counted."""
        groups, tables = zip(*(grouped(counts) for counts in self.indices), strict=True)
        deep = tuple(tuple(Table.from_counts(row) for row in level) for level in self.deep)
        return IndexModel(books, np.stack(groups), tables, deep)

    def bits(self, model: IndexModel) -> FloatArray:
        """What each code costs with these tables, in the mean over its contexts: (stages, codes)."""
        result = np.zeros((len(self.indices), self.indices.shape[2]))
        for row, counts, groups, tables in zip(result, self.indices, model.groups, model.tables, strict=True):
            costs = np.stack([table.bits for table in tables])[np.append(groups, GROUPS)]
            prior = 0.1 * counts.sum(1, keepdims=True) / max(counts.sum(), 1.0) + 1e-9
            row[:] = ((counts + prior) * costs).sum(0) / (counts + prior).sum(0)
        return result


def grouped(counts: FloatArray) -> tuple[IntArray, tuple[Table, ...]]:
    """Which of GROUPS tables each context but the last uses, and the tables, then the last one's.

    Contexts (codes + 1, codes) that share a table are alike in the sense of code length (Banerjee et al., Clustering
    with Bregman Divergences, JMLR 2005).
    """
    mean = (counts.sum(0) + 0.1) / (counts.sum(0) + 0.1).sum()
    smooth = counts + BACK_OFF * mean
    chosen = np.argsort(-counts[:-1].sum(1), kind="stable")[:GROUPS]
    tables = smooth[chosen]
    for _ in range(SWEEPS):
        costs = -np.log2(tables / tables.sum(1, keepdims=True))
        groups = (counts[:-1] @ costs.T).argmin(1)
        for group in range(GROUPS):
            tables[group] = counts[:-1][groups == group].sum(0) + BACK_OFF * mean
    return groups, tuple(Table.from_counts(row) for row in [*tables, smooth[-1]])


@torch.no_grad()
def learn(codec: RevqomCodec, detector: Detector, data: Features, views: Iterable[int]) -> None:
    """Sets the codec's tables to what messages of these views need, at all rates. Raises ValueError for no views."""
    views = list(views)
    if not views:
        raise ValueError("no views to learn tables from; give data with frames")
    for part in (views[::8], views[::2]):  # which cells go hangs on what they cost
        whole, some = (Counts(codec.config.stages, codec.config.codes) for _ in range(2))
        for view in tqdm(part, desc="tables", unit="view", leave=False):
            bev = data.bev_map(view)
            heat = detector.heat_from_bev(bev[None])[0]
            tables, said = codec.tables(), codec.said(bev, heat)
            for body in said(Room(None, 1 << 30)):
                whole.add(tables.whole, codec.read(body))
            for budget in BUDGETS:
                for body in said(Room(budget, PACKET_BYTES)):
                    some.add(tables.some, codec.read(body))
        books = codec.tables().whole.books
        model = some.model(books)
        codec.set_tables(RevqomTables(whole.model(books), model, PositionModel.learnt(some.masks), some.bits(model)))
