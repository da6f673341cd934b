"""Codecs: a stage of the detector to bytes under a budget, and back.

A codec is one file with one class and one line in `CODECS`.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import torch

from carla_cp.codecs.base import Codec, CodecError
from carla_cp.codecs.bitstream import PayloadError
from carla_cp.codecs.early import EarlyCodec
from carla_cp.codecs.infocom import InfocomCodec
from carla_cp.codecs.late import LateCodec
from carla_cp.codecs.none import NoneCodec
from carla_cp.codecs.oracle import OracleCodec
from carla_cp.codecs.raw import RawCodec, RawShapes
from carla_cp.codecs.revqom import RevqomCodec
from carla_cp.codecs.weights import codec_path, detector_fingerprint, load_weights
from carla_cp.perception.config import load_config
from carla_cp.perception.opencood_model import PREFIX, opencood_config
from carla_cp.types import CodecChoice, Stage

__all__ = ["CODECS", "Codec", "CodecError", "PayloadError", "codec_path", "load_codec", "parse_choice"]

CODECS: dict[str, type[Codec[Any]]] = {
    "none": NoneCodec,
    "oracle": OracleCodec,
    "late": LateCodec,
    "raw": RawCodec,
    "early": EarlyCodec,
    "revqom": RevqomCodec,
    "infocom": InfocomCodec,
}

_UNITS = {"": 1, "B": 1, "KB": 1000, "KiB": 1024, "MB": 1_000_000, "MiB": 1 << 20}


def load_codec(name: str, checkpoint: Path, device: str = "cpu") -> Codec[Any]:
    """The codec of that name, in eval mode, fit for the detector in the folder `checkpoint`.

    Learned codecs read `codecs/<name>.safetensors` there. Raises CodecError for an unknown name, for weights that are
    missing, damaged, or trained for another detector, and for features of `opencood:DIR`, whose models share none.
    """
    kind = CODECS[_known(name)]
    theirs = str(checkpoint).startswith(PREFIX)
    if theirs and kind.tap not in (Stage.POINTS, Stage.BOXES):
        raise CodecError(f"--codec {name}: {checkpoint} shares no features; choose early or late, as it was trained")
    if kind.learned:
        codec = load_weights(kind, checkpoint).to(device)
        return codec.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]
    if kind is RawCodec:
        fingerprint, config = detector_fingerprint(checkpoint), load_config(checkpoint / "config.json")
        return RawCodec(fingerprint, config.grid, RawShapes.of_config(config)).to(device).eval()
    if kind is EarlyCodec:
        config = opencood_config(str(checkpoint)) if theirs else load_config(checkpoint / "config.json")
        return EarlyCodec(grid=config.grid).to(device).eval()
    return kind().to(device).eval()  # boxes mean the same to every detector


def parse_choice(text: str) -> CodecChoice:
    """`NAME` or `NAME@BUDGET` of the command line; a budget is bytes (`2000`), `2KB` (2000) or `2KiB` (2048).

    Raises CodecError for an unknown name, a budget that is none, and a budget for a codec that takes none.
    """
    name, at, budget = text.partition("@")
    kind = CODECS[_known(name)]
    if not at:
        return CodecChoice(name, None)
    if not kind.takes_budget:
        raise CodecError(f"--codec {text}: {name} sends nothing and takes no budget; write --codec {name}")
    match = re.fullmatch(r"(\d{1,9})(B|KB|KiB|MB|MiB)?", budget)
    if match is None or int(match[1]) == 0:
        raise CodecError(
            f"--codec {text}: {budget!r} is no budget; give bytes per agent and tick, as in {name}@2000 or {name}@2KB"
        )
    return CodecChoice(name, int(match[1]) * _UNITS[match[2] or ""])


def _known(name: str) -> str:
    if name in CODECS:
        return name
    near = difflib.get_close_matches(name, CODECS, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(CODECS)}"
    raise CodecError(f"there is no codec {name!r}; {hint}")
