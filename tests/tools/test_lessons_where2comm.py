"""What Where2comm sends when it learns with the detector."""

from __future__ import annotations

import numpy as np
import torch
from codec_lessons import Sending
from codec_teachers import joint_teacher, make_teacher

from carla_cp.codecs.ranking import usefulness
from carla_cp.codecs.where2comm import selection
from carla_cp.codecs.where2comm_cells import PRECISIONS, STEP
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector


@torch.no_grad()
def test_each_sender_sends_its_most_confident_cells_half_of_the_time_as_many_as_in_the_paper() -> None:
    torch.manual_seed(0)
    detector = Detector(DetectorConfig()).eval()
    teacher = joint_teacher("where2comm", make_teacher("where2comm", detector, 0).codec, detector, 0)
    bev = 5 * torch.rand(2, 64, 128, 128)
    heat = detector.heat_from_bev(bev)
    sending, shares = Sending(None, bev, usefulness(heat), None), []
    for seed in range(40):
        arrival = teacher.send(sending, 0.5, np.random.default_rng(seed))
        for view, valid in enumerate(arrival.valid):
            score = selection(heat[view], None)
            assert score[valid].min() >= score[~valid].max()
            shares.append(float(valid.float().mean()))
        coarsest = STEP * 2 ** (PRECISIONS - 1)
        assert (arrival.bev - bev).abs().max() <= coarsest / 2 + 1e-4
    assert 0.25 < np.mean(np.array(shares) > 3001 / 128**2) < 0.6 and max(shares) > 0.8
