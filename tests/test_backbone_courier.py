"""From the outbox to the platform, over a real broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from backbone_samples import KIT, TOPICS, Here, cleared, event, raised, snapshot
from broker import Broker, Listener, Peer, wait_for
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.app.platform import Platform
from agent.backbone import answers as answers_module
from agent.backbone import clerk as clerk_module
from agent.backbone import courier as courier_module
from agent.backbone import link as link_module
from agent.backbone import wire as wire_module
from agent.backbone.causes import Cause
from agent.backbone.courier import Courier
from agent.backbone.outbox import SCHEMA, Outbox
from agent.backbone.publication import Publication
from agent.config import Backbone
from agent.config import Outbox as OutboxSettings
from agent.database import Database
from agent.device.clock import SystemClock
from agent.errors import StorageError
from agent.types import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.backbone.drafts import Draft
    from agent.backbone.link import Received

pytestmark = pytest.mark.broker

CLOCK = SystemClock()


class Kit:
    """Database, outbox and courier of one kit."""

    def __init__(self, path: Path, port: int, **changes: Any) -> None:  # noqa: ANN401
        replay_per_s = changes.pop("replay_per_s", 1000.0)
        presence, ears = changes.pop("presence", Here()), changes.pop("ears", None)
        self.greeted: list[bool] = []
        fresh = changes.pop("fresh", False)
        settings = Backbone(host="localhost", port=port, tls=False, will_delay_s=0, **changes)
        self.database = Database(path, [SCHEMA])
        self.outbox = Outbox(OutboxSettings(), TOPICS)
        self.courier = Courier(
            settings,
            TOPICS,
            self.database,
            self.outbox,
            CLOCK,
            presence,
            ears,
            greet=lambda *, forgotten: self.greeted.append(forgotten),
            fresh=fresh,
            replay_per_s=replay_per_s,
        )
        self.database.submit(self.outbox.open_stream).result()
        self.closed = False

    def append(self, message: Draft) -> int:
        """Store the message and tell the courier, as the agent does."""
        seq = self.database.submit(lambda tx: self.outbox.append(tx, message, CLOCK.stamp())).result()
        self.courier.wake()
        return seq

    @property
    def waiting(self) -> int:
        """Rows not yet delivered, on disk."""
        numbers = self.database.submit(lambda tx: self.outbox.numbers(tx, CLOCK.stamp())).result()
        return numbers.waiting

    def close(self, why: str = "shutdown", timeout_s: float = 3.0) -> bool:
        """End courier and database."""
        self.closed = True
        ended = self.courier.close(why, timeout_s)
        self.database.close()
        return ended


@pytest.fixture
def kits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Kit]]:
    monkeypatch.setattr(link_module, "BACKOFF_MIN_S", 0.05)
    monkeypatch.setattr(link_module, "BACKOFF_MAX_S", 0.2)
    monkeypatch.setattr(clerk_module, "MARK_AFTER_S", 0.1)
    monkeypatch.setattr(clerk_module, "LINGER_S", 0.2)
    made: list[Kit] = []
    yield made
    ended = [kit.close(timeout_s=0.5) for kit in made if not kit.closed]
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


@pytest.fixture
def kit(kits: list[Kit], broker: Broker, listener: Listener, tmp_path: Path) -> Kit:
    """A kit that is connected, with a platform that listens."""
    made = Kit(tmp_path / "agent.db", broker.port)
    kits.append(made)
    made.courier.start()
    wait_for(lambda: listener.of(TOPICS.st))
    return made


def body(message: Any) -> dict[str, Any]:  # noqa: ANN401
    found: dict[str, Any] = json.loads(message.payload)
    return found


def numbers(listener: Listener) -> list[int]:
    return [body(m)["seq"] for m in listener.heard if m.payload and "/evt/" in m.topic]


def test_birth_first_then_what_waited_then_what_comes(
    kits: list[Kit], broker: Broker, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform learns who speaks before it hears the first event, and then hears each one as it comes."""
    monkeypatch.setattr(courier_module, "POLL_S", 600.0)  # who waits for it is not woken
    kit = Kit(tmp_path / "agent.db", broker.port)
    kits.append(kit)
    for number in range(30):
        kit.append(event(number))
    kit.courier.start()
    wait_for(lambda: len(listener.heard) == 31)
    birth = body(listener.heard[0])
    kit.append(event(30))
    wait_for(lambda: len(listener.heard) == 32)

    assert (TOPICS.st, "online", 1, 31, 1) == (
        listener.heard[0].topic,
        birth["state"],
        birth["session"],
        birth["seq_next"],
        birth["seq_oldest"],
    )
    assert list(range(1, 32)) == numbers(listener)


