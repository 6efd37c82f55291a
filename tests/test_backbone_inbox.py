"""What comes down is handled in order, by whom it is for, and never fills the memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from broker import wait_for

from agent.backbone import inbox as inbox_module
from agent.backbone.inbox import Inbox
from agent.backbone.link import Received
from agent.device.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator


CLOCK = SystemClock()


def received(topic: str, payload: bytes = b"{}") -> Received:
    return Received(topic, payload, retain=False, response_topic=None, correlation=None)


class Desk:
    """Two handlers that remember; the first waits for `go`."""

    def __init__(self) -> None:
        self.commands: list[Received] = []
        self.settings: list[Received] = []
        self.go = threading.Event()
        self.go.set()
        self.inbox = Inbox({"bm/+/cmd/#": self.command, "bm/k/cfg/des": self.settings.append}, CLOCK)

    def command(self, message: Received) -> None:
        """Take a command when it may."""
        assert self.go.wait(10)
        self.commands.append(message)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.go.set()
    assert made.inbox.close(5.0)


def test_each_message_goes_to_its_handler(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """In the order in which they came; what matches nothing is dropped, and said."""
    assert ("bm/+/cmd/#", "bm/k/cfg/des") == desk.inbox.filters
    messages = [received(f"bm/{t}") for t in ("k/cmd/echo", "k/cfg/des", "all/cmd/clip/list", "k/cmd/a")]
    desk.inbox.start()
    for message in (received("bm/k/hb"), *messages):
        desk.inbox.put(message)
    wait_for(lambda: len(desk.commands) == 3)

    assert [messages[0], *messages[2:]] == desk.commands
    assert [messages[1]] == desk.settings
    assert "bm/k/hb was not asked for" in caplog.text


def test_a_flood_is_bounded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In number and in bytes; the loss is counted, and said once."""
    monkeypatch.setattr(inbox_module, "PAYLOAD_MAX", 10)
    desk.go.clear()
    desk.inbox.start()
    desk.inbox.put(received("bm/k/cmd/first"))
    wait_for(desk.inbox._queue.empty)
    for _ in range(inbox_module.WAITING_MAX + 5):
        desk.inbox.put(received("bm/k/cmd/echo", bytes(1000)))
    assert 5 == desk.inbox.dropped
    desk.go.set()
    wait_for(lambda: len(desk.commands) == inbox_module.WAITING_MAX + 1)

    assert {11} == {len(m.payload) for m in desk.commands[1:]}
    assert 1 == len([r for r in caplog.records if r.levelname == "WARNING"])


def test_a_stop_waits_for_one_message_only(desk: Desk) -> None:
    """What is under way is finished, the rest is left, even with a full inbox."""
    desk.go.clear()
    desk.inbox.start()
    desk.inbox.put(received("bm/k/cmd/first"))
    wait_for(desk.inbox._queue.empty)
    for _ in range(inbox_module.WAITING_MAX):
        desk.inbox.put(received("bm/k/cmd/echo"))
    assert not desk.inbox.close(0.1)
    desk.go.set()
    assert desk.inbox.close(5.0)
    assert [received("bm/k/cmd/first")] == desk.commands


def test_a_message_that_takes_long_can_be_seen(desk: Desk) -> None:
    """Since when it is handled; nothing, once it is done."""
    begun = CLOCK.mono()
    desk.go.clear()
    desk.inbox.start()
    assert desk.inbox.busy_since is None
    desk.inbox.put(received("bm/k/cmd/first"))
    wait_for(lambda: begun <= (desk.inbox.busy_since or 0) <= CLOCK.mono())
    desk.go.set()
    wait_for(lambda: desk.inbox.busy_since is None)


def test_a_fault_of_ours_is_kept(desk: Desk) -> None:
    """The supervisor ends the process with it."""

    def handle(message: Received) -> None:
        raise ZeroDivisionError(message.topic)

    inbox = Inbox({"#": handle}, CLOCK)
    inbox.start()
    inbox.put(received("bm/x"))
    wait_for(lambda: not inbox.alive)
    assert isinstance(inbox.error, ZeroDivisionError)
    assert desk.inbox.error is None
