"""The objects inside an episode, to JSON values and back."""

from __future__ import annotations

import pytest

from carla_cp.metrics import stored_parts as parts
from carla_cp.metrics.awareness import Age
from carla_cp.metrics.comfort import Comfort
from carla_cp.metrics.communication import LinkFacts
from carla_cp.metrics.fields import Fields, StoredError
from carla_cp.metrics.infractions import Infractions
from carla_cp.metrics.leaderboard import DrivingScore
from carla_cp.metrics.summary import CollisionSummary, Conflict
from carla_cp.types import Loss


def test_each_part_has_its_keys_and_reads_back_as_it_was() -> None:
    conflict = Conflict(1.0, 2.0, 3.0, 4.0, 5.0)
    comfort = Comfort(0.5, 1.0, 2.0, -3.0, 4.0, 5.0, 6.0, 7.0)
    wrongs = Infractions(1, 2, 3, 4, 0.5, (6.0, 7.0))
    score, age = DrivingScore(1.0, 2.0, 3.0), Age(1.0, None)
    facts = LinkFacts(10, 2, None, tuple((cause, index) for index, cause in enumerate(Loss)), 0.2)
    hit = CollisionSummary(1.0, "other", 2.0, 3.0, True)
    assert parts.conflict(Fields.of(parts.conflict_to_json(conflict), "f", parts.CONFLICT_KEYS)) == conflict
    assert parts.comfort(Fields.of(parts.comfort_to_json(comfort), "f", parts.COMFORT_KEYS)) == comfort
    assert parts.infractions(Fields.of(parts.infractions_to_json(wrongs), "f", parts.INFRACTION_KEYS)) == wrongs
    assert parts.score(Fields.of(parts.score_to_json(score), "f", parts.SCORE_KEYS)) == score
    assert parts.age(Fields.of(parts.age_to_json(age), "f", parts.AGE_KEYS)) == age
    assert parts.link(Fields.of(parts.link_to_json(facts), "f", parts.LINK_KEYS)) == facts
    assert parts.collision(parts.collision_to_json(hit), "f") == hit


def test_a_part_without_one_of_its_keys_is_refused() -> None:
    value = parts.collision_to_json(CollisionSummary(1.0, "other", 2.0, 3.0, True))
    del value["impact_mps"]
    with pytest.raises(StoredError, match="impact_mps"):
        parts.collision(value, "f")
