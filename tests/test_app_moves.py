"""Where a kit was before, and what is cleared there until the broker confirms it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, kept
from kits import Kit

from agent.app.moves import NAME, Moves
from agent.backbone.topics import Topics
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.backbone.publication import Publication

HERE, THERE, ELSEWHERE = (Topics("51", "odesa", place, "k7f3k2qx4m") for place in ("a", "b", "c"))


class Broker:
    """What was published, and how to confirm it."""

    def __init__(self) -> None:
        self.said: list[tuple[Publication, Callable[[], None]]] = []

    def publish(self, publication: Publication, taken: Callable[[], None]) -> None:
        """Take a publication."""
        self.said.append((publication, taken))

    @property
    def topics(self) -> list[str]:
        """Where something was cleared."""
        assert all(p.retain and p.payload == b"" for p, _ in self.said)
        return [p.topic for p, _ in self.said]


def at(directory: Path, topics: Topics) -> tuple[Moves, list[tuple[Topics, Topics]]]:
    """A start of the kit there, and what it was told to leave."""
    left: list[tuple[Topics, Topics]] = []
    moves = Moves(directory, topics)
    moves.arrive(lambda before, here: left.append((before, here)))
    return moves, left


def test_a_kit_that_stays_has_nothing_to_clear(tmp_path: Path) -> None:
    """And writes its file once."""
    for _ in range(2):
        moves, _ = at(tmp_path, HERE)
        broker = Broker()
        moves.clear(broker.publish)
        assert not moves.moved
        assert [] == broker.said
    before = (tmp_path / NAME).stat().st_mtime_ns
    at(tmp_path, HERE)
    assert before == (tmp_path / NAME).stat().st_mtime_ns


def test_what_lies_under_a_former_place_is_cleared_until_it_is_confirmed(tmp_path: Path) -> None:
    """Presence and report; over restarts, until the broker has both."""
    at(tmp_path, HERE)
    for _ in range(2):
        moves, _ = at(tmp_path, THERE)
        broker = Broker()
        moves.clear(broker.publish)
        assert moves.moved
        assert [HERE.cfg_rep, HERE.st] == broker.topics
    broker.said[0][1]()
    assert at(tmp_path, THERE)[0].moved

    broker.said[1][1]()
    assert not moves.moved
    assert not at(tmp_path, THERE)[0].moved


def test_a_kit_that_moves_twice_clears_both_and_never_where_it_is(tmp_path: Path) -> None:
    """Also when it comes back before the first place was cleared."""
    for topics in (HERE, THERE, ELSEWHERE, THERE):
        moves, _ = at(tmp_path, topics)
    broker = Broker()
    moves.clear(broker.publish)

    assert {HERE.st, HERE.cfg_rep, ELSEWHERE.st, ELSEWHERE.cfg_rep} == set(broker.topics)


def test_the_alarms_are_left_where_the_kit_was_last(tmp_path: Path) -> None:
    """At the first start there is no such place."""
    assert [] == at(tmp_path, HERE)[1]
    assert [(HERE, HERE)] == at(tmp_path, HERE)[1]
    assert [(HERE, THERE)] == at(tmp_path, THERE)[1]


def test_another_kits_topics_are_not_ours_to_clear(tmp_path: Path) -> None:
    """The card was put into another kit: the broker would refuse it, and that kit may live."""
    at(tmp_path, HERE)
    moves, left = at(tmp_path, Topics("51", "odesa", "a", "st0pped00x"))

    assert not moves.moved
    assert [] == left


def test_a_damaged_file_is_forgotten(tmp_path: Path) -> None:
    """It keeps no kit from starting."""
    at(tmp_path, HERE)
    (tmp_path / NAME).write_bytes(b"0" * 64 + b"\n[]\n")

    assert not at(tmp_path, THERE)[0].moved
    assert not at(tmp_path, THERE)[0].moved


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """As everything of the state directory."""
    (tmp_path / NAME).mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        Moves(tmp_path, HERE)


def alarms(kit: Kit) -> list[tuple[str, str]]:
    return [(m["state"], m["code"]) for m in kept(kit.state)]


def test_raised_alarms_are_cleared_under_the_former_topics(tmp_path: Path) -> None:
    """Those that were raised, through the outbox: behind what is still to be said of them there."""
    kit = Kit(tmp_path)
    kit.announcer.alarm("camera.slow", active=True)
    kit.announcer.alarm("scene.dark", active=True)
    kit.announcer.alarm("scene.dark", active=False)
    kit.journal.leave(HERE, HERE)
    kit.journal.leave(HERE, THERE)

    assert ("cleared", "camera.slow") == alarms(kit)[-1]
    assert 4 == len(alarms(kit))
    assert {"camera.slow"} == kit.journal.left_alarms()
    [row] = kit.journal.ask(
        lambda tx: tx.execute("SELECT head FROM outbox ORDER BY seq DESC LIMIT 1").fetchall()
    )
    assert HERE.alm("camera.slow").encode() in row[0]
    kit.end()


def test_a_new_database_clears_whatever_may_have_been_raised(tmp_path: Path) -> None:
    """Nobody knows which were; before anything else is said."""
    kit = Kit(tmp_path)
    kit.journal.leave(HERE, HERE)
    kit.journal.leave(HERE, HERE)

    told = alarms(kit)
    assert ("cleared", "camera.lost") in told
    assert {"cleared"} == {state for state, _ in told}
    assert len(told) == len(set(told))
    kit.end()


def test_alarms_are_repeated_in_their_own_words(tmp_path: Path) -> None:
    """Since when they are raised does not change by being said again, by a later run neither."""
    clock = Hands(mono=1000.0)
    kit = Kit(tmp_path, clock)
    kit.announcer.alarm("camera.slow", active=True)
    kit.announcer.alarm("scene.dark", active=True)
    kit.announcer.alarm("scene.dark", active=False)
    kit.end()
    later = Kit(tmp_path, Hands(mono=5.0, boot="bbbbbbbb"))
    later.journal.repeat_alarms(THERE)
    later.end()

    *_, last = kept(tmp_path)
    assert ("raised", "camera.slow", 1000.0, "aaaaaaaa", 4) == (
        last["state"],
        last["code"],
        last["mono0"],
        last["boot"],
        last["seq"],
    )
