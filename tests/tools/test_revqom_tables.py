"""ReVQom's tables: contexts that say alike share one, and learning changes what messages cost, not what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from codec_features import features
from revqom_tables import grouped, learn

from carla_cp.codecs.revqom import GROUPS, RevqomCodec
from carla_cp.codecs.rvq_coder import IndexModel
from carla_cp.datasets import open_dataset
from carla_cp.perception.detector import Detector
from tests.perception.synthetic import write


def codec() -> RevqomCodec:
    torch.manual_seed(3)
    result = RevqomCodec().eval()
    result.quantiser.codebooks.mul_(40 * 0.7 ** torch.arange(8.0)[:, None, None])
    return result


def test_contexts_share_the_table_of_those_that_say_alike() -> None:
    codes = 4 * GROUPS
    counts = np.zeros((codes + 1, codes))
    kind = np.arange(codes) % GROUPS
    counts[np.arange(codes), kind] = 1000.0 - np.arange(codes)
    groups, tables = grouped(counts)
    assert len(tables) == GROUPS + 1
    assert all(len(set(groups[kind == each])) == 1 for each in range(GROUPS))
    assert len(set(groups[:GROUPS])) == GROUPS
    assert all(int(tables[groups[context]].weights.argmax()) == kind[context] for context in range(codes))


def sizes(model: IndexModel) -> list[list[int]]:
    """Lengths of the tables of each stage."""
    return [[len(table.weights) for table in tables] for tables in model.tables]


def test_learnt_tables_have_the_same_shape_and_make_whole_messages_shorter(detector: Detector, tmp_path: Path) -> None:
    write(tmp_path / "data" / "scene", 1, 1)
    data = features(detector, open_dataset(tmp_path / "data"), tmp_path / "work", 1)
    coder = codec()
    view = detector.view(open_dataset(tmp_path / "data").frame(0).agents[0].sweep)
    before, payload = coder.tables(), coder.encode(view, None)
    learn(coder, detector, data, range(len(data)))
    after = coder.tables()
    assert sizes(after.whole) == sizes(before.whole) and sizes(after.some) == sizes(before.some)
    assert after.where.weights.shape == before.where.weights.shape
    again = coder.encode(view, None)
    assert len(again) < 0.9 * len(payload)
    shared = coder.decode(again)
    assert shared.valid is not None and bool(shared.valid.all())


def test_no_views_are_refused(detector: Detector, tmp_path: Path) -> None:
    write(tmp_path / "data" / "scene", 1, 1)
    data = features(detector, open_dataset(tmp_path / "data"), tmp_path / "work", 1)
    with pytest.raises(ValueError, match="no views"):
        learn(codec(), detector, data, [])
