"""The connection to the broker, against a real one, and against what a sound broker never does."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import resource
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from backbone_samples import KIT, TOPICS, Here, cleared, raised, snapshot
from broker import Broker, Listener, Peer, free_port, tls_listener, wait_for

from agent.backbone import link as link_module
from agent.backbone.causes import Cause
from agent.backbone.drafts import HEADER
from agent.backbone.link import WINDOW, Acked, Connected, Disconnected, Granted, Link, LinkEvent, Received
from agent.backbone.publication import Publication
from agent.config import Backbone
from agent.errors import ConfigError
from pki import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Will = Callable[[int], Publication]

pytestmark = [
    pytest.mark.broker,
    # CPython leaves the socket of a failed TLS handshake to the garbage collector, which warns of it.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored.*<ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
    ),
]

HERE = Here()
NOTE = Publication("bm/test", b"{}")
SELECT_MAX = 1024  # FD_SETSIZE


class Rig:
    """Links whose events are kept, closed at the end."""

    def __init__(self) -> None:
        self.events: list[LinkEvent] = []
        self.links: list[Link] = []
        self.brokers: list[Broker] = []

    def link(self, port: int, *, start: bool = True, will: Will = HERE.will, **changes: object) -> Link:
        """A link to the port, connecting."""
        settings = Backbone(host="localhost", port=port, tls=False, will_delay_s=0)
        made = Link(settings.model_copy(update=changes), KIT, will, self.events.append)
        self.links.append(made)
        if start:
            made.start(1)
        return made

    def broker(self, directory: Path, *lines: str, listener: tuple[str, ...] = ()) -> Broker:
        """A broker of this test's own."""
        made = Broker(directory, *lines, listener=listener)
        self.brokers.append(made)
        made.start()
        return made

    def of(self, kind: type) -> list[Any]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def first_loss(self) -> Disconnected:
        """The first end of a connection or of a try."""
        wait_for(lambda: self.of(Disconnected))
        loss: Disconnected = self.of(Disconnected)[0]
        return loss


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(link_module, "BACKOFF_MIN_S", 0.02)
    monkeypatch.setattr(link_module, "BACKOFF_MAX_S", 0.2)
    made = Rig()
    yield made
    ended = [link.close(5.0) for link in made.links]
    for broker in made.brokers:
        broker.stop()
    assert all(ended)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    made = Listener(broker.port)
    yield made
    made.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


def scripted(rig: Rig, *scripts: Callable[[socket.socket], None]) -> tuple[Peer, Link]:
    peer = Peer(*scripts)
    return peer, rig.link(peer.port)


def accept(connection: socket.socket) -> None:
    connection.sendall(Peer.ACCEPT)


def test_message_arrives_as_it_was_given(rig: Rig, broker: Broker, listener: Listener) -> None:
    """Topic, payload, retain, content type, user properties; and the broker's answer comes back."""
    link = rig.link(broker.port)
    wait_for(lambda: link.online)
    publications = [message.render("9f2c1a7e", 1) for message in (raised(), snapshot(2), cleared())]
    tokens = [link.publish(publication) for publication in publications]
    wait_for(lambda: len(rig.of(Acked)) == len(listener.heard) == 3)

    assert [Acked(token, 0) for token in tokens if token] == rig.of(Acked)
    assert [(p.topic, p.payload) for p in publications] == [(m.topic, m.payload) for m in listener.heard]
    up, picture, down = (m.properties for m in listener.heard)
    assert ("application/json", 1) == (up.ContentType, up.PayloadFormatIndicator)
    assert ("image/jpeg", 0) == (picture.ContentType, picture.PayloadFormatIndicator)
    assert "cleared" == json.loads(dict(down.UserProperty)[HEADER])["state"]


def test_nobody_listening_is_told(rig: Rig, broker: Broker) -> None:
    """A PUBACK with 0x10 reaches the owner as 0x10."""
    link = rig.link(broker.port)
    wait_for(lambda: link.online)
    link.publish(NOTE)
    wait_for(lambda: rig.of(Acked))

    assert 0x10 == rig.of(Acked)[0].reason


def test_what_is_subscribed_is_received(rig: Rig, broker: Broker, listener: Listener) -> None:
    """With the properties that an answer needs; an incoming flood of bytes is not our business here."""
    link = rig.link(broker.port)
    wait_for(lambda: link.online)
    link.subscribe("bm/down")
    wait_for(lambda: rig.of(Granted))
    listener.publish("bm/down", b"do it")
    wait_for(lambda: rig.of(Received))

    assert (1,) == rig.of(Granted)[0].reasons
    assert [Received("bm/down", b"do it", retain=False, response_topic=None, correlation=None)] == rig.of(
        Received
    )


