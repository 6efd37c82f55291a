"""A camera's settings as libcamera's controls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.capture.camera_controls import crop_rectangle, flips, lores_size, offered, wanted_controls
from agent.config_camera import Camera
from agent.errors import ConfigError

FIELD = (0, 0, 4608, 2592)


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((1280, 720), (320, 180)),
        ((1920, 1080), (320, 180)),
        ((1536, 864), (256, 144)),
        ((640, 480), (320, 240)),
        ((1640, 1232), (410, 308)),
        ((320, 240), (320, 240)),
    ],
)
def test_the_small_stream(size: tuple[int, int], small: tuple[int, int]) -> None:
    """A whole fraction with even sides, nearest to what motion statistics are tuned to."""
    assert small == lores_size(Camera(width=size[0], height=size[1]))


def test_a_picture_that_has_no_small_one() -> None:
    """It is refused by key and value, with sizes that work."""
    with pytest.raises(ConfigError, match=r"camera\.width = 1366, camera\.height = 768.* Fix: set 1280x720"):
        lores_size(Camera(width=1366, height=768))


def test_the_whole_field_keeps_the_shape() -> None:
    """A sensor of 4:3 gives a picture of 16:9 its middle."""
    assert (0, 310, 3280, 1844) == crop_rectangle(Camera(), (0, 0, 3280, 2464))


@given(
    st.tuples(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.1, 0.5), st.floats(0.1, 0.5)),
    st.sampled_from([(1280, 720), (640, 480), (720, 1280)]),
)
def test_a_crop_is_never_stretched(crop: tuple[float, ...], size: tuple[int, int]) -> None:
    """It lies within what was asked for, has the picture's shape, and begins and ends at even pixels."""
    x, y, w, h = crop_rectangle(Camera(crop=crop, width=size[0], height=size[1]), FIELD)
    left, top, width, height = (part * side for part, side in zip(crop, FIELD[2:] * 2, strict=True))
    assert left - 2 <= x
    assert x + w <= left + width + 2
    assert top - 2 <= y
    assert y + h <= top + height + 2
    assert size[0] / size[1] == pytest.approx(w / h, rel=0.04)
    assert [0] * 4 == [value % 2 for value in (x, y, w, h)]


@pytest.mark.parametrize(
    ("rotation", "mirror", "expected"),
    [
        (0, False, (False, False)),
        (0, True, (True, False)),
        (180, False, (True, True)),
        (180, True, (False, True)),
    ],
)
def test_flips(rotation: int, mirror: bool, expected: tuple[bool, bool]) -> None:
    """Half a turn is both flips; a mirror takes the horizontal one back."""
    assert expected == flips(Camera(rotation=rotation, mirror=mirror))


def test_exposure_has_room_in_the_dark() -> None:
    """The limits are microseconds of one picture, shortest first."""
    assert (66_667, 133_333) == wanted_controls(Camera())["FrameDurationLimits"]
    assert (33_333, 33_333) == wanted_controls(Camera(fps=30, dark_fps=30))["FrameDurationLimits"]


def test_what_is_not_set_is_left_to_libcamera() -> None:
    """Fixed values are sent only when there are any."""
    fixed = {"ExposureTime", "AnalogueGain", "ColourGains", "LensPosition", "AfMode"}
    assert set() == fixed & set(wanted_controls(Camera()))
    everything = Camera(exposure_us=9000, gain=2, colour_gains=(1, 2), focus_m=2)
    assert fixed <= set(wanted_controls(everything))
    assert 0.5 == wanted_controls(everything)["LensPosition"]


def test_no_flicker_to_avoid() -> None:
    """Outdoors exposure may be shorter than a wave of the mains."""
    controls = wanted_controls(Camera(mains_hz=0))
    assert 0 == controls["AeFlickerMode"]
    assert "AeFlickerPeriod" not in controls


def test_only_what_the_camera_has_is_sent() -> None:
    """The rest is named."""
    assert ({"AwbMode": 0}, ["AfMode", "HdrMode"]) == offered(
        {"AwbMode": 0, "HdrMode": 1, "AfMode": 0}, {"AwbMode": ()}
    )
