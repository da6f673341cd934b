"""Link models of other packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from carla_cp.link import LINKS
from carla_cp.link.plugins import GROUP, with_plugins
from tests.link.outside import SlowLink


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_a_class_in_the_entry_point_group_joins_the_table() -> None:
    table = with_plugins(LINKS, [point("slow", "tests.link.outside:SlowLink")])
    assert table["slow"] is SlowLink
    assert list(table)[:-1] == list(LINKS)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("gone", "no.such.module:Link", "No module named"),
        ("slow", "tests.link.outside:BYTES_PER_S", "no subclass"),
        ("other", "tests.link.outside:SlowLink", "must agree"),
        ("fixed", "carla_cp.link.fixed:FixedLink", "that of carla_cp.link.fixed"),
    ],
)
def test_a_class_that_cannot_be_used_is_left_out_with_its_reason(name: str, value: str, why: str) -> None:
    with pytest.warns(UserWarning, match=why):
        assert with_plugins(LINKS, [point(name, value)]) == LINKS
