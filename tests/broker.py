"""A real Mosquitto on loopback, and a subscriber that is not our own code."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pki import Authority


def wait_for(what: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Return once `what()` is true; fail the test after `timeout_s`: a busy machine takes its time."""
    until = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > until:
            pytest.fail(f"waited {timeout_s} s in vain")
        time.sleep(0.01)


def free_port() -> int:
    """A TCP port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """Mosquitto with the settings of `lines`; `start`, `kill` and `stop` as often as you like."""

    def __init__(self, directory: Path, *lines: str, listener: tuple[str, ...] = ()) -> None:
        self.directory = directory
        self.port = free_port()
        self.config = directory / "mosquitto.conf"
        # Started by root it would otherwise become a user who may not read the test's directory.
        text = [f"user {getpass.getuser()}", f"listener {self.port} 127.0.0.1", *listener]
        text += ["max_queued_messages 100000", *lines]
        if not any(line.startswith("allow_anonymous") for line in text):
            text.append("allow_anonymous true")
        self.config.write_text("\n".join([*text, ""]))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run until it accepts connections."""
        if self._process is not None:
            raise RuntimeError("this broker runs already")
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            pytest.skip("Debian's mosquitto is not installed")
        log = (self.directory / "mosquitto.log").open("ab")
        with log:
            self._process = subprocess.Popen([program, "-c", str(self.config)], stdout=log, stderr=log)
        wait_for(self._answers)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Let it neither read nor answer, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


@dataclass
class Heard:
    """One message as it arrived."""

    topic: str
    payload: bytes
    retain: bool
    qos: int
    properties: Any = field(repr=False)


class Listener:
    """A subscriber of `#` that remembers what it heard, in order."""

    def __init__(self, port: int, client_id: str = "platform", topic: str = "#") -> None:
        self.heard: list[Heard] = []
        self.ready = False
        self.client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self.client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self.client.on_message = lambda _c, _d, m: self.heard.append(
            Heard(m.topic, bytes(m.payload), m.retain, m.qos, m.properties)
        )
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        wait_for(lambda: self.ready)

    def of(self, part: str) -> list[Heard]:
        """What was heard on topics that contain `part`."""
        return [m for m in self.heard if part in m.topic]

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Say something as the platform would."""
        self.client.publish(topic, payload, 1, retain).wait_for_publish(5)

    def close(self) -> None:
        """Leave."""
        self.client.disconnect()
        self.client.loop_stop()


def tls_listener(authority: Authority, certificate: tuple[Path, Path], *, mutual: bool) -> tuple[str, ...]:
    """The lines of a TLS listener."""
    return (
        f"cafile {authority.ca}",
        f"certfile {certificate[0]}",
        f"keyfile {certificate[1]}",
        f"require_certificate {str(mutual).lower()}",
    )


class Peer:
    """A TCP server for what no sound broker does: each connection is answered by the next of `scripts`.

    A script gets the socket after the CONNECT packet was read, and everything that it sends back is bytes.
    `packets` collects what arrives afterwards, one entry per connection.
    """

    ACCEPT = b"\x20\x03\x00\x00\x00"  # CONNACK, success, no properties

    def __init__(self, *scripts: Callable[[socket.socket], None]) -> None:
        self.packets: list[bytearray] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, args=(scripts,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hang up on everybody, also on who is just being let in."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        until = time.monotonic() + 5
        while self._thread.is_alive() and time.monotonic() < until:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._thread.join(0.05)
        for connection in self._open:
            connection.close()

    def _serve(self, scripts: tuple[Callable[[socket.socket], None], ...]) -> None:
        with suppress(OSError):
            for script in scripts:
                connection, _ = self._server.accept()
                self._open.append(connection)
                connection.recv(4096)
                self.packets.append(bytearray())
                script(connection)
                while data := connection.recv(65536):
                    self.packets[-1] += data
