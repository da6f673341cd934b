"""Weights to start from: of a codec's own file, of a state, and of neither."""

from __future__ import annotations

from pathlib import Path

import codec_starts
import pytest
import torch
from safetensors.torch import save_file

from carla_cp.perception.config import CheckpointError


def test_weights_come_from_a_codecs_file_in_full_precision_and_from_a_state(tmp_path: Path) -> None:
    values = {"weight": torch.tensor([0.5]), "table": torch.tensor([3], dtype=torch.int32)}
    save_file({"weight": values["weight"].half(), "table": values["table"]}, tmp_path / "codec.safetensors")
    torch.save({"codec": values, "step": 7}, tmp_path / "codec.pt")
    for file in ("codec.safetensors", "codec.pt"):
        found = codec_starts.read_weights(tmp_path / file)
        assert found == values and found["weight"].dtype == torch.float32 and found["table"].dtype == torch.int32


@pytest.mark.parametrize("name", ["broken.pt", "broken.safetensors"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=name):
        codec_starts.read_weights(tmp_path / name)
