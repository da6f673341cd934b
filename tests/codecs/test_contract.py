"""What every codec of the table promises."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carla_cp.codecs import CODECS, Codec, CodecError, PayloadError, load_codec
from carla_cp.codecs.bitstream import HEADER_BYTES
from carla_cp.types import Shared, Stage
from tests.codecs.fake import POSE, FakeView, fake_view

SENDING = [name for name in CODECS if name not in ("none", "oracle")]
SHAPES = {Stage.BEV: (64, 128, 128), Stage.PILLARS: (32, 256, 256)}


@pytest.fixture(scope="module", params=list(CODECS))
def codec(request: pytest.FixtureRequest, checkpoint: Path) -> Codec[Any]:
    return load_codec(request.param, checkpoint, "cpu")


@pytest.fixture(scope="module", params=SENDING)
def sender(request: pytest.FixtureRequest, checkpoint: Path) -> Codec[Any]:
    return load_codec(request.param, checkpoint, "cpu")


@lru_cache
def view(seed: int = 0, objects: int = 8) -> FakeView:
    return fake_view(seed, objects=objects)


def same(first: Shared, second: Shared) -> bool:
    """Equal to the last bit."""
    return digest(first) == digest(second)


def digest(shared: Shared) -> int:
    boxes = shared.detections
    arrays = [
        shared.points,
        None if shared.features is None else shared.features.numpy(),
        None if shared.valid is None else shared.valid.numpy(),
        *([] if boxes is None else [boxes.boxes, boxes.scores, boxes.labels]),
    ]
    crc = zlib.crc32(repr((shared.sender, shared.time_us, shared.world_from_agent, shared.stage)).encode())
    for array in arrays:
        crc = zlib.crc32(b"-" if array is None else np.ascontiguousarray(array).tobytes(), crc)
    return crc


def test_names_and_numbers_are_unique_and_agree_with_the_table() -> None:
    assert [kind.name for kind in CODECS.values()] == list(CODECS)
    assert len({kind.number for kind in CODECS.values()}) == len(CODECS)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(budget=st.one_of(st.integers(200, 4000), st.integers(200, 200_000), st.integers(1, 200)), seed=st.integers(0, 2))
def test_no_message_is_longer_than_its_budget(codec: Codec[Any], budget: int, seed: int) -> None:
    payload = codec.encode(view(seed), budget)
    assert len(payload) <= budget
    if payload:
        assert codec.decode(payload).stage is codec.tap


def test_every_sender_says_something_in_two_hundred_bytes(sender: Codec[Any]) -> None:
    assert HEADER_BYTES < len(sender.encode(view(), 200 if sender.name != "raw" else 220)) <= 220


def test_more_budget_never_means_fewer_bytes_by_much(sender: Codec[Any]) -> None:
    sizes = [len(sender.encode(view(), budget)) for budget in (300, 600, 1200, 2400, 100_000_000)]
    assert sizes == sorted(sizes)
    assert len(sender.encode(view(), None)) == sizes[-1]


def test_header_and_shapes_come_back(sender: Codec[Any]) -> None:
    shared = sender.decode(sender.encode(view(), 2000))
    assert (shared.sender, shared.time_us, shared.stage) == ("rsu_1", 1_234_567, sender.tap)
    for name in ("x", "y", "z", "roll", "pitch", "yaw"):
        assert abs(getattr(shared.world_from_agent, name) - getattr(POSE, name)) < 1e-3
    given_parts = [part is not None for part in (shared.points, shared.features, shared.detections)]
    assert sum(given_parts) == 1
    if sender.tap in SHAPES:
        assert shared.features is not None and shared.valid is not None
        assert tuple(shared.features.shape) == SHAPES[sender.tap]
        assert tuple(shared.valid.shape) == SHAPES[sender.tap][1:]
        assert shared.valid.dtype == torch.bool and shared.valid.any()
        assert shared.features.dtype == torch.float32 and bool(torch.isfinite(shared.features).all())
        assert bool((shared.features >= 0).all())


@pytest.mark.parametrize("budget", [260, 2000, None])
def test_the_same_view_gives_the_same_bytes_and_the_same_bytes_the_same_stage(
    sender: Codec[Any], budget: int | None
) -> None:
    payload = sender.encode(view(), budget)
    assert sender.encode(fake_view(), budget) == payload
    assert same(sender.decode(payload), sender.decode(payload))


def test_a_fresh_process_rebuilds_the_same_tensors(sender: Codec[Any], checkpoint: Path, tmp_path: Path) -> None:
    payload = sender.encode(view(), 2000)
    (tmp_path / "payload").write_bytes(payload)
    script = (
        "import pickle, sys; from pathlib import Path; import torch; torch.set_num_threads(int(sys.argv[4]));"
        "from carla_cp.codecs import load_codec; codec = load_codec(sys.argv[1], Path(sys.argv[2]), 'cpu');"
        "path = Path(sys.argv[3]); path.write_bytes(pickle.dumps(codec.decode(path.read_bytes())))"
    )
    threads = str(torch.get_num_threads())
    command = [sys.executable, "-c", script, sender.name, str(checkpoint), str(tmp_path / "payload"), threads]
    subprocess.run(command, check=True, timeout=120)
    assert same(pickle.loads((tmp_path / "payload").read_bytes()), sender.decode(payload))


def test_silent_codecs_send_nothing_and_take_no_message() -> None:
    for name in ("none", "oracle"):
        codec = CODECS[name]()
        assert codec.encode(view(), None) == b""
        with pytest.raises(PayloadError):
            codec.decode(b"x" * 60)


@lru_cache
def message(codec: Codec[Any], budget: int) -> bytes:
    return codec.encode(view(), budget)


def forge(payload: bytes, body: bytes) -> bytes:
    """A message with another body and a right checksum: what a hostile sender would write."""
    length = HEADER_BYTES + len(body)
    fields = payload[: HEADER_BYTES - 6] + (length if length < 65536 else 0).to_bytes(2, "little")
    return fields + zlib.crc32(body, zlib.crc32(fields)).to_bytes(4, "little") + body


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_hostile_bodies_raise_payload_error_or_decode_to_something_sound(sender: Codec[Any], data: Any) -> None:
    payload = message(sender, 700)
    body = bytearray(payload[HEADER_BYTES:])
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(body) - 1), st.integers(0, 255)), max_size=6)):
        body[place] = value
    cut = data.draw(st.one_of(st.just(len(body)), st.integers(0, len(body))))
    tail = data.draw(st.binary(max_size=9))
    try:
        shared = sender.decode(forge(payload, bytes(body[:cut]) + tail))
    except PayloadError:
        return
    if shared.features is not None:
        assert tuple(shared.features.shape) == SHAPES[sender.tap] and bool(torch.isfinite(shared.features).all())
    if shared.points is not None:
        assert len(shared.points) < 1 << 18 and np.isfinite(shared.points).all()
    if shared.detections is not None:
        assert len(shared.detections.boxes) <= 1024 and np.isfinite(shared.detections.boxes).all()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=400))
def test_random_bodies_raise_payload_error_or_nothing(sender: Codec[Any], body: bytes) -> None:
    with contextlib.suppress(PayloadError):
        sender.parse(forge(message(sender, 400), body))


def test_a_message_of_another_codec_is_refused(sender: Codec[Any], checkpoint: Path) -> None:
    other = load_codec("late" if sender.name != "late" else "early", checkpoint, "cpu")
    with pytest.raises(PayloadError):
        sender.decode(other.encode(view(), None))


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


def test_a_codec_behind_the_backbone_is_refused_by_a_fusion_of_its_scales(codec: Codec[Any]) -> None:
    codec.check_fusion(Stage.BEV, "--codec x")
    if codec.tap is Stage.BEV and codec.name != "raw":
        with pytest.raises(CodecError, match="--codec x: the rule fuses every scale"):
            codec.check_fusion(Stage.BLOCK1, "--codec x")
    else:
        codec.check_fusion(Stage.BLOCK1, "--codec x")
