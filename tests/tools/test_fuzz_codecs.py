"""The fuzzer finds every kind of broken promise, keeps what broke it, and finds none in our codecs."""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import fuzz_checks
import numpy as np
import numpy.typing as npt
import pytest
import torch
from fake_view import fake_view
from fuzz_checks import Batch, Checker, Failure, batch_payloads, fault_of, shapes_of
from fuzz_codecs import Tally, batches_of, codec_names, fuzz, read_failures, write_failures
from fuzz_payloads import Corpus, corpus_of, packets_of, seal
from fuzz_workers import Plan

from carla_cp.codecs import CODECS, CodecError, PayloadError, load_codec
from carla_cp.codecs.bitstream import cut, unpack
from carla_cp.codecs.plugins import GROUP
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import Detections, Shared, Stage
from tests.codecs.fake import random_checkpoint
from tests.codecs.outside import CentresCodec

ROOT = Path(__file__).parents[2]
Rows = npt.NDArray[np.int8]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def corpora(checkpoint: Path, *names: str) -> tuple[Corpus, ...]:
    return tuple(corpus_of(name, load_codec(name, checkpoint), [fake_view()]) for name in names)


class Careless(CentresCodec):
    """Does what it is told to once a body is long enough to hold two boxes."""

    def __init__(self, deed: Callable[[], object]) -> None:
        super().__init__()
        self.deed = deed

    def read(self, body: bytes) -> Rows:
        rows = super().read(body)
        if len(rows) > 1:
            self.deed()
        return rows


def run(deed: Callable[[], object], whole: bool = False) -> fuzz_checks.Outcome:
    codec = Careless(deed).eval()
    corpus = corpus_of("centres", CentresCodec().eval(), [fake_view()])
    return Checker("centres", codec, DetectorConfig()).run(Batch(0, 0, 120, whole, 0), [corpus], lambda place: None)


def test_every_codec_keeps_its_promises(checkpoint: Path) -> None:
    names = codec_names([])
    assert {name.partition(":")[0] for name in names} == set(CODECS) - {"none", "oracle"}
    plan = Plan(checkpoint, corpora(checkpoint, *names))
    batches = batches_of(names, 150 * len(names), 8 * len(names), seed=0)
    tallies, failures = fuzz(plan, batches, 2)
    assert not failures, [(each.codec, each.reason) for each in failures]
    assert [each.codec for each in tallies] == names
    assert all(each.payloads == each.refused + each.decoded == 158 for each in tallies)
    assert all(each.sealed > 0.5 * each.payloads and each.decoded > 0 for each in tallies)


def test_the_payloads_follow_from_the_seed_alone(checkpoint: Path) -> None:
    two = corpora(checkpoint, "late", "early")
    batch = Batch(1, 3, 50, False, 7)
    assert batch_payloads(batch, two) == batch_payloads(batch, two)
    assert batch_payloads(batch, two) != batch_payloads(replace(batch, number=4), two)
    assert batch_payloads(batch, two) != batch_payloads(replace(batch, seed=8), two)


def test_the_number_of_processes_changes_nothing(checkpoint: Path) -> None:
    plan = Plan(checkpoint, corpora(checkpoint, "late", "early"))
    batches = batches_of(("late", "early"), 2000, 100, seed=1)
    here = {name: Tally(name) for name in ("late", "early")}
    for batch in batches:
        name = plan.corpora[batch.which].codec
        checker = Checker(name, load_codec(name, checkpoint), DetectorConfig())
        here[name] = here[name].plus(checker.run(batch, plan.corpora, lambda place: None))
    tallies, _ = fuzz(plan, batches, 2)
    for each in tallies:
        assert replace(each, slowest_ms=0.0, cpu_s=0.0) == replace(here[each.codec], slowest_ms=0.0, cpu_s=0.0)


def test_what_counts_as_sealed_passes_the_checksum_unless_its_header_was_meant_to_be_refused(checkpoint: Path) -> None:
    both = corpora(checkpoint, "late", "early")
    number, fingerprint = CODECS["early"].number, load_codec("early", checkpoint).fingerprint
    drawn = batch_payloads(Batch(1, 0, 1000, False, 0), both)
    passed = []
    for _, payload in drawn:
        try:
            for packet in cut(payload):
                unpack(packet, number, fingerprint)
        except PayloadError:
            passed.append(False)
        else:
            passed.append(len(payload) > 0)
    among = [good for (sealed, _), good in zip(drawn, passed, strict=True) if sealed]
    assert len(among) > 550 and sum(among) > 0.95 * len(among)
    assert sum(passed) < sum(among) + 60  # of the others hardly any
    lengths = {len(payload) for _, payload in drawn}
    assert len(lengths) > 300 and min(lengths) < 40
    assert sum(payload in both[1].small for _, payload in drawn) < 40


def test_a_sealed_packet_is_whole_again() -> None:
    packet = packets_of(CentresCodec().encode(fake_view(), None))[0]
    assert unpack(seal(replace(packet, body=b"other")), 200, 0)[1] == b"other"


