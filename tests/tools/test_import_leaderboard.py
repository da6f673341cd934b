"""Route files of both Leaderboards, written by hand after their formats, on the crossing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from import_leaderboard import main
from leaderboard_read import RouteFileError, read_events, read_routes

from carla_cp.scenario import load_scenario

MAP = Path(__file__).resolve().parents[2] / "scenarios" / "maps" / "crossing.xodr"
SECOND = """<routes>
  <route id="24" town="Town99">
    <weathers>
      <weather route_percentage="100" cloudiness="90" fog_density="7"/>
      <weather route_percentage="0" cloudiness="5" sun_altitude_angle="70" dust_storm="3"/>
    </weathers>
    <waypoints>
      <position x="-75.0" y="5.25" z="0.0"/>
      <position x="-75.0" y="5.25" z="0.0"/>
      <position x="55.0" y="5.25" z="0.0"/>
    </waypoints>
    <scenarios>
      <scenario name="Parked_1" type="ParkedObstacle">
        <trigger_point x="-60.0" y="5.3" z="0.0" yaw="1.0"/>
        <other_actor x="-30" y="5.25" z="0" yaw="0" model="vehicle.*"/>
        <other_actor x="-31" y="5.25" z="0" yaw="0" model="vehicle.audi.tt"/>
        <other_actor x="-20" y="-8" z="0" yaw="180" model="walker.pedestrian.0005" speed="1.4"/>
        <other_actor x="30" y="-5.25" z="0" yaw="180" model="vehicle.audi.tt" speed="7"/>
        <distance value="40"/>
      </scenario>
      <scenario name="Off_1" type="Accident"><trigger_point x="-60.0" y="5.3" z="0.0" yaw="90"/></scenario>
      <scenario name="Cross_1" type="DynamicObjectCrossing"><trigger_point x="0" y="5.3" z="0" yaw="0"/></scenario>
    </scenarios>
  </route>
  <route id="25" town="Town99">
    <waypoints><position x="55" y="5.25" z="0"/><position x="-75" y="5.25" z="0"/></waypoints><scenarios/>
  </route>
</routes>
"""
FIRST = """<routes>
  <route id="0" town="Town99">
    <waypoint pitch="360.0" roll="0.0" x="-75.0" y="5.25" yaw="360.0" z="0.0"/>
    <waypoint pitch="0.0" roll="0.0" x="40.0" y="5.25" yaw="0.0" z="0.0"/>
  </route>
