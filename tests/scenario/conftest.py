"""A small valid scenario to break in every way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SCENARIOS = Path(__file__).resolve().parent.parent.parent / "scenarios"
Edit = tuple[str, str]

SMALL = """<?xml version="1.0" encoding="UTF-8"?>
<scenarios>
  <scenario name="small" type="Test" town="anywhere">
    <ego_vehicle rolename="hero" model="vehicle.tesla.model3" x="0" y="5.25" z="0.3" yaw="0" speed="10"/>
    <other_actor rolename="crosser" model="vehicle.audi.tt" x="50" y="-60" z="0.4" yaw="90" speed="8"/>
    <other_actor rolename="parked" model="vehicle.audi.tt" x="20" y="1" z="0.3" yaw="90"/>
    <route>
      <waypoint x="0" y="5.25" z="0" connection="RoadOption.LANEFOLLOW"/>
      <waypoint x="100" y="5.25" z="0" connection="RoadOption.LANEFOLLOW"/>
    </route>
    <timeout value="15"/>
    <behaviors>
      <behavior actor="hero"><draw speed_fraction="0.1"/></behavior>
      <behavior actor="crosser" obeys_lights="false" yields="0">
        <path><point x="50" y="-100"/><point x="50" y="100"/></path>
        <arrival x="48" y="5.25" offset_s="0.5"/>
        <draw speed_fraction="0.2" offset_s="0.3"/>
      </behavior>
      <behavior actor="parked"><draw along_m="0.5" across_m="0.2"/></behavior>
    </behaviors>
    <hazards>
      <hazard actor="crosser" type="crossing"><trigger condition="distance" x="50" y="5.25" value="30"/></hazard>
    </hazards>
    <v2x version="1" seed="7" map="town.xodr">
      <connected_vehicle actor="parked"><lidar z="1.9"/></connected_vehicle>
      <connected_vehicle actor="hero"><lidar z="1.8" yaw="90" range="60" lower_fov="-20"/></connected_vehicle>
      <rsu id="rsu_1" x="40" y="12" yaw="-90"><lidar z="5" pitch="-10" channels="32" noise_stddev="0.01"/></rsu>
      <channel latency_ms="30" loss="0.02"/>
      <signal id="11" state="green"/>
    </v2x>
  </scenario>
</scenarios>
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the small scenario, each (old, new) replaced once, beside a map with one light."""

    def writer(*edits: Edit) -> Path:
        text = SMALL
        for old, new in edits:
            assert text.count(old) >= 1, old
            text = text.replace(old, new, 1)
        signal = '<signal id="11" type="1000001"/><signal id="12" type="206"/>'
        (tmp_path / "town.xodr").write_text(f"<OpenDRIVE><road><signals>{signal}</signals></road></OpenDRIVE>")
        (tmp_path / "small.xml").write_text(text)
        return tmp_path / "small.xml"

    return writer
