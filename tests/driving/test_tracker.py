import math
from dataclasses import replace

import numpy as np
import pytest

from carla_cp.driving.tracker import Tracker, TrackerConfig
from carla_cp.types import Detections, ObjectClass, Pose, Track

STEP_US = 100_000


def seen(*rows: tuple[float, float, float], label: ObjectClass = ObjectClass.VEHICLE, score: float = 0.8) -> Detections:
    """Cars at x, y, yaw in the agent frame."""
    boxes = np.array([(x, y, 0.75, 4.5, 1.9, 1.5, yaw) for x, y, yaw in rows]).reshape(-1, 7)
    return Detections(boxes, np.full(len(rows), score), np.full(len(rows), int(label), np.int64))


def drive_past(speed: float, noise_m: float, hits: int, seed: int) -> Track:
    tracker = Tracker()
    rng = np.random.default_rng(seed)
    for step in range(hits):
        x, y = rng.normal(0.0, noise_m, 2)
        tracker.update(seen((20.0 + x, -30.0 + speed * 0.1 * step + y, math.pi / 2)), Pose(), step * STEP_US)
    (track,) = tracker.at((hits - 1) * STEP_US)
    return track


def test_two_clean_hits_give_a_usable_velocity() -> None:
    track = drive_past(13.0, 0.0, 2, 0)
    assert (track.vx, track.vy) == pytest.approx((0.0, 13.0), abs=1.5)


@pytest.mark.parametrize(("hits", "limit"), [(4, 1.5), (8, 0.8)])
def test_the_velocity_of_a_noisily_seen_car_converges(hits: int, limit: float) -> None:
    # A line fitted to four positions, each 0.3 m off, is itself 1.34 m/s off.
    tracks = [drive_past(13.0, 0.3, hits, seed) for seed in range(60)]
    errors = [(track.vx, track.vy - 13.0) for track in tracks]
    assert float(np.abs(errors).mean(axis=0).max()) < limit


def test_one_hit_is_no_track() -> None:
    tracker = Tracker()
    tracker.update(seen((10.0, 0.0, 0.0)), Pose(), 0)
    assert tracker.at(0) == ()
    tracker.update(seen(), Pose(), 3 * STEP_US)
    tracker.update(seen((10.0, 0.0, 0.0)), Pose(), 4 * STEP_US)
    assert tracker.at(4 * STEP_US) == ()


def test_tracks_are_propagated_from_capture_to_now() -> None:
    tracker = Tracker()
    for step in range(12):
        tracker.update(seen((2.0 * step, 5.0, 0.0)), Pose(), step * STEP_US)
    (track,) = tracker.at(11 * STEP_US + 150_000)
    assert track.x == pytest.approx(22.0 + 3.0, abs=0.1)
    assert track.last_seen_us == 11 * STEP_US


@pytest.mark.parametrize(("age_s", "speed"), [(0.1, 13.0), (0.2, 13.0), (0.2, 0.0)])
def test_a_car_that_only_late_messages_show_is_tracked_where_it_is(age_s: float, speed: float) -> None:
    places = []
    for known_s in (0.0, age_s):
        tracker = Tracker()
        for step in range(12):
            late = seen((speed * (0.1 * step - age_s), 5.0, 0.0))
            tracker.update(replace(late, ages_s=np.array([known_s])), Pose(), step * STEP_US)
        (track,) = tracker.at(11 * STEP_US)
        places.append(track.x - speed * 1.1)
        assert track.last_seen_us == 11 * STEP_US - round(known_s * 1e6)
    assert places == pytest.approx([-speed * age_s, 0.0], abs=0.1)


def test_an_older_sight_of_an_object_does_not_pull_it_back() -> None:
    tracker = Tracker()
    for step in range(12):
        both = seen((1.3 * step, 5.0, 0.0), (1.3 * step - 2.6, 5.0, 0.0))
        tracker.update(replace(both, ages_s=np.array([0.0, 0.2])), Pose(), step * STEP_US)
    (track,) = tracker.at(11 * STEP_US)
    assert track.x == pytest.approx(14.3, abs=0.1) and track.last_seen_us == 11 * STEP_US


