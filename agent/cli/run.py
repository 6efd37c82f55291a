"""`stairwell run`: the agent itself."""

from __future__ import annotations

import faulthandler
import logging
import signal
import threading
from typing import TYPE_CHECKING

from agent.app.service import serve
from agent.cli.options import ConfigFile, config_path
from agent.device.clock import SystemClock
from agent.device.process import renew, settle

if TYPE_CHECKING:
    from types import FrameType

LOG_FORMAT = "%(levelname)s %(name)s: %(message)s"  # the journal adds the time and the unit


def run(config: ConfigFile = None) -> None:
    """Watch, record and report until stopped (Ctrl-C, SIGTERM) or until a video file ends.

    Exit code 0 after a wanted stop; otherwise as README lists them. A camera, broker or disk that fails
    while the agent runs does not end it: it goes on with the rest and raises an alarm.
    """
    logging.basicConfig(format=LOG_FORMAT)
    faulthandler.enable()  # a watchdog's SIGABRT and a crash in a codec show where every thread stood
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    settle()
    if serve(config_path(config), SystemClock(), stop):
        renew()
