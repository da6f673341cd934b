"""Residual vector quantisation: each stage codes what the stages before it left.

Codebooks follow exponential moving averages of what falls to them (van den Oord et al., 2017, appendix A.1), cells
weighted by their usefulness, so that the few that hold objects are not outvoted by the empty road; codes that nobody
uses are replaced by a random residual. `choose` weighs a code's distance against its bits (Chou, Lookabaugh and Gray,
Entropy-Constrained Vector Quantization, 1989); `search` takes the nearest.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DEAREST = 12.0  # [bit] what no code's cost exceeds
CHUNK = 1024  # vectors


class ResidualQuantiser(nn.Module):
    """`stages` codebooks of `codes` vectors with `width` channels, and what each code is taken to cost."""

    def __init__(self, stages: int, codes: int, width: int) -> None:
        super().__init__()
        self.codebooks: Tensor
        self.costs: Tensor
        self.register_buffer("codebooks", torch.randn(stages, codes, width) * 0.02)
        self.register_buffer("costs", torch.full((stages, codes), float(codes)).log2())  # [bit]

    @property
    def energy(self) -> Tensor:
        """The mean squared length of the first stage's codes: the unit of distances that a training may scale."""
        return self.codebooks[0].square().sum(1).mean()

    def search(self, vectors: Tensor, stages: int) -> Tensor:
        """The nearest code of each stage's residual: vectors (N, width) to indices (stages, N)."""
        return self._descend(vectors, stages, None)

    def choose(self, vectors: Tensor, price: Tensor) -> Tensor:
        """The code of least squared distance plus price times bits, of every stage's residual: (stages, N).

        `vectors` are (N, width), `price` (N,) is what a bit is worth in squared distance.
        """
        return self._descend(vectors, len(self.codebooks), price)

    def _descend(self, vectors: Tensor, stages: int, price: Tensor | None) -> Tensor:
        """In chunks that stay in the cache."""
        found = torch.empty(stages, len(vectors), dtype=torch.int64, device=vectors.device)
        size = CHUNK if vectors.device.type == "cpu" else len(vectors) + 1
        squares = self.codebooks.square().sum(2)
        for at in range(0, len(vectors), size):
            residual = vectors[at : at + size]
            for stage, book in enumerate(self.codebooks[:stages]):
                distances = torch.addmm(squares[stage], residual, book.T, alpha=-2.0)
                if price is not None:
                    distances.addr_(price[at : at + size], self.costs[stage])
                index = found[stage, at : at + size]
                index.copy_(least(distances))
                if stage + 1 < stages:
                    residual = residual - book.index_select(0, index)
        return found

    def distances(self, vectors: Tensor, indices: Tensor) -> Tensor:
        """The squared distances of vectors (N, width) to their first 1, 2, ... stages' sums, (stages, N)."""
        residual, found = vectors, []
        for book, index in zip(self.codebooks, indices, strict=False):
            residual = residual - book[index]
            found.append(residual.square().sum(1))
        return torch.stack(found)

    def look_up(self, indices: Tensor) -> Tensor:
        """The sums of codes that indices (stages, N) stand for, (N, width); index `codes` stands for nothing."""
        padded = F.pad(self.codebooks, (0, 0, 0, 1))
        total = padded[0][indices[0]]
        for book, index in zip(padded[1:], indices[1:], strict=False):
            total = total + book[index]
        return total


