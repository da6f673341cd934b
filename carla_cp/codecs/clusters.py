"""Cells to clusters, and which cells share one: DPC-KNN, and links between neighbours.

Density peaks (Rodriguez and Laio, Science 2014) with the density of the k nearest neighbours (Du et al.,
Knowledge-Based Systems 2016): a centre is dense and far from everything denser; every point joins its nearest centre.

A link says of a kept cell, in row order, with which of the neighbours before it a cluster is shared; its context is
which of those are kept, so that all links can be read at once and then followed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from carla_cp.codecs.bitstream import PayloadError, SymbolReader, SymbolWriter, Table
from carla_cp.codecs.positions import BoolArray
from carla_cp.types import IntArray

NEIGHBOURS = 5  # with the point itself
_CHUNK = 1 << 22  # distances at a time

BEFORE = ((0, -1), (-1, 0), (-1, -1), (-1, 1))  # neighbours, by row and column, in the order of their symbols
NEW, OTHER = len(BEFORE), len(BEFORE) + 1  # a cluster's first cell; one that no neighbour before it shares
LINKS, LINK_CONTEXTS = len(BEFORE) + 2, 1 << len(BEFORE)
_DIGIT = 256


def dpc_knn(points: Tensor, clusters: int) -> IntArray:
    """The cluster of each point, (N,) in [0, clusters), of points (N, D); every cluster has at least one.

    Ties go to the earlier point, so that the same points always fall alike.
    """
    count = len(points)
    if clusters >= count:
        return np.arange(count)
    rows = torch.arange(0, count, max(1, _CHUNK // count)).tolist()
    parts = [slice(start, stop) for start, stop in zip(rows, [*rows[1:], count], strict=True)]
    nearest = [_squared(points[part], points).topk(min(NEIGHBOURS, count), largest=False).values for part in parts]
    density = torch.exp(-torch.cat(nearest).mean(1) / points.shape[1])
    standing = torch.empty(count, dtype=torch.long, device=points.device)
    standing[density.argsort(descending=True, stable=True)] = torch.arange(count, device=points.device)
    apart = torch.cat([_apart(_squared(points[part], points), standing[part], standing) for part in parts])
    centres = (apart.sqrt() * density).argsort(descending=True, stable=True)[:clusters]
    owner = torch.cat([_squared(points[part], points[centres]).argmin(1) for part in parts])
    owner[centres] = torch.arange(clusters, device=points.device)
    return owner.cpu().numpy()


def _squared(some: Tensor, points: Tensor) -> Tensor:
    """Squared distances (M, N)."""
    lengths = some.square().sum(1)[:, None] + points.square().sum(1)
    return torch.addmm(lengths, some, points.T, alpha=-2.0).clamp(min=0.0)


def _apart(distances: Tensor, mine: Tensor, standing: Tensor) -> Tensor:
    """How far off the nearest denser point is, (M,); for the densest, how far any is."""
    farthest = distances.amax(1)
    return torch.where(standing < mine[:, None], distances, torch.inf).amin(1).minimum(farthest)


def links(mask: BoolArray, owner: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Of the clusters (cells set in mask, in row order): links, their contexts, and clusters by first appearance.

    Each part has one entry per cell; the third holds numbers in [0, clusters).
    """
    _, first, name = np.unique(owner, return_index=True, return_inverse=True)
    order = np.empty(len(first), np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    named = order[name]
    beside = _beside(mask)
    symbols = np.full(len(owner), OTHER)
    symbols[first] = NEW
    padded = np.append(named, -1)
    for link in reversed(range(len(BEFORE))):
        symbols[padded[beside[link]] == named] = link
    return symbols, _contexts(beside), named


def write_links(writer: SymbolWriter, mask: BoolArray, owner: IntArray, tables: Sequence[Table]) -> IntArray:
    """Appends the clusters (cells set in mask, in row order); returns them as the reader will number them."""
    symbols, contexts, named = links(mask, owner)
    writer.put_in_context(symbols, contexts, tables)
    others = named[symbols == OTHER]
    for unit, table in _digits(int(named.max()) + 1):
        writer.put(others // unit % len(table.weights), table)
    return named


def link_bits(mask: BoolArray, owner: IntArray, tables: Sequence[Table]) -> float:
    """What `write_links` will take."""
    symbols, contexts, named = links(mask, owner)
    costs = np.stack([table.bits for table in tables])
    digits = sum(float(table.bits[-1]) for _, table in _digits(int(named.max()) + 1))
    return float(costs[contexts, symbols].sum()) + digits * int((symbols == OTHER).sum())


def read_links(reader: SymbolReader, mask: BoolArray, tables: Sequence[Table]) -> tuple[IntArray, int]:
    """The clusters of the cells set in mask, and how many there are. Raises PayloadError."""
    beside = _beside(mask)
    symbols = reader.take_in_context(_contexts(beside), tables)
    count, places = len(symbols), np.arange(len(symbols))
    is_link = symbols < NEW
    parent = places.copy()
    parent[is_link] = beside[symbols[is_link], places[is_link]]
    new, other = symbols == NEW, symbols == OTHER
    clusters = int(new.sum())
    if not clusters or (parent == count).any():
        raise PayloadError("a cell shares the cluster of one that was not sent")
    for _ in range(count.bit_length()):
        parent = parent[parent]
    owner = np.cumsum(new) - 1
    owner[other] = sum(unit * reader.take(int(other.sum()), table) for unit, table in _digits(clusters))
    if (owner < 0).any() or (owner >= clusters).any():
        raise PayloadError(f"a cell is of none of the {clusters} clusters")
    return owner[parent], clusters


def _beside(mask: BoolArray) -> IntArray:
    """(4, cells set in mask): the place in row order of each neighbour before a cell; their number where not kept."""
    rows, columns = mask.shape
    count = int(mask.sum())
    place = np.full((rows + 1, columns + 2), count)
    place[1:, 1:-1][mask] = np.arange(count)
    return np.stack([place[1 + row : rows + 1 + row, 1 + at : columns + 1 + at][mask] for row, at in BEFORE])


def _contexts(beside: IntArray) -> IntArray:
    kept = beside < beside.shape[1]
    return np.asarray((kept * (1 << np.arange(len(BEFORE)))[:, None]).sum(0), np.int64)


def _digits(clusters: int) -> list[tuple[int, Table]]:
    """Units and tables of the digits of a cluster's number, the highest first."""
    low = (1, Table.uniform(min(max(clusters, 2), _DIGIT)))
    return [low] if clusters <= _DIGIT else [(_DIGIT, Table.uniform(max(2, -(-clusters // _DIGIT)))), low]
