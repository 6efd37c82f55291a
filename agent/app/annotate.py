"""Pictures that show what the agent saw: zones, motion, what the detector looked at, tracks, scene."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from agent.config_rules import View
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from agent.app.analysis import Analysis
    from agent.config_fields import Point
    from agent.config_rules import Line, Zone
    from agent.types import Box

    Image = NDArray[np.uint8]

# RGB. Motion is quiet, persons are loud; a colour-blind reader tells them by line and label.
MOTION = (255, 200, 0)
BLOCK = (120, 110, 60)
LOOKED = (90, 90, 90)
TRACK = (0, 160, 255)
PERSON = (0, 230, 60)
ALERT = (255, 60, 40)
ZONE = (60, 150, 190)
LINE = (230, 90, 230)
TEXT = (255, 255, 255)

MIN_WIDTH = 480  # a smaller picture is enlarged: labels must be legible
TIME_BASE = Fraction(1, 90_000)
CRF = "23"  # x264's own default: lines and labels stay sharp
BESIDE = 0.06  # of the picture's width, from a line to the name of a way: clear of the line
NO_VIEW = View()


class Painter:
    """Draws on analysed frames. It remembers open events, so it is to see every frame of them."""

    def __init__(self, view: View = NO_VIEW) -> None:
        self._view = view
        self._events: dict[int, str] = {}

    def draw(self, analysis: Analysis) -> Image:
        """The frame, RGB and of even size (x264 takes no other), with everything drawn on it."""
        picture = analysis.frame.picture
        image = picture.rgb(0, 0, picture.width, picture.height)
        scale = max(1, -(-MIN_WIDTH // picture.width))
        size = (picture.width * scale & ~1, picture.height * scale & ~1)
        image = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        for zone in self._view.zones:
            _zone(image, zone)
        for line in self._view.lines:
            _line(image, line)
        for box in analysis.looked:
            _rectangle(image, box, LOOKED, 1)
        for box in analysis.motion.blocks:
            _rectangle(image, box, BLOCK, 1)
        for box in analysis.motion.regions:
            _rectangle(image, box, MOTION, 2)
        for track in analysis.tracks:
            colour = PERSON if track.person else TRACK
            _rectangle(image, track.box, colour, 2)
            x, y = int(track.box.x * size[0]), int(track.box.y * size[1])
            _text(image, f"{track.id} {track.score:.2f}", (x + 3, y + 14), colour)
        self._status(image, analysis)
        return image

    def _status(self, image: Image, analysis: Analysis) -> None:
        for change in analysis.changes:
            if change.phase == "end":
                self._events.pop(change.event, None)
            else:
                words = (f"{change.kind} x{change.count} {change.top_score:.2f}", *change.zones, change.dir)
                self._events[change.event] = " ".join(word for word in words if word)
        scene = analysis.scene
        states = [
            name
            for name in ("dark", "covered", "blinded", "moved", "blurred", "frozen")
            if getattr(scene, name)
        ]
        if analysis.motion.global_change:
            states.insert(0, "global change")
        _text(image, f"{analysis.frame.t:7.2f} s  light {scene.brightness:5.1f}", (6, 16), TEXT)
        if states:
            _text(image, ", ".join(states), (6, 34), ALERT)
        for row, text in enumerate(self._events.values()):
            _text(image, f"EVENT {text}", (6, 52 + 18 * row), PERSON)


class Annotator:
    """Writes an H.264 MP4 of the analysed frames with the view's zones and what was found drawn on them.

    Raises:
        StorageError: the file cannot be written.
    """

    def __init__(self, path: Path, fps: float, view: View = NO_VIEW) -> None:
        self._path = path
        self._painter = Painter(view)
        self._rate = Fraction(fps).limit_denominator(1000)
        self._stream: av.VideoStream | None = None
        self._size = (0, 0)
        self._broken = False
        try:
            path.open("wb").close()  # libav opens it with the first picture only: too late to be told
        except OSError as error:
            raise self._refused(error) from None
        self._container = av.open(str(path), "w", format="mp4")

    def add(self, analysis: Analysis) -> None:
        """Draw one frame and append it at its own time.

        Raises:
            StorageError: the file cannot be written.
        """
        image = self._painter.draw(analysis)
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", rate=self._rate, options={"crf": CRF})
            self._stream.pix_fmt = "yuv420p"
            self._stream.time_base = TIME_BASE
            self._stream.codec_context.time_base = TIME_BASE
            self._stream.height, self._stream.width = image.shape[:2]
            self._size = (image.shape[1], image.shape[0])
        if (image.shape[1], image.shape[0]) != self._size:
            image = np.asarray(cv2.resize(image, self._size), np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = round(analysis.frame.t / TIME_BASE)
        frame.time_base = TIME_BASE
        try:
            self._container.mux(self._stream.encode(frame))
        except OSError as error:
            raise self._refused(error) from None

    def close(self) -> None:
        """Finish the file; one that refused before is left as it is (libav would crash).

        Raises:
            StorageError: as add.
        """
        if self._broken:
            return
        try:
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> StorageError:
        self._broken = True
        return StorageError(
            say("{path}: cannot be written ({reason})", path=self._path, reason=reason(error)),
            fix=say("name a writable file, or free space"),
        )


def _zone(image: Image, zone: Zone) -> None:
    """The border of a zone; its name and what counts there stand at its lowest corner."""
    cv2.polylines(image, [np.array([_pixel(image, corner) for corner in zone.polygon])], True, ZONE, 1)
    rules = [f"{what} {how}" for what, how in (("persons", zone.persons), ("motion", zone.motion)) if how]
    x, y = _pixel(image, min(zone.polygon, key=lambda corner: (-corner[1], corner[0])))
    _text(image, ", ".join((zone.name, *rules)), (x + 3, y - 4), ZONE)


def _line(image: Image, line: Line) -> None:
    """A line with its name at its start, and on each side the name of the way that leads there."""
    (ax, ay), (bx, by) = start, end = _pixel(image, line.start), _pixel(image, line.end)
    cv2.line(image, start, end, LINE, 2)
    _text(image, line.name, (ax + 3, ay - 4), LINE)
    reach = BESIDE * image.shape[1] / max(1.0, math.hypot(bx - ax, by - ay))
    for way, turn in ((line.right, reach), (line.left, -reach)):
        at = (round((ax + bx) / 2 - (by - ay) * turn), round((ay + by) / 2 + (bx - ax) * turn))
        _text(image, way, at, LINE)


def _pixel(image: Image, point: Point) -> tuple[int, int]:
    return round(point[0] * (image.shape[1] - 1)), round(point[1] * (image.shape[0] - 1))


def _rectangle(image: Image, box: Box, colour: tuple[int, int, int], width: int) -> None:
    h, w = image.shape[:2]
    top_left, bottom_right = (int(box.x * w), int(box.y * h)), (int(box.x2 * w) - 1, int(box.y2 * h) - 1)
    cv2.rectangle(image, top_left, bottom_right, colour, width)


def _text(image: Image, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    for ink, width in (((0, 0, 0), 3), (colour, 1)):
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, width, cv2.LINE_AA)
