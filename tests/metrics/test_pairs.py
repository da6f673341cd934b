"""McNemar's exact test, by hand and against scipy."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from carla_cp.metrics.pairs import McNemar, mcnemar


def outcomes(first: int, second: int, both: int = 2, neither: int = 3) -> list[tuple[bool, bool]]:
    return [(True, False)] * first + [(False, True)] * second + [(True, True)] * both + [(False, False)] * neither


def test_five_to_none_is_two_tails_of_one_half_to_the_fifth() -> None:
    assert mcnemar(outcomes(5, 0)) == McNemar(10, 5, 0, 2 / 32)
    assert mcnemar(outcomes(0, 5)) == McNemar(10, 0, 5, 2 / 32)


def test_agreement_is_no_evidence_and_no_pairs_are_no_test() -> None:
    assert mcnemar(outcomes(0, 0)) == McNemar(5, 0, 0, 1.0)
    assert mcnemar([]) == McNemar(0, 0, 0, None)


@pytest.mark.parametrize(("first", "second"), [(1, 9), (4, 3), (6, 6), (12, 2), (40, 71)])
def test_p_is_that_of_the_binomial_test_on_the_pairs_that_differ(first: int, second: int) -> None:
    expected = binomtest(first, first + second, 0.5).pvalue
    assert mcnemar(outcomes(first, second)).p == pytest.approx(expected)
