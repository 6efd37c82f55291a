"""One MQTT 5 connection that keeps itself up. It knows nothing of what the messages mean.

Rules, each against a way in which paho-mqtt loses messages or falls silent:
- paho never queues: its own queue is bounded to our window, what a lost connection left unacknowledged is
  dropped before the next one (paho would send all of it in one blast), and nothing is published while the
  link is down (paho would keep it and also report a failure).
- The network thread is ours. Callbacks only hand an event on: an exception inside one would end paho's
  thread without a trace, and a slow one blocks publish() in other threads.
- Only the network thread writes to the socket. Without a write callback paho writes from the thread that
  calls publish() as well, and the two may tear each other's packets.
- A connection ends when the loop says so, once; on_disconnect only tells the reason (it may be called
  twice, or not at all).
- Waiting between tries is ours too: full jitter, and a start from zero only after a time of health, so that
  neither a rebooted broker nor a cloned kit makes a storm.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import (
    MQTT_CLEAN_START_FIRST_ONLY,
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.backbone.causes import Cause, of_attempt, of_reason
from agent.backbone.papers import Papers, password
from agent.backbone.properties import properties_of
from agent.device.network import default_route
from agent.thread import NamedThread

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from agent.backbone.publication import Publication
    from agent.config import Backbone

WINDOW = 20  # unacknowledged messages at most: what Mosquitto allows by default
CONNECT_S = 20.0  # for TCP and TLS together with 1000 other kits after a broker restart; 5 s was too short
CONNACK_S = 20.0  # paho knows no limit for the broker's answer but the keepalive
BACKOFF_MIN_S = 2.0
BACKOFF_MAX_S = 120.0
MISSES_MAX = 10  # more double nothing any more, and after a thousand a float could not hold the power
HEALTHY_S = 60.0  # a shorter connection was no success: two clones would else push each other out all day
LOOP_S = 0.5  # how soon a stop or a reset is seen; publishing wakes the loop at once
MAX_PACKET = 1024 * 1024  # what we are ready to receive; a command has some hundred bytes

# Longer waits where trying again soon can only do harm.
_PATIENCE_S = {Cause.TAKEN_OVER: 300.0, Cause.NOT_AUTHORISED: 60.0}

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker accepted us. `session` is the number that the will carries.

    `resumed`: it still knew us; else our subscriptions are gone, and maybe what it retained of us.
    """

    session: int
    window: int
    max_packet: int | None
    resumed: bool


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection ended, or a try failed."""

    cause: Cause
    detail: str
    retry_s: float


@dataclass(frozen=True, slots=True)
class Acked:
    """The broker answered a publish; `reason` is the code of the PUBACK (0 for QoS 0, once written)."""

    token: int
    reason: int


@dataclass(frozen=True, slots=True)
class Granted:
    """The broker answered a subscribe, one reason code per filter, in their order."""

    reasons: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """A message from the backbone."""

    topic: str
    payload: bytes
    retain: bool
    response_topic: str | None
    correlation: bytes | None


LinkEvent = Connected | Disconnected | Acked | Granted | Received


class Link:
    """The connection. `sink` gets every event, in the network thread; it must not block or raise.

    `will` gives the will for a session number; a number is used again until a connection succeeds with it.
    With `fresh` the first connection makes the broker forget what it knows of our session.

    Raises:
        ConfigError: a TLS or password file cannot be used.
    """

    def __init__(
        self,
        settings: Backbone,
        kit: str,
        will: Callable[[int], Publication],
        sink: Callable[[LinkEvent], None],
        *,
        fresh: bool = False,
    ) -> None:
        self._settings, self._fresh = settings, fresh
        self._will, self._sink = will, sink
        self._session = 1
        self._stop = threading.Event()
        self._reset: Cause | None = None
        self._online = False
        self._gate = threading.Lock()  # held while publishing, and while the link goes down
        self._reason: tuple[Cause, str] | None = None
        self._random = random.Random()  # noqa: S311 - it spreads load, it guards nothing
        self._kit = kit
        self._password = password(settings.password_file)
        self._papers = Papers(settings)
        self._client = self._make_client(self._papers.load())
        self._thread = NamedThread("mqtt", self._run)
        self.error: Exception | None = None

    @property
    def alive(self) -> bool:
        """Whether the network thread runs."""
        return self._thread.is_alive()

    @property
    def online(self) -> bool:
        """Whether the broker has accepted us and the connection was not yet seen to end."""
        return self._online

    def start(self, session: int) -> None:
        """Connect, and stay connected; `session` is the number of the first connection."""
        self._session = session
        self._thread.start()

    def publish(self, publication: Publication, session: int | None = None) -> int | None:
        """Hand a message to the broker. The token that Acked will carry, or None if the link is down or full.

        With `session`, only over that very connection. From any thread; never blocks for the network.
        """
        with self._gate:
            if not self._online or session not in (None, self._session):
                return None
            info = self._client.publish(
                publication.topic,
                publication.payload,
                publication.qos,
                publication.retain,
                properties_of(publication, PacketTypes.PUBLISH),
            )
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def subscribe(self, *filters: str) -> None:
        """Ask for messages (QoS 1). Valid for this connection; ask again after each Connected."""
        with self._gate:
            if self._online:
                self._client.subscribe([(pattern, 1) for pattern in filters])

    def reset(self, cause: Cause, session: int) -> None:
        """Give this connection up and make a new one."""
        with self._gate:
            if session == self._session:
                self._reset = cause

    def close(self, timeout_s: float) -> bool:
        """Disconnect (the broker forgets the will) and end the thread; whether it ended in time.

        It may not: a name server that doesn't answer blocks the thread, which dies with the process.
        """
        self._stop.set()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _make_client(self, tls: ssl.SSLContext | None) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            self._kit,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(WINDOW)
        client.max_queued_messages_set(WINDOW)
        client.connect_timeout = CONNECT_S
        client.username_pw_set(self._kit, self._password)
        if tls is not None:
            client.tls_set_context(tls)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_register_write = _leave_writing_to_the_loop
        properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._settings.session_expiry_s
        properties.ReceiveMaximum = WINDOW
        properties.MaximumPacketSize = MAX_PACKET
        client.connect_async(
            self._settings.host,
            self._settings.port,
            self._settings.keepalive_s,
            clean_start=MQTT_CLEAN_START_FIRST_ONLY if self._fresh else False,
            properties=properties,
        )
        return client

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001 - top of the thread: its owner sees it and ends the process
            _LOG.exception("the network thread died")
            self.error = error
        finally:
            self._online = False

    def _serve(self) -> None:
        misses = 0
        while not self._stop.is_set():
            began = time.monotonic()
            accepted = self._session
            cause, detail = self._connection()
            healthy = self._session != accepted and time.monotonic() - began >= HEALTHY_S
            misses = 0 if healthy else misses + 1
            wait = self._random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(misses, MISSES_MAX)))
            wait = max(wait, self._random.uniform(0.5, 1.0) * _PATIENCE_S.get(cause, 0.0))
            self._sink(Disconnected(cause, detail, round(wait, 3)))
            self._stop.wait(wait)

    def _connection(self) -> tuple[Cause, str]:
        """One connection from its first packet to its end; why it ended."""
        self._reason = self._reset = None
        renewed = self._papers.renewed()
        if renewed is not None:
            self._client = self._make_client(renewed)
        self._client.drop_out_messages()
        will = self._will(self._session)
        properties = properties_of(will, PacketTypes.WILLMESSAGE)
        properties.WillDelayInterval = self._settings.will_delay_s
        self._client.will_set(will.topic, will.payload, will.qos, will.retain, properties)
        try:
            self._client.reconnect()
        except OSError as error:
            return of_attempt(error, way_out=default_route() is not None)
        ended = self._loop()
        with self._gate:
            online, self._online = self._online, False
        self._session += online
        self._hang_up()
        return self._why(ended, online=online)

    def _loop(self) -> tuple[Cause, str] | None:
        """Move bytes until the connection ends or is to be given up; why, if it is known here."""
        give_up = time.monotonic() + CONNACK_S
        while not self._stop.is_set():
            code = self._client.loop(LOOP_S)
            if code == MQTTErrorCode.MQTT_ERR_PROTOCOL:
                return Cause.PROTOCOL, "unreadable packet"
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return None
            if self._reset is not None:
                return self._reset, "given up by the agent"
            if self._papers.due(time.monotonic()):
                return Cause.RENEWED, "the certificates were renewed"
            if not self._online and time.monotonic() > give_up:
                return Cause.TIMEOUT, "the broker accepted the connection and did not answer"
        return Cause.CLOSED, "closed by the agent"

    def _hang_up(self) -> None:
        """Close what is still open, in bounded time: the socket may be stuck."""
        until = time.monotonic() + 2 * LOOP_S
        if self._client.socket() is not None:
            # Leaving for good takes the will back; giving a connection up leaves it to the broker.
            leave = "Normal disconnection" if self._stop.is_set() else "Disconnect with will message"
            self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, leave))
        while self._client.socket() is not None and time.monotonic() < until:
            self._client.loop(LOOP_S / 10)

    def _why(self, ended: tuple[Cause, str] | None, *, online: bool) -> tuple[Cause, str]:
        """What the broker said, what we decided, or what is likely, in this order."""
        if self._reason is not None:
            return self._reason
        if ended is not None:
            return ended
        if self._settings.tls and not online:
            return Cause.TLS_REJECTED, "the broker hung up before it answered"
        return Cause.LOST, "the connection broke"

    def _on_connect(
        self,
        _client: Client,
        _data: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        found: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._reason = of_reason(reason.value), str(reason)
            return
        self._online = True
        window = min(WINDOW, getattr(found, "ReceiveMaximum", WINDOW))
        largest = getattr(found, "MaximumPacketSize", None)
        self._sink(Connected(self._session, window, largest, flags.session_present))

    def _on_disconnect(
        self, _client: Client, _data: object, flags: DisconnectFlags, reason: ReasonCode, _found: object
    ) -> None:
        if self._reason is None and (flags.is_disconnect_packet_from_server or reason.value == _KEEPALIVE):
            self._reason = of_reason(reason.value), str(reason)

    def _on_publish(
        self, _client: Client, _data: object, mid: int, reason: ReasonCode, _found: object
    ) -> None:
        self._sink(Acked(mid, reason.value))

    def _on_subscribe(
        self, _client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _found: object
    ) -> None:
        self._sink(Granted(tuple(reason.value for reason in reasons)))

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        with suppress(UnicodeDecodeError):  # no topic of ours: nobody asked for it
            self._sink(
                Received(
                    message.topic,
                    bytes(message.payload),
                    message.retain,
                    getattr(message.properties, "ResponseTopic", None),
                    getattr(message.properties, "CorrelationData", None),
                )
            )


_KEEPALIVE = 0x8D


def _leave_writing_to_the_loop(_client: Client, _data: object, _sock: object) -> None:
    """That this callback exists is what keeps publish() from writing in its caller's thread."""
