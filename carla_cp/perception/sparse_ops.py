"""Sparse 3-D convolutions in plain torch (Graham et al., 2018; SECOND, Yan et al., 2018, section 3.2): spconv's twin.

Per place of the kernel a list of (input, output) pairs, made by looking up neighbours in the sorted keys of the
occupied cells; then gather, multiply, add. Weights have spconv's layout: (outputs, kz, ky, kx, inputs). Left out:
dilation, groups, transposed and inverse convolutions, biases.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor

Triple = tuple[int, int, int]  # along z, y, x
Pair = tuple[Tensor, Tensor]  # rows of inputs, rows of outputs


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """The occupied cells of a batch of 3-D grids, by rising place, each once."""

    features: Tensor  # (N, C)
    places: Tensor  # (N, 4) int64: grid of the batch, z, y, x
    shape: Triple
    batch: int


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Which inputs reach which outputs through which place of the kernel."""

    pairs: tuple[Pair, ...]  # in the order of the flat (kz, ky, kx)
    places: Tensor  # (M, 4) of the outputs, by rising place
    shape: Triple


def submanifold_rules(sites: Sites) -> Rules:
    """Rules of a 3 x 3 x 3 kernel whose outputs are the occupied cells themselves."""
    depth, height, width = sites.shape
    # In a grid with an empty rim, neighbours are a constant apart, and none of them lies beyond an edge.
    batch, z, y, x = sites.places.unbind(1)
    keys = ((batch * (depth + 2) + z + 1) * (height + 2) + y + 1) * (width + 2) + x + 1
    padded = torch.cat([keys, keys.new_full((1,), torch.iinfo(keys.dtype).max)])
    before: list[Pair] = []
    for kz, ky in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)):
        first = keys + ((kz - 1) * (height + 2) + ky - 1) * (width + 2) - 1
        at = torch.searchsorted(keys, first)
        # The three neighbours along x follow one another among the keys, so that one search finds them.
        for kx in range(3 if (kz, ky) != (1, 1) else 1):
            hit = padded[at] == first + kx
            outputs = torch.nonzero(hit)[:, 0]
            before.append((at[outputs], outputs))
            at = at + hit
    itself = torch.arange(len(keys), device=keys.device)
    after = [(outputs, inputs) for inputs, outputs in reversed(before)]
    return Rules((*before, (itself, itself), *after), sites.places, sites.shape)


def strided_rules(sites: Sites, kernel: Triple, stride: Triple, padding: Triple) -> Rules:
    """Rules of a convolution whose outputs are all cells that an occupied one reaches.

    Raises ValueError for a grid that the kernel does not fit into.
    """
    shape = strided_shape(sites.shape, kernel, stride, padding)
    reached = [
        [
            _reached(sites.places[:, axis + 1] + padding[axis] - k, stride[axis], shape[axis])
            for k in range(kernel[axis])
        ]
        for axis in range(3)
    ]
    inputs, keys = [], []
    for (z, at_z), (y, at_y), (x, at_x) in product(*reached):
        rows = torch.nonzero(at_z & at_y & at_x)[:, 0]
        inputs.append(rows)
        keys.append(((sites.places[rows, 0] * shape[0] + z[rows]) * shape[1] + y[rows]) * shape[2] + x[rows])
    found, outputs = torch.unique(torch.cat(keys), return_inverse=True)
    split = outputs.split([len(rows) for rows in inputs])
    return Rules(tuple(zip(inputs, split, strict=True)), _places(found, shape), shape)


def strided_shape(shape: Triple, kernel: Triple, stride: Triple, padding: Triple) -> Triple:
    """The grid that a strided convolution leads to. Raises ValueError for a grid that the kernel does not fit into."""
    room = [size + 2 * pad - k for size, pad, k in zip(shape, padding, kernel, strict=True)]
    if min(room) < 0:
        raise ValueError(f"a kernel of {kernel} does not fit into a grid of {shape} cells; make the grid higher")
    z, y, x = (free // step + 1 for free, step in zip(room, stride, strict=True))
    return z, y, x


def _reached(start: Tensor, stride: int, size: int) -> Pair:
    """The output along one axis that each input reaches, and whether it exists."""
    output = torch.div(start, stride, rounding_mode="floor")
    return output, (start >= 0) & (start == output * stride) & (output < size)


def _places(keys: Tensor, shape: Triple) -> Tensor:
    depth, height, width = shape
    plane = keys // width
    layer = plane // height
    return torch.stack([layer // depth, layer % depth, plane % height, keys % width], dim=1)


def convolve(sites: Sites, weight: Tensor, rules: Rules) -> Sites:
    """What a convolution with a weight (outputs, kz, ky, kx, inputs) makes of the sites."""
    per_place = weight.flatten(1, 3).permute(1, 2, 0).contiguous()
    features: Tensor = _Convolution.apply(sites.features, per_place, rules)  # type: ignore[no-untyped-call]
    return replace(sites, features=features, places=rules.places, shape=rules.shape)


class _Convolution(torch.autograd.Function):
    """Features (N, C) and weights (K, C, D) to (M, D); gathers again for the gradient instead of keeping its copies."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, rules: Rules) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.rules = rules
        result = features.new_zeros((len(rules.places), weight.shape[2]))
        for of_place, (inputs, outputs) in zip(weight, rules.pairs, strict=True):
            result.index_add_(0, outputs, features.index_select(0, inputs) @ of_place)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        features, weight = ctx.saved_tensors
        of_features, of_weight = torch.zeros_like(features), torch.empty_like(weight)
        for place, (inputs, outputs) in enumerate(ctx.rules.pairs):
            some = gradient.index_select(0, outputs)
            of_features.index_add_(0, inputs, some @ weight[place].T)
            torch.mm(features.index_select(0, inputs).T, some, out=of_weight[place])
        return of_features, of_weight, None