def test_nothing_is_published_while_offline(rig: Rig) -> None:
    """A message given to a dead link is refused at once, and not kept to be sent twice later."""
    link = rig.link(free_port())

    assert Cause.REFUSED == rig.first_loss().cause
    assert link.publish(NOTE) is None
    link.subscribe("bm/down")


def test_message_for_another_connection_is_refused(rig: Rig, broker: Broker) -> None:
    """What was meant for the connection before this one must not overtake the birth."""
    link = rig.link(broker.port)
    wait_for(lambda: rig.of(Connected))

    assert link.publish(NOTE, 2) is None
    assert link.publish(NOTE, 1) is not None
    link.reset(Cause.STALLED, 2)
    time.sleep(0.7)
    assert [] == rig.of(Disconnected)
    link.reset(Cause.STALLED, 1)
    assert Cause.STALLED == rig.first_loss().cause


def test_killed_broker_is_found_again(rig: Rig, broker: Broker) -> None:
    """Killed and restarted: one Disconnected per loss, and each connection has a number of its own."""
    link = rig.link(broker.port)
    for session in (1, 2, 3):
        wait_for(lambda: link.online)
        assert session == rig.of(Connected)[-1].session
        broker.kill()
        wait_for(lambda: not link.online)
        broker.start()
    losses = [e for e in rig.of(Disconnected) if e.cause is not Cause.REFUSED]

    assert [Cause.LOST] * 3 == [loss.cause for loss in losses]


def test_wrong_password_is_named_and_not_hammered(rig: Rig, tmp_path: Path) -> None:
    """Trying a refused password twice a second would only fill the broker's log."""
    users, password = tmp_path / "users", tmp_path / "password"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(users), KIT, "right"], check=True)
    password.write_text("wrong\n")
    broker = rig.broker(tmp_path, "allow_anonymous false", f"password_file {users}")
    rig.link(broker.port, password_file=password)
    loss = rig.first_loss()
    password.write_text("right\n")
    right = rig.link(broker.port, password_file=password)
    wait_for(lambda: right.online)

    assert Cause.NOT_AUTHORISED == loss.cause
    assert 30.0 <= loss.retry_s <= 60.0


def test_name_that_nobody_knows(rig: Rig) -> None:
    """A broker's name that does not resolve is a matter of DNS, not of the broker."""
    rig.link(8883, host="broker.invalid")

    assert Cause.DNS == rig.first_loss().cause


def test_mutual_tls(rig: Rig, authority: Authority, tmp_path: Path) -> None:
    """With our certificate we are let in, without it or with another authority's not, and told so."""
    server = authority.issue("localhost", "localhost")
    client, key = authority.issue(KIT)
    stranger = Authority(tmp_path / "stranger")
    forged, forged_key = stranger.issue(KIT)
    broker = rig.broker(tmp_path, listener=tls_listener(authority, server, mutual=True))
    ours = rig.link(broker.port, tls=True, ca_file=authority.ca, cert_file=client, key_file=key)
    wait_for(lambda: ours.online)
    assert [] == rig.of(Disconnected)
    ours.close(5.0)
    causes = []
    for certificate in ({}, {"cert_file": forged, "key_file": forged_key}):
        other = Rig()
        link = other.link(broker.port, tls=True, ca_file=authority.ca, **certificate)
        causes.append(other.first_loss().cause)
        link.close(5.0)

    assert [Cause.TLS_REJECTED] * 2 == causes


@pytest.mark.parametrize(
    ("host", "years", "cause"),
    [
        ("elsewhere.example", None, Cause.TLS_HOSTNAME),
        ("localhost", (2020, 2021), Cause.TLS_EXPIRED),
        ("localhost", (2045, 2046), Cause.TLS_NOT_YET_VALID),
        ("localhost", None, Cause.TLS_UNTRUSTED),
    ],
)
def test_broker_that_is_not_who_it_says(
    rig: Rig,
    authority: Authority,
    tmp_path: Path,
    host: str,
    years: tuple[int, int] | None,
    cause: Cause,
) -> None:
    """Each way to be the wrong broker has its own word; none gets us to say anything."""
    start, end = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in years) if years else (None, None)
    server = authority.issue("server", host, start=start, end=end)
    trusted = Authority(tmp_path / "other").ca if cause is Cause.TLS_UNTRUSTED else authority.ca
    broker = rig.broker(tmp_path, listener=tls_listener(authority, server, mutual=False))
    rig.link(broker.port, tls=True, ca_file=trusted)
    loss = rig.first_loss()

    assert cause == loss.cause
    assert [] == rig.of(Connected)


def test_tls_against_a_plain_port(rig: Rig, broker: Broker, authority: Authority) -> None:
    """A mistake of the port is no riddle either."""
    rig.link(broker.port, tls=True, ca_file=authority.ca)

    assert rig.first_loss().cause in {Cause.TLS, Cause.TLS_REJECTED}


