"""A small agent for the crash test: records clips without end, until it is killed.

Arguments: state directory, number of the run (of its boot), pickled footage, recipients to seal to (none:
unsealed). Says so once it records.
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

from agent.clips.manifest import Notary
from agent.clips.recorder import Recorder
from agent.clips.store import SCHEMA, begin_clip, chain_end, extend_chain, finish_clip
from agent.config import Clips
from agent.database import Database
from agent.device.clock import Stamp
from agent.device.identity import Identity
from agent.ulid import ulid

if TYPE_CHECKING:
    import sqlite3

    from clips_footage import Footage

    from agent.clips.fragment import Plaintext
    from agent.clips.journal import OpenClip
    from agent.types import ClipRecord, Packet


class StoreJournal:
    """A journal in a real database, without messages."""

    def __init__(self, database: Database, notary: Notary) -> None:
        self.database = database
        self._notary = notary

    def opened(self, clip: OpenClip) -> None:
        """See ClipJournal."""
        self.database.submit(lambda tx: begin_clip(tx, clip)).result()

    def closed(self, clip: ClipRecord, plain: Plaintext) -> None:
        """See ClipJournal."""
        last = self.database.submit(chain_end).result()
        signed = self._notary.attest(clip, plain, last)

        def work(tx: sqlite3.Connection) -> None:
            finish_clip(tx, signed)
            extend_chain(tx, last, signed.manifest)

        self.database.submit(work).result()
        self._notary.entered(signed)


def journal(state: Path) -> StoreJournal:
    """The journal of the kit whose state this is."""
    notary = Notary(state / "clips", Identity.open(state / "keys"), "k7f3k2qx4m", "9f2c1a7e", None)
    return StoreJournal(Database(state / "agent.db", [SCHEMA]), notary)


def main() -> None:
    """Record."""
    state, run = Path(sys.argv[1]), sys.argv[2]
    footage: Footage = pickle.loads(Path(sys.argv[3]).read_bytes())  # noqa: S301 - written by the test
    recipients = tuple(sys.argv[4:])
    ring: deque[Packet] = deque(maxlen=200)

    def preroll(since: float) -> list[Packet]:
        packets = list(ring)
        keys = [i for i, p in enumerate(packets) if p.keyframe]
        return packets[max((i for i in keys if packets[i].t <= since), default=keys[0]) :]

    recorder = Recorder(
        Clips(
            seal="age" if recipients else "none",
            recipients=recipients,
            pre_roll_s=2,
            post_roll_s=2,
            max_s=12,
            sync_s=2,
        ),
        state / "clips",
        preroll,
        lambda: ulid(int(run), os.urandom(10)),
        journal(state),
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
