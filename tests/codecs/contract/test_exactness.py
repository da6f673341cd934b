"""Every message arrives as it was meant, in any process."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from carla_cp.codecs import Codec
from tests.codecs.contract.cases import KINDS, OUTSIDE, SENDING, VARIANTS, assert_sound, load, message, same, view
from tests.codecs.fake import POSE, FakeView, fake_view
from tests.codecs.forwards import FORWARD


def test_the_table_of_what_forward_says_holds_every_learned_codec() -> None:
    assert set(FORWARD) == {name for name, kind in KINDS.items() if kind.learned}


@pytest.mark.parametrize("budget", [900, None])
@pytest.mark.parametrize("name", FORWARD)
def test_a_message_arrives_as_forward_says_at_its_rate(name: str, budget: int | None, checkpoint: Path) -> None:
    codec = load(name, checkpoint)
    header, symbols = codec.parse(codec.encode(view(), budget, packet_bytes=1 << 20))
    with torch.no_grad():
        shared = codec.reconstruct(header, symbols)
        expected, cells = FORWARD[name](codec, view(), symbols)
    assert shared.features is not None and shared.valid is not None
    assert bool(cells.any()) and bool(shared.valid[cells].all())
    np.testing.assert_allclose(shared.features[:, cells], expected[:, cells], atol=1e-5)


def test_header_and_shapes_come_back(any_sender: Codec[Any]) -> None:
    shared = any_sender.decode(message(any_sender, 2000))
    assert (shared.sender, shared.time_us, shared.stage) == ("rsu_1", 1_234_567, any_sender.tap)
    for name in ("x", "y", "z", "roll", "pitch", "yaw"):
        assert abs(getattr(shared.world_from_agent, name) - getattr(POSE, name)) < 1e-3
    assert_sound(shared, any_sender)
    if shared.features is not None and shared.valid is not None:
        assert bool(shared.valid.any()) and bool((shared.features >= 0).all())


@pytest.mark.parametrize("budget", [500, 2000, None])
def test_the_same_view_gives_the_same_bytes_and_the_same_bytes_the_same_stage(
    any_sender: Codec[Any], budget: int | None
) -> None:
    payload = message(any_sender, budget)
    assert any_sender.encode(view(), None if any_sender.fixed_rate else budget) == payload
    assert same(any_sender.decode(payload), any_sender.decode(payload))


def test_a_view_that_is_prepared_once_says_at_each_budget_what_it_says_anew(sender: Codec[Any]) -> None:
    prepared = sender.prepare(view())
    for budget in (2000, 300, 900):
        assert prepared.encode(budget) == message(sender, budget)


def test_a_fresh_process_rebuilds_the_same_tensors(checkpoint: Path, tmp_path: Path) -> None:
    names = [name for name in (*SENDING, *VARIANTS) if name.partition(":")[0] not in OUTSIDE]
    payloads = {name: message(load(name, checkpoint), 2000) for name in names}
    (tmp_path / "payloads").write_bytes(pickle.dumps(payloads))
    script = (
        "import pickle, sys; from pathlib import Path; import torch; torch.set_num_threads(int(sys.argv[3]));"
        "from carla_cp.codecs import load_codec; path = Path(sys.argv[2]);"
        "decoded = {n: load_codec(n, Path(sys.argv[1])).decode(p) for n, p in pickle.loads(path.read_bytes()).items()};"
        "path.write_bytes(pickle.dumps(decoded))"
    )
    command = [sys.executable, "-c", script, str(checkpoint), str(tmp_path / "payloads"), str(torch.get_num_threads())]
    subprocess.run(command, check=True, timeout=200)
    decoded = pickle.loads((tmp_path / "payloads").read_bytes())
    different = [name for name in names if not same(decoded[name], load(name, checkpoint).decode(payloads[name]))]
    assert not different


def test_an_empty_scene_breaks_no_codec(codec: Codec[Any]) -> None:
    empty = fake_view(objects=0)
    blank = FakeView(
        empty.sweep,
        empty.world_from_agent,
        np.zeros((0, 4), np.float32),
        torch.zeros(32, 256, 256),
        torch.zeros(64, 128, 128),
        torch.zeros(3, 128, 128),
        empty.boxes,
    )
    for budget in (200, 2000, None):
        payload = codec.encode(blank, budget)
        if payload:
            codec.decode(payload)
