"""A kit that is started on a dead card: real disks, the whole agent."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest
from app_parts import check, kept, query, settings, toml, visit
from broker import wait_for
from cards import Card
from clips_footage import small_disk
from clips_keys import RECIPIENTS
from standin import standin

from agent.app import lifeboat as boats
from agent.app.lifeboat import lifeboat
from agent.app.service import serve
from agent.backbone.revisions import Revision, Revisions
from agent.device.clock import SystemClock
from agent.device.identity import KEYS, Identity
from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Systemd's runtime directory, in memory."""
    with small_disk(tmp_path / "run", 32 * 1024) as place:
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(place))
        yield place


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Card]:
    card = Card(tmp_path)
    yield card
    while os.path.ismount(card.place):
        card.pull()


def said(state: Path) -> set[str]:
    """Of what there is a message so far."""
    with contextlib.suppress(sqlite3.OperationalError):  # no database yet, or none of its tables
        return {"event" if "phase" in message else "alarm" for message in kept(state)}
    return set()


@pytest.mark.slow
def test_a_start_on_a_dead_card(tmp_path: Path, card: Card, memory: Path) -> None:
    """The same kit says that its card is read-only, and tells of persons all the same, without clips."""
    state = card.place / "state"
    chosen = settings(
        state,
        capture={"source": str(visit(tmp_path / "visit.mp4")), "loop": True},
        clips={"seal": "age", "recipients": RECIPIENTS, "dir": card.place / "clips"},
        outbox={"max_mb": 64},
    )
    file = tmp_path / "agent.toml"
    file.write_text(toml(chosen), encoding="utf-8")
    kit = Identity.open(state / KEYS).public
    card.give_up()

    stop, errors = threading.Event(), list[StairwellError]()

    def run() -> None:
        try:
            serve(file, SystemClock(), stop)
        except StairwellError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        boat = memory / "state"
        wait_for(lambda: {"alarm", "event"} <= said(boat), 60)
    finally:
        stop.set()
        thread.join(60)
    assert [] == errors
    assert ["storage.readonly"] == [m["code"] for m in kept(boat) if check(m) == "Alarm"]
    assert kit.text == Identity.open(boat / KEYS).public.text
    assert [] == query(boat, "SELECT id FROM clips UNION SELECT id FROM open_clips")
    assert [] == list(card.place.glob("clips/*"))


def test_a_disk_that_takes_writes_is_used(tmp_path: Path, memory: Path) -> None:
    """Nothing is left of the look at it, and memory stays empty."""
    assert lifeboat(tmp_path / "state") is None
    assert [] == [*(tmp_path / "state").iterdir(), *memory.iterdir()]


def test_missing_rights_and_a_full_disk_are_other_matters(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are somebody's to mend: the start says so, or makes room."""
    for errno in (13, 28):

        def refuse(*_: object, errno: int = errno) -> int:
            raise OSError(errno, "refused")

        monkeypatch.setattr(boats, "os", standin(os, open=refuse))
        assert lifeboat(tmp_path) is None
    assert [] == list(memory.iterdir())


def test_without_a_place_in_memory_there_is_no_boat(
    card: Card, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk it would be no better off; and keys that cannot be read are made anew."""
    card.give_up()
    boat = lifeboat(card.place / "state")
    assert boat is not None
    assert [] == list((memory / "state").iterdir())
    assert "takes no writes" in str(boat.refusal)
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    assert lifeboat(card.place / "state") is None


@pytest.mark.usefixtures("memory")
def test_what_the_city_has_set_is_taken_along(card: Card) -> None:
    """A mask must not fall away with the card; what was set since lies in the boat, over restarts."""
    masks = {"privacy": {"masks": [{"name": "flat", "polygon": [[0, 0], [1, 0], [1, 1]]}]}}
    on_card = Revisions(card.place)
    on_card.take(Revision(rev=5, values=masks))
    on_card.prove(on_card.begin())
    card.give_up()

    boat = lifeboat(card.place)
    assert boat is not None
    in_boat = Revisions(boat.directory)
    assert (5, masks) == (in_boat.begin().rev, in_boat.good.values)
    in_boat.take(Revision(rev=6))
    assert lifeboat(card.place) is not None
    assert 6 == Revisions(boat.directory).begin().rev


def test_little_is_kept_in_memory(tmp_path: Path, memory: Path, card: Card) -> None:
    """No clips, wherever they should lie, and a small outbox; a smaller one stays as it is."""
    card.give_up()
    boat = lifeboat(card.place)
    assert boat is not None
    for wanted, given in ((64, 8), (2, 2)):
        chosen = boat.settings(settings(tmp_path, outbox={"max_mb": wanted}, clips={"dir": tmp_path}))
        assert (memory / "state", memory / "state" / "clips") == (chosen.state.dir, chosen.clips_dir)
        assert (False, given) == (chosen.clips.enabled, chosen.outbox.max_mb)
