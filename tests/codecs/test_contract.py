"""What every codec of the table promises, and every variant; the example of another package stands among them."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fuzz_payloads import Packet, packets_of, seal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carla_cp.codecs import CODECS, Codec, CodecError, PayloadError, load_codec, parse_choice
from carla_cp.codecs.base import PACKET_BYTES, ViewLike
from carla_cp.codecs.bitstream import HEADER_BYTES, cut
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.view import View
from carla_cp.types import Shared, Stage
from tests.codecs.distortion import error, loss, present
from tests.codecs.fake import POSE, FakeView, fake_view, random_checkpoint
from tests.codecs.forwards import FORWARD
from tests.codecs.outside import CentresCodec
from tests.perception.synthetic import make_frame

OUTSIDE = {CentresCodec.name: CentresCodec}
KINDS: dict[str, type[Codec[Any]]] = {**CODECS, **OUTSIDE}
SILENT = ("none", "oracle")
SENDING = [name for name in KINDS if name not in SILENT]
VARIANTS = [f"{name}:{variant}" for name in SENDING for variant in KINDS[name].variants]
SHAPES = {Stage.BEV: (64, 128, 128), Stage.PILLARS: (32, 256, 256), Stage.BLOCK1: (32, 128, 128)}
SHORT = 300  # bytes of a packet, so that small messages have several
TRAINED = Path(__file__).resolve().parents[2] / "checkpoints" / "mini"
UNLIKE = pytest.mark.xfail(strict=True, reason="infocom's pillars are taught by what the backbone makes of them")
REPEATED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]


@pytest.fixture(scope="module", autouse=True)
def outside() -> Iterator[None]:
    """The example is in the table, as if its package were installed."""
    with pytest.MonkeyPatch.context() as patch:
        for name, kind in OUTSIDE.items():
            patch.setitem(CODECS, name, kind)
        yield


@lru_cache
def load(name: str, checkpoint: Path) -> Codec[Any]:
    return load_codec(name, checkpoint)


@pytest.fixture(params=list(KINDS))
def codec(request: pytest.FixtureRequest, checkpoint: Path) -> Codec[Any]:
    return load(request.param, checkpoint)


@pytest.fixture(params=SENDING)
def sender(request: pytest.FixtureRequest, checkpoint: Path) -> Codec[Any]:
    return load(request.param, checkpoint)


@pytest.fixture(params=[*SENDING, *VARIANTS])
def any_sender(request: pytest.FixtureRequest, checkpoint: Path) -> Codec[Any]:
    return load(request.param, checkpoint)


@lru_cache
def view(seed: int = 0, objects: int = 8) -> FakeView:
    return fake_view(seed, objects=objects)


@lru_cache(maxsize=256)
def message(codec: Codec[Any], budget: int | None, packet_bytes: int = PACKET_BYTES) -> bytes:
    """What it says of the first view; at its own rate where the rate is the paper's."""
    return codec.encode(view(), None if codec.fixed_rate else budget, packet_bytes=packet_bytes)


def same(first: Shared, second: Shared) -> bool:
    """Equal to the last bit, points and boxes in any order."""
    return digest(first) == digest(second)


def digest(shared: Shared) -> int:
    crc = zlib.crc32(repr((shared.sender, shared.time_us, shared.world_from_agent, shared.stage)).encode())
    arrays = [None if part is None else part.numpy() for part in (shared.features, shared.valid)]
    for array in [*arrays, rows_of(shared)]:
        crc = zlib.crc32(b"-" if array is None else np.ascontiguousarray(array).tobytes(), crc)
    return crc


def rows_of(shared: Shared) -> np.ndarray[Any, Any] | None:
    """Its points or boxes as sorted rows."""
    found = shared.detections
    if found is None and shared.points is None:
        return None
    rows = shared.points if found is None else np.column_stack([found.boxes, found.scores, found.labels])
    assert rows is not None
    return np.asarray(rows[np.lexsort(rows.T)])


def assert_sound(shared: Shared, codec: Codec[Any]) -> None:
    """One part is given, of the right shape, bounded and finite."""
    assert sum(part is not None for part in (shared.points, shared.features, shared.detections)) == 1
    if shared.points is not None:
        assert shared.points.shape[1] == 4 and len(shared.points) < 1 << 18 and np.isfinite(shared.points).all()
    if shared.detections is not None:
        found = shared.detections
        assert len(found.boxes) == len(found.scores) == len(found.labels) <= 1024
        assert np.isfinite(found.boxes).all() and (np.diff(found.scores) <= 0).all()
    if shared.features is not None:
        assert shared.valid is not None and shared.valid.dtype == torch.bool
        assert tuple(shared.features.shape) == SHAPES[codec.tap]
        assert tuple(shared.valid.shape) == SHAPES[codec.tap][1:]
        assert shared.features.dtype == torch.float32 and bool(torch.isfinite(shared.features).all())


