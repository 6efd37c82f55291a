"""Kills a kit while it records, again and again, and looks at what is left each time."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import av
import typer
from pyrage import x25519
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agent.app.schemas import DATABASE
from agent.backbone.stored import COVERED
from agent.clips import check, part
from agent.types import Packet, StreamInfo
from crash_kit import SYNC_S, Footage, Kit, settings

KIT = Path(__file__).with_name("crash_kit.py")
SAMPLE = Path(__file__).parent.parent.parent / "agent" / "samples" / "demo_people.mp4"
SIZE, FPS, FOOTAGE_S = (480, 360), 10, 6
TICKS = 90_000
LONGEST_S = 0.8  # of a run after it records: some ten clips; a kill in each of its steps is likely
RECOVERING_SHARE = 0.25  # of the kills hit a start while it puts the store in order
RECOVERING_S = 0.06  # as long as that takes
SLACK_S = 1.5 / FPS  # the picture that the muxer holds back, and the one on its way


@dataclass
class Result:
    """What the bench came to. `findings` say what the numbers but `kills` and `announced` count."""

    kills: int = 0
    announced: int = 0
    unreadable: int = 0
    plaintext: int = 0
    lost: int = 0
    cut: int = 0
    erased: int = 0
    worst_loss_s: float = 0.0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)

    def found(self, kind: str, text: str) -> None:
        """Count one of `unreadable`, `plaintext`, `lost`."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.findings.append(f"after kill {self.kills}: {kind}: {text}")