class CodebookLearner:
    """Moves a quantiser's codebooks during training; holds the averages, which no message needs."""

    def __init__(self, quantiser: ResidualQuantiser, decay: float, generator: torch.Generator) -> None:
        self.quantiser, self.decay, self.generator = quantiser, decay, generator
        stages, codes = quantiser.codebooks.shape[:2]
        self.started = False
        self.counts = torch.ones(stages, codes)
        self.sums = quantiser.codebooks.clone()
        self.shares = torch.full((stages, codes), 1.0 / codes)

    def restart(self) -> None:
        """Takes the codebooks and costs as they are for the averages so far."""
        self.counts.fill_(1.0)
        self.sums.copy_(self.quantiser.codebooks)
        self.shares.copy_(torch.exp2(-self.quantiser.costs))
        self.started = True

    @torch.no_grad()
    def start(self, vectors: Tensor, weight: Tensor, rounds: int = 12) -> None:
        """k-means, stage by stage, on vectors (N, width) of weight (N,)."""
        residual = vectors
        for stage, book in enumerate(self.quantiser.codebooks):
            book.copy_(residual[self._draw(weight, len(book))])
            for _ in range(rounds):
                index = nearest(residual, book)
                counts = torch.zeros(len(book)).index_add_(0, index, weight)
                sums = torch.zeros_like(book).index_add_(0, index, residual * weight[:, None])
                empty = counts < 1e-4 * counts.sum()
                book.copy_(sums / counts[:, None].clamp(min=1e-9))
                book[empty] = residual[self._draw(weight, int(empty.sum()))]
            residual = residual - book[nearest(residual, book)]
            self.counts[stage] = counts / counts.mean()
            self.sums[stage] = book * self.counts[stage][:, None]
        self.started = True

    @torch.no_grad()
    def learn(self, vectors: Tensor, weight: Tensor, price: Tensor | None = None) -> Tensor:
        """One step on vectors (N, width) of weight (N,), mean about 1, at prices (N,); the indices (stages, N)."""
        if not self.started:
            self.start(vectors, weight)
        price = price if price is not None else torch.zeros(len(vectors))
        residual, found = vectors, []
        for stage, book in enumerate(self.quantiser.codebooks):
            index = cheapest(residual, book, price, self.quantiser.costs[stage])
            self._average(stage, residual, index, weight)
            book.copy_(self.sums[stage] / self.counts[stage][:, None].clamp(min=1e-5))
            self._revive(stage, residual, weight)
            residual = residual - book[index]
            found.append(index)
        self.quantiser.costs.copy_(-self.shares.log2().clamp(min=-DEAREST))
        return torch.stack(found)

    def _average(self, stage: int, residual: Tensor, index: Tensor, weight: Tensor) -> None:
        counts = torch.zeros_like(self.counts[stage]).index_add_(0, index, weight)
        sums = torch.zeros_like(self.sums[stage]).index_add_(0, index, residual * weight[:, None])
        shares = torch.bincount(index, minlength=len(counts)) / len(index)
        self.counts[stage].mul_(self.decay).add_(counts, alpha=1 - self.decay)
        self.sums[stage].mul_(self.decay).add_(sums, alpha=1 - self.decay)
        self.shares[stage].mul_(self.decay).add_(shares, alpha=1 - self.decay)

    def _revive(self, stage: int, residual: Tensor, weight: Tensor) -> None:
        dead = self.counts[stage] < 1e-4 * self.counts[stage].sum()
        if not dead.any():
            return
        fresh = residual[self._draw(weight, int(dead.sum()))]
        self.quantiser.codebooks[stage][dead] = fresh
        self.counts[stage][dead] = self.counts[stage].mean()
        self.sums[stage][dead] = fresh * self.counts[stage].mean()
        self.shares[stage][dead] = 1.0 / len(dead)

    def _draw(self, weight: Tensor, count: int) -> Tensor:
        if not count:
            return torch.zeros(0, dtype=torch.int64)
        return torch.multinomial(weight, count, replacement=True, generator=self.generator)


def nearest(vectors: Tensor, book: Tensor) -> Tensor:
    """The index of the nearest code, (N,), of vectors (N, width) and a book (codes, width)."""
    return least(torch.addmm(book.square().sum(1), vectors, book.T, alpha=-2.0))


def cheapest(vectors: Tensor, book: Tensor, price: Tensor, costs: Tensor) -> Tensor:
    """As `nearest`, with `price` (N,) times the codes' `costs` (codes,) added to the squared distances."""
    return least(torch.addmm(book.square().sum(1), vectors, book.T, alpha=-2.0).addr_(price, costs))


def least(distances: Tensor) -> Tensor:
    """The place of each row's least value, the first of equals; NumPy's search takes a third of the time on CPU."""
    if distances.device.type == "cpu":
        return torch.from_numpy(distances.detach().numpy().argmin(1))
    return distances.argmin(1)
