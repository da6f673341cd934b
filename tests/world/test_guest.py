"""LiDARs in somebody else's world: when they fire, whom they see, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from carla_cp.types import LidarSpec, ObjectClass, Pose
from carla_cp.world import Guest, LidarKinds, WorldError
from tests.world.somebody import Somebody, somebody

SMALL = LidarKinds(LidarSpec(Pose(z=1.9), 16, points_per_second=40_000), LidarSpec(Pose(z=5.0), 16))


@pytest.fixture
def program(server_address: tuple[str, int]) -> Iterator[Somebody]:
    with somebody(server_address) as each:
        yield each


def test_every_second_tick_brings_the_sweeps_of_all_once_their_rhythm_is_known(program: Somebody) -> None:
    before = program.actors
    guest = Guest(program.world, program.hero, [program.cav, program.mast, ("tower", program.mast)], SMALL, 0)
    assert guest.agents == ("hero", "cav", "rsu_2", "tower")
    captures = []
    for tick in range(14):
        assert guest.advance(program.tick()) == 50_000 * tick
        sweeps = list(guest.sweeps())
        if sweeps:
            captures.append(tick)
            assert [sweep.agent for sweep in sweeps] == list(guest.agents)
            assert {sweep.time_us for sweep in sweeps} == {50_000 * tick}
            assert all(len(sweep.points) > 100 for sweep in sweeps)
            assert [sweep.world_from_lidar.z for sweep in sweeps] == pytest.approx([1.9, 1.9, 5.0, 5.0], abs=0.05)
    assert 8 <= captures[0] <= 9 and set(np.diff(captures)) == {2}
    guest.close()
    assert program.actors == before


def test_the_truth_is_everybody_else_as_they_come_and_go(program: Somebody) -> None:
    guest = Guest(program.world, program.hero, [], SMALL, 0)
    guest.advance(program.tick())
    assert guest.odometry().pose.x == pytest.approx(-60.0, abs=0.1)
    first, second = guest.objects()
    assert (first.rolename, first.id) == ("vehicle.tesla.model3", program.between.id)
    assert second.rolename == "cav" and second.label is ObjectClass.VEHICLE
    assert second.box[:2] == pytest.approx((-36.0, 5.25), abs=0.1)
    program.between.destroy()
    late = program.spawn("cav", -20.0)
    guest.advance(program.tick())
    assert [item.rolename for item in guest.objects()] == ["cav", f"cav_{late.id}"]
    guest.close()
    late.destroy()


def test_a_snapshot_that_is_not_the_next_is_named(program: Somebody) -> None:
    guest = Guest(program.world, program.hero, [program.cav], SMALL, 0)
    snapshot = program.tick()
    guest.advance(snapshot)
    with pytest.raises(WorldError, match=f"frame {snapshot.frame} was given before; tick the world"):
        guest.advance(snapshot)
    program.tick()
    with pytest.raises(WorldError, match=f"frame {snapshot.frame + 2} does not follow {snapshot.frame}; give every"):
        guest.advance(program.tick())
    with pytest.raises(WorldError, match=r"takes a carla.WorldSnapshot, not int; give it world.get_snapshot\(\)"):
        guest.advance(program.world.tick())
    program.settle(True, 0.1)
    with pytest.raises(WorldError, match=r"a step of 0.1 s; keep fixed_delta_seconds at 0.05"):
        guest.advance(program.tick())
    guest.close()
    with pytest.raises(WorldError, match="removed; attach again"):
        guest.advance(program.tick())


def test_a_vehicle_that_is_gone_is_named_and_the_rest_is_cleared_away(program: Somebody) -> None:
    guest = Guest(program.world, program.hero, [program.cav], SMALL, 0)
    guest.advance(program.tick())
    program.cav.destroy()
    with pytest.raises(WorldError, match="vehicle 'cav' is gone: it was destroyed, or another map was loaded"):
        guest.advance(program.tick())
    guest.close()
    assert not [name for name in program.actors if name.startswith("sensor.")]


def test_another_map_is_noticed_and_nothing_in_it_is_touched(program: Somebody) -> None:
    guest = Guest(program.world, program.hero, [program.cav], SMALL, 0)
    guest.advance(program.tick())
    program.world = program.client.reload_world(False)
    ours = [program.spawn(f"new_{number}", -60.0 + 8 * number) for number in range(6)]  # under ids that were others'
    with pytest.raises(WorldError, match="vehicle 'hero' is gone: it was destroyed, or another map was loaded"):
        guest.advance(program.tick())
    guest.close()
    assert len([name for name in program.actors if name.startswith("vehicle.")]) == len(ours)
    for car in ours:
        car.destroy()


def test_a_world_or_an_agent_that_does_not_fit_is_named(program: Somebody) -> None:
    world, hero, mast = program.world, program.hero, program.mast
    with pytest.raises(WorldError, match=f"vehicle {hero.id} is given twice"):
        Guest(world, hero, [hero], SMALL, 0)
    with pytest.raises(WorldError, match="the ego must be a vehicle"):
        Guest(world, mast, [hero], SMALL, 0)
    with pytest.raises(WorldError, match="two agents are called 'a'"):
        Guest(world, hero, [("a", mast), ("a", mast)], SMALL, 0)
    with pytest.raises(WorldError, match=r"7 is no vehicle, carla.Transform or"):
        Guest(world, hero, [7], SMALL, 0)
    program.settle(True, 0.1)
    with pytest.raises(WorldError, match=r"is synchronous with fixed_delta_seconds 0.1.*; apply settings with"):
        Guest(world, hero, [], SMALL, 0)
    program.settle(False, 0.05)
    with pytest.raises(WorldError, match="is not synchronous"):
        Guest(world, hero, [], SMALL, 0)
    assert not [name for name in program.actors if name.startswith("sensor.")]
