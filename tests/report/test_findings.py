"""What a run shows."""

from __future__ import annotations

from carla_cp.report.findings import findings

from .episodes import stored

LOSSES = [stored(settings=(f"link.loss={value}",), seed=seed) for value in (0, 0.5) for seed in (0, 1)]


def test_swept_episodes_and_controls_are_not_pooled_with_the_rest() -> None:
    plain = [stored("none", None, seed, aware=False) for seed in range(3)]
    control = stored("none", None, scenario="intersection_clear")
    found = findings([*LOSSES, *plain, control])
    assert [(row.label, row.episodes) for row in found.rows] == [("none@max", 3)]
    assert found.matrix.scenarios == ("intersection",) and found.controls.scenarios == ("intersection_clear",)
    assert len(found.episodes) == 8 and len(found.compared) == 4
    assert [picture.name for picture in found.pictures] == [
        *("collisions", "precision", "awareness", "matrix"),
        "sweep_intersection_link.loss",
    ]


def test_a_run_of_a_sweep_alone_compares_its_first_value() -> None:
    found = findings(LOSSES)
    assert [row.episodes for row in found.rows] == [2] and len(found.sweeps[0].points) == 2
