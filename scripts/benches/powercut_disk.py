"""What a power cut has left on a kit's disk, read from its image: nothing is mounted, nothing changed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sqlite3
import subprocess
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from agent.app.schemas import DATABASE
from agent.backbone.stored import COVERED
from agent.clips import check, part
from agent.clips.scan import heads
from agent.clips.unseal import unseal
from agent.device.identity import PublicKey
from agent.errors import StairwellError
from agent.ulid import minted_ms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyrage import x25519

    from agent.clips.journal import OpenClip
    from agent.clips.store import StoredClip

CLIPS = "clips"
SAMPLE_BYTES, SAMPLE_EVERY = 32, 20_000  # of an opened clip, to be looked for where nothing may lie open
CLEANED = 1  # e2fsck(8): it did what a mount would have done
NOT_CLEAN = 4


@dataclass(frozen=True, slots=True)
class ClipLeft:
    """A clip of the index; when its last picture ends, in seconds of the wall clock."""

    ended: float
    truncated: bool


@dataclass(frozen=True, slots=True)
class OpenLeft:
    """A clip that was under way, in seconds of the wall clock.

    `opened`: when the recorder began to write it, `synced`: the end of what a sync has kept, if any did.
    """

    opened: float
    synced: float | None


@dataclass(frozen=True, slots=True)
class Left:
    """What is there. `complaints` are what no power cut may cause, in words, by the name of a promise."""

    stream: str | None = None
    next_seq: int = 1
    rows: tuple[tuple[int, int], ...] = ()
    """The numbers that lie in the outbox, and those that a gap there excuses."""
    erased: frozenset[str] = frozenset()
    """Clips of which a message in the outbox says that they went by retention."""
    clips: dict[str, ClipLeft] = field(default_factory=dict)
    open: dict[str, OpenLeft] = field(default_factory=dict)
    complaints: tuple[tuple[str, str], ...] = ()


class Reader:
    """Reads images of one kit's disk; `work` is a directory of its own. A clip is opened and decoded once.

    `samples` are pieces of opened clips.
    """

    def __init__(self, work: Path, city: x25519.Identity) -> None:
        self._work = work
        self._city = city
        self._checked: set[str] = set()
        self._key = ""
        self.samples: dict[str, list[bytes]] = {}
        self.scanned = 0
        """Bytes in which open footage was looked for."""
        self.replayed = 0
        """Journals of the file system that had to be replayed."""

    def read(self, image: Path, *, orderly: bool = False) -> Left:
        """All that is on it. After an `orderly` end nothing may be left to be done.

        Raises:
            StairwellError: a program of e2fsprogs is missing or failed.
        """
        complaints = list(self._filesystem(image, orderly=orderly))
        tree = self._work / "tree"
        _run("rm", "-rf", tree)
        tree.mkdir()
        _run("debugfs", "-R", f"rdump / {tree}", image)
        complaints += [("sealing", text) for text in self._open_footage(image, tree)]
        if not (tree / DATABASE).exists():
            return Left(complaints=tuple(complaints))
        with contextlib.closing(sqlite3.connect(tree / DATABASE)) as tx:
            sound = [text for (text,) in tx.execute("PRAGMA integrity_check")]
            if sound != ["ok"]:
                complaints.append(("messages", f"the database: {'; '.join(sound[:3])}"))
            if not tx.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'outbox_state'").fetchone()[0]:
                return Left(complaints=tuple(complaints))
            view = check.view(tx)
            state = tx.execute("SELECT stream, next_seq FROM outbox_state").fetchone()
            rows, erased = _outbox(tx)
        complaints += [("clips", text) for row in view.clips for text in self._clip(tree, row)]
        if orderly:
            _, findings = check.check_index(tree / CLIPS, lambda: view)
            complaints += [("clips", f"{each.code} {each.what}: {each.text.en}") for each in findings]
            complaints += [("clips", f"{clip.id}: it is begun still") for clip in view.intents]
        return Left(
            *(state or (None, 1)),
            rows=rows,
            erased=erased,
            clips={
                row.record.id: ClipLeft(_wall(row.record.ts) + row.record.duration, row.record.truncated)
                for row in view.clips
            },
            open={
                clip.id: OpenLeft(
                    minted_ms(clip.id) / 1000, _synced(clip, part.part_path(tree / CLIPS / clip.path))
                )
                for clip in view.intents
            },
            complaints=tuple(complaints),
        )

    def _filesystem(self, image: Path, *, orderly: bool) -> Iterator[tuple[str, str]]:
        """Replay the journal, as the next boot does, and check everything."""
        first = _run("e2fsck", "-p", image, most=NOT_CLEAN)
        if "recovering journal" in first.stdout:
            self.replayed += 1
        if first.returncode > (0 if orderly else CLEANED):
            yield "filesystem", f"e2fsck -p: {first.stdout.strip()}"
        second = _run("e2fsck", "-f", "-n", image, most=NOT_CLEAN)
        if second.returncode:
            yield "filesystem", f"e2fsck -fn: {second.stdout.strip()[-500:]}"

    def _open_footage(self, image: Path, tree: Path) -> Iterator[str]:
        """Heads of videos and pictures in any file or anywhere on the disk, and pieces of opened clips."""
        findings, _ = check.check_sealing([tree], sealed=True, progress=lambda _: None)
        yield from (f"{finding.what}: {finding.text.en}" for finding in findings)
        for offset, data in _extents(image):
            self.scanned += len(data)
            yield from (f"{each.kind} at byte {offset + each.offset} of the disk" for each in heads(data))
            for clip, samples in self.samples.items():
                if any(sample in data for sample in samples):
                    yield f"a piece of clip {clip} lies open on the disk"

    def _clip(self, tree: Path, row: StoredClip) -> Iterator[str]:
        """What is wrong with a clip; one that was whole before needs only to be the same file still."""
        clip, path = row.record, tree / CLIPS / row.record.path
        if not path.exists():
            yield f"{clip.id}: its file has gone"
            return
        if clip.id in self._checked:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != clip.sha256:
                    yield f"{clip.id}: it was altered"
            return
        self._checked.add(clip.id)
        public = PublicKey.read(tree / "keys" / "kit.pub")
        self._key = self._key or public.text
        if public.text != self._key:
            yield f"{clip.id}: signed by another key than the first clip"
        found = check.check_clip(tree / CLIPS, row, None, public, [self._city], lambda _: None)
        yield from (f"{clip.id}: {finding.code}: {finding.text.en}" for finding in found)
        plain = io.BytesIO()
        with path.open("rb") as file:
            if unseal(file, plain, [self._city]) != "whole":
                yield f"{clip.id}: the city's key does not open it to its end"
        data = plain.getvalue()
        self.samples[clip.id] = [
            data[at : at + SAMPLE_BYTES] for at in range(SAMPLE_EVERY, len(data) - SAMPLE_BYTES, SAMPLE_EVERY)
        ]


def make(image: Path, size: int) -> None:
    """An empty ext4 with the options that mkfs.ext4 has by itself."""
    with image.open("wb") as file:
        file.truncate(size)
    _run("mkfs.ext4", "-q", image)


def _outbox(tx: sqlite3.Connection) -> tuple[tuple[tuple[int, int], ...], frozenset[str]]:
    """`rows` and `erased` of Left."""
    rows: list[tuple[int, int]] = []
    erased = set()
    for seq, head, payload in tx.execute("SELECT seq, head, payload FROM outbox ORDER BY seq"):
        rows.append((seq, seq))
        if json.loads(head).get(COVERED) or not payload:
            continue
        message = json.loads(payload)
        rows += [(first, last) for first, last in message.get("ranges", ())]
        if message.get("state") == "erased" and message.get("why") == "retention":
            erased.add(message["clip"])
    return tuple(rows), frozenset(erased)


def _synced(clip: OpenClip, note: Path) -> float | None:
    """When the last sync that its note tells of ends."""
    with contextlib.suppress(FileNotFoundError), note.open("rb") as file:
        ends = [record.end for record in part.notes(file)]
        if ends:
            return _wall(clip.ts) + ends[-1]
    return None


def _wall(ts: str | None) -> float:
    """Seconds of the wall clock; the guest's clock is its host's."""
    return datetime.fromisoformat(ts).timestamp() if ts else 0.0


def _extents(image: Path) -> Iterator[tuple[int, bytes]]:
    """The stretches of the image that were ever written."""
    file, size, at = os.open(image, os.O_RDONLY), image.stat().st_size, 0
    try:
        while at < size:
            try:
                begin = os.lseek(file, at, os.SEEK_DATA)
            except OSError:  # nothing but holes
                return
            at = os.lseek(file, begin, os.SEEK_HOLE)
            yield begin, os.pread(file, at - begin, begin)
    finally:
        os.close(file)


def _run(*command: object, most: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a program that may end with at most this code."""
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, env=environment, check=False
        )
    except FileNotFoundError:
        raise StairwellError(f"{command[0]} is not installed", fix="apt-get install e2fsprogs") from None
    if done.returncode > most:
        raise StairwellError(f"{command[0]} failed", fix=f"it said: {(done.stderr or done.stdout).strip()}")
    return done
