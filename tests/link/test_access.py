import itertools

import numpy as np

from carla_cp.link.access import Channel, Waiting, contend
from carla_cp.link.radio import OnAir
from carla_cp.types import AgentName
from tests.link.carrying import CAR, EGO, RSU


def ears(*names: AgentName) -> frozenset[tuple[AgentName, AgentName]]:
    """All of them hear each other."""
    return frozenset(itertools.permutations(names, 2))


def waiting(*slots: int, length: int = 1000, handed: int = 0) -> list[Waiting]:
    return [Waiting(handed, length, slot) for slot in slots]


def times(spans: list[OnAir]) -> list[tuple[int, int]]:
    return [(span.start_us, span.end_us) for span in spans]


def test_one_sender_waits_for_silence_and_its_slots_before_each_packet() -> None:
    (spans,) = contend([(RSU, waiting(3, 0))], Channel(frozenset(), (), 0))
    assert times(spans) == [(58 + 39, 1097), (1097 + 58, 2155)]


def test_the_smaller_draw_goes_first_and_the_other_counts_on_from_where_it_stood() -> None:
    first, second = contend([(RSU, waiting(2)), (CAR, waiting(5))], Channel(ears(RSU, CAR), (), 0))
    assert times(first) == [(84, 1084)]
    assert times(second) == [(1084 + 58 + 3 * 13, 2181)]


def test_equal_draws_meet_and_so_do_senders_that_do_not_hear_each_other() -> None:
    first, second = contend([(RSU, waiting(4)), (CAR, waiting(4))], Channel(ears(RSU, CAR), (), 0))
    assert first[0].meets(second[0])
    deaf, other = contend([(RSU, waiting(2)), (CAR, waiting(5))], Channel(frozenset(), (), 0))
    assert deaf[0].meets(other[0])


def test_who_is_heard_from_before_is_waited_for_and_who_is_not_is_not() -> None:
    busy = [OnAir(EGO, 0, 5000)]
    (spans,) = contend([(RSU, waiting(0))], Channel(ears(EGO, RSU), busy, 0))
    assert times(spans) == [(5058, 6058)]
    (spans,) = contend([(RSU, waiting(0))], Channel(frozenset(), busy, 0))
    assert times(spans) == [(58, 1058)]


def test_a_packet_waits_until_it_is_there() -> None:
    first, second = waiting(0), waiting(0, handed=9000)
    (spans,) = contend([(RSU, first + second)], Channel(frozenset(), (), 0))
    assert times(spans) == [(58, 1058), (9058, 10_058)]
    early, late = contend([(RSU, waiting(0)), (CAR, waiting(0, handed=500))], Channel(ears(RSU, CAR), (), 0))
    assert times(early) == [(58, 1058)] and times(late) == [(1116, 2116)]


def test_a_queue_that_ends_drops_what_would_not_be_through() -> None:
    (spans,) = contend([(RSU, waiting(0, 0, 0))], Channel(frozenset(), (), 2200))
    assert [span.dropped for span in spans] == [False, False, True]
    assert spans[2].start_us == spans[2].end_us


def test_the_channel_is_shared_fairly_and_never_held_by_two_that_hear_each_other_but_in_one_slot() -> None:
    names = [AgentName(f"car{number}") for number in range(6)]
    rng = np.random.default_rng(0)
    queues = [(name, waiting(*map(int, rng.integers(16, size=50)))) for name in names]
    results = contend(queues, Channel(ears(*names), (), 0))
    spans = sorted((span for result in results for span in result), key=lambda span: span.start_us)
    meeting = [(a, b) for a, b in itertools.pairwise(spans) if a.meets(b)]
    assert all(a.start_us == b.start_us for a, b in meeting)
    assert 0 < len(meeting) < 0.4 * len(spans)
    halfway = [sum(span.end_us < spans[-1].end_us / 2 for span in result) for result in results]
    assert min(halfway) > 15, "nobody starves"
    assert all(a.end_us < b.start_us for result in results for a, b in itertools.pairwise(result))
