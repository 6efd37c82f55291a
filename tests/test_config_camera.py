"""Settings of the camera on the ribbon cable."""

from __future__ import annotations

import pytest

from agent.config import Settings, load
from agent.config_camera import Camera
from agent.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 1281}, "camera.width = 1281: must be even"),
        ({"fps": 10, "dark_fps": 15}, "dark_fps must not be above fps"),
        ({"crop": [0.5, 0, 0.6, 1]}, "crop must lie within 0..1"),
        ({"crop": [0, 0, 1, 0.05]}, "at least 0.1 wide and high"),
        ({"exposure_us": 200_000}, "exposure_us does not fit into a picture at dark_fps"),
        ({"rotation": 90}, "camera.rotation = 90"),
        ({"colour_gains": [0, 1]}, "camera.colour_gains"),
    ],
)
def test_what_is_refused(values: dict[str, object], message: str) -> None:
    """By key, with the reason."""
    with pytest.raises(ConfigError) as caught:
        load(overrides={"camera": values})
    assert message in str(caught.value)


def test_the_defaults_fit_each_other() -> None:
    """Exposure has room for twice the usual time in the dark, and the flicker of the mains is avoided."""
    camera = Settings().camera
    assert Camera() == camera
    assert camera.fps == 2 * camera.dark_fps
    assert 50 == camera.mains_hz


def test_a_still_long_exposure_fits_a_slow_picture() -> None:
    """The limit is the slowest rate, not the usual one."""
    assert 150_000 == Camera(dark_fps=5, exposure_us=150_000).exposure_us
