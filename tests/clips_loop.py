"""A small agent for the crash test: records clips without end, until it is killed.

Arguments: state directory, number of the run (of its boot), pickled footage. Says so once it records.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections import deque
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from agent.clips.recorder import Recorder
from agent.clips.store import SCHEMA, begin_clip, finish_clip
from agent.config import Clips
from agent.database import Database
from agent.device.clock import Stamp
from agent.ulid import ulid

if TYPE_CHECKING:
    from clips_footage import Footage

    from agent.clips.journal import OpenClip
    from agent.types import ClipRecord, Packet


class StoreJournal:
    """A journal in a real database, without messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def opened(self, clip: OpenClip) -> None:
        """See ClipJournal."""
        self._database.submit(lambda tx: begin_clip(tx, clip)).result()

    def closed(self, clip: ClipRecord) -> None:
        """See ClipJournal."""
        self._database.submit(lambda tx: finish_clip(tx, clip)).result()


def main() -> None:
    """Record."""
    state, run = Path(sys.argv[1]), sys.argv[2]
    footage: Footage = pickle.loads(Path(sys.argv[3]).read_bytes())  # noqa: S301 - written by the test
    ring: deque[Packet] = deque(maxlen=200)

    def preroll(since: float) -> list[Packet]:
        packets = list(ring)
        keys = [i for i, p in enumerate(packets) if p.keyframe]
        return packets[max((i for i in keys if packets[i].t <= since), default=keys[0]) :]

    recorder = Recorder(
        Clips(seal="none", pre_roll_s=2, post_roll_s=2, max_s=12, sync_s=2),
        state / "clips",
        preroll,
        lambda: ulid(int(run), os.urandom(10)),
        StoreJournal(Database(state / "agent.db", [SCHEMA])),
        lambda t: Stamp(run, t, None, "none"),
    )
    progress = os.open(state / "given", os.O_WRONLY)
    sys.stdout.write("recording\n")
    sys.stdout.flush()
    for number in count():
        recorder.stream(footage.info)
        ring.clear()
        for index, packet in enumerate(footage.packets):
            time.sleep(0.001)  # a few clips per run, most kills within one
            ring.append(packet)
            if index % 150 == 40:
                recorder.event_opened(f"{number}-{index}", packet.t)
            recorder.packet(packet)
            # The clip under way, and how far the recorder has been given pictures.
            os.pwrite(progress, f"{recorder.current or '-':>26} {packet.t:8.3f}\n".encode(), 0)
            if index % 150 == 110:
                recorder.event_closed(f"{number}-{index - 70}", packet.t)


if __name__ == "__main__":
    main()
