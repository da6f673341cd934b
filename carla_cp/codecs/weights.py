"""Weights of learned codecs: one safetensors file each, bound to the detector they were trained against."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save

from carla_cp.codecs.base import Codec, CodecError
from carla_cp.perception.config import CONFIG, load_config
from carla_cp.whole import write_whole

_DETECTOR = "detector"  # key in the file's metadata


def detector_fingerprint(checkpoint: Path) -> int:
    """`Detector.fingerprint` of a checkpoint folder, without building the detector. Raises CodecError."""
    path = checkpoint / "weights.safetensors"
    if not path.is_file():
        raise CodecError(f"{path}: not found; give a checkpoint folder with trained weights")
    try:
        state = load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise CodecError(f"{path}: cannot be read ({_line(error)}); restore the file") from None
    return _crc(state)


def codec_path(kind: type[Codec[Any]], checkpoint: Path) -> Path:
    """Where a checkpoint folder keeps the weights of a learned codec."""
    return checkpoint / "codecs" / f"{kind.name}.safetensors"


def load_weights(kind: type[Codec[Any]], checkpoint: Path) -> Codec[Any]:
    """A learned codec with its trained weights. Raises CodecError where they are missing or do not fit."""
    path = codec_path(kind, checkpoint)
    mend = f"train them with tools/train_codec.py {kind.name} --detector {checkpoint}"
    detector = detector_fingerprint(checkpoint)
    if not path.is_file():
        raise CodecError(f"{path}: not found; {mend}")
    try:
        with safetensors.safe_open(path, "pt") as file:
            trained_for = (file.metadata() or {}).get(_DETECTOR)
        state = {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}
    except (OSError, safetensors.SafetensorError) as error:
        raise CodecError(f"{path}: cannot be read ({_line(error)}); {mend}") from None
    if trained_for != f"{detector:08x}":
        raise CodecError(f"{path}: trained for detector {trained_for}, not for {detector:08x}; {mend}")
    codec = kind.for_detector(_crc(state) ^ detector, load_config(checkpoint / CONFIG))
    try:
        codec.load_state_dict(state)
    except RuntimeError as error:
        raise CodecError(f"{path}: does not fit codec {kind.name} ({_line(error)}); {mend}") from None
    return codec


def save_weights(codec: Codec[Any], checkpoint: Path, detector: int) -> Path:
    """Writes a learned codec's weights for the detector of that fingerprint, by rename; floats are kept in fp16."""
    path = codec_path(type(codec), checkpoint)
    state = {
        name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in codec.state_dict().items()
    }
    write_whole(path, save(state, metadata={_DETECTOR: f"{detector:08x}"}))
    return path


def _crc(state: dict[str, torch.Tensor]) -> int:
    crc = 0
    for name, value in sorted(state.items()):
        crc = zlib.crc32(np.ascontiguousarray(value.numpy()).tobytes(), zlib.crc32(name.encode(), crc))
    return crc


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
