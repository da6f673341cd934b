from pathlib import Path

import numpy as np
import pytest

from carla_cp.link.base import LinkError
from carla_cp.link.trace import TraceLink, read_trace
from carla_cp.types import ChannelSpec, Loss
from tests.link.carrying import CAR, EGO, RSU, around, carry, message, sent

HEADER = "time_s,sender,receiver,latency_ms,loss"
GOOD = ("0,rsu,ego,10,0", "0,*,ego,50,0", "0.25,rsu,ego,30,1", "1,*,ego,50,0", "1,rsu,ego,0,0")


def trace(folder: Path, *rows: str, header: str = HEADER) -> Path:
    file = folder / "links.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def link(folder: Path, *rows: str) -> TraceLink:
    return TraceLink(ChannelSpec(model="trace", trace_file=trace(folder, *rows)), 0)


def test_a_row_holds_until_the_next_and_at_the_end_the_trace_begins_again(tmp_path: Path) -> None:
    model = link(tmp_path, *GOOD)
    found = [model.at(RSU, EGO, time_us).latency_us for time_us in (0, 249_999, 250_000, 999_999, 1_000_000, 1_300_000)]
    assert found == [10_000, 10_000, 30_000, 30_000, 10_000, 30_000]
    assert model.at(CAR, EGO, 700_000).latency_us == 50_000, "who has no rows has those of *"
    flights = model.carry([sent(message(RSU, time_us=300_000), 2), sent(message(CAR, time_us=300_000))], around())
    assert [flight.settled_us for flight in flights] == [330_000, 350_000]
    assert [flight.losses for flight in flights] == [(Loss.CHANCE, Loss.CHANCE), (None,)]


def test_packets_are_lost_as_often_as_the_row_says(tmp_path: Path) -> None:
    flights = carry(link(tmp_path, "0,*,*,10,0.3", "1,*,*,10,0"), 200, 10)
    assert np.mean([loss is Loss.CHANCE for flight in flights for loss in flight.losses]) == pytest.approx(
        0.3, abs=0.03
    )


def test_a_link_without_rows_is_named(tmp_path: Path) -> None:
    model = link(tmp_path, *GOOD)
    model.check_links([(RSU, EGO), (CAR, EGO)])
    with pytest.raises(LinkError, match="no row for the link from 'ego' to 'rsu'"):
        model.check_links([(RSU, EGO), (EGO, RSU)])


@pytest.mark.parametrize(
    ("rows", "line", "words"),
    [
        (("0,a,b,1,0", "3,a,b,1,0"), 3, ["time_s 3", "'a' to 'b'", "after 0", "gap", "1 s"]),
        (("0,a,b,1,0", "0.5,a,b,1,0", "0.4,a,b,1,0"), 4, ["time_s 0.4", "does not rise", "sort"]),
        (("0,a,b,1,0", "0,a,b,1,0"), 3, ["does not rise"]),
        (("0.5,a,b,1,0", "1,a,b,1,0"), 2, ["0.5 s", "begin at 0"]),
        (("0,a,b,1,0",), 2, ["one row", "no end"]),
        (("0,a,b,nan,0",), 2, ["latency_ms 'nan'"]),
        (("0,a,b,-1,0",), 2, ["latency_ms '-1'", "from 0"]),
        (("0,a,b,inf,0",), 2, ["latency_ms 'inf'"]),
        (("0,a,b,1,1.5",), 2, ["loss '1.5'", "from 0 to 1"]),
        (("soon,a,b,1,0",), 2, ["time_s 'soon'"]),
        (("0,a,b,1",), 2, ["4 values", "write 5"]),
        (("0,a,b,,0",), 2, ["latency_ms ''"]),
    ],
)
def test_a_row_that_cannot_be_is_named_with_its_line_and_the_mend(
    tmp_path: Path, rows: tuple[str, ...], line: int, words: list[str]
) -> None:
    file = trace(tmp_path, *rows)
    with pytest.raises(LinkError) as caught:
        read_trace(file)
    text = str(caught.value)
    assert text.startswith(f"{file}:{line}: ") and "\n" not in text
    assert [word for word in words if word not in text] == []


def test_a_file_that_is_no_trace_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=r"links.csv:1: the columns are a,b; write time_s,sender"):
        read_trace(trace(tmp_path, header="a,b"))
    with pytest.raises(LinkError, match="has no rows"):
        read_trace(trace(tmp_path))
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for name, words in (("empty.csv", "columns are nothing"), ("binary.csv", "cannot be read"), ("gone.csv", "cannot")):
        with pytest.raises(LinkError, match=words):
            read_trace(tmp_path / name)
    with pytest.raises(LinkError, match="needs a trace_file"):
        TraceLink(ChannelSpec(model="trace"), 0)
