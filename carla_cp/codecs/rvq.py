"""Residual vector quantisation: each stage codes what the stages before it left.

Codebooks follow exponential moving averages of what falls to them (van den Oord et al., 2017, appendix A.1), cells
weighted by their usefulness, so that the few that hold objects are not outvoted by the empty road; codes that nobody
uses are replaced by a random residual.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResidualQuantiser(nn.Module):
    """`stages` codebooks of `codes` vectors with `width` channels."""

    def __init__(self, stages: int, codes: int, width: int) -> None:
        super().__init__()
        self.codebooks: Tensor
        self.register_buffer("codebooks", torch.randn(stages, codes, width) * 0.02)

    def search(self, vectors: Tensor, stages: int) -> Tensor:
        """The nearest code of each stage's residual: vectors (N, width) to indices (stages, N)."""
        residual, found = vectors, []
        for book in self.codebooks[:stages]:
            found.append(nearest(residual, book))
            residual = residual - book[found[-1]]
        return torch.stack(found)

    def look_up(self, indices: Tensor) -> Tensor:
        """The sums of codes that indices (stages, N) stand for, (N, width)."""
        total = self.codebooks[0][indices[0]]
        for book, index in zip(self.codebooks[1:], indices[1:], strict=False):
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

    def restart(self) -> None:
        """Takes the codebooks as they are for the averages so far."""
        self.counts.fill_(1.0)
        self.sums.copy_(self.quantiser.codebooks)
        self.started = True

    @torch.no_grad()
    def learn(self, vectors: Tensor, weight: Tensor) -> None:
        """One step on vectors (N, width) of weight (N,), mean about 1."""
        residual = vectors
        for stage, book in enumerate(self.quantiser.codebooks):
            if not self.started:
                book.copy_(residual[self._draw(weight, len(book))])
                self.sums[stage], self.counts[stage] = book, 1.0
            index = nearest(residual, book)
            self._average(stage, residual, index, weight)
            book.copy_(self.sums[stage] / self.counts[stage][:, None].clamp(min=1e-5))
            self._revive(stage, residual, weight)
            residual = residual - book[index]
        self.started = True

    def _average(self, stage: int, residual: Tensor, index: Tensor, weight: Tensor) -> None:
        counts = torch.zeros_like(self.counts[stage]).index_add_(0, index, weight)
        sums = torch.zeros_like(self.sums[stage]).index_add_(0, index, residual * weight[:, None])
        self.counts[stage].mul_(self.decay).add_(counts, alpha=1 - self.decay)
        self.sums[stage].mul_(self.decay).add_(sums, alpha=1 - self.decay)

    def _revive(self, stage: int, residual: Tensor, weight: Tensor) -> None:
        dead = self.counts[stage] < 1e-4 * self.counts[stage].sum()
        if not dead.any():
            return
        fresh = residual[self._draw(weight, int(dead.sum()))]
        self.quantiser.codebooks[stage][dead] = fresh
        self.counts[stage][dead] = self.counts[stage].mean()
        self.sums[stage][dead] = fresh * self.counts[stage].mean()

    def _draw(self, weight: Tensor, count: int) -> Tensor:
        return torch.multinomial(weight, count, replacement=True, generator=self.generator)


def nearest(vectors: Tensor, book: Tensor) -> Tensor:
    """The index of the nearest code, (N,), of vectors (N, width) and a book (codes, width)."""
    return torch.addmm(book.square().sum(1), vectors, book.T, alpha=-2.0).argmin(1)
