"""A kit for the crash bench: all that an agent does with clips and messages, without camera and detector.

Real are recorder, sealing, manifests, journal, database, outbox, recovery and retention, put together as the
agent does it; packets and events come by script, a minute of them in some seconds.

Run as a program it is a server: for each line on stdin (`record`, `recover`) it forks a kit, which says so
with its process id once it is at it, and tells how that ended. It has all modules and no threads, so that a
kit begins at once. Arguments: state directory, file with the footage, file for what was given to the
recorder, recipients.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import time
import traceback
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agent.app.announcer import Announcer
from agent.app.housekeeping import Housekeeping
from agent.app.journal import COMMIT_TIMEOUT_S, Journal
from agent.app.premises import Premises
from agent.app.reporter import Reporter, topics
from agent.app.schemas import DATABASE, SCHEMAS
from agent.backbone.outbox import Outbox
from agent.backbone.stored import Cover
from agent.capture.ring import PacketRing
from agent.capture.snapshot import still
from agent.clips import store
from agent.clips.manifest import Notary
from agent.clips.recorder import Recorder
from agent.config import Settings, load
from agent.database import Database
from agent.device.clock import SystemClock
from agent.device.identity import Identity
from agent.device.volatile import volatile_key
from agent.picture import Picture
from agent.types import BestMoment, Box, EventChange, Packet, Phase, Still, StreamInfo
from agent.ulid import ENTROPY_BYTES, ulid

if TYPE_CHECKING:
    from collections.abc import Iterator

KIT = "k7f3k2qx4m"
SYNC_S = 1.0
EVENT_EVERY_S, EVENT_S = 5.0, 1.5  # of video
RETAIN_EVERY = 4  # events
PATIENCE_S = 60.0  # a start that has come to its end waits for the kill
PAUSE_S = 0.0003  # after each picture: what kills do not hit is the waiting, so there is little of it


@dataclass(frozen=True)
class Footage:
    """Encoded pictures of some seconds, played over and over on one time line."""

    info: StreamInfo
    packets: list[Packet]
    seconds: float


def settings(state: Path, recipients: list[str]) -> Settings:
    """A kit with little room, short clips and sealing on."""
    return load(
        None,
        {
            "kit": {"id": KIT},
            "clips": {
                "recipients": recipients,
                "pre_roll_s": 1,
                "post_roll_s": 1,
                "max_s": 10,
                "sync_s": SYNC_S,
                "max_mb": 4,
                "reserve_mb": 0,
            },
            "state": {"dir": state},
        },
    )


class Kit:
    """The parts of an agent over a state directory."""

    def __init__(self, chosen: Settings) -> None:
        self.settings = chosen
        self.clock = SystemClock()
        self.identity = Identity.open(chosen.state.dir / "keys")
        self.database = Database(chosen.state.dir / DATABASE, SCHEMAS)
        self.outbox = Outbox(
            chosen.outbox,
            topics(chosen),
            cover=Cover(volatile_key()),
            delivered_hook=store.mark_announced,
        )
        self.stream = self.database.submit(self.outbox.open_stream).result(COMMIT_TIMEOUT_S)
        self.reporter = Reporter(
            chosen, topics(chosen), self.clock, self.stream, "bench", self.identity.public.text
        )
        notary = Notary(chosen.clips_dir, self.identity, chosen.kit.id, self.stream, None)
        self.journal = Journal(self.database, self.outbox, self.reporter, self.clock, lambda: None, notary)
        self.announcer = Announcer(self.reporter, self.journal, self.mint, self.journal.left_alarms())
        self.premises = Premises(chosen, self.journal, lambda: None)
        self.housekeeping = Housekeeping(
            chosen, self.journal, self.reporter, self.announcer, self.clock, self.premises
        )

    def mint(self) -> str:
        """A new ULID."""
        return ulid(self.clock.unix_ms(), os.urandom(ENTROPY_BYTES))

    def recover(self) -> None:
        """What the agent does at its start."""
        self.journal.recover()
        self.housekeeping.recover()

    @cached_property
    def picture(self) -> Still:
        """A snapshot; every event has one."""
        luma = np.random.default_rng(1).integers(0, 256, (180, 320)).astype(np.uint8)
        return still(Picture(luma), 8000)


def record(chosen: Settings, footage_file: Path, given_file: Path) -> None:
    """A run that never ends by itself: recover, say so, then record event after event."""
    kit = Kit(chosen)
    kit.recover()
    footage: Footage = pickle.loads(footage_file.read_bytes())  # noqa: S301 - written by the bench
    ring = PacketRing(chosen.clips.pre_roll_s, 8_000_000)
    recorder = Recorder(chosen.clips, chosen.clips_dir, ring.since, kit.mint, kit.premises, kit.clock.stamp)
    ring.stream(footage.info)
    recorder.stream(footage.info)
    begun = kit.clock.mono()
    say(f"record {os.getpid()}")
    # How far the recorder was given pictures, for whoever finds the clip cut: in memory, so it costs nothing.
    given = os.open(given_file, os.O_WRONLY | os.O_CREAT)
    closing: tuple[str, float] | None = None
    next_event, number = 2.0, count(1)
    for packet in _endless(footage, begun):
        ring.push(packet)
        t = packet.t - begun
        if closing is None and t >= next_event:
            this, next_event = next(number), next_event + EVENT_EVERY_S
            name = kit.announcer.change(_change(this, Phase.NEW, packet.t))
            kit.journal.snapshot(kit.reporter.snapshot(name, _moment(this, packet.t), kit.picture))
            recorder.event_opened(name, packet.t)
            closing = (name, t + EVENT_S)
        elif closing is not None and t >= closing[1]:
            kit.announcer.change(_change(this, Phase.END, packet.t))
            recorder.event_closed(closing[0], packet.t)
            closing = None
            if this % RETAIN_EVERY == 0:
                kit.housekeeping.run(recorder.current)
        recorder.packet(packet)
        os.pwrite(given, f"{recorder.current or '-':>26} {packet.t:20.6f}\n".encode(), 0)
        time.sleep(PAUSE_S)


def recover(chosen: Settings) -> None:
    """A start that is killed while it puts the store in order."""
    say(f"recover {os.getpid()}")
    Kit(chosen).recover()
    time.sleep(PATIENCE_S)


def say(line: str) -> None:
    """To whoever asked: one line."""
    os.write(1, f"{line}\n".encode())


def serve(state: str, footage: str, given: str, *recipients: str) -> None:
    """Fork a kit for each line, until there are no more."""
    logging.getLogger("agent").setLevel(logging.CRITICAL)
    chosen = settings(Path(state), list(recipients))
    for order in sys.stdin:
        child = os.fork()
        if not child:
            try:
                if order.strip() == "record":
                    record(chosen, Path(footage), Path(given))
                else:
                    recover(chosen)
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                os._exit(1)
        say(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


def _endless(footage: Footage, begun: float) -> Iterator[Packet]:
    ticks = round(footage.seconds / footage.info.time_base)
    for turn in count():
        shift = turn * ticks
        for p in footage.packets:
            t = begun + turn * footage.seconds + float(p.pts * footage.info.time_base)
            yield Packet(p.data, p.pts + shift, p.dts + shift, p.duration, p.keyframe, t)


def _change(event: int, phase: Phase, t: float) -> EventChange:
    end = phase is Phase.END
    return EventChange(
        event, "person", phase, 2 if end else 1, t, t - EVENT_S if end else t, t if end else None,
        0.8, 0.9, 1, Box(0.1, 0.1, 0.3, 0.5),
    )  # fmt: skip


def _moment(event: int, t: float) -> BestMoment:
    return BestMoment(event, t, Box(0.1, 0.1, 0.3, 0.5), 0.5)


if __name__ == "__main__":
    serve(*sys.argv[1:])
