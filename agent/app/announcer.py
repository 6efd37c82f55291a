"""What is worth saying of what was seen: the same for a kit and for a replay.

An event gets its ULID with its NEW; its first good picture is published at once and a better last one with
its END; an alarm speaks when it changes.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agent.capture.snapshot import still
from agent.doctor.registry import ALARMS
from agent.types import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.app.analysis import Analysis
    from agent.app.reporter import Reporter
    from agent.backbone.drafts import Draft
    from agent.events.usefulness import Figures
    from agent.types import BestMoment, EventChange, Still

log = logging.getLogger(__name__)

SCENE_ALARMS = ("dark", "covered", "blinded", "moved", "blurred", "frozen")


class Sink(Protocol):
    """Where drafts go: the journal of a kit, the output of a replay."""

    def event(self, event: str, change: EventChange, draft: Draft) -> None:
        """A step of the life of `event`."""
        ...

    def snapshot(self, draft: Draft) -> None:
        """A picture of an event."""
        ...

    def alarm(self, code: str, draft: Draft, *, active: bool) -> None:
        """An alarm that was raised or cleared."""
        ...

    def stat(self, draft: Draft) -> None:
        """An hour's figures of the view."""
        ...


@dataclass(slots=True)
class _OpenEvent:
    id: str
    best: tuple[BestMoment, Still] | None = None
    sent: BestMoment | None = None


class Announcer:
    """Keeps what was said so far. `alarms` are those active when it begins. Safe to call from any thread."""

    def __init__(
        self, reporter: Reporter, sink: Sink, mint: Callable[[], str], alarms: Iterable[str] = ()
    ) -> None:
        self._reporter = reporter
        self._sink = sink
        self._mint = mint
        self._open: dict[int, _OpenEvent] = {}
        self._alarms = set(alarms)
        self._lock = threading.RLock()

    def analysis(self, analysis: Analysis) -> list[tuple[str, EventChange]]:
        """Say what one frame gave; the event changes with their ULIDs."""
        said = [(self.change(change), change) for change in analysis.changes]
        best = () if analysis.best is None else (analysis.best,)
        moments = [moment for moment in (*best, *analysis.others) if moment.event in self._open]
        if moments:
            image = still(analysis.frame.picture)
            for moment in moments:
                self._moment(self._open[moment.event], moment, image)
        self.figures(analysis.figures)
        self.alarm("rules.no_clock", active=analysis.no_clock)
        for name in SCENE_ALARMS:
            self.alarm(f"scene.{name}", active=getattr(analysis.scene, name))
        return said

    def change(self, change: EventChange) -> str:
        """Say a step of an event's life; its ULID."""
        if change.phase is Phase.NEW:
            self._open[change.event] = _OpenEvent(self._mint())
        event = self._open[change.event]
        self._sink.event(event.id, change, self._reporter.event(event.id, change))
        if change.phase is Phase.END:
            del self._open[change.event]
            self._snapshot(event)
        return event.id

    def figures(self, figures: Figures | None) -> None:
        """Say an hour's figures, if there are any."""
        if figures is not None:
            self._sink.stat(self._reporter.stat(figures))

    def alarm(self, code: str, *, active: bool, detail: str = "") -> None:
        """Raise or clear an alarm; nothing is said when it is so already."""
        with self._lock:
            if active == (code in self._alarms):
                return
            (self._alarms.add if active else self._alarms.discard)(code)
            kind = ALARMS[code]
            if active:
                log.warning("alarm %s: %s%s", code, kind.text.en, f" ({detail})" if detail else "")
            else:
                log.info("alarm %s is over", code)
            draft = self._reporter.alarm(kind) if active else self._reporter.alarm_over(kind)
            self._sink.alarm(code, draft, active=active)

    @property
    def busy(self) -> bool:
        """Whether an event is under way."""
        return bool(self._open)

    @property
    def alarms(self) -> tuple[str, ...]:
        """The codes that are active."""
        with self._lock:
            return tuple(sorted(self._alarms))

    def _moment(self, event: _OpenEvent, best: BestMoment, image: Still) -> None:
        event.best = (best, image)
        if event.sent is None:
            self._snapshot(event)

    def _snapshot(self, event: _OpenEvent) -> None:
        """Publish the best picture, unless it is out already."""
        if event.best is None or event.best[0] is event.sent:
            return
        best, image = event.best
        event.sent = best
        self._sink.snapshot(self._reporter.snapshot(event.id, best, image))
