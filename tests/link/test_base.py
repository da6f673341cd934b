from carla_cp.link.base import Luck
from tests.link.carrying import CAR, EGO, RSU


def test_every_part_of_the_key_makes_another_draw_and_the_same_key_the_same() -> None:
    keys = [
        (0, "loss", (RSU, EGO), 0),
        (1, "loss", (RSU, EGO), 0),
        (0, "slots", (RSU, EGO), 0),
        (0, "loss", (EGO, RSU), 0),
        (0, "loss", (CAR, EGO), 0),
        (0, "loss", (RSU, EGO), 1),
    ]
    draws = [Luck(seed).of(what, who, number).random() for seed, what, who, number in keys]
    assert len(set(draws)) == len(keys)
    assert draws == [Luck(seed).of(what, who, number).random() for seed, what, who, number in keys]
