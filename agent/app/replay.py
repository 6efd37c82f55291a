"""A video file through the same analysis and the same messages as on a kit: no threads, no broker, no state.

Everything that could differ between two runs is fixed: time is video time, identities are minted from a
counter, the stream is named `00000000`.
"""

from __future__ import annotations

import itertools
import json
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

from agent.app import trace
from agent.app.analysis import Analyser, Analysis
from agent.app.annotate import Annotator
from agent.app.announcer import Announcer
from agent.app.reporter import Reporter, topics
from agent.backbone.drafts import HEADER
from agent.capture.container import open_file
from agent.capture.source import open_source
from agent.device.clock import VideoClock
from agent.types import Frame, Phase
from agent.ulid import ENTROPY_BYTES, ulid
from agent.vision.detector import PersonDetector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.backbone.drafts import Draft
    from agent.capture.source import Source
    from agent.config import Settings
    from agent.types import EventChange

STREAM = "00000000"


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the results of a replay go; None for those not wanted."""

    events: IO[str] | None = None
    trace: IO[str] | None = None
    annotate: Path | None = None


@dataclass(slots=True)
class Summary:
    """A replay in figures."""

    frames: int = 0
    seconds: float = 0.0
    motion_s: float = 0.0
    events: int = 0


def length_s(video: Path) -> float | None:
    """How long the file says it is, or None when it does not say.

    Raises:
        SourceError: as replay_video.
    """
    with closing(open_file(video)) as opened:
        return opened.duration


def replay_video(
    video: Path,
    settings: Settings,
    outputs: Outputs,
    *,
    speed: Literal["max", "real"] = "max",
    progress: Callable[[float], None] = lambda _: None,
) -> Summary:
    """Analyse `video` from its first to its last picture; `progress` is told the video time in seconds.

    Raises:
        SourceError: the file is missing, empty, no video, or cannot be decoded at all.
        ModelError: the detector cannot be used.
        StorageError: the annotated video cannot be written.
    """
    detector = PersonDetector(settings.detector)
    clock = VideoClock()
    capture = settings.capture.model_copy(update={"source": str(video), "loop": False})
    settings = settings.model_copy(update={"capture": capture})
    reporter = Reporter(settings, topics(settings), clock, STREAM, detector.label)
    announcer = Announcer(reporter, _Lines(outputs.events, clock), _mint(clock))
    analyser = Analyser(settings, detector, clock=clock)
    summary = Summary()
    with ExitStack() as stack:
        source = stack.enter_context(
            closing(open_source(capture, masks=settings.privacy.masks, keep_packets=False))
        )
        annotator = None
        if outputs.annotate is not None:
            annotator = stack.enter_context(
                closing(Annotator(outputs.annotate, settings.capture.fps, settings.view))
            )
        for item in _paced(source, speed):
            clock.t = item.t
            analysis = analyser.step(item)
            _count(summary, analysis)
            announcer.analysis(analysis)
            if outputs.trace is not None:
                outputs.trace.write(trace.line(analysis) + "\n")
            if annotator is not None:
                annotator.add(analysis)
            progress(item.t)
        for change in analyser.finish(clock.t):
            announcer.change(change)
        announcer.figures(analyser.last_figures())
    return summary


def _paced(source: Source, speed: Literal["max", "real"]) -> Iterator[Frame]:
    """The frames of `source`; at "real" speed none before its time."""
    began: float | None = None
    for item in source.items():
        if not isinstance(item, Frame):
            continue
        if speed == "real":
            began = time.monotonic() - item.t if began is None else began
            time.sleep(max(0.0, began + item.t - time.monotonic()))
        yield item


def _count(summary: Summary, analysis: Analysis) -> None:
    step = analysis.frame.t - summary.seconds
    summary.frames += 1
    summary.seconds = analysis.frame.t
    summary.motion_s += step if analysis.motion.regions else 0.0
    summary.events += sum(
        change.phase is Phase.NEW and change.kind == "person" for change in analysis.changes
    )


class _Lines:
    """The sink of a replay: each message as a JSON line with its video time `t`."""

    def __init__(self, out: IO[str] | None, clock: VideoClock) -> None:
        self._out = out
        self._clock = clock
        self._seq = 0

    def event(self, event: str, change: EventChange, draft: Draft) -> None:
        """See Sink."""
        del event, change
        self._write(draft)

    def snapshot(self, draft: Draft) -> None:
        """See Sink: the picture's header; the picture itself is no text."""
        self._write(draft)

    def alarm(self, code: str, draft: Draft, *, active: bool) -> None:
        """See Sink."""
        del code, active
        self._write(draft)

    def stat(self, draft: Draft) -> None:
        """See Sink."""
        self._write(draft)

    def _write(self, draft: Draft) -> None:
        self._seq += 1
        publication = draft.render(STREAM, self._seq)
        header = dict(publication.user).get(HEADER)
        message = json.loads(publication.payload if header is None else header)
        if self._out is not None:
            line = {"t": round(self._clock.t, 3), **message}
            self._out.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")


def _mint(clock: VideoClock) -> Callable[[], str]:
    """ULIDs of video time and a counter: the same in every run."""
    numbers = itertools.count(1)
    return lambda: ulid(clock.unix_ms(), next(numbers).to_bytes(ENTROPY_BYTES))
