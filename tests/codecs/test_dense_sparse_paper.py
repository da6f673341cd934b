"""The fixed rate of dense_sparse's paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from carla_cp.codecs.bitstream import HEADER_BYTES, PayloadError, cut
from carla_cp.codecs.dense_sparse import DenseSparseCodec
from carla_cp.codecs.dense_sparse_paper import FINE, WIDE, pack_six, unpack_six
from carla_cp.codecs.dense_sparse_tokens import fine_cells
from tests.codecs.fake import FakeView, fake_view


@pytest.fixture(scope="module")
def view() -> FakeView:
    return fake_view()


@pytest.fixture(scope="module")
def coder() -> DenseSparseCodec:
    torch.manual_seed(3)
    result = DenseSparseCodec().eval()
    result.variant = "paper"
    return result


def test_the_papers_rate_is_its_own(view: FakeView, coder: DenseSparseCodec) -> None:
    payload = coder.encode(view, None)
    symbols, packets = coder.parse(payload)[1], cut(payload)
    patches = math.ceil(8 / 33 * 64)
    assert symbols.coarse is not None and len(symbols.coarse) == 1024
    assert symbols.patches.depth.max() == 1 and symbols.patches.depth.sum() == patches * 64
    assert coder.formula_bytes(symbols) == 1024 * 6 / 8 + patches * (192 + 6)
    assert len(payload) == coder.formula_bytes(symbols) + len(packets) * (HEADER_BYTES + 1)
    assert max(map(len, packets)) <= 1384
    with torch.no_grad():
        plan = coder.plan(view.bev, view.heat)
    assert (symbols.coarse == plan.coarse).all()
    cells = fine_cells(symbols.patches.depth, 2) > 0
    assert (symbols.patches.tokens[0][cells] == plan.tokens[0][cells]).all()


def test_the_papers_rate_keeps_to_a_budget_by_a_prefix(view: FakeView, coder: DenseSparseCodec) -> None:
    assert coder.encode(view, 500) == b""
    small, large = (coder.parse(coder.encode(view, budget))[1].patches.depth for budget in (1300, 2600))
    assert 0 < small.sum() < large.sum() and (large >= small).all()


def test_a_damaged_patch_of_the_paper_is_refused(view: FakeView, coder: DenseSparseCodec) -> None:
    body = cut(coder.encode(view, None))[1][HEADER_BYTES:]
    assert body[0] == WIDE | FINE
    coder.read(body)
    with pytest.raises(PayloadError, match="damaged"):
        coder.read(body[:50] + bytes([body[50] ^ 1]) + body[51:])


@given(st.lists(st.integers(0, 63), min_size=1, max_size=40))
def test_six_bits_a_token_come_back(tokens: list[int]) -> None:
    data = pack_six(np.array(tokens))
    assert len(data) == -(-6 * len(tokens) // 8)
    assert int.from_bytes(data, "big") >> (8 * len(data) - 6) == tokens[0]
    assert unpack_six(data, len(tokens)).tolist() == tokens
    with pytest.raises(PayloadError):
        unpack_six(data + b"x", len(tokens))
