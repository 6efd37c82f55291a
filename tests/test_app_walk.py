"""Where a walk test stops, and what it tells then: over a kit's real database, by a clock that is moved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import Hands, change
from kits import EVENT, Kit, name
from statuses import status

from agent.app.walk import LIMIT_S, LOOK_S, WALK_S, Outcome, Progress, Walk
from agent.types import BestMoment, Box, Phase, Still

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.app.status import Status
    from agent.config_fields import Receipt

BEGAN = 1000.0  # of the clock


class Stairs:
    """A stairwell in which things happen `after` so many seconds, and the agent that sees them."""

    def __init__(self, state: Path) -> None:
        self.kit = Kit(state, Hands(BEGAN))
        self.state = state
        self.camera: dict[str, Any] = {}
        self.link: dict[str, Any] = {}
        self._coming: list[tuple[float, Callable[[], object]]] = []
        self.progress: list[Progress] = []

    def after(self, seconds: float, what: Callable[[], object]) -> None:
        """Have it happen then."""
        self._coming.append((BEGAN + seconds, what))

    def person(self, phase: Phase = Phase.NEW, event: str = EVENT, **changes: Any) -> None:  # noqa: ANN401 - any field
        """Somebody is seen: the event, as the agent keeps and tells it."""
        now = self.kit.clock.t
        step = replace(change(phase, 1 if phase is Phase.NEW else 2, now), started=now, **changes)
        self.kit.journal.event(event, step, self.kit.reporter.event(event, step))
        self.kit.journal.ask(lambda _: None)  # it is on disk

    def moved(self) -> None:
        """Something moves, now and from now on."""
        self.camera["motion"] = 0.0

    def acknowledged(self) -> None:
        """The platform has all that there is."""
        kit = self.kit
        stream = kit.journal.ask(kit.outbox.open_stream)
        numbers = kit.journal.ask(lambda tx: kit.outbox.numbers(tx, kit.clock.stamp()))
        kit.journal.ask(lambda tx: kit.outbox.watermark(tx, stream, numbers.seq_next - 1))

    def walk(self, receipt: Receipt = "watermark") -> Outcome:
        """The test, to its end."""
        test = Walk(self.state / "agent.db", self.kit.clock, self._told, self._wait, receipt)
        self.progress = list(test.run())
        assert test.outcome is not None
        return test.outcome

    @property
    def awaited(self) -> list[str]:
        """What was awaited, one after the other."""
        return list(dict.fromkeys(progress.awaited for progress in self.progress))

    def _told(self) -> Status:
        whole = status(self.kit)
        camera, link = whole.camera.model_copy(update=self.camera), whole.link.model_copy(update=self.link)
        return whole.model_copy(update={"camera": camera, "link": link})

    def _wait(self, seconds: float) -> None:
        self.kit.clock.t += seconds
        due = [what for at, what in self._coming if at <= self.kit.clock.t]
        self._coming = [(at, what) for at, what in self._coming if at > self.kit.clock.t]
        for what in due:
            what()


@pytest.fixture
def stairs(tmp_path: Path) -> Iterator[Stairs]:
    """Nobody is there, the camera and the link are well."""
    one = Stairs(tmp_path)
    yield one
    one.kit.end()


def test_a_walk_that_the_city_acknowledges(stairs: Stairs) -> None:
    """Who stood there leaves first; the seconds are those from the event's beginning."""
    stairs.person(event=name(1))
    stairs.after(2, lambda: stairs.person(Phase.END, name(1)))
    stairs.after(5, stairs.moved)
    stairs.after(6, stairs.person)
    stairs.after(8, stairs.acknowledged)

    outcome = stairs.walk()

    assert (True, {"event": EVENT, "seconds": 2.0}) == (outcome.passed, outcome.as_dict())
    assert ["empty", "motion", "person", "acknowledged"] == stairs.awaited
    assert (Progress("empty", WALK_S, connected=True), Progress("acknowledged", LIMIT_S, connected=True)) == (
        stairs.progress[0],
        next(progress for progress in stairs.progress if progress.awaited == "acknowledged"),
    )


def test_only_the_first_message_counts(stairs: Stairs) -> None:
    """A picture that waits still, under the same event, holds nothing up."""
    picture = Still(b"\xff\xd8\xff\xd9", 640, 480)

    def seen() -> None:
        stairs.person()
        stairs.acknowledged()
        best = BestMoment(1, stairs.kit.clock.t, Box(0.1, 0.1, 0.2, 0.2), 0.9)
        stairs.kit.journal.snapshot(stairs.kit.reporter.snapshot(EVENT, best, picture))
        stairs.kit.journal.ask(lambda _: None)

    stairs.after(1, seen)

    assert Outcome(EVENT, 0.0) == stairs.walk()


def test_an_event_of_an_earlier_boot_is_nobody(stairs: Stairs) -> None:
    """The agent will end it; it is no walk either."""
    stairs.person(event=name(1))
    stairs.kit.end()
    stairs.kit = Kit(stairs.state, Hands(BEGAN, "bbbbbbbb"))
    stairs.after(3, stairs.person)
    stairs.after(4, stairs.acknowledged)

    assert Outcome(EVENT, 1.0) == stairs.walk()


