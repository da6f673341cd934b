"""Codecs: a stage of the detector to bytes under a budget, and back.

A codec is one file with one class and one line in `_OURS`; those of other packages register their class in the entry
point group `carla_cp.codecs` and are found by name like ours.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import torch

from carla_cp.codecs.base import Codec, CodecError
from carla_cp.codecs.bitstream import PayloadError
from carla_cp.codecs.codefilling import CodefillingCodec
from carla_cp.codecs.dense_sparse import DenseSparseCodec
from carla_cp.codecs.early import EarlyCodec
from carla_cp.codecs.ermvp import ErmvpCodec
from carla_cp.codecs.infocom import InfocomCodec
from carla_cp.codecs.late import LateCodec
from carla_cp.codecs.none import NoneCodec
from carla_cp.codecs.oracle import OracleCodec
from carla_cp.codecs.plugins import with_plugins
from carla_cp.codecs.raw import RawCodec
from carla_cp.codecs.revqom import RevqomCodec
from carla_cp.codecs.weights import codec_path, detector_fingerprint, load_weights
from carla_cp.codecs.where2comm import Where2commCodec
from carla_cp.perception.base import OutsideDetector
from carla_cp.perception.config import CONFIG, load_config
from carla_cp.perception.opencood_model import PREFIX, opencood_config
from carla_cp.types import CodecChoice, Stage

__all__ = [
    "CODECS",
    "Codec",
    "CodecError",
    "PayloadError",
    "codec_for",
    "codec_kind",
    "codec_path",
    "load_codec",
    "parse_choice",
]

_OURS: dict[str, type[Codec[Any]]] = {
    "none": NoneCodec,
    "oracle": OracleCodec,
    "late": LateCodec,
    "raw": RawCodec,
    "where2comm": Where2commCodec,
    "early": EarlyCodec,
    "revqom": RevqomCodec,
    "infocom": InfocomCodec,
    "dense_sparse": DenseSparseCodec,
    "ermvp": ErmvpCodec,
    "codefilling": CodefillingCodec,
}

CODECS: dict[str, type[Codec[Any]]] = with_plugins(_OURS)
_UNITS = {"": 1, "B": 1, "KB": 1000, "KiB": 1024, "MB": 1_000_000, "MiB": 1 << 20}


def load_codec(name: str, checkpoint: Path, device: str = "cpu") -> Codec[Any]:
    """The codec of that `NAME` or `NAME:VARIANT`, in eval mode, fit for the detector in the folder `checkpoint`.

    Learned codecs read `codecs/<name>.safetensors` there. Raises CodecError for an unknown name, for weights that are
    missing, damaged, or trained for another detector, and for features of `opencood:DIR`, whose models share none.
    """
    kind, variant = codec_kind(name)
    return _ready(_load(kind, name, checkpoint), variant, device)


def codec_for(name: str, detector: OutsideDetector, device: str = "cpu") -> Codec[Any]:
    """The codec of that `NAME` or `NAME:VARIANT`, in eval mode, fit for a detector of another package.

    Raises CodecError for an unknown name, for one that needs weights, and for a stage that the detector cannot take.
    """
    kind, variant = codec_kind(name)
    if kind.takes_budget and (kind.learned or kind.tap not in detector.stages):
        what = "needs weights trained for one of ours" if kind.learned else f"sends {kind.tap.value}"
        able = [each.name for each in CODECS.values() if not each.learned and each.tap in detector.stages]
        raise CodecError(f"--codec {name}: {what}, detector {detector.name} takes none; choose {', '.join(able)}")
    return _ready(kind.for_detector(detector.fingerprint, detector.config), variant, device)


def _ready(codec: Codec[Any], variant: str, device: str) -> Codec[Any]:
    codec = codec.to(device)
    codec.variant = variant
    return codec.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


def _load(kind: type[Codec[Any]], name: str, checkpoint: Path) -> Codec[Any]:
    theirs = str(checkpoint).startswith(PREFIX)
    if theirs and kind.tap not in (Stage.POINTS, Stage.BOXES):
        raise CodecError(f"--codec {name}: {checkpoint} shares no features; choose early or late, as it was trained")
    if kind.learned:
        return load_weights(kind, checkpoint)
    if kind.tap is Stage.BOXES:  # these mean the same to every detector, whatever its grid
        return kind()
    if kind.tap is Stage.POINTS:
        return kind.for_detector(0, opencood_config(str(checkpoint)) if theirs else load_config(checkpoint / CONFIG))
    return kind.for_detector(detector_fingerprint(checkpoint), load_config(checkpoint / CONFIG))


def codec_kind(name: str) -> tuple[type[Codec[Any]], str]:
    """The class of `NAME` or `NAME:VARIANT`, and the variant or "". Raises CodecError for what is not there."""
    plain, colon, variant = name.partition(":")
    kind = CODECS[_known(plain)]
    if colon and variant not in kind.variants:
        known = ", ".join(f"{plain}:{each}" for each in kind.variants) or "none"
        raise CodecError(f"--codec {name}: {plain} has no variant {variant!r}; there is {known}")
    return kind, variant


def parse_choice(text: str) -> CodecChoice:
    """`NAME` or `NAME:VARIANT` of the command line, either with `@BUDGET`.

    A budget is bytes (`2000`), `2KB` (2000) or `2KiB` (2048). Raises CodecError for an unknown name, a budget
    that is none, and a budget for a codec that takes none.
    """
    name, at, budget = text.partition("@")
    kind, variant = codec_kind(name)
    if variant.startswith("paper") and at:
        raise CodecError(f"--codec {text}: the paper's rate is fixed; write --codec {name}, or {kind.name}@{budget}")
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
