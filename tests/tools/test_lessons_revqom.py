"""What ReVQom sends when it learns with the detector."""

from __future__ import annotations

import numpy as np
import torch
from codec_lessons import Sending
from codec_teachers import joint_teacher, make_teacher
from torch.nn import functional as F

from carla_cp.codecs.revqom import RevqomCodec
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector


def test_codebooks_move_and_the_papers_two_losses_come_aside() -> None:
    torch.manual_seed(0)
    detector = Detector(DetectorConfig()).eval()
    codec = make_teacher("revqom", detector, 0).codec
    assert isinstance(codec, RevqomCodec)
    teacher = joint_teacher("revqom", codec, detector, 0)
    before = codec.quantiser.codebooks.clone()
    sending = Sending(None, torch.rand(1, 64, 128, 128), torch.ones(1, 128, 128), None)
    with torch.no_grad():
        latent = codec.down(sending.bev).permute(0, 2, 3, 1).flatten(0, 2)
    arrival = teacher.send(sending, 1.0, np.random.default_rng(0))
    assert not torch.equal(codec.quantiser.codebooks, before) and arrival.bev.shape == sending.bev.shape
    arrival.aside.backward()
    matrix = F.normalize(codec.down.weight.detach().flatten(1))
    crooked = 1e-4 * (matrix @ matrix.T - torch.eye(len(matrix))).square().mean()
    # The codebooks have moved since the codes were drawn, so that the nearest ones now are a little nearer or farther.
    nearest = codec.quantiser.look_up(codec.quantiser.search(latent, codec.config.stages))
    torch.testing.assert_close(arrival.aside, 0.05 * (latent - nearest).square().mean() + crooked, rtol=0.3, atol=0.0)
    assert codec.down.weight.grad is not None and codec.down.weight.grad.any() and codec.expand.weight.grad is None
