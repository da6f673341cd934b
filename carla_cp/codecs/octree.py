"""Which points of a lattice a packet holds: a tree, coded in the context of what lies beside each node.

Every node says which of its four quarters seen from above are occupied and, on some levels, each quarter then whether
its lower half is, its upper half or both (octree coding as of Botsch, Wiratanaya and Kobbelt, 2002; splitting height
apart from the plane is ours: roads are flat). All nodes of a level are known before their parts are, so that each has
the table of its level and of which of its neighbours are occupied. Nodes go along the Morton curve.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.bitstream import PayloadError, SymbolReader, Table
from carla_cp.codecs.octaves import Sink
from carla_cp.types import FloatArray, IntArray

SIDE_BITS, HEIGHT_BITS = 11, 6
QUARTERS, HALVES = 15, 3  # patterns with something in them
QUARTER_CONTEXTS, HALF_CONTEXTS = 16, 4
FIRST_HALVED = 5  # the level of quarters after which heights are halved for the first time
CODE_BITS = 2 * SIDE_BITS + HEIGHT_BITS


@dataclass(frozen=True, slots=True)
class Step:
    """One split of all nodes."""

    halves: bool  # of height; otherwise quarters of the plane
    side: int  # bits of x and y that nodes have before it
    height: int  # and of z

    @property
    def known(self) -> int:
        """Bits of a node's code."""
        return 2 * self.side + self.height

    @property
    def bits(self) -> int:
        """What it adds to them."""
        return 1 if self.halves else 2


def _steps() -> Iterator[Step]:
    height = 0
    for side in range(SIDE_BITS):
        yield Step(False, side, height)
        if side >= FIRST_HALVED and height < HEIGHT_BITS:
            yield Step(True, side + 1, height)
            height += 1


STEPS = tuple(_steps())
QUARTER_ROWS, HALF_ROWS = (
    contexts * sum(step.halves == halves for step in STEPS)
    for halves, contexts in ((False, QUARTER_CONTEXTS), (True, HALF_CONTEXTS))
)


def _spreads() -> list[tuple[IntArray, IntArray, IntArray]]:
    """Per number of steps done, what each x, each y and each z adds to a node's code."""
    result = [(np.zeros(1, np.int64),) * 3]
    for step in STEPS:
        x, y, z = result[-1]
        if step.halves:
            result.append((x << 1, y << 1, np.repeat(z << 1, 2) | np.arange(2 * len(z)) & 1))
        else:
            low = np.arange(2 * len(x)) & 1
            result.append((np.repeat(x << 2, 2) | low, np.repeat(y << 2, 2) | low << 1, z << 2))
    return result


_SPREADS = _spreads()
_AXES = [tuple(int(part[-1]) for part in parts) for parts in _SPREADS]  # the bits of x, y and z in a node's code


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """All nodes of one step, along the curve."""

    first: IntArray  # the first point of each
    symbols: IntArray
    contexts: IntArray


def codes_of(places: IntArray) -> IntArray:
    """The place of lattice points (N, 3), x, y, z, on the curve, (N,)."""
    x, y, z = _SPREADS[-1]
    return np.asarray(x[places[:, 0]] | y[places[:, 1]] | z[places[:, 2]])


def places_of(codes: IntArray) -> IntArray:
    """The lattice points (N, 3) of places on the curve."""
    places, left = np.zeros((len(codes), 3), np.int64), CODE_BITS
    for step in STEPS:
        left -= step.bits
        places = _parted(places, step, codes >> left)
    return places


def _parted(places: IntArray, step: Step, part: IntArray) -> IntArray:
    """The places (N, 3) of parts of nodes, by the lowest bits of `part`."""
    if step.halves:
        return np.asarray(places << [0, 0, 1] | (part & 1)[:, None] * np.array([0, 0, 1]))
    return np.asarray(places << [1, 1, 0] | (part[:, None] >> [0, 1, 0]) & [1, 1, 0])


def _contexts(nodes: IntArray, number: int) -> IntArray:
    """For nodes along the curve, before the step of that number: which neighbours are occupied, a bit each, (N,).

    Bits of a node above those of its place tell groups apart, which know nothing of each other.
    """
    x, y, z = _AXES[number]
    result = np.zeros(len(nodes), np.int64)
    for place, axis in enumerate((z,) if STEPS[number].halves else (y, x)):
        inner = np.flatnonzero(nodes & axis != axis)
        node = nodes[inner]
        wanted = ((node | ~axis) + 1) & axis | node & ~axis  # one further, without a carry out of the axis
        at = np.searchsorted(nodes, wanted)
        at[at == len(nodes)] = 0
        found = nodes[at] == wanted
        result[inner[found]] |= 2 << 2 * place
        result[at[found]] |= 1 << 2 * place
    return result


def splits(codes: IntArray) -> list[Split]:
    """Step by step, the nodes of points, rising and each once; bits above those of a code tell groups apart."""
    result, left = [], CODE_BITS
    nodes = codes >> left
    for number, step in enumerate(STEPS):
        first = np.flatnonzero(np.diff(nodes, prepend=-1))
        contexts = _contexts(nodes[first], number)
        left -= step.bits
        nodes = codes >> left
        parts = np.left_shift(1, nodes & ((1 << step.bits) - 1))
        result.append(Split(first, np.bitwise_or.reduceat(parts, first) - 1, contexts))
    return result


class Octree:
    """The tables of all steps."""

    def __init__(self, quarters: Iterable[npt.ArrayLike], halves: Iterable[npt.ArrayLike]) -> None:
        """Of weights (QUARTER_ROWS, QUARTERS) and (HALF_ROWS, HALVES), step by step."""
        rows = {False: iter([Table(row) for row in quarters]), True: iter([Table(row) for row in halves])}
        sizes = {False: QUARTER_CONTEXTS, True: HALF_CONTEXTS}
        self.tables = [[next(rows[step.halves]) for _ in range(sizes[step.halves])] for step in STEPS]
        self._bits = [np.stack([table.bits for table in tables]) for tables in self.tables]

    def tell(self, sink: Sink, codes: IntArray) -> None:
        """Hands the symbols of points, rising and each once, to a writer, step by step."""
        self.tell_part(sink, splits(codes), 0, len(codes))

    def tell_part(self, sink: Sink, steps: Sequence[Split], start: int, stop: int) -> None:
        """Hands the symbols of a group, the points from `start` to `stop`, to a writer."""
        for tables, step in zip(self.tables, steps, strict=True):
            part = slice(*np.searchsorted(step.first, [start, stop]))
            sink.put_in_context(step.symbols[part], step.contexts[part], tables)

    def costs(self, steps: Sequence[Split], count: int) -> FloatArray:
        """What each of so many points adds to the bits of a message, (count,): a node's are its first point's."""
        result = np.zeros(count)
        for bits, step in zip(self._bits, steps, strict=True):
            result[step.first] += bits[step.contexts, step.symbols]
        return result

    def read(self, reader: SymbolReader, most: int) -> IntArray:
        """The points that were told, rising. Raises PayloadError where they are more than `most`."""
        nodes = np.zeros(1, np.int64)
        for number, (step, tables) in enumerate(zip(STEPS, self.tables, strict=True)):
            patterns = reader.take_in_context(_contexts(nodes, number), tables) + 1
            node, part = np.nonzero((patterns[:, None] >> np.arange(1 << step.bits)) & 1)
            if len(node) > most:
                raise PayloadError(f"more than {most} points are more than a packet may hold")
            nodes = nodes[node] << step.bits | part
        return nodes
