"""The weights that a codec's training goes on from."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from carla_cp.perception.config import CheckpointError


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """A codec's weights, of its own file or of a training state. Raises CheckpointError."""
    with fitting(path):
        if path.suffix != ".safetensors":
            weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["codec"]
            return weights
        return {name: each.float() if each.is_floating_point() else each for name, each in load_file(path).items()}


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Whatever the block cannot make of a file is a CheckpointError that names it."""
    try:
        yield
    except (RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: no weights of this codec ({reason}); give those of another run") from None
