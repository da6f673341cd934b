"""Every codec is measured, on a real view and behind random weights, and so are its parts."""

from __future__ import annotations

import sys
from dataclasses import replace

import bench_codecs as bench
import numpy as np
import pytest
import torch
from fake_view import fake_view

from carla_cp.codecs import CODECS
from carla_cp.codecs.bitstream import Table
from carla_cp.codecs.raw import RawCodec
from carla_cp.codecs.revqom import RevqomCodec
from carla_cp.codecs.rvq import ResidualQuantiser
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector
from carla_cp.perception.presets import MINI
from tests.perception.synthetic import make_frame

SENDING = [name for name in CODECS if name not in ("none", "oracle")]


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "REPEAT", 1)


def test_a_message_is_measured_both_ways_at_two_rates() -> None:
    rows = list(bench.message_rows("raw", RawCodec(), fake_view()))
    assert [row.name.split(", ")[0] for row in rows] == [
        f"codec: {way} raw@{budget}" for budget in ("max", "2000") for way in ("encode", "decode")
    ]
    assert all(row.median > 0 and row.unit == "ms" for row in rows)


def test_every_codec_is_measured_behind_random_weights_and_learned_ones_are_called_untrained() -> None:
    rows = list(bench.full_rows(MINI, [agent.sweep for agent in make_frame(3).agents]))
    encoded = {row.name.removeprefix("codec: encode ").split("@")[0] for row in rows if "encode" in row.name}
    wanted = {f"{name}{', untrained' if CODECS[name].learned else ''}, full OPV2V grid" for name in SENDING}
    assert encoded == wanted


def test_a_codec_that_knows_no_such_grid_is_told_and_the_others_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class SquareCodec(RawCodec):
        @classmethod
        def for_detector(cls, fingerprint: int, config: DetectorConfig) -> RawCodec:
            raise ValueError("takes square maps")

    def detector(config: DetectorConfig, sweeps: object) -> Detector:
        return Detector(config).eval()

    monkeypatch.setattr(bench, "random_detector", detector)
    monkeypatch.setattr(bench, "CODECS", {"square": SquareCodec, "late": CODECS["late"]})
    config = replace(MINI, grid=replace(MINI.grid, half_length_m=25.6, half_width_m=12.8))
    list(bench.full_rows(config, [agent.sweep for agent in make_frame(3).agents]))
    assert "square is not measured on the full OPV2V grid: takes square maps" in capsys.readouterr().out


def test_without_the_other_package_the_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vector_quantize_pytorch", None)
    (row,) = bench.search_rows()
    assert "33792 vectors of 16, 3 x 64 codes (vector-quantize-pytorch is not installed)" in row.name


def test_their_search_finds_our_indices() -> None:
    pytest.importorskip("vector_quantize_pytorch")
    quantiser, vectors = ResidualQuantiser(3, 16, 8), torch.randn(500, 8)
    theirs = bench.their_search(quantiser.codebooks)
    assert theirs is not None
    assert torch.equal(theirs(vectors), quantiser.search(vectors, 3))


def test_coding_is_measured_in_symbols_per_second() -> None:
    rows = [*bench.coding_rows(4096), *bench.context_rows(4096)]
    assert [row.name.split(" ")[1] for row in rows] == ["coding", "reading"] * 2
    assert all(row.unit == "Msym/s" and 0.01 < row.median < 1e5 for row in rows)


def test_symbols_are_drawn_from_the_table_of_their_context() -> None:
    tables = [Table.from_counts([1, 0, 0, 0]), Table.from_counts([0, 0, 0, 1])]
    contexts = np.arange(200) % 2
    symbols = bench.drawn(np.random.default_rng(0), contexts, tables)
    assert np.mean(symbols == 3 * contexts) > 0.99


def test_symbols_of_several_agents_are_those_of_each() -> None:
    codec = RevqomCodec().eval()
    views = [fake_view(seed) for seed in range(2)]
    together = bench.to_symbols(codec, torch.stack([view.bev for view in views]))
    apart = [bench.to_symbols(codec, view.bev[None]) for view in views]
    assert together.shape == (codec.config.stages, 2 * 128 * 128)
    assert float((together != torch.cat(apart, 1)).float().mean()) < 0.001


def test_torch_gets_its_threads_back() -> None:
    before = torch.get_num_threads()
    with bench.one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
