"""A real agent on a real card that fills up, goes read-only, and is pulled out."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from app_parts import check, kept, query, settings, visit
from cards import Card
from clips_keys import CITY, RECIPIENTS

from agent.app import ballast
from agent.app.archive import Archive
from agent.app.inspection import inspect
from agent.app.live import Agent
from agent.clips.part import PART
from agent.device.clock import SystemClock
from agent.device.identity import PublicKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.config import Settings

PATIENCE_S = 60.0  # on a machine that does other things too


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Card]:
    card = Card(tmp_path)
    yield card
    while os.path.ismount(card.place):
        card.pull()


class Watched:
    """An agent in a thread of its own."""

    def __init__(self, chosen: Settings) -> None:
        self.settings = chosen
        self.agent = Agent(chosen, SystemClock())
        self._stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.agent.run(self._stop)
        except BaseException as error:
            self.error = error
            raise

    def until(self, what: str, done: Callable[[], object]) -> None:
        """Wait for something to be true."""
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert self._thread.is_alive(), self.error
            assert time.monotonic() < deadline, f"{what}: {self.agent._announcer.alarms}"
            time.sleep(0.1)

    def alarm(self, *codes: str) -> Callable[[], bool]:
        """Whether these are raised, of those about storage and clips."""
        wanted = set(codes)
        return lambda: wanted == {a for a in self.agent._announcer.alarms if a.startswith(("stor", "clip"))}

    def clips(self) -> int:
        """How many are complete."""
        return len(query(self.settings.state.dir, "SELECT id FROM clips"))

    def synced(self) -> bool:
        """Whether some of the clip under way is on the card."""
        notes = self.settings.clips_dir.glob(f"*{PART}")
        return any(note.stat().st_size for note in notes)

    def events(self) -> int:
        """How many steps of events were written down."""
        return sum("phase" in message for message in kept(self.settings.state.dir))

    def public_key(self) -> PublicKey:
        """The kit's."""
        return PublicKey.read(self.settings.state.dir / "keys" / "kit.pub")

    def stop(self) -> None:
        """However it is."""
        self._stop.set()
        self._thread.join(60)

    def end(self) -> None:
        """Stop; nothing may have gone wrong."""
        self.stop()
        assert not self._thread.is_alive()
        assert self.error is None


