"""The reference broker of firmware-config/backbone, on a free port of the loopback interface or another.

The files there are what runs: of mosquitto.conf only the values of PLACE are replaced, line by line, and the
ACL is read where it lies.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config import Backbone
from agent.errors import BrokerError
from pki import CA

if TYPE_CHECKING:
    from pki import Authority


FILES = Path(__file__).parents[2] / "firmware-config" / "backbone"
CONF, ACL = FILES / "mosquitto.conf", FILES / "acl"
PLACE = ("listener", "cafile", "certfile", "keyfile", "crlfile", "acl_file", "persistence_location")
HOST = "localhost"
PLATFORM = "platform"  # its name in the ACL
START_S = (
    30.0  # it listens within 0.1 s; with a hundred thousand kept messages and a busy machine it takes longer
)


def placed(text: str, place: dict[str, str]) -> str:
    """The configuration with other values for the keys of `place`, each of which it must have once.

    Raises:
        ValueError: it doesn't.
    """
    lines = text.splitlines()
    for key, value in place.items():
        found = [number for number, line in enumerate(lines) if line.split(" ")[0] == key]
        if len(found) != 1:
            raise ValueError(f"{key} stands {len(found)} times in the configuration, not once")
        lines[found[0]] = f"{key} {value}"
    return "\n".join([*lines, ""])


def connection(port: int, keys: Path, name: str) -> Backbone:
    """How `name` connects to the reference broker at `port`, with what an Authority left in `keys`."""
    return Backbone(
        host=HOST,
        port=port,
        ca_file=keys / CA,
        cert_file=keys / f"{name}.pem",
        key_file=keys / f"{name}.key",
    )


class ReferenceBroker:
    """Mosquitto as a city runs it: mutual TLS by `authority`, ACL, CRL; it listens on `address` only.

    Start, stop and start it as you like; each start reads certificates and the list of revoked ones anew. Its
    certificate is for `hosts` as well.

    Raises:
        BrokerError: there is no Mosquitto.
    """

    def __init__(
        self,
        directory: Path,
        authority: Authority,
        address: str = "127.0.0.1",
        *,
        hosts: tuple[str, ...] = (),
    ) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise BrokerError("mosquitto is not installed", fix="run scripts/setup")
        self.authority = authority
        self._address = address
        self.port = _free_port(address)
        self.log = directory / "mosquitto.log"
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        certificate, key = authority.issue("broker", HOST, address, *hosts)
        store = directory / "store"
        store.mkdir()
        self._config = directory / "mosquitto.conf"
        text = placed(
            CONF.read_text("utf-8"),
            {
                "listener": f"{self.port} {address}",
                "cafile": str(authority.ca),
                "certfile": str(certificate),
                "keyfile": str(key),
                "crlfile": str(authority.crl()),
                "acl_file": str(ACL),
                "persistence_location": f"{store}/",
            },
        )
        # Started by root it would otherwise become a user who may not read a private directory.
        self._config.write_text(f"user {getpass.getuser()}\n{text}", "utf-8")

    @property
    def pid(self) -> int:
        """Of the broker that runs now.

        Raises:
            RuntimeError: none does.
        """
        if self._process is None:
            raise RuntimeError("the broker does not run")
        return self._process.pid

    def settings(self, name: str, **changes: object) -> Backbone:
        """How `name`, a kit's id or PLATFORM, connects; its certificate is made if there is none."""
        keys = self.authority.directory
        if not (keys / f"{name}.pem").exists():
            self.authority.issue(name)
        return connection(self.port, keys, name).model_copy(update=changes)

    def start(self) -> None:
        """Run until it accepts connections.

        Raises:
            BrokerError: it ended at once, or does not listen.
        """
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", self._config], stdout=log, stderr=log)
        until = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise BrokerError("the reference broker did not start", fix=f"see {self.log}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self._address, self.port), 1):
            return True
        return False


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
