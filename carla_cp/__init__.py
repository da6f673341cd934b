"""carla_cp: closed-loop collaborative perception, with bytes that are really sent."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carla_cp.attached import attach as attach

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`attach`, imported when it is first asked for: it needs torch and the CARLA client, which most of us do not."""
    if name == "attach":
        from carla_cp.attached import attach

        return attach
    raise AttributeError(f"module 'carla_cp' has no attribute {name!r}")
