from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from carla_cp.recording import MAGIC, RecordingError, read_ticks, write_ticks
from carla_cp.types import (
    AgentName,
    CodecChoice,
    Collision,
    Control,
    Detections,
    Episode,
    EpisodeEnd,
    LaneLight,
    LightState,
    Loss,
    ObjectClass,
    Outcome,
    Perceived,
    Plan,
    Pose,
    StageTimes,
    Sweep,
    TickRecord,
    Track,
    Transmission,
    Truth,
    TruthObject,
    VehicleState,
)

NUMBER = st.floats(allow_nan=False)
COUNT = st.integers(0, 2**40)
NAME = st.text(max_size=5)
LABEL = st.sampled_from(ObjectClass)
TRIPLE = st.tuples(NUMBER, NUMBER, NUMBER)
POSES = st.builds(Pose, *[NUMBER] * 6)
STATES = st.builds(VehicleState, POSES, TRIPLE, TRIPLE, *[NUMBER] * 4)
CONTROLS = st.builds(Control, NUMBER, NUMBER, NUMBER)
PATHS = st.lists(st.tuples(NUMBER, NUMBER), max_size=3).map(tuple)
PLANS = st.builds(Plan, CONTROLS, NUMBER, NAME, st.none() | COUNT, PATHS)
TRACKS = st.builds(Track, COUNT, LABEL, *[NUMBER] * 9, COUNT, COUNT, NUMBER)
BOXES = st.integers(0, 3).flatmap(lambda n: arrays(np.float64, (n, 7), elements=NUMBER))
SCORES = st.integers(0, 3).flatmap(lambda n: arrays(np.float64, (n,), elements=NUMBER))
LABELS = st.integers(0, 3).flatmap(lambda n: arrays(np.int64, (n,), elements=st.integers(0, 2)))
PERCEIVED = st.builds(Perceived, COUNT, POSES, st.builds(Detections, BOXES, SCORES, LABELS), BOXES, LABELS)
AGENTS = NAME.map(AgentName)
LOSSES = st.just((0, None)) | st.tuples(st.integers(1, 9), st.sampled_from(Loss))
TRANSMISSIONS = LOSSES.flatmap(
    lambda lost: st.builds(
        Transmission,
        *(AGENTS, AGENTS, COUNT, COUNT, st.none() | COUNT, COUNT, COUNT, COUNT, st.sampled_from(Outcome)),
        *map(st.just, lost),
    )
)
OBJECTS = st.builds(TruthObject, COUNT, NAME, NAME, st.none() | LABEL, STATES, st.tuples(*[NUMBER] * 7), COUNT)
COLLISIONS = st.builds(Collision, NAME, COUNT, NUMBER)


def few(items: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(items, max_size=2).map(tuple)


TIMES = st.builds(StageTimes, *[NUMBER] * 6)
RECORDS = st.builds(
    TickRecord,
    tick=COUNT,
    time_us=COUNT,
    ego=STATES,
    light=st.none() | st.builds(LaneLight, st.sampled_from(LightState), NUMBER),
    plan=st.none() | PLANS,
    tracks=few(TRACKS),
    perceived=st.none() | PERCEIVED,
    transmissions=few(TRANSMISSIONS),
    route_fraction=st.none() | NUMBER,
    route_offset_m=st.none() | NUMBER,
    truth=st.builds(Truth, few(OBJECTS), few(COLLISIONS), st.booleans()),
    times=TIMES,
)
CHOICES = st.builds(CodecChoice, NAME, st.none() | COUNT)
EPISODES = st.builds(
    Episode, NAME, CHOICES, COUNT, st.sampled_from(EpisodeEnd), few(RECORDS), NUMBER, AGENTS, st.none() | NAME
)


def same_arrays(first: Perceived, second: Perceived) -> bool:
    pairs = [(first.truth_boxes, second.truth_boxes), (first.truth_labels, second.truth_labels)]
    one, two = first.detections, second.detections
    pairs += [(one.boxes, two.boxes), (one.scores, two.scores), (one.labels, two.labels)]
    return all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=60
)
@given(episode=EPISODES)
def test_an_episode_reads_back_exactly_but_for_its_wall_times(tmp_path: Path, episode: Episode) -> None:
    write_ticks(tmp_path / "0.ticks", episode)
    back = read_ticks(tmp_path / "0.ticks")
    for field in ("scenario", "codec", "seed", "end", "ego", "hazard"):
        assert getattr(back, field) == getattr(episode, field)
    assert back.wall_s == 0.0
    for old, new in zip(episode.records, back.records, strict=True):
        for field in (
            "tick",
            "time_us",
            "ego",
            "light",
            "plan",
            "tracks",
            "transmissions",
            "route_fraction",
            "route_offset_m",
            "truth",
        ):
            value = getattr(new, field)
            assert value == getattr(old, field) and type(value) is type(getattr(old, field))
        assert new.times == StageTimes() and new.sweeps == ()
        assert (old.perceived is None) == (new.perceived is None)
        if old.perceived is not None and new.perceived is not None:
            assert new.perceived.time_us == old.perceived.time_us
            assert new.perceived.world_from_agent == old.perceived.world_from_agent
            assert same_arrays(old.perceived, new.perceived)
    first = (tmp_path / "0.ticks").read_bytes()
    write_ticks(tmp_path / "0.ticks", back)
    assert (tmp_path / "0.ticks").read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["0.ticks"]


def small() -> Episode:
    state = VehicleState(Pose(1.0), (0.1, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0, 4.0, 2.0, 1.5)
    plan = Plan(Control(), 0.0, "free", None, ((0.0, 1.0),))
    record = TickRecord(0, 0, state, None, plan, (), None, (), 0.5, 0.0, Truth((), (), False), StageTimes())
    return Episode("intersection", CodecChoice("revqom", 2000), 3, EpisodeEnd.ROUTE, (record,), 12.0, AgentName("hero"))


def test_wall_times_and_sweeps_leave_no_trace_in_the_bytes(tmp_path: Path) -> None:
    episode = small()
    sweep = Sweep(AgentName("ego"), 0, np.ones((3, 4), np.float32), Pose(), 1.9)
    slower = replace(episode.records[0], times=StageTimes(sense=3.5), sweeps=(sweep,))
    write_ticks(tmp_path / "a.ticks", episode)
    write_ticks(tmp_path / "b.ticks", replace(episode, records=(slower,), wall_s=99.0))
    assert (tmp_path / "a.ticks").read_bytes() == (tmp_path / "b.ticks").read_bytes()


def test_any_damage_gives_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "0.ticks"
    write_ticks(path, small())
    data = path.read_bytes()
    flipped = [data[:i] + bytes([data[i] ^ 0x40]) + data[i + 1 :] for i in range(len(data))]
    for broken in [b"", data[:5], data[:-1], data + b"x", b"PK" + data, *flipped]:
        path.write_bytes(broken)
        with pytest.raises(RecordingError, match=r"0\.ticks"):
            read_ticks(path)


def test_another_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "0.ticks"
    write_ticks(path, small())
    data = bytearray(path.read_bytes())
    data[len(MAGIC)] = 9
    path.write_bytes(bytes(data))
    with pytest.raises(RecordingError, match="version 9"):
        read_ticks(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"absent\.ticks"):
        read_ticks(tmp_path / "absent.ticks")