def test_delivered_rows_are_marked_and_measured(kit: Kit) -> None:
    """The heartbeat's figures come from here: connected, round trip, how many were taken."""
    kit.append(event(1))
    wait_for(lambda: kit.waiting == 0)
    wait_for(lambda: kit.courier.delivery.rtt_ms is not None)
    delivery = kit.courier.delivery

    assert (True, None, 1, 0, 0) == (
        delivery.connected,
        delivery.cause,
        delivery.taken,
        delivery.unheard,
        delivery.refused,
    )
    assert 0 < (delivery.rtt_ms or 0) < 1000


def test_without_a_platform_nothing_counts_as_delivered(
    kits: list[Kit], broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker without subscribers takes everything and passes on nothing: the rows wait."""
    monkeypatch.setattr(wire_module, "UNHEARD_RETRY_S", 0.3)
    kit = Kit(tmp_path / "agent.db", broker.port)
    kits.append(kit)
    kit.courier.start()
    for number in range(5):
        kit.append(event(number))
    wait_for(lambda: kit.courier.delivery.unheard >= 6)
    assert (5, 0) == (kit.waiting, kit.courier.delivery.taken)

    listener = Listener(broker.port)
    wait_for(lambda: kit.waiting == 0)
    listener.close()
    assert {1, 2, 3, 4, 5} == set(numbers(listener))


def test_who_comes_back_hears_the_news_before_what_was_missed(
    kits: list[Kit], broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With as many rows held as may be, what happens now goes out; the disk is not read in vain."""
    monkeypatch.setattr(wire_module, "UNHEARD_RETRY_S", 600.0)
    monkeypatch.setattr(wire_module, "HELD_MAX", 5)
    kit = Kit(tmp_path / "agent.db", broker.port, replay_per_s=20.0)
    kits.append(kit)
    for number in range(10):
        kit.append(event(number))
    looks = []
    candidates = kit.courier._clerk.candidates
    monkeypatch.setattr(
        kit.courier._clerk, "candidates", lambda *given: looks.append(given) or candidates(*given)
    )
    kit.courier.start()
    wait_for(lambda: kit.courier.delivery.unheard >= 6)  # the birth among them
    time.sleep(0.5)
    looks.clear()
    time.sleep(1.5)
    assert len(looks) <= 3

    listener = Listener(broker.port)
    news = kit.append(event(100))
    wait_for(lambda: numbers(listener))
    listener.close()
    assert [news] == numbers(listener)
    wait_for(lambda: kit.waiting == 10)


def test_wanted_end_delivers_and_says_so(kit: Kit, listener: Listener) -> None:
    """What was appended last still goes out, `stopped` comes after it, and no will."""
    for number in range(40):
        kit.append(event(number))
    ended = kit.close("update")
    time.sleep(0.2)
    last = body(listener.heard[-1])

    assert ended
    assert set(range(1, 41)) == set(numbers(listener))
    assert (TOPICS.st, "stopped", "update", 1) == (
        listener.heard[-1].topic,
        last["state"],
        last["why"],
        last["session"],
    )


def test_end_without_a_broker_is_quick(kits: list[Kit], broker: Broker, tmp_path: Path) -> None:
    """A shutdown waits for nobody who isn't there; a courier never started ends at once."""
    broker.stop()
    kit = Kit(tmp_path / "agent.db", broker.port)
    kits.append(kit)
    kit.courier.start()
    kit.append(event(1))
    wait_for(lambda: kit.courier.delivery.cause is Cause.REFUSED)
    began = time.monotonic()
    assert kit.close(timeout_s=60.0)
    assert time.monotonic() - began < 30.0  # not the time that it was given

    idle = Kit(tmp_path / "other.db", broker.port)
    assert idle.close()


def test_end_before_a_broker_that_does_not_answer_is_bounded(kit: Kit, broker: Broker) -> None:
    """Neither rows nor farewell are acknowledged: the time given is kept."""
    broker.pause()
    kit.append(event(1))
    began = time.monotonic()
    kit.close(timeout_s=1.0)

    assert 0.5 < time.monotonic() - began < 20.0


def test_alarm_stands_until_cleared(kit: Kit, broker: Broker) -> None:
    """Who connects later hears what is wrong now, and nothing of what is over."""
    for message in (raised("a.b"), raised("c.d"), cleared("a.b")):
        kit.append(message)
    wait_for(lambda: kit.waiting == 0)
    late = Listener(broker.port, "late", f"{TOPICS.base}/alm/#")
    wait_for(lambda: late.heard)
    time.sleep(0.2)
    late.close()

    assert [(TOPICS.alm("c.d"), True)] == [(m.topic, m.retain) for m in late.heard]


def test_heartbeat_goes_past_the_disk(kit: Kit, listener: Listener, broker: Broker) -> None:
    """It takes no number, waits for nobody, and is gone when there is no connection."""
    beat = Publication(TOPICS.hb, b"{}", qos=0)
    assert kit.courier.pass_on(beat)
    wait_for(lambda: listener.of(TOPICS.hb))
    broker.kill()
    wait_for(lambda: not kit.courier.delivery.connected)

    assert not kit.courier.pass_on(beat)
    assert 0 == kit.waiting


def test_birth_is_said_again_on_request(kit: Kit, listener: Listener) -> None:
    """When the clock is first set, the platform is told what the boot's earlier moments were."""
    kit.courier.announce()
    wait_for(lambda: len(listener.of(TOPICS.st)) == 2)

    assert ["online", "online"] == [body(m)["state"] for m in listener.of(TOPICS.st)]


def test_every_connection_has_a_session_of_its_own(kits: list[Kit], broker: Broker, tmp_path: Path) -> None:
    """Over reconnects and restarts of the agent the number rises: an old will is told from a new birth."""
    births = []
    for _ in range(2):
        kit = Kit(tmp_path / "agent.db", broker.port)
        kits.append(kit)
        kit.courier.start()
        for _ in range(2):
            wait_for(lambda kit=kit: kit.courier.delivery.connected)
            listener = Listener(broker.port, topic=TOPICS.st)
            wait_for(lambda heard=listener.heard: heard and body(heard[-1])["state"] == "online")
            births.append(body(listener.heard[-1])["session"])
            listener.close()
            broker.kill()
            wait_for(lambda kit=kit: not kit.courier.delivery.connected)
            broker.start()
        wait_for(lambda kit=kit: kit.courier.delivery.connected)
        kit.close()

    assert [1, 2, 4, 5] == births


KIT_PROGRAM = """
    import sys, time
    from pathlib import Path
    from test_backbone_courier import Kit
    from backbone_samples import event
    kit = Kit(Path(sys.argv[1]), int(sys.argv[2]))
    kit.courier.start()
    kit.append(event(1))
    time.sleep(60)
"""


def test_broker_tells_of_a_killed_kit(broker: Broker, listener: Listener, tmp_path: Path) -> None:
    """After SIGKILL the will stands on `st`, with the session number of the birth."""
    program = tmp_path / "kit.py"
    program.write_text(textwrap.dedent(KIT_PROGRAM))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "kit.db"), str(broker.port)], env=environment
    ) as process:
        wait_for(lambda: numbers(listener), 30.0)
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: len(listener.of(TOPICS.st)) == 2)
    birth, will = (body(m) for m in listener.of(TOPICS.st))

    assert ("online", "offline", "lost") == (birth["state"], will["state"], will["why"])
    assert birth["session"] == will["session"] == 1


