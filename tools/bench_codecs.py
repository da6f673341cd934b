"""Speed of the codecs: whole messages both ways, the search for codes, and the coding of symbols."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_detectors import random_detector
from timing import Row, timed, timed_row
from torch import Tensor
from tqdm import tqdm

from carla_cp.codecs import CODECS, Codec, load_codec
from carla_cp.codecs.base import Silent, ViewLike
from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter, Table
from carla_cp.codecs.revqom import RevqomCodec
from carla_cp.codecs.rvq import ResidualQuantiser
from carla_cp.networks import EPISODE_THREADS
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.presets import FULL_OPV2V
from carla_cp.perception.view import View
from carla_cp.types import FloatArray, IntArray, Sweep

REPEAT = 15
BUDGET = 2000
VECTORS, WIDTH, CODES, STAGES = 33_792, 16, 64, 3
ALPHABET, CONTEXTS = 64, 64
ONE_TABLE, IN_CONTEXT = (65_536,), (16_384, 65_536)  # symbols
AGENTS = 4


def bench_codecs(sweeps: Sequence[Sweep], checkpoint: Path) -> Iterator[Row]:
    """Every codec on mini and on the full OPV2V grid, then the parts by themselves."""
    detector = load_detector(checkpoint, "cpu", EPISODE_THREADS)
    view = seen(detector.view(sweeps[1]))
    for name, kind in CODECS.items():
        if not issubclass(kind, Silent):
            yield from message_rows(name, load_codec(name, checkpoint), view)
    yield from full_rows(FULL_OPV2V, sweeps)
    with one_thread():
        yield from search_rows()
        for count in ONE_TABLE:
            yield from coding_rows(count)
        for count in IN_CONTEXT:
            yield from context_rows(count)


def full_rows(config: DetectorConfig, sweeps: Sequence[Sweep]) -> Iterator[Row]:
    """Every codec on the grid of `config`; detector and learned codecs have random weights."""
    detector = random_detector(config, sweeps)
    view = seen(detector.view(sweeps[1]))
    for name, kind in CODECS.items():
        if issubclass(kind, Silent):
            continue
        try:
            codec = random_codec(kind, config)
        except ValueError as error:
            tqdm.write(f"codec: {name} is not measured on the full OPV2V grid: {error}")
        else:
            yield from message_rows(f"{name}{', untrained' if kind.learned else ''}, full OPV2V grid", codec, view)
    if torch.cuda.is_available():
        yield from device_rows(random_codec(RevqomCodec, config), view, "cuda")


def random_codec(kind: type[Codec[Any]], config: DetectorConfig) -> Codec[Any]:
    """One for a detector of that config, with seeded random weights where it learns any."""
    torch.manual_seed(0)
    return kind.for_detector(0, config).eval()


def seen(view: View) -> View:
    """A view whose stages are there."""
    _ = view.points, view.pillars, view.block1, view.bev, view.heat, view.boxes
    return view


def message_rows(label: str, codec: Codec[Any], view: ViewLike) -> Iterator[Row]:
    """Encoding and decoding at the full rate and at 2 KB."""
    for budget in (None, BUDGET):
        payload = codec.encode(view, budget)
        what = f"{label}@{budget or 'max'}, {len(payload)} bytes"
        if not payload:
            tqdm.write(f"codec: {what}: it has nothing to say, so nothing is measured")
            continue
        yield timed_row(f"codec: encode {what}", REPEAT, partial(codec.encode, view, budget))
        yield timed_row(f"codec: decode {what}", REPEAT, partial(codec.decode, payload))


def search_rows() -> Iterator[Row]:
    """The search for codes on one thread, beside `vector-quantize-pytorch` on the same vectors and codebooks."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(VECTORS, WIDTH, generator=generator)
    quantiser = ResidualQuantiser(STAGES, CODES, WIDTH)
    shrinking = 0.5 ** torch.arange(STAGES).view(-1, 1, 1)
    quantiser.codebooks.copy_(torch.randn(quantiser.codebooks.shape, generator=generator) * shrinking)
    size = f"{VECTORS} vectors of {WIDTH}, {STAGES} x {CODES} codes"
    found = quantiser.search(vectors, STAGES)
    theirs = their_search(quantiser.codebooks)
    if theirs is None:
        size += " (vector-quantize-pytorch is not installed)"
    yield timed_row(f"codec: RVQ search, {size}", REPEAT, partial(quantiser.search, vectors, STAGES))
    if theirs is not None:
        other = theirs(vectors)
        alike = float((found == other).all(0).float().mean())
        name = f"codec: RVQ search of vector-quantize-pytorch, the same indices in {alike:.3%}"
        yield timed_row(name, REPEAT, partial(theirs, vectors))


