"""The CARLA client. The only `import carla` outside the embedded server.

Everything here is the wheel's documented API, so the same code drives a real CARLA 0.9.16 server and ours.
Values go in and out as `types.py` states them: radians, and a body's origin on the ground under its middle.
"""

from carla_cp.world.embedded import embedded_server
from carla_cp.world.errors import WorldError
from carla_cp.world.guest import Guest, LidarKinds
from carla_cp.world.lidar import STEP_US
from carla_cp.world.placing import check_apart, check_on_map
from carla_cp.world.roads import Roads
from carla_cp.world.session import World

__all__ = [
    "STEP_US",
    "Guest",
    "LidarKinds",
    "Roads",
    "World",
    "WorldError",
    "check_apart",
    "check_on_map",
    "embedded_server",
]
