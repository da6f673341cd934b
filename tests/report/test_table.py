"""The comparison on the terminal."""

from __future__ import annotations

import io

from carla_cp.metrics.comparison import comparison
from carla_cp.metrics.summary import summarise
from carla_cp.report import format_table, print_table
from tests.metrics.builders import crossing

SUMMARIES = [
    summarise(drive, "violator") for drive in (crossing("none", None, aware=False), crossing("raw", None), crossing())
]


def test_every_codec_has_a_line_and_columns_align() -> None:
    lines = format_table(comparison(SUMMARIES), SUMMARIES).splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["none", "raw", "revqom"]
    assert "1 of 1" in lines[2]
    assert "0 of 1" in lines[3]
    assert len({len(line) for line in lines[:5]}) == 1


def test_what_is_undefined_is_a_dash() -> None:
    assert format_table(comparison(SUMMARIES), SUMMARIES).splitlines()[2].split()[-2] == "–"  # noqa: RUF001


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
