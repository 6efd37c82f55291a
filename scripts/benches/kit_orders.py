"""What a city orders of a kit in a bench: signed, over its broker; and what it answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kit_store
from agent.backbone.signed import Kind, sign
from agent.backbone.topics import Topics
from agent.city.office import Office
from agent.ulid import ENTROPY_BYTES, ulid
from kit_depot import BROKER_PORT, DESK, EAR
from kit_machine import CITY_ADDRESS, call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit_depot import Depot

BY = "bench"
ENDS = {"ok", "failed", "rejected"}
LIFE_S = 600  # of an order: the kit may be without power when it is given
END_S = 30.0


class Orders:
    """The desk of a depot that serves in the network namespace `network`."""

    def __init__(self, depot: Depot, network: str, kit: str) -> None:
        site = depot.registry.kit(kit).site
        self._topics = Topics(site.oblast, site.city, site.district, kit)
        self._depot, self._enter = depot, ["ip", "netns", "exec", network]
        self._heard = depot.work / f"answers-{kit}"
        self.store = depot.work / kit_store.FOLDER

    @contextmanager
    def open(self) -> Iterator[Orders]:
        """Answers are heard, and releases given, while the block lasts."""
        self.store.mkdir(exist_ok=True)
        commands = {
            self._heard: ["mosquitto_sub", *self._connection(EAR), "-t", self._topics.res(BY), "-q", "1"],
            self._depot.work / "store.log": [
                sys.executable,
                str(Path(__file__).with_name("kit_store.py")),
                str(self._depot.work),
            ],
        }
        programs: list[subprocess.Popen[bytes]] = []
        try:
            for path, command in commands.items():
                with path.open("wb") as output:
                    programs.append(
                        subprocess.Popen([*self._enter, *command], stdout=output, stderr=subprocess.STDOUT)
                    )
            yield self
        finally:
            for program in programs:
                program.terminate()
            for program in programs:
                program.wait(END_S)

    def give(self, name: str, args: dict[str, Any]) -> str:
        """Order something; the number of the request."""
        topic, req = self._topics.cmd(name), ulid(time.time_ns() // 10**6, os.urandom(ENTROPY_BYTES))
        until = datetime.now(UTC) + timedelta(seconds=LIFE_S)
        order = {
            "v": 1,
            "cmd": name,
            "args": args,
            "req": req,
            "by": BY,
            "exp": until.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "target": topic,
        }
        passphrase = self._depot.passphrase.read_text("utf-8").strip().encode()
        key = Office.open(self._depot.directory, passphrase).platform_key()
        payload = json.dumps(sign(Kind.COMMAND, order, key)).encode()
        call(*self._enter, "mosquitto_pub", *self._connection(DESK), "-t", topic, "-q", 1, "-s", data=payload)
        return req

    def end(self, req: str) -> dict[str, Any] | None:
        """The last answer to a request; None while there is none."""
        return ended(self._heard, req)

    def _connection(self, name: str) -> list[str]:
        work = self._depot.work
        papers = ("--cafile", work / "chain.pem", "--cert", work / f"{name}.pem")
        place = ("-V", "mqttv5", "-h", CITY_ADDRESS, "-p", BROKER_PORT)
        return [str(word) for word in (*place, *papers, "--key", work / f"{name}.key")]


def ended(heard: Path, req: str) -> dict[str, Any] | None:
    """The last answer to a request among what mosquitto_sub(1) has written; None while there is none."""
    for line in heard.read_text("utf-8", "replace").splitlines(keepends=True):
        if line.startswith("{") and line.endswith("\n"):  # its complaints, and what it still writes
            answer: dict[str, Any] = json.loads(line)
            if answer.get("req") == req and answer["status"] in ENDS:
                return answer
    return None