def main(
    kills: Annotated[int, typer.Option(min=1, help="How often the kit is killed.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the moments of the kills.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """SIGKILL at random moments while sealed clips and messages are made; then everything is checked.

    Not the whole agent is started each time: camera and detector, which write nothing, would take all the
    time. Recorder, sealing, manifests, database, outbox, recovery and retention are the agent's own, in a
    process of their own. Every second kill also takes from the clip under way what was not synced yet, as a
    power cut may; the database is left to SQLite.

    `announced` clips were told to the city; each is opened with the city's key, decoded and compared with its
    manifest. `unreadable`: clips that were not as told, or files and rows that do not belong together.
    `plaintext`: files, the database among them, with open footage. `lost`: clips without their message, holes
    in the numbers of messages, cut clips that lost more than one sync interval. Exit code 1 unless all three
    are 0.
    """
    logging.getLogger("agent").setLevel(logging.CRITICAL)  # what was cut is what the bench is about
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="stairwell-crash-") as directory:
        bench = Crash(Path(directory), seed)
        begun = time.monotonic()
        try:
            for _ in track(range(kills), "killing", console=console, disable=as_json):
                bench.kill()
        finally:
            bench.close()
        bench.result.seconds = round(time.monotonic() - begun, 1)
    result = bench.result
    result.worst_loss_s = round(result.worst_loss_s, 2)
    fields = {name: value for name, value in vars(result).items() if name != "findings"}
    for finding in result.findings:
        typer.echo(finding, err=True)
    if as_json:
        typer.echo(json.dumps(fields))
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in fields.items():
            table.add_row(name.replace("_", " "), str(value))
        Console().print(table)
    if result.findings:
        raise typer.Exit(1)


class Crash:
    """One state directory and all that was killed over it."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.result = Result()
        self._city = x25519.Identity.generate()
        escrow = x25519.Identity.generate()
        state = directory / "state"
        state.mkdir()
        recipients = [str(key.to_public()) for key in (self._city, escrow)]
        self._settings = settings(state, recipients)
        self._footage = directory / "footage"
        self._footage.write_bytes(pickle.dumps(_footage()))
        self._given = directory / "given"
        self._chance = random.Random(seed)  # noqa: S311 - moments, no keys
        self._server = subprocess.Popen(
            [sys.executable, str(KIT), str(state), str(self._footage), str(self._given), *recipients],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._checked: set[str] = set()
        self._announced: set[str] = set()
        self._erased: set[str] = set()
        self._next_seq = 1

    def kill(self) -> None:
        """One run to its end, and what is left of it looked at."""
        recovering = self._chance.random() < RECOVERING_SHARE
        self._given.unlink(missing_ok=True)
        child = self._start("recover" if recovering else "record")
        time.sleep(self._chance.uniform(0, RECOVERING_S if recovering else LONGEST_S))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        self._hear(f"ended {-signal.SIGKILL}")
        self.result.kills += 1
        if self.result.kills % 2:
            self._lose_what_was_not_synced()
        if not recovering and self._chance.random() < RECOVERING_SHARE:
            return  # the next start finds it as it is, and may be killed over it
        self._look()

    def close(self) -> None:
        """End the server of kits."""
        self._server.communicate()

    def _start(self, order: str) -> int:
        """Begin a run; the id of its process once it is at it."""
        self._server.stdin.write(f"{order}\n")
        self._server.stdin.flush()
        return int(self._hear(order).split()[1])

    def _hear(self, wanted: str) -> str:
        """The next line, which must begin with `wanted`."""
        line = self._server.stdout.readline().strip()
        if not line.startswith(wanted):
            raise RuntimeError(f"the kit said {line!r} in place of {wanted!r}")
        return line

    def _lose_what_was_not_synced(self) -> None:
        """Cut the file and the note of each clip under way back to what a sync has put on the disk.

        The note is synced after the file: what its last whole record calls sound is there after a power cut.
        A clip that has its row is on the disk whole, though its note may not be gone yet: also one that
        recovery has just mended, which is longer than its note calls sound.
        """
        directory = self._settings.clips_dir
        entered = self._entered()
        for note in directory.glob(f"*{part.PART}"):
            if note.stem in entered:
                continue
            with note.open("rb") as file:
                kept, sound = 0, 0
                for record in part.notes(file):
                    kept, sound = file.tell(), record.sound
            os.truncate(note, kept)
            for clip in directory.glob(f"{note.stem}.mp4.age"):
                os.truncate(clip, sound)

    def _entered(self) -> set[str]:
        """The clips that have rows, read from a copy: the next start must find the database as it is."""
        with tempfile.TemporaryDirectory(prefix="stairwell-crash-") as name:
            for file in self._settings.state.dir.glob(f"{DATABASE}*"):
                shutil.copy(file, name)
            with contextlib.closing(sqlite3.connect(Path(name) / DATABASE)) as connection:
                try:
                    return {clip for (clip,) in connection.execute("SELECT id FROM clips")}
                except sqlite3.OperationalError:  # killed before there was a table
                    return set()

    def _look(self) -> None:
        """See what a thief would find, put the store in order as the next start would, check it whole."""
        found, _ = check.check_sealing([self._settings.state.dir], sealed=True, progress=lambda _: None)
        for finding in found:
            self.result.found("plaintext", f"{finding.what}: {finding.text.en}")
        kit = Kit(self._settings)
        try:
            kit.recover()
            self._take_messages(kit)
        finally:
            kit.database.close()
        seen, findings = check.check_index(self._settings.clips_dir, self._view)
        for row in seen.clips:
            if row.record.id not in self._announced:
                self.result.found("lost", f"clip {row.record.id} was never announced")
            if row.record.id not in self._checked:
                self._checked.add(row.record.id)
                findings += check.check_clip(
                    self._settings.clips_dir, row, None, kit.identity.public, [self._city], lambda _: None
                )
                if row.record.truncated:
                    self._measure_loss(row.record.id, row.record.started + row.record.duration)
        if seen.intents:
            self.result.found("lost", f"{len(seen.intents)} clips are begun still")
        for finding in findings:
            self.result.found("unreadable", f"{finding.code} {finding.what}: {finding.text.en}")
        gone = self._announced - self._erased - {row.record.id for row in seen.clips}
        if gone:
            self.result.found("lost", f"clips {sorted(gone)} went without a message")
            self._erased |= gone

    def _view(self) -> check.View:
        with contextlib.closing(sqlite3.connect(self._settings.state.dir / DATABASE)) as connection:
            return check.view(connection)

    def _take_messages(self, kit: Kit) -> None:
        """Be the platform: take every message, look that none is missing, acknowledge."""
        rows = kit.journal.ask(
            lambda tx: tx.execute("SELECT seq, head, payload FROM outbox ORDER BY seq").fetchall()
        )
        for seq, head, payload in rows:
            if seq != self._next_seq:
                self.result.found("lost", f"messages {self._next_seq} to {seq - 1} do not exist")
            self._next_seq = seq + 1
            message = {} if COVERED in json.loads(head) or not payload else json.loads(payload)
            if message.get("state") == "available":
                if message["clip"] in self._announced:
                    self.result.found("lost", f"clip {message['clip']} was announced twice")
                self._announced.add(message["clip"])
                self.result.cut += message.get("truncated", False)
            elif message.get("state") == "erased":
                self._erased.add(message["clip"])
                if message["why"] != "retention":
                    self.result.found("lost", f"clip {message['clip']} is gone: {message['why']}")
        self.result.announced, self.result.erased = len(self._announced), len(self._erased)
        kit.journal.ask(lambda tx: kit.outbox.watermark(tx, kit.stream, self._next_seq - 1))

    def _measure_loss(self, clip: str, end: float) -> None:
        """How much of a cut clip the recorder had been given, and nobody can play."""
        with contextlib.suppress(FileNotFoundError):
            name, t = self._given.read_text(encoding="ascii").split()
            if name == clip:
                loss = float(t) + 1 / FPS - end
                self.result.worst_loss_s = max(self.result.worst_loss_s, loss)
                if loss > SYNC_S + SLACK_S:
                    self.result.found("lost", f"clip {clip} lost {loss:.2f} s")


def _footage() -> Footage:
    """Some seconds of the shipped sample, a key frame each second, start codes as from a camera."""
    width, height = SIZE
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, TICKS), Fraction(FPS)
    encoder.options = {"g": str(FPS), "bf": "0", "sc_threshold": "0", "preset": "veryfast", "crf": "18"}
    encoder.thread_count = 1
    raw = []
    with av.open(str(SAMPLE)) as container:
        for index, picture in enumerate(container.decode(video=0)):
            if index == FPS * FOOTAGE_S:
                break
            small = picture.reformat(width=width, height=height)
            small.pts, small.time_base, small.pict_type = index * TICKS // FPS, encoder.time_base, 0
            raw += encoder.encode(small)
    raw += encoder.encode(None)
    info = StreamInfo("h264", width, height, Fraction(1, TICKS), b"")
    packets = [Packet(bytes(p), p.pts, p.dts, TICKS // FPS, p.is_keyframe, 0.0) for p in raw]
    return Footage(info, packets, FOOTAGE_S)