def test_unusable_files_are_configuration_errors(authority: Authority, tmp_path: Path) -> None:
    """Found at the start, with the name of the file."""
    certificate, _ = authority.issue("one")
    _, key = authority.issue("two")
    for changes, text in (
        ({"tls": True, "ca_file": tmp_path / "none.pem"}, "none.pem"),
        ({"tls": True, "ca_file": authority.ca, "cert_file": certificate, "key_file": key}, "two.key"),
        ({"tls": False, "password_file": tmp_path / "secret"}, "secret"),
    ):
        with pytest.raises(ConfigError, match=text):
            Link(Backbone(**changes), KIT, HERE.will, print)


def test_silent_broker_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP accepted, no CONNACK: paho alone would wait for the keepalive."""
    monkeypatch.setattr(link_module, "CONNACK_S", 0.2)
    peer, _ = scripted(rig, lambda _: None)
    loss = rig.first_loss()
    peer.close()

    assert Cause.TIMEOUT == loss.cause


def test_socket_that_select_cannot_take_is_no_silence(rig: Rig, broker: Broker) -> None:
    """A descriptor above 1023: paho alone is silent for ever. It is told, each time anew."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2048)), hard))
    taken = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while taken[-1] < SELECT_MAX:
            taken.append(os.dup(taken[0]))
        rig.link(broker.port)
        wait_for(lambda: len(rig.of(Disconnected)) > 1)
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert {Cause.LOST} == {loss.cause for loss in rig.of(Disconnected)}


def test_half_open_connection_is_noticed_once(rig: Rig, broker: Broker) -> None:
    """A peer that vanished without a word: paho reports it twice, we once."""
    link = rig.link(broker.port, keepalive_s=1)
    wait_for(lambda: link.online)
    broker.pause()
    wait_for(lambda: not link.online)
    broker.stop()

    assert Cause.KEEPALIVE == rig.first_loss().cause
    assert 1 == sum(e.cause is Cause.KEEPALIVE for e in rig.of(Disconnected))


def test_session_taken_over_means_a_long_pause(rig: Rig) -> None:
    """Two kits with one identity would push each other out several times a second."""

    def take_over(connection: socket.socket) -> None:
        connection.sendall(Peer.ACCEPT + b"\xe0\x01\x8e")

    peer, _ = scripted(rig, take_over)
    loss = rig.first_loss()
    peer.close()

    assert Cause.TAKEN_OVER == loss.cause
    assert 150.0 <= loss.retry_s <= 300.0


def test_new_connection_begins_empty(rig: Rig) -> None:
    """What the last one left unacknowledged is ours to send again: paho would send all of it in one blast."""

    def drop_after_publishes(connection: socket.socket) -> None:
        connection.sendall(Peer.ACCEPT)
        seen = b""
        while seen.count(b"bm/test") < WINDOW:
            seen += connection.recv(65536)
        connection.shutdown(socket.SHUT_RDWR)

    peer, link = scripted(rig, drop_after_publishes, accept)
    wait_for(lambda: link.online)
    tokens = [link.publish(NOTE) for _ in range(WINDOW + 5)]
    wait_for(lambda: len(rig.of(Connected)) == 2)
    time.sleep(0.3)
    again = bytes(peer.packets[1])
    peer.close()

    assert [True] * WINDOW + [False] * 5 == [token is not None for token in tokens]
    assert b"" == again


def test_receive_maximum_and_packet_size_are_handed_on(rig: Rig) -> None:
    """The window is the smaller of ours and the broker's."""
    properties = b"\x21\x00\x05" + b"\x27\x00\x00\x10\x00"  # Receive Maximum 5, Maximum Packet Size 4096
    connack = bytes([0x20, 3 + len(properties), 0, 0, len(properties)]) + properties
    peer, _ = scripted(rig, lambda connection: connection.sendall(connack))
    wait_for(lambda: rig.of(Connected))
    peer.close()

    assert [Connected(1, 5, 4096, resumed=False)] == rig.of(Connected)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x40\x01\x00",  # PUBACK that is too short
        b"\x40\x03\x00\x01\x77",  # PUBACK with a reason code that does not exist
        b"\x30\x07\x00\x01a\x02\x7f\x00\x00",  # PUBLISH with a property that does not exist
        b"\xf0\xff\xff\xff\xff\xff",  # a length of five bytes
    ],
)
def test_unreadable_packet_ends_the_connection_and_not_the_thread(rig: Rig, garbage: bytes) -> None:
    """A broken broker costs us a reconnect."""
    peer, link = scripted(rig, lambda connection: connection.sendall(Peer.ACCEPT + garbage))
    loss = rig.first_loss()
    alive = link.alive
    peer.close()

    assert (Cause.PROTOCOL, True) == (loss.cause, alive)


