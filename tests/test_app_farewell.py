"""A kit's last word: over links that break, to a broker that comes and goes."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands
from broker import Broker, Listener, Peer, free_port, wait_for
from kits import Kit

from agent.app.farewell import MEETING_S, Farewell

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Settings

TOLD = {"kit": "k7f3k2qx4m", "clips": 2}


@pytest.fixture
def kit(tmp_path: Path) -> Settings:
    """Of a kit whose agent has ended."""
    (tmp_path / "state").mkdir()
    kit = Kit(tmp_path / "state", Hands(ts="2026-05-01T10:00:00.000Z"))
    kit.end()
    return kit.settings


def at(port: int, kit: Settings) -> Settings:
    return kit.model_copy(update={"backbone": kit.backbone.model_copy(update={"port": port})})


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def test_a_first_try_that_breaks(kit: Settings) -> None:
    """A modem that was asleep loses the first connection; the second is waited for."""
    peer = Peer(hang_up, lambda connection: connection.sendall(Peer.ACCEPT))
    with Farewell(at(peer.port, kit), Hands()) as last:
        assert not last.silent
    peer.close()


def test_a_broker_that_was_away(kit: Settings, tmp_path: Path) -> None:
    """Erasing takes its time: the word goes over the connection that there is then."""
    with ExitStack() as stack:
        broker = Broker(tmp_path)
        broker.start()
        stack.callback(broker.stop)
        last = stack.enter_context(Farewell(at(broker.port, kit), Hands()))
        assert not last.silent
        broker.stop()
        broker.start()
        listener = Listener(broker.port)
        stack.callback(listener.close)
        wait_for(lambda: last.say(TOLD))
        wait_for(lambda: any(b"erased" in heard.payload for heard in listener.heard))


def test_a_broker_that_is_not_there(kit: Settings) -> None:
    """Nobody waits for it, and nothing is said."""
    began = time.monotonic()
    with Farewell(at(free_port(), kit), Hands()) as last:
        assert last.silent
        assert not last.say(TOLD)
    assert time.monotonic() - began < MEETING_S
