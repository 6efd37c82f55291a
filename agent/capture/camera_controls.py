"""The settings of a camera as libcamera's controls, sizes and rectangles: pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.capture.plane_size import TARGET_AREA
from agent.errors import ConfigError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.config_camera import Camera

    Controls = dict[str, Any]
    """By libcamera's names; values are numbers or tuples of them."""

Rectangle = tuple[int, int, int, int]
"""x, y, width, height in pixels of the sensor."""

# Numbers of libcamera's enumerations (control_ids_core.yaml, control_ids_draft.yaml): part of its ABI.
EXPOSURE = {"normal": 0, "short": 1, "long": 2}
WHITE_BALANCE = {"auto": 0, "tungsten": 2, "fluorescent": 3, "indoor": 4, "daylight": 5, "cloudy": 6}
NOISE_REDUCTION = {"off": 0, "fast": 1, "high": 2, "minimal": 3}
FLICKER_OFF, FLICKER_MANUAL = 0, 1
FOCUS_MANUAL = 0

FARTHEST = 3.0
"""How many times smaller or larger than the motion stage's own size the small picture may be."""


def lores_size(camera: Camera) -> tuple[int, int]:
    """Width and height of the small stream: a whole fraction of the picture, both even, near TARGET_AREA.

    Raises:
        ConfigError: the picture has no such fraction.
    """
    sizes = (
        (camera.width // ratio, camera.height // ratio)
        for ratio in range(1, camera.width)
        if not (camera.width % (2 * ratio) or camera.height % (2 * ratio))
    )
    near = [size for size in sizes if 1 / FARTHEST <= size[0] * size[1] / TARGET_AREA <= FARTHEST]
    if not near:
        raise ConfigError(
            say(
                "camera.width = {width}, camera.height = {height}: no whole fraction is near "
                "320x180, the size that motion is looked for in",
                width=camera.width,
                height=camera.height,
            ),
            fix=say("set 1280x720, 1920x1080, 1536x864, 1640x1232 or 640x480"),
        )
    return min(near, key=lambda size: abs(size[0] * size[1] - TARGET_AREA))


def crop_rectangle(camera: Camera, field: Rectangle) -> Rectangle:
    """The part of the sensor's `field` that is filmed: as configured, narrowed to the picture's shape."""
    left, top, width, height = field
    x, y, w, h = (part * side for part, side in zip(camera.crop, (width, height) * 2, strict=True))
    shape = camera.width / camera.height
    fit_w, fit_h = min(w, h * shape), min(h, w / shape)
    x, y = x + (w - fit_w) / 2, y + (h - fit_h) / 2
    # Even, as the colour filter's pattern is.
    return (left + 2 * round(x / 2), top + 2 * round(y / 2), 2 * int(fit_w / 2), 2 * int(fit_h / 2))


def flips(camera: Camera) -> tuple[bool, bool]:
    """Whether to flip horizontally and vertically."""
    turned = camera.rotation == 180  # noqa: PLR2004 - degrees
    return turned != camera.mirror, turned


def wanted_controls(camera: Camera) -> Controls:
    """Every control that the settings ask for."""
    controls: Controls = {
        # Equal limits fix the rate; exposure may use the whole of a longer picture.
        "FrameDurationLimits": (round(1e6 / camera.fps), round(1e6 / camera.dark_fps)),
        "AeExposureMode": EXPOSURE[camera.exposure],
        "ExposureValue": camera.brightness_ev,
        "AwbMode": WHITE_BALANCE[camera.white_balance],
        "NoiseReductionMode": NOISE_REDUCTION[camera.noise_reduction],
        "AeFlickerMode": FLICKER_MANUAL if camera.mains_hz else FLICKER_OFF,
    }
    if camera.mains_hz:
        controls["AeFlickerPeriod"] = round(1e6 / (2 * camera.mains_hz))
    if camera.exposure_us is not None:
        controls["ExposureTime"] = camera.exposure_us
    if camera.gain is not None:
        controls["AnalogueGain"] = camera.gain
    if camera.colour_gains is not None:
        controls["ColourGains"] = camera.colour_gains  # switches automatic white balance off
    if camera.focus_m is not None:
        controls |= {"AfMode": FOCUS_MANUAL, "LensPosition": 1 / camera.focus_m}  # dioptres
    return controls


def offered(controls: Controls, advertised: Iterable[str]) -> tuple[Controls, list[str]]:
    """Those that this camera has, and the names of the others: Picamera2 refuses an unknown one."""
    known = set(advertised)
    return {k: v for k, v in controls.items() if k in known}, sorted(set(controls) - known)
