"""The announcer: what is worth saying, once."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, analysis, body, change, check, frame, picture, settings

from agent.app.announcer import SCENE_ALARMS, Announcer
from agent.app.reporter import Reporter, topics
from agent.capture.snapshot import still
from agent.types import BestMoment, Box, Phase, Scene

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.backbone.drafts import Draft
    from agent.types import EventChange

STREAM = "9f2c1a7e"


class Ear:
    """A sink that remembers what was said, each proved valid."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.drafts: list[Draft] = []

    def event(self, event: str, change: EventChange, draft: Draft) -> None:
        """See Sink."""
        self._hear(draft, f"{change.phase} {change.rev}", event)

    def snapshot(self, draft: Draft) -> None:
        """See Sink."""
        self._hear(draft, "snapshot", draft.topic.rpartition("/")[2])

    def alarm(self, code: str, draft: Draft, *, active: bool) -> None:
        """See Sink."""
        self._hear(draft, "raised" if active else "cleared", code)

    def _hear(self, draft: Draft, what: str, about: str) -> None:
        check(body(draft.render(STREAM, 1)))
        self.said.append((what, about))
        self.drafts.append(draft)

    def take(self) -> list[tuple[str, str]]:
        """What was said since the last question."""
        said, self.said = self.said, []
        return said


@pytest.fixture
def ear() -> Ear:
    return Ear()


def announcer(directory: Path, ear: Ear, alarms: Iterable[str] = ()) -> Announcer:
    chosen = settings(directory)
    numbers = iter(range(1, 10))
    reporter = Reporter(chosen, topics(chosen), Hands(), STREAM, "ssdlite")
    return Announcer(reporter, ear, lambda: f"{next(numbers):026d}", alarms)


def moment(t: float, quality: float, event: int = 1) -> BestMoment:
    return BestMoment(event, t, Box(0.1, 0.1, 0.2, 0.2), quality)


FIRST, SECOND = "0" * 25 + "1", "0" * 25 + "2"


def test_an_event_keeps_its_name_for_life(tmp_path: Path, ear: Ear) -> None:
    """NEW mints a ULID; every later step carries it, and the next event has another."""
    speaker = announcer(tmp_path, ear)

    names = [
        speaker.change(change(phase, rev))
        for phase, rev in ((Phase.NEW, 1), (Phase.UPDATE, 2), (Phase.END, 3))
    ]
    names.append(speaker.change(change(Phase.NEW, event=2)))

    assert [FIRST, FIRST, FIRST, SECOND] == names
    assert [("new 1", FIRST), ("update 2", FIRST), ("end 3", FIRST), ("new 1", SECOND)] == ear.take()


def test_the_first_picture_goes_out_at_once_and_the_best_with_the_end(tmp_path: Path, ear: Ear) -> None:
    """Two pictures of an event: a quick one, and the best; those between are not sent."""
    speaker = announcer(tmp_path, ear)
    best = picture(96, 72, 200)

    said = speaker.analysis(
        analysis(frame(0, 1000.0), changes=(change(Phase.NEW),), best=moment(1000.0, 0.1))
    )
    speaker.analysis(analysis(frame(1, 1001.0), best=moment(1001.0, 0.2)))
    speaker.analysis(analysis(frame(2, 1002.0, best), best=moment(1002.0, 0.3)))
    speaker.analysis(analysis(frame(3, 1009.0), changes=(change(Phase.END, 2, 1009.0),)))

    assert [(FIRST, change(Phase.NEW))] == said
    assert [("new 1", FIRST), ("snapshot", FIRST), ("end 2", FIRST), ("snapshot", FIRST)] == ear.take()
    last = body(ear.drafts[-1].render(STREAM, 1))
    assert (1002.0, 96, hashlib.sha256(still(best).jpeg).hexdigest()) == tuple(
        last[key] for key in ("mono", "width", "sha256")
    )


def test_no_picture_goes_out_twice(tmp_path: Path, ear: Ear) -> None:
    """When the first picture stays the best, the end sends none."""
    speaker = announcer(tmp_path, ear)

    speaker.analysis(analysis(frame(0, 1000.0), changes=(change(Phase.NEW),), best=moment(1000.0, 0.1)))
    speaker.change(change(Phase.END, 2, 1009.0))

    assert [("new 1", FIRST), ("snapshot", FIRST), ("end 2", FIRST)] == ear.take()


def test_an_event_without_a_good_moment_has_no_picture(tmp_path: Path, ear: Ear) -> None:
    """Nothing is sent that shows nobody, and a moment of an event that is over is passed over."""
    speaker = announcer(tmp_path, ear)

    speaker.change(change(Phase.NEW))
    speaker.change(change(Phase.END, 2))
    speaker.analysis(analysis(frame(0, 1001.0), best=moment(1001.0, 0.4)))

    assert [("new 1", FIRST), ("end 2", FIRST)] == ear.take()


def test_an_alarm_speaks_when_it_changes(tmp_path: Path, ear: Ear) -> None:
    """Raised once and cleared once, however often its cause is looked at."""
    speaker = announcer(tmp_path, ear)

    for active in (False, True, True, False, False, True):
        speaker.alarm("camera.lost", active=active, detail="no answer")

    assert [(what, "camera.lost") for what in ("raised", "cleared", "raised")] == ear.take()
    assert ("camera.lost",) == speaker.alarms


def test_an_alarm_left_by_an_earlier_run_is_cleared_when_its_cause_is_gone(tmp_path: Path, ear: Ear) -> None:
    """What an earlier run raised is not raised again, and is cleared by the run that finds it over."""
    speaker = announcer(tmp_path, ear, {"camera.lost", "scene.dark"})

    speaker.alarm("camera.lost", active=True)
    assert [] == ear.take()

    speaker.alarm("camera.lost", active=False)
    speaker.analysis(analysis(frame(0, 1000.0)))
    assert [("cleared", "camera.lost"), ("cleared", "scene.dark")] == ear.take()
    assert () == speaker.alarms


@pytest.mark.parametrize("state", SCENE_ALARMS)
def test_each_state_of_the_view_is_an_alarm(tmp_path: Path, ear: Ear, state: str) -> None:
    """A state of the scene raises its alarm, and its end clears it."""
    speaker = announcer(tmp_path, ear)

    bad = Scene(90.0, 20.0, 5.0, **{state: True})
    for scene in (bad, bad, Scene(90.0, 20.0, 5.0)):
        speaker.analysis(analysis(frame(0, 1000.0), scene=scene))

    assert [("raised", f"scene.{state}"), ("cleared", f"scene.{state}")] == ear.take()


def test_threads_raise_an_alarm_once(tmp_path: Path, ear: Ear) -> None:
    """Four threads that see the same trouble at once say it once."""
    speaker = announcer(tmp_path, ear)
    together = threading.Barrier(4)

    def see() -> None:
        together.wait()
        speaker.alarm("storage.refused", active=True)

    threads = [threading.Thread(target=see) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [("raised", "storage.refused")] == ear.take()