def test_names_and_numbers_are_unique_and_agree_with_the_table() -> None:
    assert [kind.name for kind in KINDS.values()] == list(KINDS)
    assert len({kind.number for kind in KINDS.values()}) == len(KINDS)
    assert all(kind.number < 128 for name, kind in KINDS.items() if name not in OUTSIDE)


@settings(max_examples=12, deadline=None, suppress_health_check=REPEATED)
@given(
    budget=st.one_of(st.integers(200, 4000), st.integers(1, 200)),
    seed=st.integers(0, 1),
    packet_bytes=st.sampled_from([SHORT, 700, PACKET_BYTES]),
)
def test_no_message_is_longer_than_its_budget_and_no_packet_than_asked_for(
    sender: Codec[Any], budget: int, seed: int, packet_bytes: int
) -> None:
    payload = sender.encode(view(seed), budget, packet_bytes=packet_bytes)
    packets = cut(payload)
    assert len(payload) <= budget
    assert len(packets) < 2 or max(map(len, packets)) <= packet_bytes
    if payload:
        assert sender.decode(payload).stage is sender.tap


def test_every_sender_says_something_in_two_hundred_and_twenty_bytes(sender: Codec[Any]) -> None:
    assert HEADER_BYTES < len(message(sender, 220)) <= 220
    assert HEADER_BYTES <= 40


def test_more_budget_never_means_fewer_bytes_by_much(sender: Codec[Any]) -> None:
    sizes = [len(message(sender, budget)) for budget in (300, 600, 1200, 2400, 100_000_000)]
    assert all(after >= 0.97 * before for before, after in pairwise(sizes))
    assert len(message(sender, None)) == sizes[-1]


@lru_cache
def real_views() -> tuple[View, ...]:
    """Of the committed detector, each with more boxes and features than small budgets hold."""
    detector = load_detector(TRAINED)
    return tuple(detector.view(make_frame(seed, agents=1, cars=20).agents[0].sweep) for seed in range(2))


@pytest.mark.parametrize("name", [pytest.param(name, marks=UNLIKE if name == "infocom" else ()) for name in SENDING])
def test_more_budget_never_reconstructs_worse_on_average(name: str) -> None:
    assert_falling(name, error)


def test_more_budget_never_reconstructs_worse_on_average_behind_the_backbone_what_infocom_sends() -> None:
    detector = load_detector(TRAINED)

    def behind(view: ViewLike, shared: Shared) -> float:
        with torch.no_grad():
            return loss(view.bev, detector.bev_from_pillars(present(shared)[None])[0], view)

    assert_falling("infocom", behind)


def assert_falling(name: str, measure: Callable[[ViewLike, Shared], float]) -> None:
    """By that measure, the more budget, the nearer to what the real views have, but for two percent."""
    codec = load(name, TRAINED)
    errors = [
        float(np.mean([measure(view, codec.decode(codec.encode(view, budget))) for view in real_views()]))
        for budget in (300, 1000, 4000, 16_000)
    ]
    assert all(after <= 1.02 * before for before, after in pairwise(errors)), errors
    assert errors[-1] < errors[0]


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


def test_packets_grow_before_a_message_has_more_of_them_than_can_be_read(sender: Codec[Any]) -> None:
    payload = message(sender, None, 150)
    assert len(cut(payload)) <= sender.most_packets
    assert sender.decode(payload).sender == "rsu_1"


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


def test_silent_codecs_send_nothing_and_take_no_message() -> None:
    for name in SILENT:
        codec = CODECS[name]()
        assert codec.encode(view(), None) == b""
        with pytest.raises(PayloadError):
            codec.decode(b"x" * 60)


def packets_said(codec: Codec[Any]) -> tuple[bytes, ...]:
    """Of a message in several packets; of the usual length where the rate is the paper's and may be long."""
    return cut(message(codec, 2000, PACKET_BYTES if codec.fixed_rate else SHORT))


def test_a_message_in_another_order_or_in_part_twice_says_the_same(any_sender: Codec[Any]) -> None:
    packets = packets_said(any_sender)
    whole = any_sender.decode(b"".join(packets))
    twice = (*packets, *packets[:5])
    order = np.random.default_rng(0).permutation(len(twice))
    assert same(any_sender.decode(b"".join(twice[place] for place in order)), whole)


def test_what_is_left_of_a_message_says_what_it_said_before(any_sender: Codec[Any]) -> None:
    packets = packets_said(any_sender)
    whole = any_sender.decode(b"".join(packets))
    rng, usable = np.random.default_rng(1), 0
    for _ in range(6):
        kept = [packet for packet in packets if rng.random() < 0.6]
        try:
            part = any_sender.decode(b"".join(kept))
        except PayloadError:
            continue
        usable += 1
        assert_sound(part, any_sender)
        assert_part_of(part, whole)
    assert usable or len(packets) == 1


def assert_part_of(part: Shared, whole: Shared) -> None:
    """What is there is there in the whole as well."""
    if part.valid is not None:
        assert whole.valid is not None and bool((whole.valid | ~part.valid).all())
    rows, all_rows = rows_of(part), rows_of(whole)
    if rows is not None and all_rows is not None:
        known = {row.tobytes() for row in all_rows}
        assert all(row.tobytes() in known for row in rows)