</routes>
"""
EVENTS = {
    "available_scenarios": [
        {
            "Town99": [
                {
                    "scenario_type": "Scenario7",
                    "available_event_configurations": [
                        {
                            "transform": {"x": "-40.0", "y": "5.2", "z": "0.0", "yaw": "0.0", "pitch": "0.0"},
                            "other_actors": {"left": [{"x": -1.75, "y": -40.0, "z": 0.0, "yaw": 90.0}]},
                        },
                        {"transform": {"x": -1.75, "y": -40.0, "z": 0.0, "yaw": 90.0}},
                    ],
                }
            ]
        }
    ]
}


def imported(tmp_path: Path, text: str, *more: object) -> int:
    (tmp_path / "lb.xml").write_text(text)
    options = [tmp_path / "lb.xml", "--map", MAP, "--out", tmp_path / "out", *more]
    return main([str(option) for option in options])


def test_a_route_of_leaderboard_2_keeps_ego_way_weather_and_placed_actors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(tmp_path, SECOND) == 1
    scenario = load_scenario(tmp_path / "out" / "lb_24.xml")
    assert (scenario.ego.start.x, scenario.ego.start.y, scenario.ego.start.yaw) == pytest.approx(
        (-75, 5.25, 0), abs=0.1
    )
    assert [(pose.x, pose.y) for pose in scenario.route] == [(-75.0, 5.25), (55.0, 5.25)]
    assert scenario.timeout_s == pytest.approx(300 + 130 / 0.8, abs=3)
    parked, walker, mover = scenario.actors
    assert (parked.blueprint, parked.speed_mps, parked.path) == ("vehicle.tesla.model3", 0.0, ())
    assert (walker.blueprint, walker.speed_mps) == ("walker.pedestrian.0005", 1.4)
    assert walker.path[-1] == pytest.approx((-40.0, -8.0))
    assert mover.speed_mps == 7.0 and mover.path[-1][0] < -20.0
    assert 'cloudiness="5"' in (tmp_path / "out" / "lb_24.xml").read_text()
    said = capsys.readouterr().out
    for words in (
        "the 1 weathers that come later",
        "dust_storm",
        "'vehicle.*', which is vehicle.tesla.model3",
        "x=-31.0 y=5.2, where another stands",
        "what ScenarioRunner's code makes of distance",
        "Accident: its trigger is more than 2 m or 10 degrees off",
        "DynamicObjectCrossing: its actors, which ScenarioRunner's code places",
    ):
        assert f"not kept: {words}" in said or words in said
        assert words in (tmp_path / "out" / "lb_24.xml").read_text()


def test_a_route_that_our_lanes_do_not_join_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(tmp_path, SECOND) == 1
    assert "route 25 (line 25): left out: route waypoint 2 (x=-75.0 y=5.2) cannot" in capsys.readouterr().out
    assert not (tmp_path / "out" / "lb_25.xml").exists()


def test_events_of_leaderboard_1_on_the_route_bring_cars_that_drive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "events.json").write_text(json.dumps(EVENTS))
    assert imported(tmp_path, FIRST, "--scenarios", tmp_path / "events.json", "--speed", "10") == 0
    scenario = load_scenario(tmp_path / "out" / "lb_0.xml")
    (car,) = scenario.actors
    assert car.rolename == "Scenario7_left_1" and car.speed_mps == scenario.ego.speed_mps == 10.0
    assert (car.start.x, car.start.y, car.start.yaw) == (-1.75, -40.0, pytest.approx(math.pi / 2))
    assert car.path[1][1] > car.path[0][1]
    assert "1 events of the JSON whose trigger is not on this route" in capsys.readouterr().out


def test_the_way_of_another_actor_and_an_id_that_is_there_twice_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    route = FIRST.removeprefix("<routes>").removesuffix("</routes>\n")
    other = route.replace('id="0"', 'id="1" role="npc"')
    assert imported(tmp_path, f"<routes>{route}{route}{other}</routes>") == 1
    said = capsys.readouterr().out
    assert said.count("its id is there twice") == 2 and "role 'npc'" in said


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("</routes>", "", "no well-formed XML"),
        ('x="40.0"', 'x="far"', "lb.xml:4: <waypoint> has x='far'"),
        ('x="40.0"', "", "lb.xml:4: <waypoint> lacks x"),
        ('id="0"', "", "lb.xml:2: <route> lacks its id"),
        ("routes>", "scenarios>", "is not <routes>"),
        ("waypoint ", "point ", "lb.xml:2: route '0' has 0 places"),
    ],
)
def test_a_broken_route_file_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, named: str
) -> None:
    assert imported(tmp_path, FIRST.replace(old, new)) == 2
    said = capsys.readouterr().err
    assert named in said and said.count("\n") == 1


def test_a_missing_map_and_broken_events_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lb.xml").write_text(FIRST)
    assert main([str(tmp_path / "lb.xml"), "--map", "gone.xodr", "--out", str(tmp_path)]) == 2
    assert "gone.xodr: no such file" in capsys.readouterr().err
    for text, named in (
        ("{", "is no JSON"),
        ("{}", "lacks 'available_scenarios'"),
        (json.dumps(EVENTS).replace('"transform"', '"place"'), "lacks 'transform'"),
        (json.dumps(EVENTS).replace('"-40.0"', '"west"'), "no numbers for x, y and z"),
    ):
        (tmp_path / "events.json").write_text(text)
        with pytest.raises(RouteFileError, match=named):
            read_events(tmp_path / "events.json", "Town99")
    assert len(read_routes(tmp_path / "lb.xml")) == 1
