"""A session with a CARLA server: connect, load, spawn, tick, read, act.

Everything here is the wheel's documented API, so the same code drives a real CARLA 0.9.16 server and ours.
Values go in and out as `types.py` states them: radians, and a body's origin on the ground under its middle.
"""

from __future__ import annotations

import contextlib
import difflib
import math
import queue
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import carla

from carla_cp.types import (
    ActorSpec,
    AgentName,
    Collision,
    Command,
    Control,
    FloatArray,
    LightState,
    Scenario,
    SignalSpec,
    Sweep,
    TruthObject,
    VehicleState,
)
from carla_cp.world.bodies import Body, body_of, buildings_of, object_of, state_of
from carla_cp.world.convert import carla_transform
from carla_cp.world.errors import WorldError
from carla_cp.world.lidar import STEP_US, Lidars
from carla_cp.world.shapes import Shape, read_shapes

CONNECT_TIMEOUT_S = 10.0


class World:
    """A synchronous session with a CARLA server: one map and one scenario's actors at a time."""

    def __init__(self, host: str, port: int, timeout_s: float = 60.0) -> None:
        """Connects; raises WorldError when nothing that speaks CARLA's protocol answers at host:port."""
        self._address, self._timeout_s = f"--host {host} --port {port}", timeout_s
        try:
            self._client = carla.Client(host, port)
        except RuntimeError as error:
            raise WorldError(f"{self._address}: {error}; give a host that this machine knows") from error
        self._greet()
        self._world: carla.World | None = None
        self._map: carla.Map | None = None
        self._library: carla.BlueprintLibrary | None = None
        self._bodies: dict[str, Body] = {}
        self._lidars = Lidars()
        self._sensors: list[carla.Sensor] = []  # the others: kept alive, stopped at the end
        self._hits: deque[tuple[int, str, int]] = deque()  # frame, name and id of the other
        self._lights: dict[str, carla.TrafficLight] = {}
        self._snapshot: carla.WorldSnapshot | None = None
        self._start_frame = 0
        self._ego = ""

    # ------------------------------------------------------------------------------------------------ set-up

    def _greet(self) -> None:
        """Raises WorldError, sooner than any other call would give up, when the server does not answer."""
        self._client.set_timeout(CONNECT_TIMEOUT_S)
        try:
            self._client.get_server_version()
        except RuntimeError as error:
            raise WorldError(
                f"{self._address}: no CARLA server answers there; start one, "
                "or leave out --host to use the embedded server"
            ) from error
        self._client.set_timeout(self._timeout_s)

    def load(self, map_file: Path) -> None:
        """Replaces the world by the OpenDRIVE file's, empty and in synchronous mode."""
        self._greet()
        self._clear()
        text = map_file.read_text(encoding="utf-8")
        parameters = carla.OpendriveGenerationParameters(
            vertex_distance=2.0,
            max_road_length=50.0,
            wall_height=0.0,
            additional_width=0.6,
            smooth_junctions=True,
            enable_mesh_visibility=True,
        )
        try:
            world = self._client.generate_opendrive_world(text, parameters)
        except RuntimeError as error:
            raise WorldError(f"{map_file}: the server cannot build this map ({error})") from error
        settings = world.get_settings()
        settings.synchronous_mode = True
        settings.fixed_delta_seconds = STEP_US / 1e6
        world.apply_settings(settings)
        self._world, self._map = world, world.get_map()
        self._library = None
        self._lights = {
            light.get_opendrive_id(): light for light in world.get_actors().filter("traffic.traffic_light*")
        }

    def check_blueprints(self, scenario: Scenario) -> None:
        """Raises WorldError, with near matches, for an actor whose blueprint this server does not have."""
        names = [blueprint.id for blueprint in self._client.get_world().get_blueprint_library()]
        for spec in (scenario.ego, *scenario.actors):
            if spec.blueprint not in names:
                near = ", ".join(difflib.get_close_matches(spec.blueprint, names, 3)) or "see the server's library"
                raise WorldError(
                    f"{scenario.source}: actor '{spec.rolename}': "
                    f"unknown blueprint '{spec.blueprint}'; did you mean: {near}"
                )

    def shapes(self, scenarios: Sequence[Scenario]) -> dict[str, Shape]:
        """The shapes of all bodies in these scenarios, by blueprint."""
        names = [spec.blueprint for item in scenarios for spec in (item.ego, *item.actors)]
        return read_shapes(self._client.get_world(), dict.fromkeys(names))

    def spawn(self, scenario: Scenario, seed: int, sensor_period_us: int = 2 * STEP_US) -> None:
        """Puts the scenario's actors, sensors and light states into the loaded world.

        Afterwards the next tick is number 0 and a capture tick. Moving actors have their initial speed, those that wait
        none.
        """
        self._bodies, self._sensors, self._hits = {}, [], deque()
        self._ego = scenario.ego.rolename
        self._lidars = Lidars(sensor_period_us // STEP_US)
        for spec in (scenario.ego, *scenario.actors):
            self._bodies[spec.rolename] = self._spawn_body(spec)
        for vehicle in scenario.connected:
            parent, name = self._bodies[vehicle.rolename].actor, AgentName(vehicle.rolename)
            self._lidars.hang(self._loaded, self._lidar_blueprint(name), name, vehicle.lidar, seed, parent)
        for rsu in scenario.rsus:
            name = AgentName(rsu.id)
            self._lidars.hang(self._loaded, self._lidar_blueprint(name), name, rsu.lidar, seed, foot=rsu.foot)
        self._spawn_collision_sensor()
        self._hold_lights(scenario.signals)
        self._align_sensors()
        for spec in (scenario.ego, *scenario.actors):
            moving = spec is scenario.ego or (spec.path and spec.departs_s <= 0.0)
            if moving and spec.blueprint.startswith("vehicle."):
                self._set_speed(spec)

    def _blueprint(self, name: str, rolename: str) -> carla.ActorBlueprint:
        if self._library is None:
            self._library = self._loaded.get_blueprint_library()  # all of it: asked once, not for every actor
        blueprint = self._library.find(name)
        if blueprint.has_attribute("role_name"):
            blueprint.set_attribute("role_name", rolename)
        return blueprint

    def _spawn_body(self, spec: ActorSpec) -> Body:
        blueprint = self._blueprint(spec.blueprint, spec.rolename)
        try:
            actor = self._loaded.spawn_actor(blueprint, carla_transform(spec.start))
        except RuntimeError as error:
            where = f"x={spec.start.x:.1f} y={spec.start.y:.1f}"
            raise WorldError(f"actor '{spec.rolename}' cannot be spawned at {where}: {error}") from error
        return body_of(actor, spec.rolename)

    def _lidar_blueprint(self, agent: AgentName) -> carla.ActorBlueprint:
        return self._blueprint("sensor.lidar.ray_cast", agent)

    def _spawn_collision_sensor(self) -> None:
        blueprint = self._blueprint("sensor.other.collision", self._ego)
        sensor = self._loaded.spawn_actor(blueprint, carla.Transform(), attach_to=self._bodies[self._ego].actor)
        sensor.listen(self._collided)
        self._sensors.append(sensor)

    def _collided(self, event: carla.CollisionEvent) -> None:
        other = event.other_actor
        self._hits.append((event.frame, other.attributes.get("role_name") or other.type_id, other.id))

    def _hold_lights(self, signals: Sequence[SignalSpec]) -> None:
        for signal in signals:
            if signal.signal_id not in self._lights:
                known = ", ".join(sorted(self._lights)) or "none"
                raise WorldError(f"signal '{signal.signal_id}' is not on this map; its traffic lights are: {known}")
            self._lights[signal.signal_id].set_state(carla.TrafficLightState.values[int(signal.state)])
        if signals:
            self._loaded.freeze_all_traffic_lights(True)

    def _align_sensors(self) -> None:
        """Ticks, with everything at rest, until all LiDARs have just fired and the next capture is due."""
        self._client.apply_batch_sync(
            [carla.command.ApplyVehicleControl(b.actor.id, carla.VehicleControl(brake=1.0)) for b in self._vehicles()],
            False,
        )
        for _ in range(self._lidars.warm_up_frames):
            frame = self._loaded.tick()
        phase = self._lidars.phase()
        while (frame + 1) % self._lidars.period != phase:
            frame = self._loaded.tick()
        self._start_frame = frame + 1
        self._hits.clear()

    def _vehicles(self) -> list[Body]:
        return [body for body in self._bodies.values() if body.actor.type_id.startswith("vehicle.")]

    def _set_speed(self, spec: ActorSpec) -> None:
        actor, speed, yaw = self._bodies[spec.rolename].actor, spec.speed_mps, spec.start.yaw
        actor.apply_control(carla.VehicleControl())
        actor.set_target_velocity(carla.Vector3D(speed * math.cos(yaw), speed * math.sin(yaw), 0.0))

    @property
    def _loaded(self) -> carla.World:
        if self._world is None:
            raise WorldError("no map is loaded; call load() first")
        return self._world

    # --------------------------------------------------------------------------------------------------- time

    def tick(self) -> int:
        """Advances the world by one step; returns the simulated time in microseconds, 0 at the first call."""
        frame = self._loaded.tick()
        self._snapshot = self._loaded.get_snapshot()
        return int(frame - self._start_frame) * STEP_US

    def apply(self, control: Control | None, commands: Sequence[Command]) -> None:
        """Hands the ego's control and the scripted actors' commands over; they act in the next tick."""
        batch = [self._command(command) for command in commands]
        if control is not None:
            batch.append(self._command(Command(self._ego, control)))
        self._client.apply_batch(batch)

    def _command(self, command: Command) -> carla.command.ApplyVehicleControl | carla.command.ApplyWalkerControl:
        actor = self._bodies[command.rolename].actor
        if command.walk is not None:
            x, y, speed = command.walk
            return carla.command.ApplyWalkerControl(actor.id, carla.WalkerControl(carla.Vector3D(x, y, 0.0), speed))
        control = command.control or Control()
        return carla.command.ApplyVehicleControl(
            actor.id, carla.VehicleControl(throttle=control.throttle, brake=control.brake, steer=control.steer)
        )

    # ----------------------------------------------------------------------------------------------- readings

    def sweeps(self) -> Iterator[Sweep]:
        """Every agent's sweep that was captured at the newest tick, as they arrive; none between captures.

        The ego's comes first; while one is looked at, the server casts the next.
        """
        steps = self._now.frame - self._start_frame
        if steps % self._lidars.period:
            return iter(())
        return self._lidars.sweeps(self._now.frame, steps * STEP_US)

    @property
    def _now(self) -> carla.WorldSnapshot:
        if self._snapshot is None:
            raise WorldError("the world has not ticked yet")
        return self._snapshot

    def odometry(self) -> VehicleState:
        """The ego's own motion."""
        return state_of(self._bodies[self._ego], self._now)

    def objects(self) -> tuple[TruthObject, ...]:
        """Every spawned actor but the ego, as the simulator knows it; `returns` is 0."""
        return tuple(object_of(body, self._now) for name, body in self._bodies.items() if name != self._ego)

    def ego_object(self) -> TruthObject:
        """The ego as the others would list it."""
        return object_of(self._bodies[self._ego], self._now)

    def buildings(self) -> FloatArray:
        """Boxes (N, 7) of the map's buildings; roof edges and what is not upright are as a box around them."""
        return buildings_of(self._loaded)

    def collisions(self, touching: bool, speed_before_mps: float) -> tuple[Collision, ...]:
        """The ego's collisions up to the newest tick that were not returned before, with the given speed.

        Events come on a connection of their own: where something may be `touching`, waits a little for them.
        """
        if touching:
            self._settle_events()
        frame, result = self._now.frame, []
        while self._hits and self._hits[0][0] <= frame:
            _, name, other_id = self._hits.popleft()
            result.append(Collision(name, other_id, speed_before_mps))
        return tuple(result)

    def _settle_events(self) -> None:
        waiter = queue.SimpleQueue[None]()
        for _ in range(100):  # a starved client may need a while to hear of it; an early hit ends the wait
            if self._hits:
                return
            try:
                waiter.get(timeout=0.0025)
            except queue.Empty:
                continue

    def signals(self) -> tuple[SignalSpec, ...]:
        """The present state of every traffic light."""
        return tuple(SignalSpec(name, LightState(int(light.state))) for name, light in sorted(self._lights.items()))

    @property
    def map(self) -> carla.Map:
        """The loaded map, for `roads`."""
        if self._map is None:
            raise WorldError("no map is loaded; call load() first")
        return self._map

    def close(self) -> None:
        """Leaves the server usable for others: sensors stopped, our actors destroyed, asynchronous mode.

        A server that is gone needs nothing of that: its failure was told by whatever met it first.
        """
        world, self._world = self._world, None
        if world is None:
            return
        with contextlib.suppress(WorldError, RuntimeError):
            self._greet()
            self._clear()
            settings = world.get_settings()
            settings.synchronous_mode, settings.fixed_delta_seconds = False, None
            world.apply_settings(settings)

    def _clear(self) -> None:
        """Stops our sensors and destroys our actors; the client crashes now and then when a world ends under them."""
        sensors = [*self._lidars.actors, *self._sensors]
        for sensor in sensors:
            sensor.stop()
        actors = [*sensors, *(body.actor for body in self._bodies.values())]
        if actors:
            self._client.apply_batch_sync([carla.command.DestroyActor(actor.id) for actor in actors], False)
        self._bodies, self._lidars, self._sensors, self._lights = {}, Lidars(), [], {}