@pytest.fixture
def watch() -> Iterator[Callable[[Settings], Watched]]:
    """Agents; those that a failed test leaves are stopped."""
    agents: list[Watched] = []

    def begin(chosen: Settings) -> Watched:
        agents.append(Watched(chosen))
        return agents[-1]

    yield begin
    for agent in agents:
        agent.stop()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_card_that_fills_fails_and_is_pulled(
    tmp_path: Path, card: Card, watch: Callable[[Settings], Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is an alarm of its own; events go on; recording comes back by itself; no clip is called lost."""
    monkeypatch.setattr("agent.clips.recorder.RETRY_S", 1.0)
    monkeypatch.setattr("agent.app.live.TROUBLED_S", 1.0)
    state = tmp_path / "state"
    state.mkdir()
    chosen = settings(
        state,
        capture={"source": str(visit(tmp_path / "visit.mp4")), "loop": True},
        events={"update_s": 0.5},
        clips={
            "dir": card.place / "clips",
            "seal": "age",
            "recipients": RECIPIENTS,
            "pre_roll_s": 1,
            "post_roll_s": 1,
            "max_s": 10,
            "sync_s": 0.5,
        },
    )
    agent = watch(chosen)
    agent.until("a first clip", lambda: agent.clips() >= 1)
    agent.until("all in order", agent.alarm())

    agent.until("something on the card of the next", agent.synced)
    card.fill()
    agent.until("full", agent.alarm("clips.failed", "storage.full"))
    before = agent.events()
    agent.until("events without clips", lambda: agent.events() > before + 2)
    card.free()
    clips = agent.clips()
    agent.until("clips again", lambda: agent.clips() > clips)
    agent.until("no longer full", agent.alarm())

    agent.until("something on the card of the next", agent.synced)
    card.give_up()
    agent.until("read-only", agent.alarm("clips.failed", "storage.readonly"))
    before = agent.events()
    agent.until("events on a dead card", lambda: agent.events() > before + 2)

    card.pull()
    agent.until("gone", agent.alarm("clips.failed", "storage.gone"))
    before = agent.events()
    agent.until("events without a card", lambda: agent.events() > before + 2)
    assert [] == [path for path in card.place.rglob("*") if path.is_file()]

    card.mount()
    clips = agent.clips()
    agent.until("clips on the card again", lambda: agent.clips() > clips + 1)
    agent.until("all well", agent.alarm())
    agent.end()

    messages = kept(state)
    assert {"retention"} >= {m["why"] for m in messages if check(m) == "ClipErased"}
    raised = {m["code"] for m in messages if check(m) == "Alarm"}
    assert {"clips.failed", "storage.full", "storage.readonly", "storage.gone"} <= raised
    assert "clips.lost" not in raised
    archive = Archive(chosen, SystemClock())
    found = inspect(archive, agent.public_key(), [CITY], repair=False, progress=lambda *_: None)
    assert () == found.findings
    assert found.clips == agent.clips()
    assert 2 <= sum(m.get("truncated", False) for m in messages)


@pytest.mark.slow
def test_a_start_on_a_full_card(
    tmp_path: Path, card: Card, watch: Callable[[Settings], Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Database and clips on one card without a byte free: the agent starts, tells events, deletes clips.

    It records once there is room again, and not before: a clip would eat what the deletion needs.
    """
    monkeypatch.setattr("agent.clips.recorder.RETRY_S", 1.0)
    monkeypatch.setattr("agent.app.live.TROUBLED_S", 1.0)
    chosen = settings(
        card.place,
        capture={"source": str(visit(tmp_path / "visit.mp4")), "loop": True},
        events={"update_s": 0.5},
        clips={
            "seal": "age",
            "recipients": RECIPIENTS,
            "pre_roll_s": 1,
            "post_roll_s": 1,
            "max_s": 10,
            "sync_s": 0.5,
        },
    )
    first = watch(chosen)
    first.until("something recorded", first.synced)
    first.end()
    assert 1 == first.clips()
    assert (card.place / ballast.NAME).exists()
    events = first.events()
    card.fill()

    again = watch(chosen)
    again.until("no room for a clip", again.alarm("clips.failed", "storage.full"))
    again.until("events", lambda: again.events() > events)
    again.until("the clip of before deleted", lambda: not again.clips())
    assert not again.synced()
    assert not (card.place / ballast.NAME).exists()

    card.free()
    again.until("a clip", again.clips)
    again.until("all well", again.alarm())
    again.until("the ballast back", (card.place / ballast.NAME).exists)
    again.end()


@pytest.mark.slow
def test_a_start_without_the_card(tmp_path: Path, card: Card, watch: Callable[[Settings], Watched]) -> None:
    """The agent starts, says that the card is not there, and goes on with events; nothing lands beside it."""
    state = tmp_path / "state"
    state.mkdir()
    chosen = settings(
        state,
        capture={"source": str(visit(tmp_path / "visit.mp4")), "loop": True},
        clips={"dir": card.place / "clips", "pre_roll_s": 1, "post_roll_s": 1, "max_s": 10},
    )
    first = watch(chosen)
    first.until("a clip under way", lambda: query(state, "SELECT id FROM open_clips"))
    first.end()
    clips = first.clips()
    assert 1 == clips
    card.pull()

    again = watch(chosen)
    again.until("gone", again.alarm("clips.unsealed", "storage.gone", "clips.failed"))
    again.end()
    assert clips == again.clips()
    assert [] == [path for path in card.place.rglob("*") if path.is_file()]
