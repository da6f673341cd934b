"""Cooperative perception in a loop that is not ours, on any CARLA 0.9.16 server: attach_example.py PORT TICKS"""

import sys

import carla

import carla_cp

client = carla.Client("127.0.0.1", int(sys.argv[1]))
client.set_timeout(60.0)
world = client.get_world()
settings = world.get_settings()
settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
world.apply_settings(settings)
points = world.get_map().get_spawn_points()
points = sorted(points, key=lambda point: point.location.distance(points[0].location))
model = world.get_blueprint_library().find("vehicle.tesla.model3")
cars = [car for point in points[:8] if (car := world.try_spawn_actor(model, point))]
for car in cars:
    car.apply_control(carla.VehicleControl(throttle=0.4))  # or set_autopilot(), or whatever drives them
with carla_cp.attach(world, cars[0], [cars[1]], "revqom@2KB", "fixed latency_ms=20 loss=0.1") as team:
    for _ in range(int(sys.argv[2])):
        world.tick()
        record = team.tick(world.get_snapshot())
        if record.perceived:
            sizes, found = [item.payload_bytes for item in record.transmissions], record.perceived.detections.scores
            print(f"{record.time_us / 1e6:.2f} s: heard {sizes} bytes, {len(found)} boxes, {len(record.tracks)} tracks")
client.apply_batch_sync([carla.command.DestroyActor(car.id) for car in cars])
world.apply_settings(carla.WorldSettings(synchronous_mode=False))
