"""A drawn stairwell: a figure walks through textured noise, a lamp goes on and off. Needs no camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import pi, sin
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import cv2
import numpy as np

from agent.capture.pacer import Pacer
from agent.capture.pipeline import Pipeline
from agent.errors import ConfigError
from agent.picture import Picture
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from agent.capture.pacer import Pace
    from agent.config import Capture, Mask
    from agent.device.clock import Clock
    from agent.types import Luma, SourceItem

    Grain = NDArray[np.int16]

# One round of the play, in seconds: an empty stairwell, a visit, emptiness, the lamp, emptiness.
ROUND_S = 20.0
VISIT_S = (4.0, 12.0)
LAMP_OFF_S = (15.0, 18.0)
LAMP_LOSS = 0.45  # share of the light that stays: a window, the lamp of the next floor
NOISE_LEVELS = 2.0  # standard deviation, as of a small sensor indoors
NOISE_TILES = 8  # drawn once and shifted: drawing noise for every frame costs more than encoding it


@dataclass(frozen=True, slots=True)
class Play:
    """What is drawn; each field is an option of `synthetic:?…`."""

    seconds: float = 60.0
    width: int = 640
    height: int = 480
    fps: float = 10.0
    seed: int = 1


def parse(source: str) -> Play:
    """The options in `synthetic:?seconds=20&width=640&height=480&fps=10&seed=1`, each with a default.

    Raises:
        ConfigError: an option is unknown, no number, or out of range.
    """
    values: dict[str, float] = {}
    for name, text in parse_qsl(urlsplit(source).query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise ConfigError(
                say("capture.source = {source!r}: unknown option {name!r}", source=source, name=name),
                fix=say("known are {names}", names=", ".join(_OPTIONS)),
            )
        kind, low, high = _OPTIONS[name]
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ConfigError(
                say(
                    "capture.source = {source!r}: {name}={text} is not usable",
                    source=source,
                    name=name,
                    text=text,
                ),
                fix=say("give {name} a number from {low:g} to {high:g}", name=name, low=low, high=high),
            )
        values[name] = value
    return Play(**values)  # type: ignore[arg-type] # each value was made by its field's own type


_OPTIONS: dict[str, tuple[Callable[[str], float], float, float]] = {
    "seconds": (float, 0.1, 86_400.0),
    "width": (int, 32, 4096),
    "height": (int, 32, 4096),
    "fps": (float, 0.1, 60.0),
    "seed": (int, 0, 2**32 - 1),
}


class SyntheticSource:
    """See `agent.capture.source.Source`. The same options give the same pictures, bit by bit."""

    corrupt = 0
    """Nothing drawn here is ever damaged."""
    unseen = 0
    unrecorded = 0
    """Nor is anything left out."""

    def __init__(
        self,
        settings: Capture,
        masks: Sequence[Mask] = (),
        *,
        pace: Pace = "real",
        clock: Clock | None = None,
        keep_packets: bool = True,
    ) -> None:
        self._play = parse(settings.source)
        self._loop = settings.loop
        self._pacer = Pacer(clock, pace)
        self._pipeline = Pipeline(settings, masks)
        self._pipeline.begin(self._play.fps if keep_packets else None)

    def items(self) -> Iterator[SourceItem]:
        """The play, again and again when it loops."""
        origin = self._pacer.origin()
        stage = Stage(self._play)
        frames = max(1, round(self._play.seconds * self._play.fps))
        n = 0
        while self._loop or n < frames:
            t = origin + n / self._play.fps
            if not self._pacer.wait(t):
                return
            yield from self._pipeline.push(t, partial(stage.draw, n % frames))
            n += 1
        yield from self._pipeline.finish()

    def close(self) -> None:
        """End `items()`; safe from any thread."""
        self._pacer.close()


class Stage:
    """Draws the pictures of a play."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._random = np.random.default_rng(play.seed)
        self._wall = self._texture()
        self._noise = [self._grain() for _ in range(NOISE_TILES)]
        half = ((play.height + 1) // 2, (play.width + 1) // 2)
        self._u, self._v = np.full(half, 124, np.uint8), np.full(half, 132, np.uint8)  # warm light

    def draw(self, index: int) -> Picture:
        """Picture `index` of the play."""
        at = index / self._play.fps % ROUND_S
        luma = self._wall.copy()
        if VISIT_S[0] <= at < VISIT_S[1]:
            self._figure(luma, (at - VISIT_S[0]) / (VISIT_S[1] - VISIT_S[0]))
        light = LAMP_LOSS if LAMP_OFF_S[0] <= at < LAMP_OFF_S[1] else 1.0
        grain = self._noise[index % NOISE_TILES]
        lit = cv2.addWeighted(luma.astype(np.int16), light, grain, 1.0, 16 * (1 - light))
        return Picture(np.clip(lit, 16, 235).astype(np.uint8), self._u, self._v)

    def _texture(self) -> Luma:
        """Plaster, a flight of steps and a door: something for a background model to learn."""
        height, width = self._play.height, self._play.width
        coarse = self._random.integers(90, 150, (height // 16 + 2, width // 16 + 2), dtype=np.uint8)
        wall = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        step = max(4, height // 12)
        for i, top in enumerate(range(height // 2, height, step)):
            cv2.rectangle(wall, (0, top), (width // 4 + i * step // 2, top + step // 2), (70,), cv2.FILLED)
        cv2.rectangle(
            wall, (width * 3 // 4, height // 6), (width * 9 // 10, height * 2 // 3), (60,), cv2.FILLED
        )
        return wall

    def _grain(self) -> Grain:
        shape = (self._play.height, self._play.width)
        grain: Grain = np.rint(self._random.normal(0, NOISE_LEVELS, shape)).astype(np.int16)
        return grain

    def _figure(self, luma: Luma, progress: float) -> None:
        """A walker from the left edge to the right: head, coat, two legs that swing."""
        height, width = luma.shape
        tall = height // 2
        x = round((1.2 * progress - 0.1) * width)
        foot = round(height * 0.9)
        head = max(2, tall // 14)
        hip = foot - tall * 45 // 100
        swing = round(tall * 0.12 * sin(progress * 16 * pi))
        for side in (-1, 1):
            cv2.line(luma, (x, hip), (x + side * swing, foot), (35,), max(2, tall // 12))
        cv2.ellipse(luma, (x, hip - tall // 5), (max(3, tall // 9), tall // 4), 0, 0, 360, (45,), cv2.FILLED)
        cv2.circle(luma, (x, foot - tall + head), head, (165,), cv2.FILLED)
