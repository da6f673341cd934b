"""Batch norms folded into the convolutions before them: the same network in eval mode, in fewer steps."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module) -> None:
    """Replaces, in place, every convolution with a batch norm behind it by one convolution.

    Equal in eval mode but for rounding (1e-5 of features of order 1). Looks into `nn.Sequential`s alone.
    """
    for part in list(network.modules()):
        if isinstance(part, nn.Sequential):
            _fold(part)


def _fold(steps: nn.Sequential) -> None:
    for index in range(len(steps) - 1):
        conv, norm = steps[index], steps[index + 1]
        if isinstance(conv, (nn.Conv2d, nn.ConvTranspose2d)) and isinstance(norm, nn.BatchNorm2d):
            steps[index] = fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, nn.ConvTranspose2d))
            steps[index + 1] = nn.Identity()