def test_detections_of_a_moving_agent_stand_still_in_the_world() -> None:
    tracker = Tracker()
    for step in range(10):
        pose = Pose(x=1.2 * step, y=3.0, yaw=0.05 * step)
        turn = -pose.yaw
        dx, dy = 40.0 - pose.x, 10.0 - pose.y
        local = (dx * math.cos(turn) - dy * math.sin(turn), dx * math.sin(turn) + dy * math.cos(turn), 1.0 + turn)
        tracker.update(seen(local), pose, step * STEP_US)
    (track,) = tracker.at(9 * STEP_US)
    assert (track.x, track.y, track.yaw) == pytest.approx((40.0, 10.0, 1.0), abs=1e-3)
    assert math.hypot(track.vx, track.vy) < 0.01


def test_an_unseen_track_lives_for_a_second() -> None:
    tracker = Tracker()
    for step in range(4):
        tracker.update(seen((10.0, 0.0, 0.0)), Pose(), step * STEP_US)
    for step in range(4, 14):
        tracker.update(seen(), Pose(), step * STEP_US)
    (track,) = tracker.at(13 * STEP_US)
    assert track.score == pytest.approx(0.4)  # half, after a second unseen
    tracker.update(seen(), Pose(), 14 * STEP_US)
    assert tracker.at(14 * STEP_US) == ()


def test_cars_that_pass_each_other_keep_their_tracks() -> None:
    tracker = Tracker(TrackerConfig(own_m=0.0))
    for step in range(40):
        here, there = (-20.0 + step, 0.0, 0.0), (20.0 - step, 3.5, math.pi)
        rows = (here, there) if step % 2 else (there, here)
        tracker.update(seen(*rows), Pose(), step * STEP_US)
    first, second = tracker.at(39 * STEP_US)
    assert {round(first.y, 1), round(second.y, 1)} == {0.0, 3.5}
    assert first.hits == second.hits == 40


def test_an_outlier_neither_starts_a_track_nor_steals_one() -> None:
    tracker = Tracker(TrackerConfig(own_m=0.0))
    for step in range(20):
        off = 1.7 if step == 12 else 0.0
        tracker.update(seen((1.0 * step, off, 0.0)), Pose(), step * STEP_US)
    (track,) = tracker.at(19 * STEP_US)
    assert track.hits >= 19


def test_a_pedestrian_never_continues_a_car() -> None:
    tracker = Tracker()
    for step in range(3):
        tracker.update(seen((10.0, 0.0, 0.0)), Pose(), step * STEP_US)
    for step in range(3, 6):
        tracker.update(seen((10.0, 0.0, 0.0), label=ObjectClass.PEDESTRIAN), Pose(), step * STEP_US)
    (newer,) = tracker.at(5 * STEP_US)  # and where it stands no car can be any more
    assert (newer.label, newer.hits) == (ObjectClass.PEDESTRIAN, 3)


def test_flipped_headings_do_not_turn_a_track() -> None:
    tracker = Tracker()
    for step in range(10):
        tracker.update(seen((1.0 * step, 0.0, math.pi * (step % 2))), Pose(), step * STEP_US)
    (track,) = tracker.at(9 * STEP_US)
    assert track.yaw == pytest.approx(0.0, abs=1e-6)


def test_weak_detections_are_ignored() -> None:
    tracker = Tracker(TrackerConfig(min_score=0.5))
    for step in range(5):
        tracker.update(seen((10.0, 0.0, 0.0), score=0.4), Pose(), step * STEP_US)
    assert tracker.at(4 * STEP_US) == ()


