"""What rooms hand to each other: frozen dataclasses, nothing that acts; `agent.picture` is one more.

Positions are fractions of the picture (0..1), origin top left. `t` is always in seconds on the
source's monotonic time line: CLOCK_BOOTTIME for a live source, video time for a replay.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray

    from agent.picture import Picture
    from agent.words import Text

    Luma = NDArray[np.uint8]
    """A plane of brightness, shape (height, width)."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in fractions of the picture."""

    x: float
    y: float
    w: float
    h: float

    @property
    def x2(self) -> float:
        """The right edge."""
        return self.x + self.w

    @property
    def y2(self) -> float:
        """The lower edge."""
        return self.y + self.h

    @property
    def area(self) -> float:
        """The share of the picture that it covers."""
        return self.w * self.h

    def intersection(self, other: Box) -> float:
        """The area common to both."""
        w = min(self.x2, other.x2) - max(self.x, other.x)
        h = min(self.y2, other.y2) - max(self.y, other.y)
        return w * h if w > 0 and h > 0 else 0.0

    def iou(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        common = self.intersection(other)
        union = self.area + other.area - common
        return common / union if union > 0 else 0.0

    def as_list(self) -> list[float]:
        """`[x, y, w, h]` rounded to 1/10,000 of the picture: finer than a pixel of an 8K picture is not."""
        return [round(v, 4) for v in (self.x, self.y, self.w, self.h)]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One analysed picture: `luma` is the small (lores) plane, `picture` the full one."""

    index: int
    t: float
    luma: Luma
    picture: Picture


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """The encoded video that follows: packets up to the next StreamInfo decode with this."""

    codec: str
    width: int
    height: int
    time_base: Fraction
    extradata: bytes
    rotation: int = 0
    """Degrees counterclockwise (0, 90, 180, 270) that bring the coded picture upright; frames are upright."""


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """One encoded picture. `pts`, `dts` and `duration` count `StreamInfo.time_base`."""

    data: bytes
    pts: int
    dts: int
    duration: int
    keyframe: bool
    t: float


@dataclass(frozen=True, slots=True)
class SourceDown:
    """The source gives no pictures; `reason` is one line for people. Sent once per outage and cause."""

    reason: Text
    alarm: str = "camera.lost"
    """The code of the alarm that stands for it."""


@dataclass(frozen=True, slots=True)
class SourceUp:
    """The source gives pictures (again)."""


SourceItem = StreamInfo | Packet | Frame | SourceDown | SourceUp
"""What a frame source yields, in the order in which it happened."""


@dataclass(frozen=True, slots=True)
class Motion:
    """What moved in one frame. `regions` is empty unless the motion stage holds it for true."""

    regions: tuple[Box, ...] = ()
    global_change: bool = False
    blocks: tuple[Box, ...] = ()
    """The raw evidence behind the regions, for pictures that explain."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The state of the view. Figures are of the luma plane: levels 0..255, sharpness in levels."""

    brightness: float
    contrast: float
    sharpness: float
    dark: bool = False
    covered: bool = False
    blinded: bool = False
    moved: bool = False
    blurred: bool = False
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Detection:
    """A person as the detector sees one in one frame; `score` 0..1."""

    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Track:
    """One thing followed over time. `score` is the median of its recent detections."""

    id: int
    box: Box
    score: float
    person: bool
    seen: bool
    """Whether a detection of this very frame supports it."""
    muted: bool = False
    """Whether it looks like a person but is held for a thing: it never moves."""
    zones: tuple[str, ...] = ()
    """The zones that its foot is in, in the order of the configuration."""


ClockState = Literal["none", "saved", "rtc", "ntp"]
"""Where the wall clock's time comes from; none: it was never set."""

EventKind = Literal["person", "loitering", "gathering", "after-hours", "tamper", "motion"]


class Phase(StrEnum):
    """Where an event is in its life."""

    NEW = "new"
    UPDATE = "update"
    END = "end"


@dataclass(frozen=True, slots=True)
class EventChange:
    """One step of an event's life: exactly one NEW, any UPDATEs, exactly one END per `event`."""

    event: int
    """A number of this run, from 1; messages carry a ULID instead."""
    kind: EventKind
    phase: Phase
    rev: int
    """1 with NEW, one more with each later change."""
    t: float
    started: float
    ended: float | None
    """When the last evidence was seen; set by END only."""
    score: float
    top_score: float
    count: int
    """The most persons seen together so far."""
    box: Box
    zones: tuple[str, ...] = ()
    """The zones entered so far, in the order in which they were entered."""
    dir: str | None = None
    """The name of the direction in which a line was crossed last."""


@dataclass(frozen=True, slots=True)
class BestMoment:
    """A frame that shows an open event better than any before it."""

    event: int
    t: float
    box: Box
    quality: float


@dataclass(frozen=True, slots=True)
class Still:
    """A small picture, to be sent as it is; its size is that of the JPEG in pixels."""

    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """A clip in the store: a file that is complete, synced and playable."""

    id: str
    path: str
    """The file's name within the directory of clips."""
    events: tuple[str, ...]
    started: float
    """Seconds of CLOCK_BOOTTIME (video time in a replay) at the first picture."""
    duration: float
    boot: str
    ts: str | None
    """UTC of the first picture, RFC 3339, or None when the clock was never set."""
    clk: ClockState
    bytes: int
    sha256: str
    codec: str
    width: int
    height: int
    sealed: str
    """How: `age`, or `none`. `bytes` and `sha256` are of the file as it lies there."""
    part: int = 1
    truncated: bool = False
    recipients: tuple[str, ...] = ()
    """The ids of the keys that open it."""
    manifest: str = ""
    """The SHA-256 that its manifest is signed over; empty before it is signed."""
    prev: str = ""
    """The `manifest` of the clip before it in the chain; empty for the first."""
    sig: str = ""
    """The kit's signature, base64."""
