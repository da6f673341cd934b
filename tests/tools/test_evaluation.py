"""Rows over frames: paired, with the bytes that were really sent, the asked noise and the asked age."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch

from carla_cp.codecs import parse_choice
from carla_cp.metrics.protocol import OURS
from carla_cp.opv2v import read_scene
from carla_cp.perception.checkpoint import load_trainable, save_rule, start_rule
from carla_cp.types import ObjectClass
from tests.perception.synthetic import write
from tests.tools.claims import TOOLS, load_tool, save_claimer
from tests.tools.sleepers import quick_or_slow

evaluation = load_tool("evaluation")
parts = load_tool("evaluation_parts")
PacketLoss = load_tool("evaluation_loss").PacketLoss
parse_noise = load_tool("pose_noise").parse_noise
NO_LOSS = PacketLoss()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_claimer(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "scene"
    write(folder, 3, 11)
    return folder


def make_row(codec: str, noise: str = "none", delay: int = 0, on: str = "all", loss: Any = NO_LOSS) -> Any:
    return parts.Row(parse_choice(codec), None, parse_noise(noise, on), delay, loss)


def play(checkpoint: Path, scene: Path, rows: list[Any], frames: tuple[int, ...] = (0, 1, 2), **more: Any) -> Any:
    return evaluation.run_job(parts.Job(read_scene(scene), frames, checkpoint, tuple(rows), **more))


def found_scores(tally: Any) -> list[list[float]]:
    return [frame[ObjectClass.VEHICLE].scores.tolist() for frame in tally.matches]


def test_every_row_has_the_same_truth_and_its_own_bytes(checkpoint: Path, scene: Path) -> None:
    rows = [make_row(codec) for codec in ("none", "late@200", "raw")]
    outcome = play(checkpoint, scene, rows)
    assert outcome.scenes == ["scene"] * 3 and outcome.numbers == [0, 1, 2]
    assert outcome.agents == [2, 2, 2] and outcome.skipped == []
    silent, late, raw = outcome.tallies
    assert silent.message_bytes == [0, 0, 0]
    assert all(0 < size <= 200 for size in late.message_bytes)
    assert all(size > 64 * 128 * 128 * 2 for size in raw.message_bytes)
    for tally in outcome.tallies:
        for ours, theirs in zip(tally.matches, silent.matches, strict=True):
            np.testing.assert_array_equal(ours[0].truth_ranges, theirs[0].truth_ranges)
            assert len(ours[0].truth_ranges) > 0


def test_what_rows_share_equals_what_each_computes_alone(checkpoint: Path, scene: Path) -> None:
    rows = [make_row("raw"), make_row("late", "laplace:0.3/0.3", 1), make_row("raw", "laplace:0.3/0.3", 1)]
    together = play(checkpoint, scene, rows, (2,))
    for number, row in enumerate(rows):
        alone = play(checkpoint, scene, [row], (2,))
        assert found_scores(alone.tallies[0]) == found_scores(together.tallies[number])


def test_silence_knows_neither_noise_nor_delay_and_noise_moves_what_is_shared(checkpoint: Path, scene: Path) -> None:
    rows = [
        make_row("none"),
        make_row("none", "gaussian:0.4/0.4", 1),
        make_row("raw"),
        make_row("raw", "gaussian:0.4/0.4"),
    ]
    silent, silent_noisy, shared, shared_noisy = (
        found_scores(tally) for tally in play(checkpoint, scene, rows).tallies
    )
    assert silent == silent_noisy
    assert shared != shared_noisy and shared != silent


def test_an_exact_ego_sees_another_noise_than_one_that_errs_too(checkpoint: Path, scene: Path) -> None:
    both, others = (make_row("raw", "gaussian:0.4/0.4", on=on) for on in ("all", "others"))
    first, second = play(checkpoint, scene, [both, others]).tallies
    assert found_scores(first) != found_scores(second)


def test_late_data_are_so_many_frames_old_and_never_older_than_the_first(checkpoint: Path, scene: Path) -> None:
    rows = [make_row("late"), make_row("late", delay=2)]
    fresh, old = play(checkpoint, scene, rows).tallies
    assert fresh.ages_us == [0, 0, 0]
    assert old.ages_us == [0, 100_000, 200_000]
    assert found_scores(fresh)[0] == found_scores(old)[0]
    assert found_scores(fresh)[2] != found_scores(old)[2]
    assert found_scores(play(checkpoint, scene, rows, (2,)).tallies[1]) == found_scores(old)[2:]


def test_a_partner_out_of_range_neither_sends_nor_adds_truth(checkpoint: Path, scene: Path) -> None:
    rows = [make_row("none"), make_row("late")]
    near = play(checkpoint, scene, rows, protocol=replace(OURS, com_range_m=1.0))
    assert near.agents == [1, 1, 1] and near.tallies[1].message_bytes == []
    assert found_scores(near.tallies[0]) == found_scores(near.tallies[1])
    full = play(checkpoint, scene, rows)
    alone, team = (sum(len(frame[0].truth_ranges) for frame in outcome.tallies[0].matches) for outcome in (near, full))
    assert alone < team


def test_rules_of_one_trunk_differ_in_what_they_find(checkpoint: Path, scene: Path, tmp_path: Path) -> None:
    copytree(checkpoint, tmp_path / "c")
    detector = load_trainable(tmp_path / "c")
    torch.manual_seed(4)
    for rule in ("attention", "max"):
        save_rule(start_rule(detector, rule), tmp_path / "c")
    rows = [make_row("raw"), *(replace(make_row("raw"), fusion=rule) for rule in ("attention", "max"))]
    own, attention, trained = play(tmp_path / "c", scene, rows, (0,)).tallies
    assert found_scores(attention) != found_scores(own) != found_scores(trained)
    assert attention.message_bytes[0] < own.message_bytes[0] == trained.message_bytes[0]


def test_a_frame_that_cannot_be_read_is_left_out_and_named(checkpoint: Path, tmp_path: Path) -> None:
    write(tmp_path / "scene", 3, 11)
    broken = sorted((tmp_path / "scene").rglob("*.pcd"))[1]
    broken.write_bytes(broken.read_bytes()[:200])
    outcome = play(checkpoint, tmp_path / "scene", [make_row("none"), make_row("late")])
    assert len(outcome.scenes) == 2 and len(outcome.tallies[0].matches) == 2
    (line,) = outcome.skipped
    assert line.startswith("scene frame ") and broken.name in line


def test_where_the_same_bytes_arrive_the_ego_finds_the_same_and_is_not_asked_twice(
    checkpoint: Path, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detected: list[str] = []
    detect = evaluation.FrameRun.detect

    def counted(run: Any, row: Any, *others: Any) -> Any:
        detected.append(row.choice.label)
        return detect(run, row, *others)

    monkeypatch.setattr(evaluation.FrameRun, "detect", counted)
    rows = [make_row(codec) for codec in ("late@200", "late@100000", "late")]
    small, large, whole = play(checkpoint, scene, rows, (0,)).tallies
    assert detected == ["late@200", "late@100000"]
    assert large.matches[0] is whole.matches[0] and large.message_bytes == whole.message_bytes != small.message_bytes


def test_lost_packets_cost_what_they_held_and_a_lost_whole_all_of_it(checkpoint: Path, scene: Path) -> None:
    rows = [make_row("raw"), *(make_row("raw", loss=PacketLoss(rate)) for rate in (1e-9, 1.0)), make_row("none")]
    clean, lucky, lost, silent = play(checkpoint, scene, rows).tallies
    assert found_scores(clean) == found_scores(lucky) and clean.lost == lucky.lost == 0
    assert found_scores(lost) == found_scores(silent) != found_scores(clean)
    assert lost.lost == 3 and silent.lost == 0 and lost.message_bytes == clean.message_bytes


def test_an_interrupt_ends_the_workers_and_waits_for_no_scene(
    tmp_path: Path, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(TOOLS)  # workers take it over
    monkeypatch.setattr(evaluation, "run_job", quick_or_slow)
    done = tmp_path / "done"
    jobs = [parts.Job(read_scene(scene), frames, done, ()) for frames in ((), (0,))]
    run = evaluation.evaluate(jobs, 2)
    assert next(run) == (0, "quick")
    while not done.with_suffix(".begun").exists():
        time.sleep(0.05)
    with pytest.raises(KeyboardInterrupt):
        run.throw(KeyboardInterrupt())
    assert not multiprocessing.active_children() and not done.exists()
