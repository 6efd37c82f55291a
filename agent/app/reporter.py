"""What the agent knows, in the words of the contract. Says nothing of its own: every figure is handed in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import agent
from agent.app.proof import passed
from agent.backbone import drafts, messages, presence
from agent.backbone.orders import ORDERS
from agent.backbone.topics import Topics
from agent.capture.kind import RECORDED, source_kind
from agent.device import health
from agent.device.clock import Stamp
from agent.device.reset import BootRecord

if TYPE_CHECKING:
    from agent.app.ledger import Progress
    from agent.app.want import Want
    from agent.app.wear import Wear
    from agent.backbone.drafts import Draft
    from agent.backbone.outbox import Numbers
    from agent.backbone.publication import Publication
    from agent.config import Settings
    from agent.device.board import Board
    from agent.device.clock import Clock
    from agent.doctor.registry import AlarmKind
    from agent.events.usefulness import Figures
    from agent.types import BestMoment, Box, ClipRecord, EventChange, Still

CAPABILITIES = ["person", "snapshot"]
SCORE_DIGITS = 4  # finer than a quantisation step of the detector
UNKNOWN_BOOT = "00000000"  # of a clip adopted without its row: the contract wants eight digits
MIB, GIB = 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Stock:
    """The clips that are kept."""

    clips: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was dropped since the start: groups of pictures (`gops`) out of the ring, messages (`writes`).

    `deferred` messages wait in memory and may yet be: the disk refuses them.
    """

    gops: int
    writes: int
    deferred: int = 0


