"""How `serve` starts agents: with which settings, and what it makes of their end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from app_parts import settings, toml

from agent.app import service
from agent.app.reconfiguration import RECONFIGURE, Terms
from agent.app.service import serve
from agent.app.statelock import StateLock
from agent.backbone.revisions import OWN, Revision, Revisions
from agent.device.clock import SystemClock
from agent.errors import ConfigError, SourceError, StallError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config import Settings

FIVE = Revision(rev=5, values={"clips": {"retention_h": 24}})
HALL = Revision(rev=6, values={"loitering": {"zones": ["hall"]}})


class Start:
    """A kit's file and state, and how the agents that are started there end, one after the other."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self.state = directory / "state"
        self.state.mkdir()
        self.file = directory / "agent.toml"
        self.stop = threading.Event()
        self.terms: list[Terms] = []
        self.ends: list[str | Exception | Callable[[Terms], str]] = []
        self.write()
        patch.setattr(service, "Agent", self._agent)

    def write(self, more: str = "") -> None:
        """Write the kit's own file."""
        self.file.write_text(toml(settings(self.state)) + more, encoding="utf-8")

    def serve(self, *ends: str | Exception | Callable[[Terms], str]) -> list[tuple[int, float]]:
        """Serve; the revision and the retention of each agent that was started."""
        self.ends, self.terms = list(ends), []
        while serve(self.file, SystemClock(), self.stop):
            pass
        return self.started

    @property
    def started(self) -> list[tuple[int, float]]:
        """The revision and the retention of each agent of the last `serve`."""
        return [(terms.running.rev, terms.settings.clips.retention_h) for terms in self.terms]

    @property
    def revisions(self) -> Revisions:
        """What the kit keeps."""
        return Revisions(self.state)

    def _agent(self, chosen: Settings, clock: object, terms: Terms) -> Start:
        del clock
        assert chosen == terms.settings
        self.terms.append(terms)
        return self

    def run(self, stop: threading.Event) -> str:
        """See Agent."""
        assert stop is self.stop
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end if isinstance(end, str) else end(self.terms[-1])


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    return Start(tmp_path, monkeypatch)


def take(terms: Terms) -> str:
    """An agent that takes revision five and ends for it."""
    terms.revisions.take(FIVE)
    return RECONFIGURE


def prove(terms: Terms) -> str:
    """An agent with which the running revision has proven itself."""
    terms.revisions.prove(terms.running)
    return "shutdown"


def test_one_agent_follows_the_other(start: Start) -> None:
    """With the new settings; each holds the lock of the directory."""

    def locked(terms: Terms) -> str:
        with pytest.raises(StorageError, match="another agent"):
            StateLock(start.state)
        return prove(terms)

    assert [(0, 72.0), (5, 24.0)] == start.serve(take, locked)
    assert [(5, 24.0)] == start.serve("shutdown")
    StateLock(start.state).release()


def test_a_command_to_start_anew_ends_the_process(start: Start) -> None:
    """It is for the service manager to do so."""
    assert [(0, 72.0)] == start.serve("restart")


def test_a_stop_while_it_is_applied_is_obeyed(start: Start) -> None:
    """The next start has the new settings."""

    def stopped(terms: Terms) -> str:
        start.stop.set()
        return take(terms)

    assert [(0, 72.0)] == start.serve(stopped)
    start.stop.clear()
    assert [(5, 24.0)] == start.serve(prove)


def test_what_an_agent_dies_of_on_trial_ends_the_process_and_counts(start: Start) -> None:
    """Twice; the third start has the last good one, and knows why."""
    death = StallError("analysis: nothing done for 21 s", fix="…")
    with pytest.raises(StallError):
        start.serve(take, death)
    with pytest.raises(StallError):
        start.serve(death)
    assert [(5, 24.0)] == start.started

    assert [(0, 72.0)] == start.serve("shutdown")
    assert "nothing done for 21 s" in start.revisions.answer.detail


def test_a_wanted_end_on_trial_does_not_count(start: Start) -> None:
    """However often."""
    assert [(0, 72.0), (5, 24.0)] == start.serve(take, "shutdown")
    for _ in range(3):
        assert [(5, 24.0)] == start.serve("shutdown")


def test_settings_that_cannot_be_run_with_have_one_try(start: Start) -> None:
    """And the service manager must restart the agent, as it does for no other wrong configuration."""
    wrong = ConfigError(
        "privacy.masks: the stream would be recorded without them", fix="set capture.reencode"
    )
    with pytest.raises(StallError, match=r"privacy\.masks") as caught:
        start.serve(take, wrong)

    assert "the next start has configuration 0 again" in caught.value.fix
    assert [(0, 72.0)] == start.serve("shutdown")
    assert "rolled-back" == start.revisions.answer.fate


def test_what_ends_a_proven_one_is_no_matter_of_the_configuration(start: Start) -> None:
    """It stays good, and the error is told as it is."""
    start.serve(take, prove)
    for death in (SourceError("no such video", fix="…"), ConfigError("backbone.ca_file", fix="…")):
        with pytest.raises(type(death)):
            start.serve(death)

    assert [(5, 24.0)] == start.serve("shutdown")


def test_a_trial_that_fits_no_more_is_rolled_back_at_once(start: Start) -> None:
    """The kit's file was changed before it could be started."""
    start.revisions.take(HALL)

    assert [(0, 72.0)] == start.serve("shutdown")
    assert ("rolled-back", 6) == (start.revisions.answer.fate, start.revisions.answer.rev)
    assert "no such zone" in start.revisions.answer.detail


def test_a_good_one_that_fits_no_more_waits_for_the_file(start: Start) -> None:
    """The file counts alone, and the agent is told why; once it fits again it is in force again."""
    zone = '[[view.zones]]\nname = "hall"\npolygon = [[0, 0], [1, 0], [1, 1]]\n'
    start.write(zone)
    start.revisions.take(HALL)
    assert [(6, 72.0)] == start.serve(prove)

    start.write()
    start.serve("shutdown")
    [terms] = start.terms
    assert OWN == terms.running
    assert terms.misfit is not None
    assert {"loitering.zones"} == terms.misfit.keys.keys()

    start.write(zone)
    assert [(6, 72.0)] == start.serve("shutdown")


def test_the_level_of_the_log_is_that_of_the_settings(start: Start) -> None:
    """The city may look closer."""
    with pytest.MonkeyPatch.context() as patch:
        levels: list[str] = []
        patch.setattr(service.logging.getLogger(), "setLevel", levels.append)
        start.revisions.take(Revision(rev=1, values={"log": {"level": "debug"}}))
        start.serve(RECONFIGURE, prove)
    assert ["DEBUG", "DEBUG"] == levels