def test_weak_detections_continue_a_track_but_start_none() -> None:
    tracker = Tracker()
    for step in range(4):
        tracker.update(seen((10.0, 0.0, 0.0), score=0.3), Pose(), step * STEP_US)
    assert tracker.at(3 * STEP_US) == ()
    for step, score in enumerate((0.6, 0.3, 0.3), start=4):
        tracker.update(seen((10.0, 0.0, 0.0), score=score), Pose(), step * STEP_US)
    (track,) = tracker.at(6 * STEP_US)
    assert track.hits == 3


@pytest.mark.parametrize("first", [0, 4])
def test_of_two_bodies_that_overlap_the_likelier_is_reported(first: int) -> None:
    tracker = Tracker()
    for step in range(12):
        car = np.array([[20.0, 0.0, 1.5, 6.0, 2.4, 3.0, 0.0], [20.5, 2.2, 1.5, 6.0, 2.4, 3.0, 0.1]])
        scores = np.array([0.8 if step >= first else 0.1, 0.4])
        tracker.update(Detections(car, scores, np.zeros(2, np.int64)), Pose(), step * STEP_US)
    (track,) = tracker.at(11 * STEP_US)
    assert track.y == pytest.approx(0.0, abs=1e-6)


def test_bodies_side_by_side_are_both_reported() -> None:
    tracker = Tracker()
    for step in range(4):
        tracker.update(seen((20.0, 0.0, 0.0), (20.0, 1.95, 0.0), (24.55, 0.0, 0.0)), Pose(), step * STEP_US)
    assert len(tracker.at(3 * STEP_US)) == 3


def test_what_stands_has_no_velocity_though_its_boxes_jitter() -> None:
    moving = 0
    for seed in range(20):
        tracker, rng = Tracker(), np.random.default_rng(seed)
        for step in range(20):
            x, y = rng.normal(0.0, 0.25, 2)
            tracker.update(seen((20.0 + x, 5.0 + y, 0.0)), Pose(), step * STEP_US)
            moving += sum(math.hypot(track.vx, track.vy) > 0 for track in tracker.at(step * STEP_US))
    assert moving <= 0.02 * 20 * 19


@pytest.mark.parametrize("seed", range(5))
def test_a_walker_is_told_from_standing_within_a_second(seed: int) -> None:
    tracker, rng = Tracker(), np.random.default_rng(seed)
    for step in range(11):
        x, y = rng.normal(0.0, 0.15, 2)
        row = (20.0 + x, 5.0 + 0.14 * step + y, 1.5)
        tracker.update(seen(row, label=ObjectClass.PEDESTRIAN), Pose(), step * STEP_US)
    (track,) = tracker.at(10 * STEP_US)
    assert track.vy == pytest.approx(1.4, abs=0.6)


def test_the_agent_itself_is_no_track() -> None:
    tracker = Tracker()
    for step in range(4):
        tracker.update(seen((0.4, -0.3, 0.0), (9.0, 0.0, 0.0)), Pose(x=3.0), step * STEP_US)
    (track,) = tracker.at(3 * STEP_US)
    assert track.x == pytest.approx(12.0)


def test_size_and_heading_follow_the_better_detections() -> None:
    tracker = Tracker()
    for step in range(20):
        good = step % 2 == 0
        box = np.array([[20.0, 5.0, 0.8, 4.5 if good else 6.5, 1.9, 1.5, 0.0 if good else 0.4]])
        tracker.update(Detections(box, np.array([0.9 if good else 0.2]), np.zeros(1, np.int64)), Pose(), step * STEP_US)
    (track,) = tracker.at(19 * STEP_US)
    assert track.length < 5.0 and track.yaw < 0.1


def test_time_runs_forward() -> None:
    tracker = Tracker()
    tracker.update(seen(), Pose(), STEP_US)
    with pytest.raises(ValueError, match="forward in time"):
        tracker.update(seen(), Pose(), 0)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        TrackerConfig(gate_m=0.0)
    with pytest.raises(ValueError, match="birth_hits"):
        TrackerConfig(birth_hits=0)
    with pytest.raises(ValueError, match="memory"):
        TrackerConfig(memory=0.0)