def test_topic_that_is_no_text_is_passed_over(rig: Rig) -> None:
    """It would raise inside paho's callback."""
    bad = b"\x30\x04\x00\x01\xff\x00"
    good = b"\x30\x04\x00\x01a\x00"
    peer, link = scripted(rig, lambda connection: connection.sendall(Peer.ACCEPT + bad + good))
    wait_for(lambda: rig.of(Received))
    online = link.online
    peer.close()

    assert (["a"], True) == ([event.topic for event in rig.of(Received)], online)


def test_dead_network_thread_is_visible(rig: Rig, broker: Broker) -> None:
    """A fault of ours ends the thread, keeps the exception, and takes the link offline."""

    def no_will(_session: int) -> Publication:
        raise ZeroDivisionError

    link = rig.link(broker.port, will=no_will)
    wait_for(lambda: not link.alive)

    assert isinstance(link.error, ZeroDivisionError)
    assert not link.online


def test_packets_of_several_threads_are_not_torn(rig: Rig, broker: Broker, listener: Listener) -> None:
    """publish() only hands over; one thread alone writes to the socket."""
    link = rig.link(broker.port)
    wait_for(lambda: link.online)
    sent = [hashlib.sha256(bytes([n])).digest() * 1000 for n in range(120)]

    def send(part: int) -> None:
        for payload in sent[part::4]:
            assert link.publish(Publication("bm/bulk", payload, qos=0, content_type=None)) is not None

    threads = [threading.Thread(target=send, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: len(listener.heard) == len(sent))

    assert set(sent) == {message.payload for message in listener.heard}
    assert [] == rig.of(Disconnected)


def test_waits_are_jittered_and_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full jitter under a doubling limit; a thousand kits must not come back in one second."""
    monkeypatch.setattr(link_module, "BACKOFF_MAX_S", 0.08)
    rig.link(free_port())
    wait_for(lambda: len(rig.of(Disconnected)) >= 25)
    waits = [loss.retry_s for loss in rig.of(Disconnected)]

    assert waits[0] <= 0.04
    assert max(waits) <= 0.08
    assert len(set(waits)) > 5
    assert min(waits) < 0.04 < max(waits)


def test_a_broker_that_is_away_for_months_ends_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it was missed, the wait is one that a float can hold."""
    monkeypatch.setattr(link_module, "BACKOFF_MAX_S", 1e-4)
    link = rig.link(free_port())
    wait_for(lambda: len(rig.of(Disconnected)) > 1030, 60)
    assert link.alive


@pytest.mark.parametrize(
    ("healthy", "limits"), [(0.0, [0.02, 0.02, 0.02, 0.02]), (60.0, [0.04, 0.08, 0.16, 0.32])]
)
def test_only_a_healthy_connection_resets_the_wait(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, healthy: float, limits: list[float]
) -> None:
    """A connection that lasts a moment is no success: clones would push each other out without end."""
    monkeypatch.setattr(link_module, "HEALTHY_S", healthy)
    monkeypatch.setattr(link_module, "BACKOFF_MAX_S", 10.0)

    def hang_up(connection: socket.socket) -> None:
        connection.sendall(Peer.ACCEPT)
        connection.shutdown(socket.SHUT_RDWR)

    peer = Peer(*[hang_up] * 4)
    link = rig.link(peer.port, start=False)
    asked: list[float] = []
    monkeypatch.setattr(link._random, "uniform", lambda low, high: asked.append(high) or low)
    link.start(1)
    wait_for(lambda: len(rig.of(Disconnected)) >= 4)
    peer.close()

    # Each loss draws twice: the jitter under its limit, and the patience that this cause asks for.
    assert limits == asked[:8:2]


def test_wanted_end_takes_the_will_back(rig: Rig, broker: Broker, listener: Listener) -> None:
    """Closing is quick and orderly; the broker says nothing in our name."""
    link = rig.link(broker.port)
    wait_for(lambda: link.online)
    began = time.monotonic()
    assert link.close(60.0)
    took = time.monotonic() - began
    time.sleep(0.2)

    assert took < 30.0  # not the time that it was given
    assert [] == listener.of(TOPICS.st)
    assert Cause.CLOSED == rig.first_loss().cause
    assert rig.link(broker.port, start=False).close(0.0)


def test_connection_given_up_leaves_the_will(rig: Rig, broker: Broker, listener: Listener) -> None:
    """Whether we come back is not sure: the broker keeps the will (and drops it if we do in time)."""
    link = rig.link(broker.port)
    wait_for(lambda: link.online)
    link.reset(Cause.STALLED, 1)
    wait_for(lambda: listener.of(TOPICS.st))

    assert "offline" == json.loads(listener.of(TOPICS.st)[0].payload)["state"]
