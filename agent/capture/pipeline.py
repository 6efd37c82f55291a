"""From a raw picture to what a source yields: masked, sampled, reduced, encoded.

Every source goes through here, so that no picture leaves the room without its masks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.capture.encoder import H264Encoder
from agent.capture.lores import reduce_luma
from agent.capture.privacy import PrivacyMask
from agent.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agent.config import Capture, Mask
    from agent.picture import Picture
    from agent.types import Packet, SourceItem

SLACK = 0.45  # of the last interval: stamps that tremble by less must not cost a frame


class Sampler:
    """Chooses pictures by time: at most `fps` a second on the average, whatever the source's rate."""

    def __init__(self, fps: float) -> None:
        self._period = 1 / fps
        self._due = self._last = float("-inf")

    def take(self, t: float) -> bool:
        """Whether the picture of time `t` is the next to analyse."""
        interval = min(t - self._last, self._period)
        self._last = t
        if t < self._due - SLACK * interval:
            return False
        self._due += self._period
        if self._due < t:  # the first one, or the source paused: no catching up
            self._due = t + self._period
        return True


class Pipeline:
    """One source's raw pictures in, Frame (and, from our own encoder, StreamInfo and Packet) out."""

    def __init__(self, settings: Capture, masks: Sequence[Mask]) -> None:
        self._sampler = Sampler(settings.fps)
        self._mask = PrivacyMask(masks)
        self._bitrate_kbps = settings.bitrate_kbps
        self._gop_s = settings.gop_s
        self._rate: float | None = None
        self._encoder: H264Encoder | None = None
        self._size = (0, 0)
        self._index = 0

    def begin(self, rate: float | None) -> None:
        """A stream begins: encode its pictures, about `rate` a second; None leaves encoding out."""
        self._rate = rate
        self._encoder = None

    def skip(self) -> None:
        """Count a picture that is not worth showing."""
        self._index += 1

    def push(self, t: float, develop: Callable[[], Picture]) -> Iterator[SourceItem]:
        """The next picture of the source; `develop` makes it, and is called only when it is needed."""
        index = self._index
        self._index += 1
        due = self._sampler.take(t)
        if not due and self._rate is None:
            return
        picture = self._mask.apply(develop())
        if self._rate is not None:
            yield from self._encode(picture, t, self._rate)
        if due:
            yield Frame(index, t, reduce_luma(picture.y), picture)

    def finish(self) -> list[Packet]:
        """What the encoder still holds when the source ends."""
        return self._encoder.flush() if self._encoder else []

    def _encode(self, picture: Picture, t: float, rate: float) -> Iterator[SourceItem]:
        size = (picture.width, picture.height)
        if self._encoder is None or size != self._size:
            yield from self.finish()
            self._size = size
            self._encoder = H264Encoder(*size, rate, self._bitrate_kbps, self._gop_s)
            yield self._encoder.info
        yield from self._encoder.encode(picture, t)
