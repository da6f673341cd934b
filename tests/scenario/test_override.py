"""`--set` replaces one value, under the rules of the XML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from carla_cp.scenario import ScenarioError, load_scenario, override
from carla_cp.types import ChannelSpec, ComputeSpec, Correction, LocalizationSpec, Scenario


@pytest.fixture
def small(write: Callable[..., Path]) -> Scenario:
    return load_scenario(write())


BASE = ChannelSpec(latency_ms=30.0, loss=0.02)  # the small scenario's


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("link.model=fixed", BASE),
        ("link.range_m=80", replace(BASE, range_m=80.0)),
        ("link.latency_ms=100", replace(BASE, latency_ms=100.0)),
        ("link.jitter_ms=0", replace(BASE, jitter_ms=0.0)),
        ("link.loss=1.0", replace(BASE, loss=1.0)),
        ("link.bandwidth_mbps=6", replace(BASE, bandwidth_mbps=6.0)),
        ("link.mtu_bytes=500", replace(BASE, mtu_bytes=500)),
        ("link.model=gilbert", replace(BASE, model="gilbert")),
        ("link.half_duplex=true", replace(BASE, half_duplex=True)),
        ("link.queue_ms=12.5", replace(BASE, queue_ms=12.5)),
        ("link.policy=nearest", replace(BASE, policy="nearest")),
        ("link.senders=2", replace(BASE, senders=2)),
        ("link.total_bytes=900", replace(BASE, total_bytes=900)),
        ("link.burst_packets=7.5", replace(BASE, burst_packets=7.5)),
        ("link.good_loss=0.01", replace(BASE, good_loss=0.01)),
        ("link.bad_loss=0.9", replace(BASE, bad_loss=0.9)),
        ("link.environment=highway", replace(BASE, environment="highway")),
        ("link.power_dbm=-3", replace(BASE, power_dbm=-3.0)),
    ],
)
def test_every_field_of_the_link_can_be_set_and_nothing_else_changes(
    small: Scenario, setting: str, expected: ChannelSpec
) -> None:
    assert override(small, setting) == replace(small, channel=expected)


def test_a_trace_of_the_command_line_lies_where_it_says_and_survives_another_setting(
    small: Scenario, tmp_path: Path
) -> None:
    trace = tmp_path / "links.csv"
    trace.write_text("")
    changed = override(override(small, f"link.trace_file={trace}"), "link.model=trace")
    assert changed.channel == replace(BASE, model="trace", trace_file=trace)


@pytest.mark.parametrize("field", ["position_m", "heading_deg", "drift_m", "drift_s"])
def test_every_error_of_localisation_can_be_set_and_settings_add_up(small: Scenario, field: str) -> None:
    noisy = override(small, "localization.position_m=0.4")
    changed = override(noisy, f"localization.{field}=0.25")
    assert changed.localization == replace(LocalizationSpec(position_m=0.4), **{field: 0.25})
    assert replace(changed, localization=small.localization) == small


def test_the_correction_of_poses_is_the_method_s_own_unless_it_is_switched(small: Scenario) -> None:
    assert small.localization.correction is Correction.METHOD
    on = override(override(small, "localization.correction=on"), "localization.drift_s=3")
    assert on.localization == LocalizationSpec(drift_s=3.0, correction=Correction.ON)
    assert override(on, "localization.correction=off").localization.correction is Correction.OFF


def test_the_times_of_computing_are_none_unless_they_are_set(small: Scenario) -> None:
    assert small.compute == ComputeSpec(0.0, 0.0)
    slow = override(override(small, "compute.encode_ms=12.5"), "compute.detect_ms=60")
    assert slow == replace(small, compute=ComputeSpec(12.5, 60.0))


def test_timeout_and_seed_can_be_set(small: Scenario) -> None:
    assert override(small, "timeout_s=7.5") == replace(small, timeout_s=7.5)
    assert override(small, " seed = 12 ") == replace(small, seed=12)


def test_settings_add_up_and_tiny_numbers_survive(small: Scenario) -> None:
    tiny = replace(small, channel=replace(small.channel, loss=1e-7))
    changed = override(override(tiny, "link.latency_ms=1"), "link.jitter_ms=2")
    assert (changed.channel.loss, changed.channel.latency_ms, changed.channel.jitter_ms) == (1e-7, 1.0, 2.0)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("link.latncy_ms=3", ["'link.latncy_ms'", "did you mean 'link.latency_ms'", "timeout_s"]),
        ("latency_ms=3", ["'latency_ms'", "link.latency_ms", "seed"]),
        ("speed=3", ["'speed'", "valid: link.model"]),
        ("link.loss", ["KEY=VALUE"]),
        ("link.loss=", ["KEY=VALUE"]),
        ("link.loss=1.01", ["'1.01'"]),
        ("link.loss=nan", ["'nan'"]),
        ("link.latency_ms=-1", ["'-1'"]),
        ("link.latency_ms=abc", ["'abc'"]),
        ("link.mtu_bytes=1.5", ["'1.5'"]),
        ("link.mtu_bytes=1", ["'1'", "64"]),
        ("link.model=a b", ["'a b'"]),
        ("link.policy=gossip", ["'gossip'", "nearest"]),
        ("link.senders=0", ["'0'"]),
        ("link.total_bytes=-5", ["'-5'"]),
        ("link.burst_packets=0", ["'0'"]),
        ("link.bad_loss=2", ["'2'"]),
        ("link.half_duplex=maybe", ["'maybe'"]),
        ("link.environment=moon", ["'moon'", "urban"]),
        ("link.power_dbm=99", ["'99'"]),
        ("link.trace_file=gone.csv", ["'gone.csv'"]),
        ("localization.positon_m=1", ["did you mean 'localization.position_m'"]),
        ("localization.position_m=-0.1", ["<localization position_m>", "'-0.1'"]),
        ("localization.position_m=1e9", ["'1e9'"]),
        ("localization.heading_deg=181", ["'181'", "180"]),
        ("localization.drift_s=0", ["'0'"]),
        ("localization.correction=maybe", ["'maybe'", "method"]),
        ("compute.encode_ms=-1", ["<compute encode_ms>", "'-1'"]),
        ("compute.detect_ms=1001", ["'1001'", "1000"]),
        ("timeout_s=0", ["'0'"]),
        ("timeout_s=inf", ["'inf'"]),
        ("seed=-1", ["'-1'"]),
        ("seed=4294967296", ["'4294967296'"]),
        ("seed=x", ["'x'"]),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it_and_the_mend(
    small: Scenario, setting: str, words: list[str]
) -> None:
    with pytest.raises(ScenarioError) as caught:
        override(small, setting)
    text = str(caught.value)
    assert text.startswith(f"--set {setting}:")
    assert "\n" not in text
    for word in words:
        assert word in text, text
