"""The comparison on the terminal."""

from __future__ import annotations

import io

from carla_cp.metrics.comparison import comparison
from carla_cp.report import format_table, print_table
from tests.metrics.summaries import crossed

SUMMARIES = [crossed("none", None, aware=False), crossed("raw", None), crossed()]


def test_every_codec_has_a_line_and_columns_align() -> None:
    lines = format_table(comparison(SUMMARIES), SUMMARIES).splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["none", "raw", "revqom"]
    assert "1 of 1" in lines[2]
    assert "0 of 1" in lines[3]
    assert len({len(line) for line in lines[:5]}) == 1


def test_what_is_undefined_is_a_dash() -> None:
    cells = format_table(comparison(SUMMARIES), SUMMARIES).splitlines()[2].split()
    assert cells[-2] == "–"  # noqa: RUF001 - bytes of a message
    assert cells[8:10] == ["–", "–"]  # noqa: RUF001 - p against itself, and the gain without an oracle


def test_the_test_against_none_and_the_gain_towards_oracle_stand_in_the_line() -> None:
    summaries = [crossed("none", None, seed, aware=False) for seed in range(4)]
    summaries += [crossed(seed=seed) for seed in range(4)] + [crossed("oracle", None, seed) for seed in range(4)]
    line = format_table(comparison(summaries), summaries).splitlines()[3].split()
    assert line[0] == "revqom"
    assert "0.125" in line and "1.00" in line  # two tails of 1/16


def test_the_packets_and_airtime_of_a_message_stand_below() -> None:
    text = format_table(comparison(SUMMARIES), SUMMARIES)
    assert "raw@max: 59" in text
    assert "44 packets" in text
    assert "6 Mb/s" in text
    assert "none@max" not in text


def test_it_prints_where_it_is_told_to() -> None:
    target = io.StringIO()
    print_table(comparison(SUMMARIES), SUMMARIES, target)
    assert target.getvalue() == format_table(comparison(SUMMARIES), SUMMARIES)