def test_nothing_is_lost_when_broker_and_kit_are_killed(
    kits: list[Kit], broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the platform's watermark every number arrives, though the broker forgets what it acknowledged."""
    monkeypatch.setattr(wire_module, "RESEND_MIN_S", 0.5)
    monkeypatch.setattr(wire_module, "RESEND_NEW_S", 0.5)
    monkeypatch.setattr(wire_module, "UNHEARD_RETRY_S", 0.2)
    stored: list[int] = []
    settings = Backbone(host="localhost", port=broker.port, tls=False)
    platform = Platform(settings, "platform", lambda batch: stored.extend(fresh.seq for fresh in batch))
    platform.start()
    kit = Kit(tmp_path / "agent.db", broker.port, delivery="watermark")
    kits.append(kit)
    kit.courier.start()
    for number in range(150):
        kit.append(event(number, Phase.NEW if number % 3 else Phase.UPDATE))
        if number in {40, 90}:
            broker.kill()
            time.sleep(0.2)
            broker.start()
        if number == 120:
            kit.close(timeout_s=0.0)
            kit = Kit(tmp_path / "agent.db", broker.port, delivery="watermark")
            kits.append(kit)
            kit.courier.start()
        time.sleep(0.003)
    wait_for(lambda: kit.waiting == 0, 40.0)
    platform.close()

    assert list(range(1, 151)) == sorted(set(stored))


def test_nonsense_on_ack_moves_nothing(kits: list[Kit], broker: Broker, tmp_path: Path) -> None:
    """No JSON, another stream, a number from the future: the rows stay. A right one still counts after."""
    listener = Listener(broker.port)
    kit = Kit(tmp_path / "agent.db", broker.port, delivery="watermark")
    kits.append(kit)
    kit.courier.start()
    kit.append(event(1))
    wait_for(lambda: numbers(listener))
    stream = body(listener.heard[0])["stream"]
    for payload in (
        b"\xff",
        b'{"stream": "00000000", "seq": 1}',
        json.dumps({"stream": stream, "seq": 2}).encode(),
    ):
        listener.publish(TOPICS.ack, payload)
        time.sleep(0.3)
        assert 1 == kit.waiting
    listener.publish(TOPICS.ack, json.dumps({"stream": stream, "seq": 1}).encode())
    wait_for(lambda: kit.waiting == 0)
    listener.close()


def test_acks_of_a_forgotten_subscription_are_passed_over(kit: Kit, listener: Listener) -> None:
    """The broker remembers that we once asked for them; with `puback` they mean nothing."""
    kit.append(event(1))
    wait_for(lambda: kit.waiting == 0)
    stream = body(listener.of(TOPICS.st)[0])["stream"]
    kit.courier._hear(
        link_module.Received(
            TOPICS.ack,
            json.dumps({"stream": stream, "seq": 1}).encode(),
            retain=False,
            response_topic=None,
            correlation=None,
        )
    )
    kit.courier.wake()
    time.sleep(0.3)

    assert (
        1 == kit.database.submit(lambda tx: tx.execute("SELECT count(*) FROM outbox").fetchone()[0]).result()
    )


def test_refused_subscription_is_logged(
    kits: list[Kit], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without its acks the kit would send everything again and again: a person must know which it is."""
    kit = Kit(tmp_path / "agent.db", 1, delivery="watermark", ears=Ears("bm/cmd/+"))
    kits.append(kit)
    kit.courier.start()
    kit.courier._hear(link_module.Granted((1, 0x87)))
    wait_for(lambda: "refuses our subscription to bm/cmd/+" in caplog.text)
    assert TOPICS.ack not in caplog.text


def test_news_overtakes_a_paced_backlog(
    kits: list[Kit], broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    """After an outage the backlog goes at its pace, and who comes in now is told of now."""
    kit = Kit(tmp_path / "agent.db", broker.port, replay_per_s=40.0)
    kits.append(kit)
    for number in range(60):
        kit.append(event(number))
    kit.courier.start()
    wait_for(lambda: numbers(listener))
    began = time.monotonic()
    news = kit.append(event(100))
    wait_for(lambda: news in numbers(listener))
    wait_for(lambda: len(numbers(listener)) == 61)
    took = time.monotonic() - began

    assert numbers(listener).index(news) < 40
    assert took > 1.0


def test_message_that_the_broker_cannot_take_is_dropped_and_said(kits: list[Kit], tmp_path: Path) -> None:
    """It would end every connection, and all behind it would wait for ever."""
    broker = Broker(tmp_path, "max_packet_size 3000")
    broker.start()
    listener = Listener(broker.port)
    kit = Kit(tmp_path / "agent.db", broker.port)
    kits.append(kit)
    kit.courier.start()
    kit.append(snapshot(1, bytes(5000)))
    kit.append(event(2))
    kit.append(snapshot(3, bytes(500)))
    wait_for(lambda: kit.waiting == 0)
    wait_for(lambda: listener.of(TOPICS.gap) and listener.of("/snap/"))
    gap = body(listener.of(TOPICS.gap)[0])
    births = len(listener.of(TOPICS.st))
    listener.close()
    broker.stop()

    assert ("too-large", [[1, 1]]) == (gap["why"], gap["ranges"])
    assert ([2], 1, 1) == (numbers(listener), len(listener.of("/snap/")), births)


def test_refusing_disk_is_survived(kit: Kit, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks are made later; nothing is sent twice meanwhile, and the trouble is visible."""
    monkeypatch.setattr(courier_module, "STORAGE_RETRY_S", 0.2)
    monkeypatch.setattr(clerk_module, "MARK_AFTER_S", 0.5)
    seq = kit.append(event(1))
    wait_for(lambda: numbers(listener))
    kit.database._connection.execute("PRAGMA query_only = ON")
    wait_for(lambda: kit.courier.delivery.storage)
    with pytest.raises(StorageError):
        kit.append(event(2))
    time.sleep(0.5)
    assert [seq] == numbers(listener)
    assert kit.courier.alive

    kit.database._connection.execute("PRAGMA query_only = OFF")
    wait_for(lambda: kit.waiting == 0)
    wait_for(lambda: not kit.courier.delivery.storage)
    assert [seq] == numbers(listener)


def test_refused_publish_is_kept_and_named(
    kits: list[Kit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An access list that forgets a topic costs no message."""
    monkeypatch.setattr(wire_module, "REFUSED_RETRY_S", 0.3)
    access = tmp_path / "acl"
    access.write_text(f"user {KIT}\ntopic write {TOPICS.st}\nuser platform\ntopic read #\n")
    broker = Broker(tmp_path, f"acl_file {access}")
    broker.start()
    kit = Kit(tmp_path / "agent.db", broker.port)
    kits.append(kit)
    kit.courier.start()
    kit.append(event(1))
    wait_for(lambda: kit.courier.delivery.refused >= 2)
    delivery = kit.courier.delivery
    waiting = kit.waiting
    kit.close()
    broker.stop()

    assert (0x87, 0, 1) == (delivery.refusal, delivery.taken, waiting)


def test_broker_that_stops_acknowledging_is_given_up(
    kits: list[Kit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers pings and takes messages, and never says so: a new connection sends them again."""
    monkeypatch.setattr(wire_module, "STALLED_S", 0.5)
    peer = Peer(*[lambda connection: connection.sendall(Peer.ACCEPT)] * 2)
    kit = Kit(tmp_path / "agent.db", peer.port)
    kits.append(kit)
    kit.append(event(1))
    kit.courier.start()
    topic = TOPICS.evt("person").encode()
    wait_for(lambda: len(peer.packets) == 2 and topic in peer.packets[1])
    first = peer.packets[0].count(topic)
    kit.close(timeout_s=0.2)
    peer.close()

    assert 1 == first


class Faulty(Here):
    """A presence with a mistake in it."""

    def will(self, session: int) -> Publication:
        """See Presence."""
        raise ZeroDivisionError(session)


def test_death_of_a_thread_is_visible(kits: list[Kit], broker: Broker, tmp_path: Path) -> None:
    """A fault of ours in either thread ends the courier and is kept for the supervisor."""
    kit = Kit(tmp_path / "agent.db", broker.port, presence=Faulty())
    kits.append(kit)
    kit.courier.start()
    wait_for(lambda: not kit.courier.alive)

    assert isinstance(kit.courier.error, ZeroDivisionError)


def test_a_network_thread_that_hangs_ends_the_courier(
    kits: list[Kit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try to connect has an end, good or bad; without one the process ends."""
    monkeypatch.setattr(courier_module, "LINK_WORD_S", 0.3)
    peer = Peer(lambda _connection: None)  # takes the CONNECT, and answers nothing
    kit = Kit(tmp_path / "agent.db", peer.port)
    kits.append(kit)
    kit.courier.start()
    wait_for(lambda: not kit.courier.alive)
    peer.close()

    assert "the network thread hangs" == str(kit.courier.error)


def test_a_turn_that_does_not_end_is_seen(kit: Kit) -> None:
    """The supervisor sees since when the courier waits for a card that does not answer."""
    answer = threading.Event()
    kit.database.submit(lambda _: answer.wait())
    kit.courier.wake()
    try:
        wait_for(lambda: CLOCK.mono() - (kit.courier.busy_since or CLOCK.mono()) > 3 * courier_module.POLL_S)
    finally:
        answer.set()
    wait_for(lambda: CLOCK.mono() - (kit.courier.busy_since or 0) < courier_module.POLL_S)


def test_flood_of_acks_is_bounded(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Too many, or one that is too long to be one, are dropped before they are looked at."""

    def hear(payload: bytes) -> None:
        kit.courier._hear(
            link_module.Received(TOPICS.ack, payload, retain=False, response_topic=None, correlation=None)
        )

    monkeypatch.setattr(courier_module, "WAITING_MAX", -1)
    hear(b"{}")
    monkeypatch.setattr(courier_module, "WAITING_MAX", 10)
    hear(bytes(courier_module.ACK_MAX + 1))

    assert 2 == caplog.text.count("was dropped")
    assert kit.courier.alive


class Ears:
    """Remembers what it heard."""

    def __init__(self, *filters: str) -> None:
        self.filters = filters
        self.heard: list[link_module.Received] = []

    def put(self, received: link_module.Received) -> None:
        """See Ears."""
        self.heard.append(received)


@pytest.fixture
def ears() -> Ears:
    return Ears(f"{TOPICS.base}/cmd/#", f"{TOPICS.base}/cfg/des")


@pytest.fixture
def hearing(kits: list[Kit], broker: Broker, listener: Listener, ears: Ears, tmp_path: Path) -> Kit:
    """A connected kit with ears, and a watermark besides."""
    made = Kit(tmp_path / "agent.db", broker.port, delivery="watermark", ears=ears)
    kits.append(made)
    made.courier.start()
    wait_for(lambda: listener.of(TOPICS.st))
    return made


def answer(number: int, size: int = 10) -> Publication:
    return Publication(
        f"{TOPICS.base}/res/me", b"%d %s" % (number, b"." * size), expiry_s=600, correlation=b"\x00\xff"
    )


def test_what_comes_down_is_heard_on_every_connection(
    hearing: Kit, broker: Broker, listener: Listener, ears: Ears
) -> None:
    """Each message goes to the ears with all that an answer takes; the ack is the courier's own."""
    hearing.append(event(1))
    wait_for(lambda: numbers(listener))
    stream = body(listener.heard[0])["stream"]
    for round_ in (1, 2):
        wait_for(lambda: hearing.courier.delivery.connected)
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic, properties.CorrelationData = "bm/res", b"\x01"
        until = time.monotonic() + 10
        while len(ears.heard) < round_ and time.monotonic() < until:  # the first may come before the kit does
            listener.client.publish(f"{TOPICS.base}/cmd/clip/list", b"{}", 0, properties=properties)
            time.sleep(0.2)
        if round_ == 1:
            broker.kill()
            wait_for(lambda: not hearing.courier.delivery.connected)
            del ears.heard[1:]
            broker.start()
            wait_for(listener.client.is_connected)
    wait_for(lambda: listener.client.is_connected() and hearing.courier.delivery.connected)
    listener.publish(TOPICS.ack, json.dumps({"stream": stream, "seq": 1}).encode())
    wait_for(lambda: hearing.waiting == 0)

    expected = link_module.Received(
        f"{TOPICS.base}/cmd/clip/list", b"{}", retain=False, response_topic="bm/res", correlation=b"\x01"
    )
    assert {expected.topic} == {received.topic for received in ears.heard}
    assert expected == ears.heard[0] == ears.heard[-1]


def test_answers_arrive_with_their_correlation(kit: Kit, listener: Listener) -> None:
    """In their order, with the time after which nobody waits for them; a delayed one later."""
    kit.courier.answer(answer(0), after_s=0.5)
    for number in (1, 2, 3):
        kit.courier.answer(answer(number))
    wait_for(lambda: len(listener.of("/res/")) == 4)
    heard = listener.of("/res/")

    assert [1, 2, 3, 0] == [int(m.payload.split()[0]) for m in heard]
    assert {b"\x00\xff"} == {m.properties.CorrelationData for m in heard}
    assert all(590 <= m.properties.MessageExpiryInterval <= 600 for m in heard)
    assert {1} == {m.qos for m in heard}


def test_answers_wait_for_a_connection(
    kits: list[Kit], broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    """A loss of the link costs no answer, and the rows that wait beside them are not kept up."""
    kit = Kit(tmp_path / "agent.db", broker.port)
    kits.append(kit)
    for number in range(30):
        kit.append(event(number))
        kit.courier.answer(answer(number))
    kit.courier.start()
    wait_for(lambda: len(listener.of("/res/")) == 30 and len(numbers(listener)) == 30)

    assert list(range(30)) == [int(m.payload.split()[0]) for m in listener.of("/res/")]
    assert TOPICS.st == listener.heard[0].topic


def test_answers_are_given_while_the_disk_refuses(
    kit: Kit, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kit whose card died can be asked what is wrong, and be rebooted: no answer waits for the next try."""
    monkeypatch.setattr(courier_module, "STORAGE_RETRY_S", 600.0)
    kit.append(event(1))
    wait_for(lambda: numbers(listener))
    kit.database._connection.execute("PRAGMA query_only = ON")
    wait_for(lambda: kit.courier.delivery.storage)
    kit.courier.answer(answer(1))
    wait_for(lambda: listener.of("/res/"))
    kit.database._connection.execute("PRAGMA query_only = OFF")


def test_answer_that_the_broker_cannot_take_is_dropped(
    kits: list[Kit], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It would end the connection, again and again."""
    broker = Broker(tmp_path, "max_packet_size 2000")
    broker.start()
    listener = Listener(broker.port)
    kit = Kit(tmp_path / "agent.db", broker.port)
    kits.append(kit)
    kit.courier.start()
    kit.courier.answer(answer(1, 5000))
    kit.courier.answer(answer(2))
    wait_for(lambda: listener.of("/res/"))
    births = len(listener.of(TOPICS.st))
    kit.close()
    listener.close()
    broker.stop()

    assert "an answer was dropped" in caplog.text
    assert ([2], 1) == ([int(m.payload.split()[0]) for m in listener.of("/res/")], births)


def test_last_answers_leave_before_the_farewell(kit: Kit, listener: Listener) -> None:
    """Who asked for a restart hears that it was done; an answer that is due later holds nobody up."""
    kit.courier.answer(answer(1))
    kit.courier.answer(answer(2), after_s=60.0)
    began = time.monotonic()
    assert kit.close(timeout_s=60.0)
    took = time.monotonic() - began
    wait_for(lambda: len(listener.of(TOPICS.st)) == 2)

    assert took < 25.0  # not the half of the time that rows may take
    assert ["1", "stopped"] == [
        m.payload.split()[0].decode() if "/res/" in m.topic else body(m)["state"] for m in listener.heard[1:]
    ]


def test_each_connection_is_greeted(kits: list[Kit], kit: Kit, broker: Broker, tmp_path: Path) -> None:
    """After the birth; and told whether the broker still knew us: one that lost its store does not."""
    wait_for(lambda: kit.greeted == [False])  # before the first connection there was nothing to forget
    kit.close()
    again = Kit(tmp_path / "agent.db", broker.port)
    kits.append(again)
    again.courier.start()
    wait_for(lambda: again.greeted == [False])

    broker.kill()
    broker.start()
    wait_for(lambda: again.greeted == [False, True], 30)


def test_a_fresh_start_leaves_the_old_session_behind(
    kits: list[Kit], broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    """Its subscriptions are gone: nothing comes any more on topics that the kit has left. Once only."""
    heard: list[str] = []

    class Left:
        filters = (TOPICS.cmd("#"),)

        def put(self, received: Received) -> None:
            heard.append(received.topic)

    before = Kit(tmp_path / "agent.db", broker.port, ears=Left())
    kits.append(before)
    before.courier.start()
    wait_for(lambda: before.greeted)
    wait_for(lambda: listener.publish(TOPICS.cmd("echo"), b"1") or heard)
    before.close()

    moved = Kit(tmp_path / "agent.db", broker.port, fresh=True)
    kits.append(moved)
    moved.courier.start()
    wait_for(lambda: moved.greeted == [True])
    heard.clear()
    listener.publish(TOPICS.cmd("echo"), b"2")
    moved.append(event(1))
    wait_for(lambda: numbers(listener))
    moved.courier._link.reset(Cause.STALLED, 2)
    wait_for(lambda: moved.greeted == [True, False])

    assert [] == heard


def test_it_is_told_once_the_broker_has_an_answer(kit: Kit, listener: Listener) -> None:
    """For what has to be said until it is: not when it is refused, nor before it is acknowledged."""
    taken: list[bool] = []
    kit.courier.answer(Publication(TOPICS.cfg_rep, b"{}", retain=True), taken=lambda: taken.append(True))
    wait_for(lambda: listener.of("cfg/rep") and taken)

    answers = answers_module.Answers()
    answers.sent(1, answers_module.Answer(Publication("a", b""), 0.0, 9.0, lambda: taken.append(False)))
    answers.acked(1, refused=True)
    assert [True] == taken


def test_unsent_answers_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a broker the oldest go first; one that nobody waits for any more is not sent."""
    monkeypatch.setattr(answers_module, "ANSWERS_MAX", 3)
    answers = answers_module.Answers()
    for number in range(5):
        answers.put(answers_module.Answer(answer(number), due=0.0, until=10.0 + number))
    assert (2, False) == (answers.lost, answers.idle(0.0))
    assert [3, 4] == [int(a.publication.payload.split()[0]) for a in answers.take(12.5, 10)]
    assert answers.idle(12.5)


def test_unacknowledged_answers_go_again() -> None:
    """After a loss of the link, in their order, and before what came later."""
    answers = answers_module.Answers()
    for number in range(4):
        answers.put(answers_module.Answer(answer(number), due=0.0, until=10.0))
    for token, taken in enumerate(answers.take(1.0, 3)):
        answers.sent(token, taken)
    answers.acked(1, refused=False)
    answers.acked(77, refused=False)
    answers.disconnected()
    assert [0, 2, 3] == [int(a.publication.payload.split()[0]) for a in answers.take(1.0, 10)]
