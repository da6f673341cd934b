import pytest

from carla_cp.driving.idm import IdmConfig, following_acceleration, free_acceleration

IDM = IdmConfig()


def test_an_empty_road_is_driven_at_the_desired_speed() -> None:
    assert free_acceleration(0.0, 12.0, IDM) == pytest.approx(1.5)
    assert free_acceleration(12.0, 12.0, IDM) == pytest.approx(0.0)
    assert free_acceleration(40.0, 12.0, IDM) == -3.0


def test_a_driver_comes_to_rest_behind_an_obstacle() -> None:
    speed, x = 12.0, 0.0
    for _ in range(1200):
        wanted = following_acceleration(speed, 12.0, 80.0 - x, 0.0, IDM)
        speed = max(0.0, speed + max(wanted, -8.0) * 0.05)
        x += speed * 0.05
    assert 80.0 - x == pytest.approx(2.0, abs=0.3)
    assert speed < 0.1


def test_equal_speeds_settle_at_the_headway() -> None:
    gap, speed = 60.0, 12.0
    for _ in range(4000):
        speed = max(0.0, speed + following_acceleration(speed, 20.0, gap, 10.0, IDM) * 0.05)
        gap += (10.0 - speed) * 0.05
    assert speed == pytest.approx(10.0, abs=0.05)
    assert gap == pytest.approx((2.0 + 1.5 * 10.0) / (1 - 0.5**4) ** 0.5, rel=0.02)


def test_parameters_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        IdmConfig(headway_s=0.0)
