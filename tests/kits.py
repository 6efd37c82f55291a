"""A kit's clip store for tests: real files, real database, real messages."""

from __future__ import annotations

import dataclasses
from itertools import count
from typing import TYPE_CHECKING, Any

from app_parts import Hands, kept, settings
from clips_footage import encoded
from clips_keys import SEALED_TO

from agent.app.announcer import Announcer
from agent.app.housekeeping import Housekeeping
from agent.app.journal import Journal
from agent.app.premises import Premises
from agent.app.reporter import Reporter, topics
from agent.app.schemas import SCHEMAS
from agent.backbone import outbox
from agent.clips import store
from agent.clips.journal import SEALED_SUFFIX, SUFFIX, OpenClip
from agent.clips.manifest import Notary
from agent.clips.premises import MARK
from agent.clips.seal import SealingSink
from agent.clips.writer import ClipWriter
from agent.database import Database
from agent.device.identity import Identity
from agent.types import ClipRecord

if TYPE_CHECKING:
    from pathlib import Path

EVENT = "01KAMZ6T3QW8E2R5T7Y9V1J3P5"
FOOTAGE = encoded(pictures=60, gop=10)


def name(number: int) -> str:
    """The id of a test's clip."""
    return f"{number:026d}"


class Kit:
    """An agent's clip store over the state in `directory`, without camera and threads but the database's."""

    def __init__(self, directory: Path, clock: Hands | None = None, **clips: Any) -> None:  # noqa: ANN401 - any key
        self.state = directory
        self.clock = clock or Hands()
        chosen = settings(directory, clips=clips)
        self.settings = chosen
        self.directory = chosen.clips_dir
        self.directory.mkdir(exist_ok=True)
        self.database = Database(directory / "agent.db", SCHEMAS)
        messages = outbox.Outbox(chosen.outbox, topics(chosen), delivered_hook=store.mark_announced)
        self.outbox = messages
        stream = self.database.submit(messages.open_stream).result()
        self.identity = identity = Identity.open(directory / "keys")
        reporter = Reporter(chosen, topics(chosen), self.clock, stream, "ssdlite", identity.public.text)
        notary = Notary(self.directory, identity, chosen.kit.id, stream, None)
        self.journal = Journal(self.database, messages, reporter, self.clock, lambda: None, notary)
        self.reporter = reporter
        numbers = count(1)
        self.announcer = Announcer(
            reporter, self.journal, lambda: f"{next(numbers):026d}", self.journal.left_alarms()
        )
        self.premises = Premises(chosen, self.journal, lambda: None)
        self.housekeeping = Housekeeping(
            chosen, self.journal, reporter, self.announcer, self.clock, self.premises
        )

    def intent(self, number: int, started: float = 900.0) -> OpenClip:
        """A clip that was begun: its row is there, its file is not yet."""
        seal = self.settings.clips.seal
        path = name(number) + (SUFFIX if seal == "none" else SEALED_SUFFIX)
        clip = OpenClip(
            name(number), path, (EVENT,), started, self.clock.boot, None, "none", "h264", 320, 240, seal
        )
        self.journal.opened(clip)
        return clip

    def clip(self, number: int, started: float = 900.0) -> ClipRecord:
        """A clip that is complete, file and row and message."""
        intent = self.intent(number, started)
        writer = self._writer(intent, 2.0)
        for packet in FOOTAGE.packets:
            writer.packet(packet)
        written = writer.close()
        record = ClipRecord(
            **dataclasses.asdict(intent),
            duration=written.duration,
            bytes=written.file.bytes,
            sha256=written.file.sha256,
            recipients=written.file.recipients,
        )
        self.journal.closed(record, written.plain)
        [row] = [row for row in self.journal.ask(store.clips) if row.record.id == record.id]
        return row.record

    def cut(self, number: int, started: float = 900.0) -> OpenClip:
        """A clip under way when the power went: whole GOPs and the beginning of another."""
        intent = self.intent(number, started)
        path = self.directory / intent.path
        writer = self._writer(intent, 1.0)
        for packet in FOOTAGE.packets[:35]:
            writer.packet(packet)
        writer.abandon()
        with path.open("ab") as file:
            file.write(b"\0\0\x40\0moof half of it")
        return intent

    def another_housekeeping(self, **clips: Any) -> Housekeeping:  # noqa: ANN401 - any key
        """With other settings."""
        chosen = settings(self.state, clips=clips)
        return Housekeeping(chosen, self.journal, self.reporter, self.announcer, self.clock, self.premises)

    def end(self) -> None:
        """Close the database."""
        self.database.close()

    def said(self) -> list[tuple[str, str]]:
        """Every message in the outbox as (what, about)."""
        self.database.submit(lambda _: None).result()
        return [(m["state"], m.get("clip") or m["code"]) for m in kept(self.state)]

    def files(self) -> list[str]:
        """What lies in the directory of clips, but its mark and the manifests."""
        return sorted(p.name for p in self.directory.iterdir() if p.name != MARK and p.suffix != ".json")

    def _writer(self, clip: OpenClip, sync_s: float) -> ClipWriter:
        path = self.directory / clip.path
        if self.settings.clips.seal == "none":
            return ClipWriter(path, FOOTAGE.info, sync_s)
        return ClipWriter(path, FOOTAGE.info, sync_s, open_sink=lambda path: SealingSink(path, SEALED_TO))
