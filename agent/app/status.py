"""What the running agent tells its technician: all that it knows of itself at this moment, as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

import agent
from agent.app import hatch
from agent.backbone.envelope import Message
from agent.capture.kind import source_kind
from agent.device import health
from agent.errors import StairwellError
from agent.words import say, verbatim

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.app.announcer import Announcer
    from agent.app.journal import Journal
    from agent.app.ledger import Ledger
    from agent.app.reporter import Stock
    from agent.app.stages import CameraStage
    from agent.backbone.delivery import Delivery
    from agent.backbone.outbox import Numbers
    from agent.clips.recorder import Recorder
    from agent.config import Settings
    from agent.device.clock import Clock

GIB, MIB = 1 << 30, 1 << 20


class ClockStatus(Message):
    """The kit's clock."""

    ts: str | None
    clk: str
    mono: float
    boot: str


class CameraStatus(Message):
    """The source of pictures."""

    source: str
    """Its kind; an address may hold a password."""
    down: str | None = None
    """Why there are no pictures, in English."""
    down_uk: str | None = None
    """The same in Ukrainian."""
    age: float | None = None
    """Seconds since the last picture."""
    first: float | None = None
    """When this process saw its first picture, seconds of `clock.mono`."""
    motion: float | None = None
    """Seconds since something last moved in the picture."""
    frames: int
    skipped: int
    fps: float
    """Analysed pictures per second, as wanted."""


class DetectorStatus(Message):
    """The person detector."""

    model: str | None = None
    ms: list[float] | None = None
    """Time of one look: median, 95th percentile."""


class LinkStatus(Message):
    """The way to the broker."""

    host: str
    connected: bool
    cause: str | None = None
    detail: str | None = None
    rtt_ms: float | None = None
    taken: int
    unheard: int
    refused: int


class OutboxStatus(Message):
    """Messages on their way."""

    waiting: int
    age: float | None = None
    bytes: int
    max_bytes: int
    max_rows: int | None = None
    """How many may wait; an agent of an earlier version does not tell."""
    dropped: int
    stream: str
    seq_next: int


class ClipsStatus(Message):
    """Recording."""

    recording: str | None = None
    """The clip under way."""
    refused: str | None = None
    """Why the last one could not be written, in English."""
    refused_uk: str | None = None
    """The same in Ukrainian."""
    refused_fix: str | None = None
    """What to do about it, in English."""
    refused_fix_uk: str | None = None
    """The same in Ukrainian."""
    kept: int | None = None
    mb: float | None = None


class MachineStatus(Message):
    """The board."""

    model: str
    cpu: float | None = None
    mem_mb: float
    t: float | None = None
    disk_free_gib: float | None = None


class Status(Message):
    """All of it."""

    v: int = 1
    kit: str
    sw: str
    pid: int
    up: float
    """Seconds since the agent started."""
    clock: ClockStatus
    camera: CameraStatus
    detector: DetectorStatus
    events_24h: int
    last_event: float | None = None
    """Seconds since the last event began; absent when there was none since the start."""
    link: LinkStatus
    outbox: OutboxStatus | None = None
    clips: ClipsStatus
    machine: MachineStatus
    alarms: list[str]


