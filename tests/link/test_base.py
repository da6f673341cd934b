from carla_cp.link.base import Luck, Turns
from tests.link.carrying import CAR, EGO, RSU, message


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


def test_each_link_counts_for_itself() -> None:
    turns = Turns()
    taken = [turns.take(message(sender)) for sender in (RSU, RSU, CAR, RSU)]
    assert taken == [0, 1, 0, 2]
    assert turns.take(message(EGO, receiver=RSU)) == 0
