"""A container or a stream, opened: one video stream and its decoder."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import av.error
from av.stream import Disposition

from agent.errors import SourceError
from agent.reasons import reason
from agent.words import say, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.rational import AVRational
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

    from agent.words import Text

SMALLEST_SIDE = 32  # pixels; the motion stage's blocks are 8 of them
USUAL_FPS = 25.0
FASTEST_FPS = 240.0  # above this a rate is a time base that was taken for one
# These carry no presentation times: with B-frames the order of the stamps is that of decoding.
WITHOUT_PTS = frozenset({"avi", "h264"})
# Titles are written in all code pages; before version 19 PyAV refuses a file for a byte that is no UTF-8.
TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}  # noqa: PLR2004
FIX_FILE = say("give a video file that plays, e.g. in `ffplay`")


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A container with what the source needs to know of its video stream."""

    name: str
    container: InputContainer
    stream: VideoStream
    context: VideoCodecContext
    codec: str
    time_base: Fraction
    rate: float
    """Pictures per second, as announced; variable rates only keep to it on the average."""
    reordered: bool
    untimed: bool
    """Stamps follow the order of decoding, not of showing."""
    extradata: bytes
    duration: float | None
    """Seconds that the container promises."""

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The stream's packets that hold anything.

        Raises:
            FFmpegError: reading failed.
        """
        try:
            for packet in self.container.demux(self.stream):
                if packet.size:
                    yield packet
        except IndexError:
            # PyAV trips at the end over streams that appeared amid the file; all was read by then.
            return

    def close(self) -> None:
        """Let go of the file or connection; the decoder stays usable."""
        self.container.close()


def open_file(path: Path) -> Opened:
    """The video file.

    Raises:
        SourceError: it is missing, unreadable, no video, or of a kind that cannot be decoded.
    """
    _check_file(path)
    try:
        container = av.open(f"file:{path}", mode="r", **TAGS)
    except av.error.FFmpegError as error:
        raise _no_video(path, error) from None
    return describe(container, str(path))


def open_live(
    url: str, name: str, *, format_name: str | None, options: dict[str, str], open_s: float, read_s: float
) -> Opened:
    """The live stream; `open_s` bounds each of its two steps, `read_s` each read.

    Raises:
        SourceError: nobody answers, or what answers is no video.
    """
    try:
        container = av.open(
            url, mode="r", format=format_name, options=options, timeout=(open_s, read_s), **TAGS
        )
    except av.error.FFmpegError as error:
        raise live_error(name, error) from None
    return describe(container, name)


def live_error(name: str, error: av.error.FFmpegError) -> SourceError:
    """What went wrong, without the URL that libav puts into its own text: it may hold a password."""
    return SourceError(
        say("{name}: {reason}", name=name, reason=_said(error)),
        fix=_LIVE_FIX.get(type(error), _LIVE_FIX_ELSE),
    )


def _said(error: av.error.FFmpegError) -> Text:
    what = error.strerror or "unknown error"
    return _SAID.get(type(error), verbatim(f"{what[:1].lower()}{what[1:]}"))


def describe(container: InputContainer, name: str) -> Opened:
    """The container's video stream.

    Raises:
        SourceError: there is none, or it cannot be decoded or analysed; the container is closed then.
    """
    try:
        return _describe(container, name)
    except SourceError:
        container.close()
        raise


def check_size(name: str, width: int, height: int) -> None:
    """Raises SourceError for a picture too small to be analysed."""
    if min(width, height) < SMALLEST_SIDE:
        raise SourceError(
            say(
                "{name}: pictures of {width}x{height} pixels cannot be analysed",
                name=name,
                width=width,
                height=height,
            ),
            fix=say("give a video of at least {least} pixels a side", least=SMALLEST_SIDE),
        )


_SAID: dict[type, Text] = {
    av.error.ExitError: say("no data in time"),
    av.error.TimeoutError: say("connection timed out"),
    av.error.ConnectionRefusedError: say("connection refused"),
    av.error.HTTPUnauthorizedError: say("server returned 401 Unauthorized (authorization failed)"),
    av.error.HTTPNotFoundError: say("server returned 404 Not Found"),
    av.error.PermissionError: say("permission denied"),
    av.error.FileNotFoundError: say("no such file or directory"),
    av.error.InvalidDataError: say("invalid data found when processing input"),
    av.error.EOFError: say("end of file"),
}
"""As libav says it; what is rarer stays English."""
_LIVE_FIX: dict[type, Text] = {
    av.error.ConnectionRefusedError: say("check address and port, and that the camera is on"),
    av.error.HTTPUnauthorizedError: say("set user and password in capture.source"),
    av.error.PermissionError: say("add the agent's user to the group `video`"),
    av.error.FileNotFoundError: say("plug the camera in and check capture.source"),
    av.error.InvalidDataError: say("check that the address gives a video stream"),
}
_LIVE_FIX_ELSE = say("check the camera, its cable and the network")


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceError(say("{path}: is a directory", path=path), fix=say("name a video file in it"))
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(say("{path}: is no regular file", path=path), fix=FIX_FILE)
        if status.st_size == 0:
            raise SourceError(say("{path}: is empty (0 bytes)", path=path), fix=FIX_FILE)
        with path.open("rb") as file:
            file.read(1)
    except FileNotFoundError:
        raise SourceError(say("{path}: no such file", path=path), fix=say("check capture.source")) from None
    except PermissionError:
        raise SourceError(
            say("{path}: may not be read (permission denied)", path=path),
            fix=say("chmod +r {path}, or run as its owner", path=path),
        ) from None
    except OSError as error:
        raise SourceError(
            say("{path}: cannot be read ({reason})", path=path, reason=reason(error)),
            fix=say("check capture.source"),
        ) from None


def _no_video(path: Path, error: av.error.FFmpegError) -> SourceError:
    with path.open("rb") as file:
        head = file.read(8)
    if head[4:] == b"ftyp":
        return SourceError(
            say(
                "{path}: an MP4 whose index (moov) is missing or broken: "
                "it was cut off before it was finished",
                path=path,
            ),
            fix=say("copy it again, or record as fragmented MP4"),
        )
    return SourceError(say("{path}: no video ({reason})", path=path, reason=_said(error)), fix=FIX_FILE)


def _describe(container: InputContainer, name: str) -> Opened:
    stream = next((s for s in container.streams.video if not s.disposition & Disposition.attached_pic), None)
    if stream is None:
        held = ", ".join(sorted({s.type for s in container.streams})) or say("nothing")
        raise SourceError(
            say("{name}: no video stream (it holds {held})", name=name, held=held), fix=FIX_FILE
        )
    # The stubs promise a decoder; a stream that the build cannot decode has none.
    context: VideoCodecContext | None = stream.codec_context
    if container.format.name == "tty":  # libav shows any text as a terminal would
        raise SourceError(say("{name}: no video (it is text)", name=name), fix=FIX_FILE)
    if context is None:
        raise SourceError(
            say("{name}: its codec cannot be decoded", name=name), fix=say("convert it to H.264")
        )
    if context.width and context.height:
        check_size(name, context.width, context.height)
    context.thread_count = 1  # threads cost a picture of delay and memory each
    time_base = stream.time_base
    return Opened(
        name=name,
        container=container,
        stream=stream,
        context=context,
        codec=context.name,
        time_base=Fraction(time_base.numerator, time_base.denominator) if time_base else Fraction(1, 90_000),
        rate=_rate(stream.guessed_rate, stream.average_rate),
        reordered=bool(context.has_b_frames),
        untimed=bool(context.has_b_frames) and container.format.name in WITHOUT_PTS,
        extradata=context.extradata or b"",
        duration=_duration(container, stream),
    )


def _rate(*announced: Fraction | AVRational | None) -> float:
    plausible = (float(rate) for rate in announced if rate and 0 < float(rate) <= FASTEST_FPS)
    return next(plausible, USUAL_FPS)


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None
