"""Drives a car 50 m and prints how many points its LiDAR saw: python tests/server/drive_50m.py PORT"""

import sys

import carla

client = carla.Client("127.0.0.1", int(sys.argv[1]))
client.set_timeout(120.0)
world = client.get_world()
settings = world.get_settings()
settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
world.apply_settings(settings)
library, start = world.get_blueprint_library(), world.get_map().get_spawn_points()[0]
car = world.spawn_actor(library.find("vehicle.tesla.model3"), start)
roof = carla.Transform(carla.Location(z=1.8))
lidar = world.spawn_actor(library.find("sensor.lidar.ray_cast"), roof, attach_to=car)
lidar.listen(lambda sweep: print("frame", sweep.frame, "points", len(sweep), flush=True))
car.apply_control(carla.VehicleControl(throttle=0.7))
world.tick()
while car.get_location().distance(start.location) < 50.0:
    world.tick()
lidar.stop()
print("driven", round(car.get_location().distance(start.location), 1), "m")
world.apply_settings(carla.WorldSettings(synchronous_mode=False))