def test_packets_of_two_messages_are_not_mixed(sender: Codec[Any]) -> None:
    first, other = packets_of(message(sender, 2000))[0], fake_view(0, agent="rsu_2")
    with pytest.raises(PayloadError, match="several messages"):
        sender.decode(seal(first) + sender.encode(other, 2000))


def test_a_codec_that_cuts_its_messages_keeps_most_of_one_when_a_packet_is_lost(sender: Codec[Any]) -> None:
    packets = cut(message(sender, 4000, SHORT))
    if len(packets) < 3:
        return
    alone = 0
    for packet in packets:
        with contextlib.suppress(PayloadError):
            sender.decode(packet)
            alone += 1
    assert alone >= 1
    spared = sum(_decodes(sender, b"".join(packets[:lost] + packets[lost + 1 :])) for lost in range(len(packets)))
    assert spared >= len(packets) - 1  # all but the loss of what the rest refines


def _decodes(codec: Codec[Any], payload: bytes) -> bool:
    try:
        codec.decode(payload)
    except PayloadError:
        return False
    return True


@settings(max_examples=15, deadline=None, suppress_health_check=REPEATED)
@given(data=st.data())
def test_hostile_bodies_raise_payload_error_or_decode_to_something_sound(sender: Codec[Any], data: Any) -> None:
    packets = packets_of(message(sender, 700, SHORT))
    hit = data.draw(st.integers(0, len(packets) - 1))
    body = bytearray(packets[hit].body)
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(body) - 1), st.integers(0, 255)), max_size=6)):
        body[place] = value
    end = data.draw(st.one_of(st.just(len(body)), st.integers(0, len(body))))
    changed = Packet(packets[hit].fields, bytes(body[:end]) + data.draw(st.binary(max_size=9)))
    with contextlib.suppress(PayloadError):
        payload = b"".join(seal(packet) for packet in [*packets[:hit], changed, *packets[hit + 1 :]])
        assert_sound(sender.decode(payload), sender)


@settings(max_examples=40, deadline=None, suppress_health_check=REPEATED)
@given(bodies=st.lists(st.binary(max_size=400), min_size=1, max_size=3))
def test_random_bodies_raise_payload_error_or_nothing(sender: Codec[Any], bodies: list[bytes]) -> None:
    fields = packets_of(message(sender, 400))[0].fields
    with contextlib.suppress(PayloadError):
        sender.parse(b"".join(seal(Packet(fields, body)) for body in bodies))


def test_a_message_of_another_codec_is_refused(sender: Codec[Any], checkpoint: Path) -> None:
    other = load("late" if sender.name != "late" else "early", checkpoint)
    with pytest.raises(PayloadError):
        sender.decode(message(other, None))


def test_two_agents_with_different_weights_notice(sender: Codec[Any], checkpoint: Path, other_checkpoint: Path) -> None:
    theirs = load(sender.name, other_checkpoint)
    if sender.tap in (Stage.POINTS, Stage.BOXES) and not sender.learned:  # these mean the same to every detector
        assert same(theirs.decode(message(sender, 2000)), sender.decode(message(sender, 2000)))
    else:
        with pytest.raises(PayloadError, match="with weights"):
            theirs.decode(message(sender, 2000))


@pytest.fixture(scope="module")
def other_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("other"), seed=4)


def test_the_paper_s_rate_is_fixed(sender: Codec[Any]) -> None:
    if "paper" in sender.variants:
        assert parse_choice(f"{sender.name}:paper").budget_bytes is None
        with pytest.raises(CodecError, match="the paper's rate is fixed"):
            parse_choice(f"{sender.name}:paper@2KB")
    else:
        with pytest.raises(CodecError, match="no variant 'paper'"):
            parse_choice(f"{sender.name}:paper")


def test_what_the_paper_charges_is_a_number_or_nothing(any_sender: Codec[Any]) -> None:
    charged = any_sender.formula_bytes(any_sender.parse(message(any_sender, 2000))[1])
    assert charged is None or (isinstance(charged, (int, float)) and 0 <= charged < float("inf"))


def test_a_request_is_bytes_and_whatever_comes_as_one_is_survived(sender: Codec[Any]) -> None:
    asked = sender.request(view())
    assert isinstance(asked, bytes) and (sender.asks == bool(asked))
    for heard in (asked, b"", b"\0", b"\xff" * 50, asked[:-3], asked[::-1]):
        payload = sender.encode(view(), 2000, heard)
        assert len(payload) <= 2000
        if payload:
            assert_sound(sender.decode(payload), sender)


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
    follows_fusion = type(codec).check_fusion is not Codec.check_fusion
    if codec.tap is Stage.BEV and not follows_fusion:
        with pytest.raises(CodecError, match="--codec x: the rule fuses every scale"):
            codec.check_fusion(Stage.BLOCK1, "--codec x")
    else:
        codec.check_fusion(Stage.BLOCK1, "--codec x")
