"""Motion over ground: vehicles as kinematic bicycles, pedestrians as points that go where they want.

The longitudinal model a = gain * throttle^2.45 * exp(-v / 22) - drag and the effective wheel angle of 40 degrees at
full steering are fits to CARLA's cars. CARLA itself reports 70 degrees, which a bicycle model must not use. For its
other classes CARLA publishes no figures ("not really known", carla-simulator/carla#1500). Theirs are chosen within
what holds for real ones: brakes above the least that UN R13 (trucks, buses: 5.0 m/s^2) and UN R13-H (cars: 6.43) ask
for, turning circles within the 12.5 m radius of Directive 97/27/EC, top speeds at the limiters of Directive 92/6/EEC
(trucks 90 km/h, buses 100 km/h), a cyclist's brake short of going over the bars.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from carla_cp.server.wire import AckermannControl, VehicleControl, WalkerControl

MAX_WHEEL_ANGLE = math.radians(40.0)  # effective, at steer = 1
_POWER, _FADE_MPS, _DRAG, _BRAKE, _HAND_BRAKE = 2.45, 22.0, 0.5, 7.5, 6.0
_GRIP = 20.0  # [m/s^2] sideways, by which a turn is limited; CARLA's tyres (friction 3.5) hold its drivers' turns
_SLIDE = 8.0  # [m/s^2] by which a slide ends
_GRAVITY = 9.81
_WALK_TOP_MPS = 12.0


@dataclass(frozen=True, slots=True)
class Model:
    """What tells one class of vehicle from another."""

    gain: float  # [m/s^2] at full throttle and standstill
    brake: float  # factor on the full brake
    wheelbase: float  # [m]
    top: float = 50.0  # [m/s]

    @property
    def rear(self) -> float:
        """From the rear axle forward to the body's middle [m]."""
        return self.wheelbase / 2


_GAINS = {"car": 7.61, "van": 5.5, "truck": 3.5, "bus": 3.0, "motorcycle": 8.0, "bicycle": 3.0}
_BRAKES = {"car": 1.0, "van": 0.95, "truck": 0.8, "bus": 0.8, "motorcycle": 1.0, "bicycle": 0.7}
_TOPS_MPS = {"car": 50.0, "van": 45.0, "truck": 25.0, "bus": 27.8, "motorcycle": 50.0, "bicycle": 12.0}


def model_of(kind: str, length: float) -> Model:
    """The model of a kind of vehicle of this length."""
    return Model(_GAINS[kind], _BRAKES[kind], 0.6 * length, _TOPS_MPS[kind])


@dataclass(slots=True)
class Body:
    """A box on the road; what a driver does changes `speed`, what a crash does also `slide`."""

    x: float
    y: float
    z: float
    yaw: float  # [rad]
    length: float
    width: float
    height: float
    inverse_mass: float  # [1/kg], 0 for what nothing moves
    speed: float = 0.0  # along the heading, seen from above [m/s], negative backwards
    slide_x: float = 0.0  # [m/s] world frame
    slide_y: float = 0.0
    yaw_rate: float = 0.0  # [rad/s]
    vx: float = 0.0  # velocity of the middle [m/s]
    vy: float = 0.0
    vz: float = 0.0
    pitch: float = 0.0  # [rad] of the ground it stands on, nose up
    roll: float = 0.0  # [rad] right side down

    def set_velocity(self, vx: float, vy: float) -> None:
        """Moves on with this velocity; what is across the heading becomes a slide."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        self.speed = vx * cos + vy * sin
        self.slide_x, self.slide_y = vx - self.speed * cos, vy - self.speed * sin
        self.vx, self.vy = vx, vy

    def stop(self) -> None:
        """Rests where it is."""
        self.set_velocity(0.0, 0.0)
        self.yaw_rate = self.vz = 0.0

    @property
    def moving(self) -> bool:
        """Whether it changes its place."""
        return self.vx != 0.0 or self.vy != 0.0


def drive(body: Body, control: VehicleControl, model: Model, dt: float) -> None:
    """One step of a vehicle under its driver's inputs."""
    body.speed = next_speed(body.speed, control, model, dt, body.pitch)
    _slow_slide(body, dt)
    curvature = math.tan(control.steer * MAX_WHEEL_ANGLE) / model.wheelbase
    limit = _GRIP / max(body.speed * body.speed, 1e-6)
    rate = body.speed * min(max(curvature, -limit), limit)
    move(body, rate, model.rear, dt)


