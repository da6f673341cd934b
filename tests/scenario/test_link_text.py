"""A link in one line of text."""

from __future__ import annotations

import pytest

from carla_cp.scenario import ScenarioError
from carla_cp.scenario.link_text import channel_of
from carla_cp.types import ChannelSpec


def test_a_line_says_what_the_xml_would() -> None:
    assert channel_of("") == channel_of("fixed") == ChannelSpec()
    assert channel_of("gilbert  loss=0.25 mtu_bytes=900 half_duplex=true") == ChannelSpec(
        model="gilbert", loss=0.25, mtu_bytes=900, half_duplex=True
    )
    given = ChannelSpec(model="ideal", range_m=80.0)
    assert channel_of(given) == given


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("fixed latency=5", "link 'fixed latency=5': no key 'latency'; did you mean 'latency_ms'"),
        ("fixed loss", "'loss' has no value; write it as in 'fixed latency_ms=50'"),
        ("fixed loss=often", "link 'fixed loss=often': .*'often'"),
        (ChannelSpec(loss=1.5), "link: .*1.5"),
        ("trace trace_file=gone.csv", "trace_file 'gone.csv' is no file"),
    ],
)
def test_what_the_xml_would_not_accept_is_named(link: str | ChannelSpec, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        channel_of(link)
