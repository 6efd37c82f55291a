"""Orders about clips: list, hold, release, upload."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agent.app import holding
from agent.app.transfer import Transfer
from agent.backbone.docket import Outcome
from agent.backbone.orders import ClipArgs, ListArgs, UploadArgs
from agent.clips import store

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import BinaryIO

    from agent.app.journal import Journal
    from agent.app.premises import Premises
    from agent.app.reporter import Reporter
    from agent.backbone.commands import Job
    from agent.clips.store import StoredClip
    from agent.config import Settings
    from agent.device.clock import Clock

UPLOAD_S = 900.0  # two minutes of video over 300 kbit/s; pre-signed addresses live about as long
CHUNK = 1024 * 1024

_GONE = Outcome(
    ok=False, code="no-such-clip", text="there is no such clip; `clip/list` names those there are"
)


class ClipOrders:
    """Does them, in the threads of the lanes; `context` is that of the agent's https (`trust`)."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        reporter: Reporter,
        premises: Premises,
        clock: Clock,
        context: ssl.SSLContext,
    ) -> None:
        self._directory = settings.clips_dir
        self._journal = journal
        self._reporter = reporter
        self._premises = premises
        self._clock = clock
        self._context = context

    @property
    def executors(self) -> dict[str, Callable[[Job], Outcome]]:
        """By the names of ORDERS."""
        return {
            "clip/list": self._list,
            "clip/hold": self._hold,
            "clip/release": self._release,
            "clip/upload": self._upload,
        }

    def _list(self, job: Job) -> Outcome:
        args = job.said(ListArgs)
        found = self._journal.ask(lambda tx: store.clips(tx, event=args.event))
        below = [clip for clip in reversed(found) if args.before is None or clip.seq < args.before]
        page = below[: args.limit]
        out: dict[str, Any] = {"clips": [_listed(clip) for clip in page], "total": len(found)}
        if len(below) > len(page):
            out["next"] = page[-1].seq
        return Outcome(ok=True, out=out)

    def _hold(self, job: Job) -> Outcome:
        clip, now = job.said(ClipArgs).clip, self._clock.stamp()
        self._premises.check()
        gone = holding.hold(
            self._journal, self._directory, [clip], by="city", why=f"order {job.req}", now=now
        )
        return _GONE if gone else Outcome(ok=True, out={"clip": clip, "held": True})

    def _release(self, job: Job) -> Outcome:
        clip = job.said(ClipArgs).clip
        self._premises.check()
        gone = holding.release(self._journal, self._directory, [clip])
        return _GONE if gone else Outcome(ok=True, out={"clip": clip, "held": False})

    def _upload(self, job: Job) -> Outcome:
        args = job.said(UploadArgs)
        row = self._journal.ask(
            lambda tx: next((clip for clip in store.clips(tx) if clip.record.id == args.clip), None)
        )
        if row is None:
            return _GONE
        if row.record.sealed == "none":
            return Outcome(
                ok=False, code="not-sealed", text="footage leaves the kit sealed to the city's keys only"
            )
        self._premises.check()
        try:
            with (self._directory / row.record.path).open(
                "rb"
            ) as file:  # stays readable if it is erased meanwhile
                return self._send(job, args, row, file)
        except OSError as error:
            return Outcome(ok=False, code="unreadable", text=f"{row.record.path}: {error.strerror}")

    def _send(self, job: Job, args: UploadArgs, row: StoredClip, file: BinaryIO) -> Outcome:
        clip = row.record
        if (clip.bytes, clip.sha256) != _content(file, job) and not job.stopping.is_set():
            return Outcome(ok=False, code="altered", text=f"{clip.path}: is not the file that was recorded")
        transfer = Transfer(
            args.url, args.headers, file, clip.bytes, self._context, job.progress, job.stopping, UPLOAD_S
        )
        failure = transfer.run()
        if failure is not None:
            return Outcome(ok=False, code=failure.code, text=failure.text)
        draft = self._reporter.clip_uploaded(clip, job.req, urlsplit(args.url).hostname or "")
        self._journal.ask(lambda tx: self._journal.append(tx, draft))
        return Outcome(ok=True, out={"clip": clip.id, "bytes": clip.bytes, "sha256": clip.sha256})


def _content(file: BinaryIO, job: Job) -> tuple[int, str]:
    """Size and SHA-256; a stop ends the reading, and then they are of no file."""
    digest, size = hashlib.sha256(), 0
    while not job.stopping.is_set() and (data := file.read(CHUNK)):
        digest.update(data)
        size += len(data)
    return size, digest.hexdigest()


def _listed(clip: StoredClip) -> dict[str, Any]:
    record = clip.record
    listed = {
        "clip": record.id,
        "events": list(record.events),
        "t0": record.ts,
        "dur": round(record.duration, 3),
        "bytes": record.bytes,
        "sha256": record.sha256,
        "part": record.part,
        "truncated": record.truncated,
        "held": clip.held,
    }
    return {name: value for name, value in listed.items() if value is not None}
