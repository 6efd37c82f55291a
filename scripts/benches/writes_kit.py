"""For the bench of writes: an agent whose hours have `HOUR_S` seconds, and whose clock is said to follow NTP.

What it does once an hour it does then; all else keeps its own time. Arguments are those of `stairwell`.
"""

from __future__ import annotations

import sys

from agent.app import wear
from agent.backbone import clerk
from agent.cli import main
from agent.device import clock, savedtime
from agent.events import usefulness

HOUR_S = 30.0  # more than twice what an acknowledgement waits for company

if __name__ == "__main__":
    wear.NOTE_S = savedtime.KEEP_S = clerk.PURGE_S = HOUR_S
    usefulness.HOUR_S = HOUR_S - 0.5
    clock._disciplined = lambda _wall: True  # noqa: SLF001 - so that the time is written down, too
    sys.argv[0] = "stairwell"
    main()
