"""What dense_sparse sends first, and what a lost packet leaves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from carla_cp.codecs.bitstream import HEADER_BYTES, Header, PayloadError, cut
from carla_cp.codecs.dense_sparse import DenseSparseCodec, DenseSparseSymbols
from carla_cp.codecs.dense_sparse_paper import COARSE, FINE
from carla_cp.codecs.dense_sparse_tokens import fine_cells
from carla_cp.codecs.ranking import usefulness
from carla_cp.types import GridSpec
from tests.codecs.fake import POSE, FakeView, fake_view


def codec(variant: str = "") -> DenseSparseCodec:
    torch.manual_seed(3)
    result = DenseSparseCodec().eval()
    torch.nn.init.normal_(result.fine.around[2].weight, std=0.05)  # type: ignore[arg-type]
    result.variant = variant
    return result


@pytest.fixture(scope="module")
def view() -> FakeView:
    return fake_view()


@pytest.fixture(scope="module")
def coder() -> DenseSparseCodec:
    return codec()


def sent(coder: DenseSparseCodec, view: FakeView, budget: int | None) -> DenseSparseSymbols:
    return coder.parse(coder.encode(view, budget))[1]


def test_the_full_rate_arrives_as_forward_says(view: FakeView, coder: DenseSparseCodec) -> None:
    shared = coder.decode(coder.encode(view, None))
    assert shared.features is not None and shared.valid is not None and bool(shared.valid.all())
    with torch.no_grad():
        assert torch.equal(shared.features, coder(view.bev[None])[0])


def test_sent_cells_arrive_as_forward_says_at_their_number_of_stages(view: FakeView, coder: DenseSparseCodec) -> None:
    payload = coder.encode(view, 1500)
    symbols, shared = coder.parse(payload)[1], coder.decode(payload)
    depth = torch.from_numpy(fine_cells(symbols.patches.depth, 2))
    assert shared.features is not None and int(depth.max()) > 0
    with torch.no_grad():
        assert torch.equal(shared.features, coder(view.bev[None], depth[None])[0])


def test_a_smaller_budget_is_a_prefix_of_the_same_ranking(view: FakeView, coder: DenseSparseCodec) -> None:
    before = np.zeros((64, 64), np.int64)
    for budget in (200, 400, 900, 1300, 2600, 9000):
        depth = sent(coder, view, budget).patches.depth
        assert (depth >= before).all() and depth.sum() > before.sum()
        before = depth


def test_no_stage_is_ranked_before_the_one_it_builds_on(view: FakeView, coder: DenseSparseCodec) -> None:
    with torch.no_grad():
        order = coder.plan(view.bev, view.heat).order()
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    assert (np.diff(place.reshape(-1, 6), axis=1) > 0).all()


def test_gain_is_the_distortion_removed_times_its_worth_patch_by_patch(view: FakeView, coder: DenseSparseCodec) -> None:
    with torch.no_grad():
        plan = coder.plan(view.bev, view.heat)
        useful = usefulness(view.heat[None])[0] + 0.01
        latent = coder.fine.down(view.bev[None])[0]
        nothing = coder.fine.down(torch.zeros(1, 64, 1, 1)).flatten()
        books = coder.fine_codes.books()
    for patch in (0, 1000, 2080):
        row, column = divmod(patch, 64)
        expected = np.zeros(6)
        for cell in ((2 * row + down, 2 * column + right) for down in (0, 1) for right in (0, 1)):
            residual = latent[:, cell[0], cell[1]]
            before = float((residual - nothing).square().sum())
            for stage in range(6):
                residual = residual - books[stage, plan.tokens[stage][cell]]
                expected[stage] += (before - float(residual.square().sum())) * float(useful[cell])
                before = float(residual.square().sum())
        assert np.allclose(plan.gain[patch], expected, atol=1e-4)


def test_the_budget_is_used(view: FakeView, coder: DenseSparseCodec) -> None:
    for budget in (500, 1000, 2000, 5000):
        assert 0.97 * budget - 20 < len(coder.encode(view, budget)) <= budget


def test_the_coarse_grid_is_in_the_first_packet_where_it_is_no_large_part(
    view: FakeView, coder: DenseSparseCodec
) -> None:
    assert sent(coder, view, 500).coarse is None
    packets = cut(coder.encode(view, 20_000))
    assert [packet[HEADER_BYTES] for packet in packets] == [COARSE | FINE] + [FINE] * (len(packets) - 1)


def test_where_packets_cannot_hold_the_coarse_grid_there_are_patches_only(
    view: FakeView, coder: DenseSparseCodec
) -> None:
    packets = cut(coder.encode(view, 20_000, None, 200))
    assert max(map(len, packets)) <= 200 and sum(map(len, packets)) > 19_000
    assert all(packet[HEADER_BYTES] == FINE for packet in packets)


def test_a_lost_packet_costs_its_own_patches_only(view: FakeView, coder: DenseSparseCodec) -> None:
    packets = cut(coder.encode(view, 20_000))
    whole = coder.parse(b"".join(packets))[1]
    for lost in range(len(packets)):
        rest = coder.parse(b"".join(packets[:lost] + packets[lost + 1 :]))[1]
        gone = coder.parse(packets[lost])[1].patches.depth > 0
        assert (rest.patches.depth == np.where(gone, 0, whole.patches.depth)).all()
        assert (rest.coarse is None) == (lost == 0)


def test_repeated_packets_change_nothing(view: FakeView, coder: DenseSparseCodec) -> None:
    packets = cut(coder.encode(view, 4000))
    once, twice = (coder.decode(b"".join(packets * times)) for times in (1, 2))
    assert once.features is not None and twice.features is not None
    assert torch.equal(once.features, twice.features)


def test_packets_of_both_layouts_are_refused(view: FakeView, coder: DenseSparseCodec) -> None:
    with pytest.raises(PayloadError, match="both layouts"):
        coder.decode(coder.encode(view, 1000) + codec("paper").encode(view, None))


def test_coarse_cells_count_only_where_their_decoder_expects_help(view: FakeView) -> None:
    coder = codec()
    symbols = sent(coder, view, 20_000)
    header = Header(coder.number, 0, view.sweep.agent, 0, POSE)
    fine = fine_cells(symbols.patches.depth, 2) > 0
    last = coder.coarse.out.bias
    assert last is not None
    with torch.no_grad():
        for bias, counts in ((-50.0, fine), (50.0, np.ones_like(fine))):
            last[-1] = bias
            shared = coder.reconstruct(header, symbols)
            assert shared.valid is not None and (shared.valid.numpy() == counts).all()


def test_the_papers_formula_charges_six_bits_a_token_and_48_a_patch(view: FakeView, coder: DenseSparseCodec) -> None:
    symbols = sent(coder, view, 900)
    depth = symbols.patches.depth
    assert coder.formula_bytes(symbols) == (24 * depth.sum() + 48 * (depth > 0).sum()) / 8


def test_grids_of_no_whole_patches_are_filled_up() -> None:
    torch.manual_seed(3)
    grid = GridSpec(half_length_m=28.8, half_width_m=20.0)
    coder = DenseSparseCodec(grid=grid).eval()
    view = fake_view()
    small = FakeView(
        view.sweep, POSE, view.points, view.pillars, view.bev[:, :50, :72], view.heat[:, :50, :72], view.boxes
    )
    for budget in (300, None):
        shared = coder.decode(coder.encode(small, budget))
        assert shared.features is not None and tuple(shared.features.shape) == (64, 50, 72)


def test_training_passes_gradients_through_the_codes() -> None:
    coder = codec().train()
    features = fake_view().bev[None]
    coder(features).square().sum().backward()
    gradient = next(coder.fine.down.parameters()).grad
    assert gradient is not None and bool(gradient.abs().sum() > 0)
    assert torch.allclose(coder(features), coder.eval()(features), atol=1e-4)