def next_speed(speed: float, control: VehicleControl, model: Model, dt: float, pitch: float = 0.0) -> float:
    """The speed after one step on ground of this pitch [rad]; drag and brakes bring it to zero and not beyond."""
    pull = model.gain * control.throttle**_POWER * math.exp(-abs(speed) / _FADE_MPS)
    speed += ((-pull if control.reverse else pull) - _GRAVITY * math.sin(pitch) * math.cos(pitch)) * dt
    resist = _DRAG + _BRAKE * model.brake * control.brake + (_HAND_BRAKE if control.hand_brake else 0.0)
    slower = max(abs(speed) - resist * dt, 0.0)
    return math.copysign(min(slower, model.top), speed) if slower else 0.0


def move(body: Body, yaw_rate: float, rear: float, dt: float) -> None:
    """Turns about a point `rear` metres behind the middle, which itself moves along the heading; and slides."""
    if body.speed == 0.0 and body.slide_x == 0.0 and body.slide_y == 0.0:
        body.yaw_rate = body.vx = body.vy = body.vz = 0.0
        return
    before = body.yaw
    middle, after = before + yaw_rate * dt / 2, before + yaw_rate * dt
    body.x += body.speed * math.cos(middle) * dt + rear * (math.cos(after) - math.cos(before)) + body.slide_x * dt
    body.y += body.speed * math.sin(middle) * dt + rear * (math.sin(after) - math.sin(before)) + body.slide_y * dt
    body.yaw = (after + math.pi) % (2.0 * math.pi) - math.pi
    cos, sin = math.cos(body.yaw), math.sin(body.yaw)
    body.yaw_rate = yaw_rate
    body.vx = body.speed * cos - yaw_rate * rear * sin + body.slide_x
    body.vy = body.speed * sin + yaw_rate * rear * cos + body.slide_y


def _slow_slide(body: Body, dt: float) -> None:
    amount = math.hypot(body.slide_x, body.slide_y)
    if amount > 0.0:
        keep = max(amount - _SLIDE * dt, 0.0) / amount
        body.slide_x, body.slide_y = body.slide_x * keep, body.slide_y * keep


def walk(body: Body, control: WalkerControl, dt: float) -> None:
    """One step of a pedestrian, who turns to where it goes at once."""
    dx, dy, _ = control.direction
    amount = math.hypot(dx, dy)
    speed = min(max(control.speed, 0.0), _WALK_TOP_MPS) if amount > 1e-6 else 0.0
    if speed > 0.0:
        body.yaw = math.atan2(dy, dx)
    _slow_slide(body, dt)
    body.speed = speed
    move(body, 0.0, 0.0, dt)


def controlled(wish: AckermannControl, speed: float, model: Model, dt: float) -> VehicleControl:
    """The inputs that bring a vehicle towards the speed and wheel angle that are wished for."""
    wanted = min(max((wish.speed - speed) / max(dt, 0.1), -6.0), 4.0)
    backwards = wish.speed < 0.0
    drive_mps2 = (-wanted if backwards else wanted) + _DRAG
    steer = min(max(wish.steer / MAX_WHEEL_ANGLE, -1.0), 1.0)
    if drive_mps2 < 0.0 or abs(wish.speed) < 1e-3:
        brake = min(1.0, max(-drive_mps2 / (_BRAKE * model.brake), 0.3 if abs(wish.speed) < 1e-3 else 0.0))
        return VehicleControl(0.0, steer, brake, reverse=backwards)
    full = model.gain * math.exp(-abs(speed) / _FADE_MPS)
    throttle = (drive_mps2 / full) ** (1.0 / _POWER) if drive_mps2 < full else 1.0
    return VehicleControl(throttle, steer, reverse=backwards)