def their_search(codebooks: Tensor) -> Callable[[Tensor], Tensor] | None:
    """The search of `vector-quantize-pytorch` in these codebooks, (stages, N) as ours; None where it is not there."""
    try:
        from vector_quantize_pytorch import ResidualVQ
    except ImportError:
        return None
    stages, codes, width = codebooks.shape
    theirs = ResidualVQ(dim=width, num_quantizers=stages, codebook_size=codes).eval()
    for layer, book in zip(theirs.layers, codebooks, strict=True):
        layer.codebook = book

    def search(vectors: Tensor) -> Tensor:
        with torch.no_grad():
            indices: Tensor = theirs(vectors[None])[1]
        return indices[0].T

    return search


def coding_rows(count: int) -> Iterator[Row]:
    """Symbols of one table, both ways."""
    rng = np.random.default_rng(0)
    table = Table.from_counts(rng.uniform(0, 1, ALPHABET) ** 3)
    symbols = drawn(rng, np.zeros(count, np.int64), [table])

    def write() -> bytes:
        writer = SymbolWriter()
        writer.put(symbols, table)
        return writer.to_bytes()

    data = write()
    yield rate_row(f"codec: coding {count} symbols of one table", count, write)
    yield rate_row(f"codec: reading {count} symbols of one table", count, lambda: SymbolReader(data).take(count, table))


def context_rows(count: int) -> Iterator[Row]:
    """Symbols each of the table of its context, both ways."""
    rng = np.random.default_rng(1)
    tables = [Table.from_counts(rng.uniform(0, 1, ALPHABET) ** 3) for _ in range(CONTEXTS)]
    contexts = rng.integers(0, CONTEXTS, count)
    symbols = drawn(rng, contexts, tables)

    def write() -> bytes:
        writer = SymbolWriter()
        writer.put_in_context(symbols, contexts, tables)
        return writer.to_bytes()

    data = write()
    what = f"{count} symbols in {CONTEXTS} contexts"
    yield rate_row(f"codec: coding {what}", count, write)
    yield rate_row(f"codec: reading {what}", count, lambda: SymbolReader(data).take_in_context(contexts, tables))


def drawn(rng: np.random.Generator, contexts: IntArray, tables: Sequence[Table]) -> IntArray:
    """A symbol for each context, as its table has it."""
    symbols = np.zeros(len(contexts), np.int64)
    for context, table in enumerate(tables):
        here = contexts == context
        chances: FloatArray = table.weights / table.weights.sum()
        symbols[here] = rng.choice(len(chances), int(here.sum()), p=chances)
    return symbols


def rate_row(name: str, symbols: int, call: Callable[[], object]) -> Row:
    """Millions of symbols per second, by the median call."""
    spent = timed(REPEAT, call)
    return Row(name, symbols / statistics.median(spent) / 1e6, "Msym/s", len(spent))


def device_rows(codec: Codec[Any], view: View, device: str) -> Iterator[Row]:
    """ReVQom on an accelerator: features of four agents to symbols on the host, and a message of one at 2 KB."""
    assert isinstance(codec, RevqomCodec)
    features = torch.stack([view.bev] * AGENTS).to(device)
    there = codec.to(device)
    name = f"codec: features of {AGENTS} agents to symbols on the host, full OPV2V grid, {device}"
    yield timed_row(name, REPEAT, partial(to_symbols, there, features))
    indices = to_symbols(there, features)[:, : len(view.bev[0].flatten())].numpy()
    tables = [Table.from_counts(np.bincount(row, minlength=codec.config.codes) + 1) for row in indices]
    few = indices[:, : BUDGET * 8 // (6 * codec.config.stages)]

    def pack() -> bytes:
        writer = SymbolWriter()
        for row, table in zip(few, tables, strict=True):
            writer.put(row, table)
        return writer.to_bytes()

    yield timed_row(f"codec: packing the symbols of {BUDGET} bytes", REPEAT, pack)


@torch.no_grad()
def to_symbols(codec: RevqomCodec, features: Tensor) -> Tensor:
    """Indices (stages, B * rows * columns) on the host of features (B, C, rows, columns)."""
    vectors = codec.down(features).permute(0, 2, 3, 1).flatten(0, 2)
    return codec.quantiser.search(vectors, codec.config.stages).cpu()


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch works on one thread inside."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
