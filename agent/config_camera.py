"""Settings of a camera on the kit's own ribbon cable (`capture.source = "picamera:"`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from agent.config_fields import Fraction01, Section
from agent.config_words import UnfitError
from agent.words import say

SMALLEST_CROP = 0.1
"""Of the sensor's width or height: less is enlarged until nothing can be made out."""


def _even(pixels: int) -> int:
    if pixels % 2:
        raise UnfitError(say("must be even: colour has half the resolution"))
    return pixels


Side = Annotated[int, Field(ge=64, le=4096), AfterValidator(_even)]


class Camera(Section):
    """A Raspberry Pi camera. Other sources do not read this section."""

    width: Side = Field(default=1280, description="recorded picture, pixels")
    height: Side = Field(default=720, description="recorded picture, pixels")
    fps: float = Field(default=15.0, ge=1, le=60, description="pictures per second while there is light")
    dark_fps: float = Field(
        default=7.5, ge=1, le=60, description="pictures per second, at least, for longer exposure in the dark"
    )
    encoder: Literal["auto", "hardware", "software"] = Field(
        default="auto", description="auto takes the hardware H.264 encoder where the board has one"
    )
    sensor_size: tuple[Side, Side] | None = Field(
        default=None, description="sensor mode to read out; default: the one nearest to width and height"
    )
    crop: tuple[Fraction01, Fraction01, Fraction01, Fraction01] = Field(
        default=(0.0, 0.0, 1.0, 1.0),
        description="[x, y, width, height] of the sensor's field that is filmed, as fractions",
    )
    rotation: Literal[0, 180] = Field(default=0, description="180 for a camera that hangs upside down")
    mirror: bool = Field(
        default=False, description="swap left and right, for a camera that looks at a mirror"
    )
    exposure: Literal["normal", "short", "long"] = Field(
        default="normal", description="what automatic exposure prefers; short smears less, long shows more"
    )
    exposure_us: int | None = Field(default=None, ge=10, le=1_000_000, description="fixed exposure time")
    gain: float | None = Field(default=None, ge=1, le=64, description="fixed analogue gain")
    brightness_ev: float = Field(
        default=0.0, ge=-8, le=8, description="exposure compensation, in stops; above 0 is brighter"
    )
    mains_hz: Literal[0, 50, 60] = Field(
        default=50, description="mains frequency whose flicker exposure avoids; 0: none"
    )
    white_balance: Literal["auto", "tungsten", "fluorescent", "indoor", "daylight", "cloudy"] = Field(
        default="auto", description="which light is white"
    )
    colour_gains: tuple[Annotated[float, Field(gt=0, le=32)], Annotated[float, Field(gt=0, le=32)]] | None = (
        Field(default=None, description="fixed gains of red and blue, instead of white_balance")
    )
    noise_reduction: Literal["off", "minimal", "fast", "high"] = Field(
        default="fast", description="by the image processor"
    )
    focus_m: float | None = Field(
        default=None, gt=0.05, le=100, description="fixed focus at this distance, for a lens with a motor"
    )
    tuning_file: Path | None = Field(
        default=None, description="tuning of the image processor (.json); default: libcamera's own"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.dark_fps > self.fps:
            raise UnfitError(say("dark_fps must not be above fps"))
        x, y, width, height = self.crop
        if min(width, height) < SMALLEST_CROP or x + width > 1 or y + height > 1:
            raise UnfitError(
                say(
                    "crop must lie within 0..1 and be at least {least} wide and high",
                    least=SMALLEST_CROP,
                )
            )
        if self.exposure_us is not None and self.exposure_us > 1e6 / self.dark_fps:
            raise UnfitError(say("exposure_us does not fit into a picture at dark_fps"))
        return self
