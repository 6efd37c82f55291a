"""A platform in miniature: the reference consumer on a connection of its own.

It serves the demonstration, the tests and the benches, and whoever wants to see what kits say. What it hears
is kept by its owner, in batches, and acknowledged afterwards, to the kits and to the broker alike: whatever
ends it in between, somebody sends it again.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.backbone.consumer import Consumer, Fresh
from agent.backbone.link import CONNECT_S
from agent.backbone.papers import password, tls_context
from agent.backbone.topics import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.reasoncodes import ReasonCode

    from agent.backbone.consumer import Outcome
    from agent.config import Backbone

EVERYTHING = f"{ROOT}/#"
BATCH_MAX = 200  # messages kept by one commit, if so many are there at once
LOOP_S = 0.2  # how soon a stop is seen
TICK_S = 1.0
RETRY_S = 0.5  # one platform makes no storm
LEAVE_S = 2.0

_LOG = logging.getLogger(__name__)


class Platform:
    """A subscriber of what `topic` says, under the name `name` (the broker keeps its session for a day).

    `keep` is given what is not stored yet and must have it safe when it returns; `note` is given all other
    outcomes, `ear` every message as it came. All three are called from the platform's thread. With
    `acknowledge` False it tells the kits nothing.

    Raises:
        ConfigError: a TLS or password file cannot be used.
    """

    def __init__(
        self,
        settings: Backbone,
        name: str,
        keep: Callable[[list[Fresh]], None],
        note: Callable[[Outcome], None] = lambda _: None,
        *,
        consumer: Consumer | None = None,
        topic: str = EVERYTHING,
        ear: Callable[[str, bytes], None] = lambda _topic, _payload: None,
        acknowledge: bool = True,
    ) -> None:
        self.consumer = consumer or Consumer()
        self.error: Exception | None = None
        """What ended the thread, if it was no `close`."""
        self._keep, self._note, self._ear = keep, note, ear
        self._topic = topic
        self._acknowledge = acknowledge
        self._batch: list[Fresh] = []
        self._taken: list[tuple[int, int]] = []
        self._subscribed = threading.Event()
        self._stop = threading.Event()
        self._client = self._make_client(settings, name)
        self._thread = threading.Thread(target=self._run, name="platform", daemon=True)

    def start(self) -> None:
        """Connect, and stay connected."""
        self._thread.start()

    def listening(self, timeout_s: float) -> bool:
        """Wait until the broker has taken the subscription; whether it did in time."""
        return self._subscribed.wait(timeout_s)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Keep what was heard, then leave."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _make_client(self, settings: Backbone, name: str) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            name,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_S
        client.username_pw_set(name, password(settings.password_file))
        if settings.tls:
            client.tls_set_context(tls_context(settings))
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = self._on_message
        properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = settings.session_expiry_s
        client.connect_async(
            settings.host, settings.port, settings.keepalive_s, clean_start=False, properties=properties
        )
        return client

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._connection()
                self._stop.wait(RETRY_S)
        except Exception as error:  # noqa: BLE001 - top of the thread: its owner asks for it
            _LOG.exception("the platform died")
            self.error = error

    def _connection(self) -> None:
        """One connection from its first packet to its end."""
        self._client.drop_out_messages()
        self._taken.clear()  # the broker sends them again, and knows their numbers no more
        try:
            self._client.reconnect()
        except OSError as error:
            _LOG.debug("broker: %s", error)
            return
        next_tick = 0.0
        while not self._stop.is_set():
            waiting = len(self._taken)
            if self._client.loop(0 if waiting else LOOP_S) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
            if waiting and (len(self._taken) == waiting or waiting >= BATCH_MAX):
                self._settle()
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + TICK_S
                for outcome in self.consumer.tick(time.monotonic()):
                    self._note(outcome)
                self._tell()
        self._settle()
        if self._stop.is_set():
            self._leave()

    def _leave(self) -> None:
        self._client.disconnect()
        until = time.monotonic() + LEAVE_S
        while self._client.socket() is not None and time.monotonic() < until:
            self._client.loop(LOOP_S)

    def _settle(self) -> None:
        """Keep, then acknowledge."""
        batch, self._batch = self._batch, []
        taken, self._taken = self._taken, []
        if batch:
            self._keep(batch)
            for fresh in batch:
                self.consumer.stored(fresh)
        for mid, qos in taken:
            self._client.ack(mid, qos)
        self._tell()

    def _tell(self) -> None:
        if self._acknowledge and self._client.is_connected():
            for topic, payload in self.consumer.acks():
                self._client.publish(topic, payload, 1)

    def _on_connect(
        self, client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _found: object
    ) -> None:
        if reason.is_failure:
            _LOG.error("the broker refuses the platform: %s", reason)
        else:
            client.subscribe(self._topic, 1)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        self._ear(message.topic, payload)
        user = getattr(message.properties, "UserProperty", ())
        for outcome in self.consumer.hear(message.topic, payload, user, time.monotonic()):
            if isinstance(outcome, Fresh):
                self._batch.append(outcome)
            else:
                self._note(outcome)
        if message.qos:
            self._taken.append((message.mid, message.qos))