def test_other_events_are_no_person(stairs: Stairs) -> None:
    """A hand at the lens is no walk."""
    stairs.person(kind="tamper")

    assert "motion" == stairs.walk().fault


@pytest.mark.parametrize(
    ("happens", "fault", "detail", "fix"),
    [
        (
            lambda stairs: stairs.person(),
            "occupied",
            "somebody stays in the picture",
            "Have everybody step out of the picture",
        ),
        (
            lambda stairs: stairs.camera.update(down="no camera"),
            "camera",
            "the camera gives no pictures",
            "stairwell doctor --only 'cam.*'",
        ),
        (
            lambda stairs: stairs.camera.update(age=None),
            "camera",
            "the camera gives no pictures",
            "stairwell doctor --only 'cam.*'",
        ),
        (lambda _: None, "motion", "no motion was seen", "sudo stairwell look"),
        (
            lambda stairs: stairs.camera.update(motion=WALK_S * 3),
            "motion",
            "no motion was seen",
            "sudo stairwell look",
        ),
        (
            lambda stairs: stairs.after(9, stairs.moved),
            "person",
            "motion was seen, but no person",
            "stairwell doctor --only 'ai.*'",
        ),
    ],
)
def test_where_nobody_is_seen(
    stairs: Stairs, happens: Callable[[Stairs], object], fault: str, detail: str, fix: str
) -> None:
    """It stops when its time is over, at what did not come."""
    happens(stairs)

    outcome = stairs.walk()

    assert (fault, {"fault": fault}) == (outcome.fault, outcome.as_dict())
    assert outcome.detail is not None
    assert outcome.fix is not None
    assert (detail, True) == (outcome.detail.en, fix in outcome.fix.en)
    assert WALK_S <= stairs.kit.clock.t - BEGAN <= WALK_S + 2 * LOOK_S


@pytest.mark.parametrize(
    ("link", "fault", "detail", "fix"),
    [
        ({}, "platform", "seen and published, but the platform did not acknowledge it", "Call the platform"),
        (
            {"connected": False, "cause": "tls-hostname"},
            "link",
            "no link to the broker (its certificate is for another name)",
            "backbone.host must be the name in the broker's certificate",
        ),
        ({"connected": False, "cause": "lost"}, "link", "(the connection was lost)", "the signal"),
        ({"connected": False, "cause": "moonshine"}, "link", "(moonshine)", "backbone.host"),
        ({"connected": False}, "link", "(not connected yet)", "backbone.host"),
    ],
)
def test_where_the_city_does_not_answer(
    stairs: Stairs, link: dict[str, Any], fault: str, detail: str, fix: str
) -> None:
    """After ten seconds; the link's trouble has its own words and fix."""
    stairs.link = link
    stairs.after(2, stairs.person)

    outcome = stairs.walk()

    assert ((fault, EVENT), None) == ((outcome.fault, outcome.event), outcome.seconds)
    assert outcome.detail is not None
    assert outcome.fix is not None
    assert (True, True) == (detail in outcome.detail.en, fix in outcome.fix.en), outcome
    assert 2 + LIMIT_S < stairs.kit.clock.t - BEGAN <= 2 + LIMIT_S + 2 * LOOK_S
    assert {not link} == {progress.connected for progress in stairs.progress}


def test_a_broker_that_takes_nothing(stairs: Stairs) -> None:
    """Where its word is what counts, it is the one that is named."""
    stairs.after(2, stairs.person)

    outcome = stairs.walk("puback")

    assert ("platform", EVENT) == (outcome.fault, outcome.event)
    assert outcome.detail is not None
    assert outcome.fix is not None
    assert "but the broker did not take it for anybody" in outcome.detail.en
    assert "is it subscribed to this kit's topics?" in outcome.fix.en


@pytest.mark.parametrize(
    ("receipt", "said"),
    [
        ("watermark", "the city acknowledged it after 11.0 s: too late"),
        ("puback", "the broker took it after 11.0 s: too late"),
    ],
)
def test_an_answer_that_is_late(stairs: Stairs, receipt: Receipt, said: str) -> None:
    """The event began long before it was written: the detector or the card was too slow."""

    def slow() -> None:
        stairs.kit.clock.t += LIMIT_S + 1
        step = replace(change(Phase.NEW, 1, stairs.kit.clock.t), started=stairs.kit.clock.t - LIMIT_S - 1)
        stairs.kit.journal.event(EVENT, step, stairs.kit.reporter.event(EVENT, step))
        stairs.kit.journal.ask(lambda _: None)
        stairs.acknowledged()

    stairs.after(2, slow)

    outcome = stairs.walk(receipt)

    assert ("late", 11.0, False) == (outcome.fault, outcome.seconds, outcome.passed)
    assert outcome.detail is not None
    assert said == outcome.detail.en
