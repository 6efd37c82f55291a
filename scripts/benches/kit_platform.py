"""A city's platform as a program, for a network namespace: `kit_platform.py DIRECTORY`, until it is ended."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from agent.config import Backbone
from city import City
from kit_machine import CITY_ADDRESS
from reference import PLATFORM


def main(directory: Path) -> None:
    """Store and acknowledge what the kits say."""
    broker = Backbone(
        host=CITY_ADDRESS,
        ca_file=directory / "chain.pem",
        cert_file=directory / f"{PLATFORM}.pem",
        key_file=directory / f"{PLATFORM}.key",
    )
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    platform = City(directory / "platform").platform(broker, PLATFORM, acknowledge=True)
    platform.start()
    while platform.alive and not ended.wait(1.0):
        pass
    platform.close()
    if platform.error:
        raise platform.error


if __name__ == "__main__":
    main(Path(sys.argv[1]))