def test_an_error_of_another_kind_is_a_failure() -> None:
    def stumble() -> None:
        raise IndexError("list index out of range")

    outcome = run(stumble)
    assert {each.reason for each in outcome.failures} == {"IndexError: list index out of range"}
    assert {each.whole for each in run(stumble, whole=True).failures} == {True}
    assert not run(lambda: None).failures


def test_a_slow_call_is_a_failure_only_if_it_stays_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    slow = [1.0, 1.0, 1.0]

    def work() -> None:
        clock[0] += slow.pop() if slow else 0.0

    monkeypatch.setattr(fuzz_checks.time, "thread_time", lambda: clock[0])
    checker = Checker("centres", Careless(work).eval(), DetectorConfig())
    payload = CentresCodec().encode(fake_view(), None)
    assert checker.call(payload, False)[2] == "took 1.00 s of CPU time"
    slow += [1.0, 1.0]  # twice, not thrice
    assert checker.call(payload, False)[2] == ""


def reasons_where_memory_is(touched: bool) -> list[str]:
    """Why calls that take 160 MiB fail; `touched` memory without help of the traces."""
    make: Callable[[int], object] = np.ones if touched else np.zeros
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuzz_checks, "TRACED_EVERY", 1 << 30 if touched else 1)
        return [each.reason for each in run(lambda: make(20 << 20)).failures]


@pytest.mark.parametrize("touched", [False, True], ids=["never touched", "touched"])
def test_memory_without_measure_is_a_failure(touched: bool) -> None:
    # In a process of its own, as the fuzzer's are: one that has run other tests has memory to give without asking.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        reasons = pool.submit(reasons_where_memory_is, touched).result()
    assert any(re.match(r"allocated 1[56]\d MiB", reason) for reason in reasons)


def test_unsound_stages_are_faults() -> None:
    shapes = shapes_of(DetectorConfig())
    view = fake_view()
    good = CentresCodec().decode(CentresCodec().encode(view, None))
    assert fault_of(good, shapes) == ""
    found = good.detections
    assert found is not None
    features, valid = torch.zeros(64, 128, 128), torch.ones(128, 128, dtype=torch.bool)
    whole = Shared(good.sender, 0, good.world_from_agent, Stage.BEV, features=features, valid=valid)
    assert fault_of(whole, shapes) == ""
    unsound = [
        replace(good, detections=None),
        replace(good, detections=replace(found, boxes=found.boxes * np.nan)),
        replace(good, detections=replace(found, boxes=found.boxes * 0)),
        replace(good, detections=replace(found, scores=found.scores[::-1])),
        replace(good, detections=replace(found, labels=found.labels + 9)),
        replace(
            good,
            detections=Detections(*(np.repeat(part, 200, 0) for part in (found.boxes, found.scores, found.labels))),
        ),
        replace(good, detections=None, points=np.full((3, 4), np.inf, np.float32)),
        replace(good, detections=None, points=np.zeros((3, 3), np.float32)),
        replace(whole, features=features / 0),
        replace(whole, features=features[:5]),
        replace(whole, valid=None),
    ]
    assert all(fault_of(each, shapes) for each in unsound)


def test_failures_are_kept_and_read_back(tmp_path: Path) -> None:
    failures = [Failure("late", True, "why", bytes(range(256))), Failure("x:paper", False, "because", b"")]
    write_failures(tmp_path / "f.jsonl", failures)
    assert list(read_failures(tmp_path / "f.jsonl")) == failures
    (tmp_path / "f.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match="line 1: no payload"):
        list(read_failures(tmp_path / "f.jsonl"))


def test_a_codec_that_never_sends_cannot_be_chosen() -> None:
    with pytest.raises(CodecError, match="nothing to refuse"):
        codec_names(["none"])


CRASHING = """
import os
from tests.codecs.outside import CentresCodec

class CrashingCodec(CentresCodec):
    name = "crashing"
    number = 201

    def read(self, body):
        if len(body) % 41 == 5:
            os._exit(7)
        return super().read(body)
"""


def test_a_payload_that_ends_its_process_is_named_and_fails_again(tmp_path: Path, checkpoint: Path) -> None:
    (tmp_path / "crashing.py").write_text(CRASHING)
    metadata = tmp_path / "crashing-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: crashing\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\ncrashing = crashing:CrashingCodec\n")
    kept = tmp_path / "f.jsonl"
    command = [sys.executable, str(ROOT / "tools" / "fuzz_codecs.py"), "--checkpoint", str(checkpoint)]
    command += ["--codec", "crashing", "--payloads", "60", "--decodes", "1", "--failures", str(kept), "--jobs", "1"]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert result.returncode == 1, result.stderr
    failures = list(read_failures(kept))
    assert failures and {each.reason for each in failures} == {"the process ended with status 7"}
    assert all(len(cut(each.payload)[0]) % 41 == (40 + 5) % 41 for each in failures if len(cut(each.payload)) == 1)
    assert f"{len(failures)} FAILED" in result.stdout
