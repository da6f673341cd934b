"""carla_cp: closed-loop collaborative perception, with bytes that are really sent."""

__version__ = "0.1.0"
