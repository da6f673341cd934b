"""Scenes to and from JSON values: `scene` of an episode's trace; see `stored`."""

from __future__ import annotations

from carla_cp.metrics.fields import Fields, Json, StoredError
from carla_cp.metrics.scene import Body, Scene

SCENE_KEYS = "time_ms bodies hazard triggered_ms"
BODY_KEYS = "name kind sends length_cm width_cm x_cm y_cm yaw_ddeg turns"


def scene_to_json(scene: Scene) -> dict[str, Json]:
    """`scene`."""
    return {
        "time_ms": list(scene.time_ms),
        "bodies": [_body_to_json(body) for body in scene.bodies],
        "hazard": scene.hazard,
        "triggered_ms": scene.triggered_ms,
    }


def scene_from_json(value: object, where: str) -> Scene:
    """The scene of a JSON value; `where` names its place in errors. Raises StoredError."""
    item = Fields.of(value, where, SCENE_KEYS)
    scene = Scene(
        time_ms=item.integers("time_ms"),
        bodies=tuple(_body(entry, f"{where}: bodies") for entry in item.items("bodies")),
        hazard=None if item.values["hazard"] is None else item.text("hazard"),
        triggered_ms=item.integer_or_none("triggered_ms"),
    )
    lengths = {len(column) for body in scene.bodies for column in (body.x_cm, body.y_cm, body.yaw_ddeg)}
    if not scene.bodies or not lengths <= {1, len(scene.time_ms)}:
        raise StoredError(f"{where}: columns of {sorted(lengths)} for {len(scene.time_ms)} frames; run it again")
    return scene


def _body_to_json(body: Body) -> dict[str, Json]:
    return {
        "name": body.name,
        "kind": body.kind,
        "sends": body.sends,
        "length_cm": body.length_cm,
        "width_cm": body.width_cm,
        "x_cm": list(body.x_cm),
        "y_cm": list(body.y_cm),
        "yaw_ddeg": list(body.yaw_ddeg),
        "turns": list(body.turns),
    }


def _body(value: object, where: str) -> Body:
    item = Fields.of(value, where, BODY_KEYS)
    return Body(
        name=item.text("name"),
        kind=item.text("kind"),
        sends=item.flag("sends"),
        length_cm=item.integer("length_cm"),
        width_cm=item.integer("width_cm"),
        x_cm=item.integers("x_cm"),
        y_cm=item.integers("y_cm"),
        yaw_ddeg=item.integers("yaw_ddeg"),
        turns=item.integers("turns"),
    )
