"""What fusion rules learn from: teams of a batch's views, and the loss of what CoAlign says of its boxes."""

from __future__ import annotations

from pathlib import Path

import fusion_lessons
import numpy as np
import pytest
import torch
import train_fusion
from training import Ranks

from carla_cp.codecs.where2comm import selection
from carla_cp.perception.checkpoint import load_detector, load_trainable, save_detector, start_rule
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector
from carla_cp.perception.fusion import warp
from carla_cp.perception.fusion.coalign import CoalignFusion
from tests.tools.training_samples import one_batch


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trunk without training."""
    folder = tmp_path_factory.mktemp("trunk")
    torch.manual_seed(0)
    save_detector(Detector(DetectorConfig()), folder)
    return folder


def test_teams_hold_each_frames_views_in_order(checkpoint: Path) -> None:
    trunk, batch = load_detector(checkpoint), one_batch(3, 5)
    found = fusion_lessons.stages(trunk, batch)
    view = sender = 0
    rule = start_rule(load_trainable(checkpoint), "attention").eval()
    for count, teams in zip(batch.agents, fusion_lessons.teams_of(rule, found, batch), strict=True):
        assert len(teams) == 3 and all(len(team.members) == count for team in teams)
        assert torch.equal(teams[0].members[0].features, found.maps[0][view])
        for offset in range(1, count):
            member = teams[1].members[offset]
            assert torch.equal(member.features, found.maps[1][view + offset])
            expected = warp(member.features[None], member.valid[None], batch.theta[sender][None])
            torch.testing.assert_close(member.in_ego_grid()[0], expected[0][0])  # unturned as long as it is untrained
            sender += 1
        view += count
    assert view == sum(batch.agents) and sender == len(batch.theta)


def test_coalign_learns_how_wrong_boxes_are(checkpoint: Path) -> None:
    torch.manual_seed(1)
    batch = one_batch(2, 3)
    rule = train_fusion.RuleTraining(load_trainable(checkpoint), "coalign", train_fusion.FUSION, torch.device("cpu"))
    found = fusion_lessons.stages(load_detector(checkpoint), batch)
    assert isinstance(rule.detector.fusion, CoalignFusion)
    with torch.no_grad():
        before = fusion_lessons.uncertainty_loss(rule.detector, rule.detector.fusion, found, batch)
    for number in range(1, 5):
        rule.step(found, batch, 1e-2, Ranks(0, 1), number)
    with torch.no_grad():
        after = fusion_lessons.uncertainty_loss(rule.detector, rule.detector.fusion, found, batch)
    assert float(after) < float(before)


def test_where2comm_learns_from_a_random_share_of_the_most_confident_cells(checkpoint: Path) -> None:
    batch = one_batch(2, 5)
    found = fusion_lessons.stages(load_detector(checkpoint), batch)
    rule = start_rule(load_trainable(checkpoint), "where2comm").eval().requires_grad_(False)
    part = fusion_lessons.partly_sent(rule, found, batch, np.random.default_rng([0, 1]))
    again = fusion_lessons.partly_sent(rule, found, batch, np.random.default_rng([0, 1]))
    shares, draws = [], np.random.default_rng([0, 1])
    for place, view in enumerate(batch.senders):
        sent = part.maps[0][view].any(dim=0)
        share = draws.random()
        shares.append(share)
        score = selection(found.heat[view][None], None)
        kept = score >= score.flatten().sort(descending=True).values[round(share * score.numel()) - 1]
        assert not sent[~kept].any() and int(sent.sum()) <= round(share * score.numel())
        assert sent.any() and not part.valid[0][place][~kept].any()
        assert torch.equal(part.maps[0][view], found.maps[0][view] * sent)
        scales = rule.backbone.scales(part.maps[0][view][None])
        torch.testing.assert_close(part.maps[2][view], scales[2][0], rtol=0.1, atol=0.1)
        heat = rule.heat_from_bev(rule.backbone.merge(scales))[0].amax(dim=0)
        torch.testing.assert_close(part.heat[view], heat, rtol=0.05, atol=0.02)
        expected = warp(part.maps[1][view][None], part.valid[1][place][None], batch.theta[place][None])
        torch.testing.assert_close(part.moved[1][0][place], expected[0][0])
    assert max(shares) - min(shares) > 0.1
    for ego in batch.egos:
        assert all(torch.equal(new[ego], old[ego]) for new, old in zip(part.maps, found.maps, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(part.maps, again.maps, strict=True))
