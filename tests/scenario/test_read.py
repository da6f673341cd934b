"""Scenario files become values, in radians, with nothing lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import carla
import pytest

from carla_cp.scenario import ScenarioError, load_scenario
from carla_cp.types import (
    Arrival,
    ChannelSpec,
    ComputeSpec,
    Draw,
    LightState,
    LocalizationSpec,
    Pose,
    Scenario,
    TriggerSpec,
)
from tests.scenario.conftest import SCENARIOS, Edit


def test_every_field_of_the_file_arrives(write: Callable[..., Path]) -> None:
    path = write()
    scenario = load_scenario(path)
    assert (scenario.name, scenario.type, scenario.source) == ("small", "Test", path)
    assert scenario.map_file == path.parent / "town.xodr"
    assert (scenario.timeout_s, scenario.seed) == (15.0, 7)
    assert scenario.ego.rolename == "hero"
    assert scenario.ego.speed_mps == 10.0
    assert scenario.ego.draw == Draw(speed_fraction=0.1)
    crosser, parked = scenario.actors
    assert crosser.blueprint == "vehicle.audi.tt"
    assert crosser.start == Pose(50.0, -60.0, 0.4, yaw=math.pi / 2)
    assert crosser.path == ((50.0, -100.0), (50.0, 100.0))
    assert (crosser.obeys_lights, crosser.yields) == (False, False)
    assert crosser.arrival == Arrival(48.0, 5.25, 0.5)
    assert crosser.draw == Draw(speed_fraction=0.2, offset_s=0.3)
    assert (parked.obeys_lights, parked.yields, parked.arrival, parked.path) == (True, True, None, ())
    assert parked.draw == Draw(along_m=0.5, across_m=0.2)
    assert [pose.yaw for pose in scenario.route] == [0.0, 0.0]
    assert scenario.hazards[0].triggers == (TriggerSpec("distance", 50.0, 5.25, 30.0),)
    assert [(signal.signal_id, signal.state) for signal in scenario.signals] == [("11", LightState.GREEN)]


def test_a_waypoint_that_is_reached_across_the_lanes_is_marked(write: Callable[..., Path]) -> None:
    assert load_scenario(write()).crossovers == frozenset()
    last = '<waypoint x="100" y="5.25" z="0" connection="RoadOption.'
    assert load_scenario(write((f"{last}LANEFOLLOW", f"{last}CHANGELANELEFT"))).crossovers == frozenset({1})


def test_sensors_and_channel_take_their_defaults_where_the_file_is_silent(write: Callable[..., Path]) -> None:
    scenario = load_scenario(write())
    hero, parked = scenario.connected
    assert (hero.rolename, parked.rolename) == ("hero", "parked"), "the ego comes first"
    assert hero.lidar.mount == Pose(z=1.8, yaw=math.pi / 2)
    assert (hero.lidar.range_m, hero.lidar.lower_fov_deg, hero.lidar.channels) == (60.0, -20.0, 64)
    assert (parked.lidar.range_m, parked.lidar.points_per_second) == (120.0, 1_310_720)
    (rsu,) = scenario.rsus
    assert rsu.foot == Pose(40.0, 12.0, 0.0, yaw=-math.pi / 2)
    assert rsu.lidar.mount == Pose(z=5.0, pitch=math.radians(-10.0))
    assert (rsu.lidar.channels, rsu.lidar.noise_stddev_m) == (32, 0.01)
    assert (scenario.channel.latency_ms, scenario.channel.loss, scenario.channel.jitter_ms) == (30.0, 0.02, 5.0)


def test_a_channel_says_all_that_its_model_reads(write: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "links.csv").write_text("")
    whole = (
        'model="trace" half_duplex="1" queue_ms="30" policy="share" senders="2" total_bytes="4000" burst_packets="2.5" '
        'good_loss="0.1" bad_loss="0.6" environment="highway" power_dbm="20" trace_file="links.csv"'
    )
    assert load_scenario(write(('loss="0.02"', whole))).channel == ChannelSpec(
        model="trace",
        latency_ms=30.0,
        half_duplex=True,
        queue_ms=30.0,
        policy="share",
        senders=2,
        total_bytes=4000,
        burst_packets=2.5,
        good_loss=0.1,
        bad_loss=0.6,
        environment="highway",
        power_dbm=20.0,
        trace_file=tmp_path / "links.csv",
    )


def test_localisation_is_exact_unless_the_file_says_otherwise(write: Callable[..., Path]) -> None:
    assert load_scenario(write()).localization == LocalizationSpec(0.0, 0.0, 0.0, 10.0)
    wrong = '<localization position_m="0.2" heading_deg="0.3" drift_m="0.5" drift_s="4"/><channel'
    assert load_scenario(write(("<channel", wrong))).localization == LocalizationSpec(0.2, 0.3, 0.5, 4.0)


def test_computing_takes_no_time_of_its_own_unless_the_file_says_otherwise(write: Callable[..., Path]) -> None:
    assert load_scenario(write()).compute == ComputeSpec(0.0, 0.0)
    slow = '<compute encode_ms="9" detect_ms="30"/><channel'
    assert load_scenario(write(("<channel", slow))).compute == ComputeSpec(9.0, 30.0)


@pytest.mark.parametrize(
    ("edit", "line", "words"),
    [
        (('speed="10"', 'sped="10"'), 4, ["<ego_vehicle>", "'sped'", "'speed'"]),
        (("latency_ms=", "latency="), 33, ["<channel>", "'latency'", "'latency_ms'"]),
        (('value="15"', 'value="soon"'), 11, ["<timeout value>", "'soon'"]),
        (('value="15"', 'value="NaN"'), 11, ["<timeout value>", "'NaN'"]),
        (('x="50" y="-60"', 'x="INF" y="-60"'), 5, ["<other_actor x>", "'INF'"]),
        (('loss="0.02"', 'loss="1.5"'), 33, ["<channel loss>", "'1.5'"]),
        (('loss="0.02"', 'policy="gossip"'), 33, ["<channel policy>", "'gossip'", "nearest"]),
        (('loss="0.02"', 'trace_file="gone.csv"'), 33, ["<channel>", "'gone.csv'", "beside the scenario"]),
        (("<channel", '<localization position="1"/><channel'), 33, ["<localization>", "'position'", "'position_m'"]),
        (("<channel", '<localization drift_s="0"/><channel'), 33, ["<localization drift_s>", "'0'"]),
        (('model="vehicle.audi.tt"', 'model="audi"'), 5, ["<other_actor model>", "'audi'"]),
        ((' yaw="90" speed="8"', ' speed="8"'), 5, ["<other_actor>", "'yaw'", "add"]),
        (('<timeout value="15"/>', ""), 12, ["behaviors", "timeout"]),
        (('<timeout value="15"/>', '<timeout value="15"/><wether/>'), 11, ["wether"]),
        (('state="green"', 'state="blue"'), 34, ["<signal state>", "'blue'", "green"]),
        (('name="small"', 'name="big"'), 3, ["'big'", 'name="small"']),
        (('rolename="parked"', 'rolename="crosser"'), 6, ["'crosser'", "line 5"]),
        (('id="rsu_1"', 'id="hero"'), 32, ["'hero'", "line 4"]),
        (('<behavior actor="parked">', '<behavior actor="parkd">'), 19, ["'parkd'", "'parked'"]),
        (('<connected_vehicle actor="parked">', '<connected_vehicle actor="nobody">'), 25, ["'nobody'", "use one of"]),
        (('<connected_vehicle actor="hero">', '<connected_vehicle actor="crosser">'), 24, ["lacks the ego", "hero"]),
        (('<hazard actor="crosser"', '<hazard actor="hero"'), 22, ["'hero'", "another actor"]),
        (('<behavior actor="parked">', '<behavior actor="crosser">'), 19, ["'crosser'", "line 14"]),
        (('map="town.xodr"', 'map="twon.xodr"'), 24, ["'twon.xodr'", "'town.xodr'"]),
        (('<signal id="11"', '<signal id="12"'), 34, ["'12'", "11"]),
        (('<draw speed_fraction="0.2"', '<draw along_m="1"'), 17, ["along_m", "<arrival>"]),
        (('<arrival x="48" y="5.25" offset_s="0.5"/>', ""), 17, ["offset_s=0.3", "<arrival>"]),
        (('yaw="90" speed="8"', 'yaw="90"'), 5, ["'crosser'", "no speed"]),
        (('x="20" y="1" z="0.3" yaw="90"', 'x="20" y="1" z="0.3" yaw="90" speed="3"'), 6, ["'parked'", "no path"]),
        (('speed="10"', 'speed="0"'), 4, ["'hero'", "above 0"]),
        (('<point x="50" y="100"/>', '<point x="50.0" y="-100"/>'), 15, ["y=-100", "remove one"]),
        (('<waypoint x="100"', '<waypoint x="0"'), 9, ["x=0", "remove one"]),
        (('lower_fov="-20"', 'lower_fov="20"'), 26, ["lower_fov 20", "swap"]),
        (('<lidar z="1.9"/>', "<lidar/>"), 25, ["lacks z"]),
        (('<lidar z="5"', '<lidar x="1" z="5"'), 27, ["'rsu_1'", "move the <rsu>"]),
        (
            ('model="vehicle.audi.tt" x="20"', 'model="static.prop.bench" x="20"'),
            25,
            ["'static.prop.bench'", "vehicle"],
        ),
        (('<behavior actor="parked">', '<behavior actor="hero">'), 19, ["'hero'", "line 13"]),
        (("</v2x>", "</v2y>"), 35, ["well-formed"]),
    ],
)
def test_a_fault_is_one_line_with_file_line_value_and_mend(
    write: Callable[..., Path], edit: Edit, line: int, words: list[str]
) -> None:
    path = write(edit)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    text = str(caught.value)
    assert text.startswith(f"{path}:"), text
    assert "\n" not in text
    for word in words:
        assert word in text, text
    numbers = path.read_text().splitlines()
    said = int(text.removeprefix(f"{path}:").partition(":")[0])
    assert 1 <= said <= len(numbers)
    assert said == line or any(new and new in numbers[said - 1] for new in edit[1:]), text


def test_the_ego_takes_no_path(write: Callable[..., Path]) -> None:
    path = write(('<draw speed_fraction="0.1"/>', '<path><point x="0" y="0"/><point x="1" y="0"/></path>'))
    with pytest.raises(ScenarioError, match="follows <route>"):
        load_scenario(path)


def test_a_missing_file_and_an_empty_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.xml: cannot read it"):
        load_scenario(tmp_path / "nowhere.xml")
    (tmp_path / "empty.xml").write_text("")
    with pytest.raises(ScenarioError, match=r"empty\.xml:1: no well-formed XML"):
        load_scenario(tmp_path / "empty.xml")
    with pytest.raises(ScenarioError, match="cannot read it"):
        load_scenario(tmp_path)


def test_a_broken_map_is_named(write: Callable[..., Path]) -> None:
    path = write()
    (path.parent / "town.xodr").write_text("<OpenDRIVE>")
    with pytest.raises(ScenarioError, match=r"town\.xodr:1: .*mend the map"):
        load_scenario(path)


def test_a_doctype_with_its_entities_is_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("town.xodr")
    entity = f'?><!DOCTYPE x [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]>'
    path = write(("?>", entity), ('<timeout value="15"/>', '<timeout value="15">&e;</timeout>'))
    with pytest.raises(ScenarioError, match="DOCTYPE"):
        load_scenario(path)


@pytest.fixture(scope="module", params=["intersection", "intersection_clear"])
def shipped(request: pytest.FixtureRequest) -> Scenario:
    return load_scenario(SCENARIOS / f"{request.param}.xml")


def test_shipped_actors_stand_and_drive_on_lanes_that_lead_their_way(shipped: Scenario) -> None:
    town = carla.Map("town", shipped.map_file.read_text())
    for actor in (shipped.ego, *shipped.actors):
        if not actor.blueprint.startswith("vehicle."):
            continue
        location = carla.Location(actor.start.x, actor.start.y, 0.0)
        waypoint = town.get_waypoint(location, project_to_road=False, lane_type=carla.LaneType.Driving)
        assert waypoint is not None, actor.rolename
        turn = math.radians(waypoint.transform.rotation.yaw) - actor.start.yaw
        assert math.cos(turn) > 0.99, f"{actor.rolename} faces the wrong way"
    for point in [*shipped.route]:
        location = carla.Location(point.x, point.y, 0.0)
        assert town.get_waypoint(location).transform.location.distance(location) < 0.5


def test_the_ego_has_green_and_the_cross_road_red(shipped: Scenario) -> None:
    town = carla.Map("town", shipped.map_file.read_text())
    states = {signal.signal_id: signal.state for signal in shipped.signals}

    def light_before(x: float, y: float) -> LightState:
        (mark,) = town.get_waypoint(carla.Location(x, y, 0.0)).get_landmarks_of_type(60.0, "1000001")
        return states[mark.id]

    cross = shipped.actors[0]
    assert light_before(-40.0, shipped.ego.start.y) is LightState.GREEN
    assert light_before(cross.start.x, -40.0) is LightState.RED
    assert len(states) == 4


def test_the_clear_twin_differs_only_in_the_car_that_obeys() -> None:
    risky = load_scenario(SCENARIOS / "intersection.xml")
    clear = load_scenario(SCENARIOS / "intersection_clear.xml")
    assert clear.actors[1:] == risky.actors[1:]
    assert (clear.ego, clear.route, clear.connected, clear.rsus) == (
        risky.ego,
        risky.route,
        risky.connected,
        risky.rsus,
    )
    runner, stopper = risky.actors[0], clear.actors[0]
    assert (runner.obeys_lights, runner.yields) == (False, False)
    assert (stopper.obeys_lights, stopper.yields) == (True, True)
    assert (runner.path, runner.speed_mps, runner.arrival) == (stopper.path, stopper.speed_mps, stopper.arrival)
    assert risky.hazards[0].rolename == runner.rolename
    assert clear.hazards == ()
