"""A detector's folder: config.json, weights.safetensors, and fusion/<rule>.safetensors over the same trunk.

The trunk is everything up to the BEV feature and the own heat map; a rule's file holds the rule and all that comes
behind it (the head, and for fused scales the layers that bring them together), and names the trunk it belongs to.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from carla_cp.perception.backbone import lay_channels_last
from carla_cp.perception.config import CONFIG, CheckpointError, load_config
from carla_cp.perception.detector import Detector
from carla_cp.perception.folding import fold_batch_norms
from carla_cp.perception.fusion import RULES
from carla_cp.perception.opencood_model import PREFIX, load_opencood
from carla_cp.whole import write_whole

WEIGHTS, FUSION = "weights.safetensors", "fusion"
_TRUNK = "trunk"  # key in the metadata of a rule's file
_OF_RULE = ("fusion.", "head.", "behind.", "turns.")


def load_detector(
    checkpoint: Path, device: str = "cpu", threads: int | None = None, fusion: str | None = None
) -> Detector:
    """The trained detector of a checkpoint folder, for use: in eval mode and with its batch norms folded.

    `opencood:DIR` is OpenCOOD's own model, trained in DIR, where its package can be imported. `fusion` names the rule
    to fuse with, if not the checkpoint's own. `threads` fixes torch's threads for the whole process. Raises
    CheckpointError when a file is missing, damaged or does not fit.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if str(checkpoint).startswith(PREFIX):
        if fusion is not None:
            raise CheckpointError(f"{checkpoint} fuses by its own rule, not by {fusion}; leave --fusion out")
        return load_opencood(str(checkpoint), device)
    detector = load_trainable(checkpoint, fusion)
    fold_batch_norms(detector.eval())
    lay_channels_last(detector)
    return detector.to(device)


def load_trainable(checkpoint: Path, fusion: str | None = None) -> Detector:
    """The detector of a checkpoint folder as it was trained. Raises CheckpointError as `load_detector` does."""
    detector = Detector(load_config(checkpoint / CONFIG))
    path = checkpoint / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"{path}: not found; give a trained checkpoint or run tools/train_detector.py")
    _load(detector, _read(path), path, f"does not fit its {CONFIG}", "restore both files")
    trunk = detector.fingerprint  # of the weights as they lie in the file
    if fusion is None or (fusion == detector.config.fusion and not rule_path(checkpoint, fusion).is_file()):
        return detector
    fused = start_rule(detector, fusion)
    path = rule_path(checkpoint, fusion)
    mend = f"train it with tools/train_fusion.py --rule {fusion} --checkpoint {checkpoint}"
    if not path.is_file():
        raise CheckpointError(f"{path}: not found; {mend}")
    belongs, learnt = _trunk_of(path, mend), _read(path)
    if belongs != f"{trunk:08x}":
        raise CheckpointError(f"{path}: trained for trunk {belongs or 'unknown'}, not for {trunk:08x}; {mend}")
    foreign = [name for name in learnt if not name.startswith(_OF_RULE)]
    if foreign:  # they would take the trunk's place
        raise CheckpointError(f"{path}: holds {foreign[0]}, which is no part of a rule; {mend}")
    state = {name: value for name, value in fused.state_dict().items() if not name.startswith(_OF_RULE)}
    _load(fused, {**state, **learnt}, path, f"is not of rule {fusion}", mend)
    return fused


def start_rule(detector: Detector, fusion: str) -> Detector:
    """A detector with the same trunk and head and an untrained fusion rule; it keeps the trunk's fingerprint.

    Where the rule fuses scales, the layers behind it begin as those of the trunk.

    Raises CheckpointError for a rule that does not exist.
    """
    if fusion not in RULES:
        raise CheckpointError(f"there is no fusion rule {fusion!r}; choose one of {', '.join(RULES)}")
    fused = Detector(
        replace(detector.config, fusion=fusion, own_merge=RULES[fusion].scales, turns=RULES[fusion].scales)
    )
    keep = ("fusion.", "behind.", "turns.")
    state = {name: value for name, value in detector.state_dict().items() if not name.startswith(keep)}
    own = {name: value for name, value in fused.state_dict().items() if name.startswith(("fusion.", "turns."))}
    behind = {f"behind.{name}": value for name, value in _merge_state(detector).items() if fused.config.own_merge}
    fused.load_state_dict({**own, **behind, **state})
    fused.fingerprint = detector.fingerprint
    return fused


def _merge_state(detector: Detector) -> dict[str, Tensor]:
    """The weights of the trunk's own layers that bring scales together."""
    state = detector.backbone.state_dict()
    return {name: value for name, value in state.items() if not name.startswith("blocks.")}


def rule_path(checkpoint: Path, fusion: str) -> Path:
    """Where a checkpoint folder keeps the weights of a fusion rule and its head."""
    return checkpoint / FUSION / f"{fusion}.safetensors"


def trained_rules(checkpoint: Path) -> tuple[str, ...]:
    """The fusion rules that a checkpoint folder has weights for, besides its own."""
    return tuple(name for name in RULES if rule_path(checkpoint, name).is_file())


def save_detector(detector: Detector, checkpoint: Path) -> None:
    """Writes weights and configuration into a folder, each whole, by rename.

    Raises ValueError for a detector that was loaded for use: its batch norms are gone.
    """
    _refuse_folded(detector)
    write_whole(checkpoint / WEIGHTS, save(_plain(detector.state_dict())))
    detector.config.save(checkpoint / CONFIG)


def save_rule(detector: Detector, checkpoint: Path) -> None:
    """Writes the fusion rule and head of a detector beside its trunk, whole, by rename. Raises ValueError if folded."""
    _refuse_folded(detector)
    state = {name: value for name, value in detector.state_dict().items() if name.startswith(_OF_RULE)}
    metadata = {_TRUNK: f"{detector.fingerprint:08x}"}
    write_whole(rule_path(checkpoint, detector.config.fusion), save(_plain(state), metadata=metadata))


def _refuse_folded(detector: Detector) -> None:
    if detector.state_dict().keys() != Detector(detector.config).state_dict().keys():
        raise ValueError("the batch norms of this detector are folded; save the one that was trained")


def _plain(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in state.items()}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read ({_line(error)}); restore the file") from None


def _trunk_of(path: Path, mend: str) -> str | None:
    """The trunk that a rule's file names."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            return (file.metadata() or {}).get(_TRUNK)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read ({_line(error)}); {mend}") from None


def _load(detector: Detector, state: dict[str, Tensor], path: Path, wrong: str, mend: str) -> None:
    try:
        detector.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: {wrong} ({_line(error)}); {mend}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