@dataclass(slots=True)
class StatusDesk:
    """Gathers the status from the agent's parts; safe to call from any thread."""

    settings: Settings
    clock: Clock
    ledger: Ledger
    camera: CameraStage
    model: str | None
    journal: Journal
    announcer: Announcer
    recorder: Recorder | None
    delivery: Callable[[], Delivery]
    numbers: Callable[[], Numbers | None]
    stock: Callable[[], Stock | None]
    _begun: float = field(init=False)
    _cpu: health.CpuMeter = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self.clock.mono()
        self._cpu = health.CpuMeter(self._begun)

    @property
    def answers(self) -> dict[str, Callable[[int], bytes]]:
        """What the hatch may be asked of it."""
        return {"status": self.report, hatch.HOME: lambda _: hatch.home(self.settings.state.dir)}

    def report(self, _user: int) -> bytes:
        """The status, as JSON in UTF-8, for whoever may ask."""
        return json.dumps(self.status().model_dump(mode="json"), ensure_ascii=False).encode()

    def status(self) -> Status:
        """What is known now."""
        now = self.clock.mono()
        stamp = self.clock.stamp()
        last = self.journal.last_event
        return Status(
            kit=self.settings.kit.id,
            sw=agent.__version__,
            pid=os.getpid(),
            up=round(now - self._begun, 1),
            clock=ClockStatus(ts=stamp.ts, clk=stamp.clk, mono=stamp.mono, boot=stamp.boot),
            camera=self._camera(now),
            detector=self._detector(),
            events_24h=self.journal.events_24h,
            last_event=None if last is None else round(now - last, 1),
            link=self._link(),
            outbox=self._outbox(),
            clips=self._clips(),
            machine=self._machine(now),
            alarms=list(self.announcer.alarms),
        )

    def _camera(self, now: float) -> CameraStatus:
        progress, down = self.ledger.read(), self.camera.down
        return CameraStatus(
            source=source_kind(self.settings.capture.source),
            down=None if down is None else down.en,
            down_uk=None if down is None else down.uk,
            age=None if progress.last_frame is None else round(max(0.0, now - progress.last_frame), 2),
            first=progress.first_frame,
            motion=None if progress.last_motion is None else round(max(0.0, now - progress.last_motion), 2),
            frames=progress.frames,
            skipped=progress.skipped,
            fps=self.settings.capture.fps,
        )

    def _detector(self) -> DetectorStatus:
        times = self.ledger.read().inference_ms
        return DetectorStatus(model=self.model, ms=None if times is None else [round(v, 1) for v in times])

    def _link(self) -> LinkStatus:
        delivery = self.delivery()
        return LinkStatus(
            host=self.settings.backbone.host,
            connected=delivery.connected,
            cause=delivery.cause,
            detail=delivery.detail or None,
            rtt_ms=delivery.rtt_ms,
            taken=delivery.taken,
            unheard=delivery.unheard,
            refused=delivery.refused,
        )

    def _outbox(self) -> OutboxStatus | None:
        numbers = self.numbers()
        if numbers is None:
            return None
        return OutboxStatus(
            waiting=numbers.waiting,
            age=None if numbers.age_s is None else round(numbers.age_s, 1),
            bytes=numbers.bytes,
            max_bytes=int(self.settings.outbox.max_mb * MIB),
            max_rows=self.settings.outbox.max_rows,
            dropped=numbers.dropped,
            stream=numbers.stream,
            seq_next=numbers.seq_next,
        )

    def _clips(self) -> ClipsStatus:
        stock, recorder = self.stock(), self.recorder
        failed = None if recorder is None else recorder.failed
        return ClipsStatus(
            recording=None if recorder is None else recorder.current,
            refused=None if failed is None else failed.told("en"),
            refused_uk=None if failed is None else failed.told("uk"),
            refused_fix=None if failed is None else failed.words[1].told("en"),
            refused_fix_uk=None if failed is None else failed.words[1].told("uk"),
            kept=None if stock is None else stock.clips,
            mb=None if stock is None else round(stock.bytes / MIB, 1),
        )

    def _machine(self, now: float) -> MachineStatus:
        free = health.free_bytes(self.settings.state.dir)
        return MachineStatus(
            model=health.model(),
            cpu=self._cpu.percent(now),
            mem_mb=health.resident_mb(),
            t=health.temperature_c(),
            disk_free_gib=None if free is None else round(free / GIB, 2),
        )


def understood(answer: bytes) -> Status:
    """What an agent told; what a newer one tells besides is passed over.

    Raises:
        StairwellError: it is of a version that tells it otherwise.
    """
    try:
        return Status.model_validate_json(answer, extra="ignore")
    except ValidationError:
        raise StairwellError(
            say("the agent that runs is of another version: its answer makes no sense"),
            fix=verbatim("sudo systemctl restart stairwell-agent"),
        ) from None