class Reporter:
    """Makes the messages of one kit (and is the courier's Presence).

    `detector` is the label of its model, None when it does not work; `key` is the public half of the key that
    signs its manifests, base64; `revision` is that of the city's configuration in force.

    Raises:
        ConfigError: `capture.source` is of no kind that the agent knows.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        clock: Clock,
        stream: str,
        detector: str | None,
        key: str | None = None,
        revision: int = 0,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._stream = stream
        self._clock = clock
        self._detector = detector
        self._key = key
        self._revision = revision
        self._site = messages.SiteRef.of(settings.site)
        self._source = source_kind(settings.capture.source)
        self._boot = BootRecord(settings.state.dir, clock).boot
        self._begun = clock.mono()
        self._beats = 0
        self._cpu = health.CpuMeter(self._begun)
        self._before: tuple[float, Progress] | None = None

    def event(self, event: str, change: EventChange) -> Draft:
        """A step of an event of this run."""
        started = self._clock.stamp(change.started)
        ended = None if change.ended is None else self._clock.stamp(change.ended).ts
        return self._event(event, change, self._clock.stamp(), started.ts, ended)

    def ended_by_restart(self, event: str, change: EventChange, ts0: str | None, last: Stamp) -> Draft:
        """The end of an event that an earlier run left open, stamped with that run's last evidence."""
        return self._event(event, change, last, ts0, last.ts, why="restart")

    def snapshot(self, event: str, best: BestMoment, image: Still) -> Draft:
        """The picture of an event's best moment so far."""
        body = messages.SnapshotBody(
            **self._origin(self._clock.stamp(best.t)),
            event=event,
            box=_clipped(best.box),
            bytes=len(image.jpeg),
            sha256=hashlib.sha256(image.jpeg).hexdigest(),
            width=image.width,
            height=image.height,
        )
        return drafts.draft(self._topics, body, image.jpeg)

    def clip(self, clip: ClipRecord) -> Draft:
        """A clip that is complete and on disk."""
        stamp = Stamp(clip.boot or UNKNOWN_BOOT, round(clip.started, 3), clip.ts, clip.clk)
        body = messages.ClipBody(
            **self._origin(stamp),
            clip=clip.id,
            events=list(clip.events),
            t0=clip.ts,
            mono0=stamp.mono,
            dur=round(clip.duration, 3),
            bytes=clip.bytes,
            sha256=clip.sha256,
            codec=clip.codec,
            width=clip.width,
            height=clip.height,
            part=clip.part,
            sealed=messages.Sealing(
                fmt="none" if clip.sealed == "none" else "age", keys=list(clip.recipients)
            ),
            truncated=clip.truncated,
            manifest=clip.manifest,
            prev=clip.prev or None,
            sig=clip.sig,
        )
        return drafts.draft(self._topics, body)

    def clip_uploaded(self, clip: ClipRecord, req: str, host: str) -> Draft:
        """A clip that was put where an order said."""
        body = messages.ClipUploadedBody(
            **self._origin(self._clock.stamp()),
            clip=clip.id,
            req=req,
            host=host,
            bytes=clip.bytes,
            sha256=clip.sha256,
        )
        return drafts.draft(self._topics, body)

    def clip_erased(self, clip: ClipRecord, why: str) -> Draft:
        """A clip that is gone."""
        body = messages.ClipErasedBody(**self._origin(self._clock.stamp()), clip=clip.id, why=why)
        return drafts.draft(self._topics, body)

    def alarm(self, kind: AlarmKind) -> Draft:
        """An alarm that is raised now."""
        now = self._clock.stamp()
        body = messages.AlarmBody(
            **self._origin(now),
            code=kind.code,
            sev=kind.severity,
            since=now.ts,
            mono0=now.mono,
            text=messages.Words(uk=kind.text.uk, en=kind.text.en),
            fix=messages.Words(uk=kind.fix.uk, en=kind.fix.en),
        )
        return drafts.draft(self._topics, body)

    def alarm_over(self, kind: AlarmKind) -> Draft:
        """An alarm whose cause is gone."""
        body = messages.AlarmClearedBody(**self._origin(self._clock.stamp()), code=kind.code)
        return drafts.draft(self._topics, body)

    def stat(self, figures: Figures) -> Draft:
        """An hour's figures of the view."""
        body = messages.StatBody(
            **self._origin(self._clock.stamp(figures.ended)),
            t0=self._clock.stamp(figures.started).ts,
            mono0=round(figures.started, 3),
            observed_min=_minutes(figures.observed),
            motion_min=_minutes(figures.motion),
            person_min=_minutes(figures.persons),
            visits=figures.visits,
            dark_min=_minutes(figures.dark),
            covered_min=_minutes(figures.covered),
            muted=figures.muted,
            sharpness=None if figures.sharpness is None else list(figures.sharpness),
            brightness=None if figures.brightness is None else list(figures.brightness),
            grid=[[min(1.0, round(share, SCORE_DIGITS)) for share in row] for row in figures.grid],
            lines=figures.lines,
        )
        return drafts.draft(self._topics, body)

    def birth(self, session: int, numbers: Numbers) -> Publication:
        """The kit is there."""
        message = presence.Birth(
            **self._origin(self._clock.stamp()),
            stream=self._stream,
            session=session,
            sw=agent.__version__,
            model=health.model(),
            cam=self._source,
            caps=self._capabilities(),
            cfg_rev=self._revision,
            seal=self._seal,
            key=self._key,
            seq_next=numbers.seq_next,
            seq_oldest=numbers.seq_oldest,
            detector=self._detector or "unusable",
            reset=self._boot.reset,
            in_order=self._boot.in_order,
            burnin=passed(self._settings.state.dir),
            site=messages.SiteAddress.of(self._settings.site),
        )
        return drafts.status(self._topics, message)

    def stopped(
        self, session: int, why: str, stream: str, receipt: dict[str, Any] | None = None
    ) -> Publication:
        """The kit goes on purpose; an erased one with its receipt."""
        stamp = self._clock.stamp()
        message = presence.Stopped(
            **self._origin(stamp), stream=stream, session=session, why=why, receipt=receipt
        )
        return drafts.status(self._topics, message)

    def will(self, session: int) -> Publication:
        """What the broker says when the kit is lost."""
        message = presence.Will(dev=self._topics.kit, session=session, boot=self._clock.boot)
        return drafts.status(self._topics, message)

    def heartbeat(
        self,
        progress: Progress,
        numbers: Numbers,
        rtt_ms: float | None,
        stock: Stock | None,
        wear: Wear | None,
        dropped: Dropped,
        events_24h: int,
        alarms: tuple[str, ...],
        board: Board,
        want: Want,
    ) -> Publication:
        """The kit's pulse: rates since the last one, the rest as it is now."""
        now = self._clock.mono()
        rates = self._rates(now, progress)
        self._beats += 1
        message = presence.Heartbeat(
            **self._origin(self._clock.stamp()),
            stream=self._stream,
            n=self._beats,
            up=round(now - self._begun, 1),
            fps=None if rates is None else [rates[0], round(self._settings.capture.fps * want.analysis, 2)],
            enc=None if rates is None else rates[1],
            inf_ms=None if progress.inference_ms is None else [round(v, 1) for v in progress.inference_ms],
            lastframe=None if progress.last_frame is None else round(max(0.0, now - progress.last_frame), 2),
            q=presence.QueueState(
                n=numbers.waiting,
                age=_rounded(numbers.age_s),
                dropped=numbers.dropped,
                deferred=dropped.deferred or None,
            ),
            disk=_disk(board),
            cpu=self._cpu.percent(now),
            t=board.celsius,
            thr=None if board.throttling is None else board.throttling.bits,
            mem=health.resident_mb(),
            memfree=None if board.memory is None else round(board.memory, SCORE_DIGITS),
            pace=want.analysis,
            preroll=want.ring,
            net=presence.NetState(rtt=_rounded(rtt_ms), dev=board.interface, rssi=board.signal_dbm),
            ev24=events_24h,
            clips=None
            if stock is None
            else presence.ClipsState(n=stock.clips, mb=round(stock.bytes / MIB, 1)),
            wear=None
            if wear is None
            else presence.WearState(mb=round(wear.bytes / MIB, 1), h=round(wear.seconds / 3600, 2)),
            drop=presence.DropState(
                frames=progress.skipped,
                packets=progress.packets_dropped,
                gops=dropped.gops,
                writes=dropped.writes,
            ),
            seal=self._seal,
            alm=list(alarms),
        )
        return drafts.heartbeat(self._topics, message, self._settings.backbone.heartbeat_s)

    def _event(
        self,
        event: str,
        change: EventChange,
        stamp: Stamp,
        ts0: str | None,
        ts1: str | None,
        why: Literal["restart"] | None = None,
    ) -> Draft:
        fields: dict[str, Any] = self._origin(stamp)
        if change.ended is not None:
            fields |= {"t1": ts1, "dur": round(change.ended - change.started, 3)}
        body = messages.EventBody(
            **fields,
            site=self._site,
            id=event,
            phase=change.phase,
            rev=change.rev,
            type=change.kind,
            t0=ts0,
            mono0=round(change.started, 3),
            score=round(change.score, SCORE_DIGITS),
            top=round(change.top_score, SCORE_DIGITS),
            count=change.count,
            box=_clipped(change.box),
            zones=list(change.zones),
            dir=change.dir,
            model=self._detector,
            why=why,
            replay=self._source in RECORDED,
        )
        return drafts.draft(self._topics, body)

    def _rules(self) -> list[str]:
        """The kinds of events beyond persons that this kit is set to tell."""
        settings = self._settings
        rules = {
            "loitering": settings.loitering.enabled,
            "gathering": settings.gathering.enabled,
            "after-hours": bool(settings.after_hours.closed),
        }
        return [kind for kind, on in rules.items() if on]

    def _capabilities(self) -> list[str]:
        """What the kit can do, and which commands it knows."""
        clips = self._settings.clips
        recording = ["clip"] if clips.enabled and not clips.refused else []
        return CAPABILITIES + self._rules() + recording + [f"cmd/{name}" for name in ORDERS]

    def _rates(self, now: float, progress: Progress) -> tuple[float, float] | None:
        """Analysed frames and encoded packets per second since the last question."""
        before, self._before = self._before, (now, progress)
        if before is None or now <= before[0]:
            return None
        elapsed = now - before[0]
        analysed = (progress.analysed - before[1].analysed) / elapsed
        return round(analysed, 2), round((progress.packets - before[1].packets) / elapsed, 2)

    @property
    def _seal(self) -> Literal["age", "none", "refused"]:
        """How clips are sealed."""
        clips = self._settings.clips
        return "refused" if clips.refused else clips.seal

    def _origin(self, stamp: Stamp) -> dict[str, Any]:
        return messages.origin(self._topics.kit, stamp)


def topics(settings: Settings) -> Topics:
    """The topics of the kit that `settings` describe."""
    site = settings.site
    return Topics(site.oblast, site.city, site.district, settings.kit.id)


def _clipped(box: Box) -> list[float]:
    """The part of the box inside the picture, as the contract writes it."""
    x, y = min(1.0, max(0.0, box.x)), min(1.0, max(0.0, box.y))
    w, h = max(0.0, min(1.0, box.x2) - x), max(0.0, min(1.0, box.y2) - y)
    return [round(value, SCORE_DIGITS) for value in (x, y, w, h)]


def _disk(board: Board) -> presence.DiskState | None:
    if board.disk is None:
        return None
    return presence.DiskState(
        free=round(board.disk.free / GIB, 2),
        share=round(board.disk.share, SCORE_DIGITS),
        errors=board.disk_errors,
        life=None if board.card is None else board.card.life,
    )


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 2)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
