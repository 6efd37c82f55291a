"""The live agent: builds the stages, watches that they move, reports, and stops in order.

A part that fails while others can go on becomes an alarm. A stage that dies or stalls ends the process:
the service manager starts it anew, and the journal makes the new one finish what the old one began.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from functools import partial
from typing import TYPE_CHECKING

from agent.app import journal
from agent.app.analysis import Analyser, open_detector
from agent.app.announcer import Announcer
from agent.app.ballast import Ballast
from agent.app.blindness import Blindness
from agent.app.control import Control
from agent.app.diagnosis import diagnosis
from agent.app.housekeeping import Housekeeping
from agent.app.inquiries import open_hatch
from agent.app.ledger import Ledger
from agent.app.moves import Moves
from agent.app.premises import Premises
from agent.app.readback import ReadBackStage
from agent.app.reconfiguration import RECONFIGURE, Reconfiguration, Terms
from agent.app.recording import open_recorder
from agent.app.reporter import Dropped, Reporter, topics
from agent.app.schemas import DATABASE, SCHEMAS
from agent.app.stages import AnalysisStage, CameraStage, RecordingStage, Stage
from agent.app.statelock import StateLock
from agent.app.status import StatusDesk
from agent.app.trouble import FULL, Trouble
from agent.app.usable import usable
from agent.app.vitals import Vitals
from agent.app.walltime import WallTime
from agent.app.watch import Watch
from agent.app.wear import WearMeter
from agent.backbone import outbox
from agent.backbone.courier import Courier
from agent.backbone.inbox import Inbox
from agent.backbone.stored import Cover
from agent.capture.ring import PacketRing
from agent.capture.source import open_source
from agent.clips import store
from agent.clips.manifest import Model, Notary
from agent.device import systemd
from agent.device.identity import KEYS, Identity
from agent.device.memory import give_back
from agent.device.volatile import volatile_key
from agent.errors import StairwellError, StorageError
from agent.events.lifecycle import REACH_BACK_S
from agent.ulid import ENTROPY_BYTES, ulid

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.app.ledger import Progress
    from agent.app.want import Want
    from agent.backbone.link import Received
    from agent.backbone.publication import Publication
    from agent.config import Settings
    from agent.device.clock import Clock

log = logging.getLogger(__name__)

TICK_S = 0.5  # how often the supervisor looks; well below any time it judges
DRAIN_S = 15.0  # to finish a clip and the last messages at a stop; systemd waits longer than this
FAILED_DRAIN_S = 4.0  # the same after a failure: what hangs will not end, and the rest needs a moment
ORDERS_END_S = 2.0  # a message is judged within milliseconds, unless the disk hangs
DECISION_S = 1.0  # from a picture to the event that begins with it, at most, on a kit that keeps up
SKIPPED_SHARE = 0.2  # of frames: below it a visit is still seen several times a second
JUDGED_FRAMES = 50  # the first frames wait for the detector to warm up: too few say nothing
HOUSEKEEPING_S = 60.0  # between looks at what clips take and at writes that the disk refused
TROUBLED_S = 5.0  # the same while the disk refuses: it is taken up as soon as it takes writes again


class Agent:
    """One kit at work. `run` is its whole life. Without `terms` its settings are all its own.

    Raises:
        ConfigError: settings that cannot be run with.
        SourceError: a video file that cannot be played.
        StorageError: the state directory cannot be used, or another agent works in it.
        StallError: a stage stopped making progress, or died.
    """

    def __init__(self, settings: Settings, clock: Clock, terms: Terms | None = None) -> None:
        usable(settings)
        self._settings = settings
        self._clock = clock
        self._ledger = Ledger()
        self._judged = self._ledger.read()
        # Released where it was taken.
        self._lock = None if terms and terms.lock else StateLock(settings.state.dir)
        terms = terms or Terms.own(settings)
        self._adrift, self._ballast = terms.refusal, Ballast(settings.state.dir)
        self._database = self._ballast.database(settings.state.dir / DATABASE, SCHEMAS)
        detector, unusable = open_detector(settings)
        addresses = topics(settings)
        cover = Cover(volatile_key()) if settings.clips.seal != "none" else None
        messages = outbox.Outbox(settings.outbox, addresses, cover=cover, delivered_hook=store.mark_announced)
        stream = self._database.ask(messages.open_stream, journal.COMMIT_TIMEOUT_S)
        label = detector.label if detector else None
        identity = Identity.open(settings.state.dir / KEYS)
        model = Model(label=detector.label, sha256=detector.sha256) if detector else None
        notary = Notary(settings.clips_dir, identity, settings.kit.id, stream, model)
        self._reporter = Reporter(
            settings, addresses, clock, stream, label, identity.public.text, terms.running.rev
        )
        self._moves = Moves(settings.state.dir, addresses)
        self._inbox = Inbox(
            {
                addresses.cfg_des: self._hear_desired,
                **dict.fromkeys((addresses.cmd("#"), addresses.group_cmd("#")), self._obey),
            },
            clock,
        )
        self._courier = Courier(
            settings.backbone,
            addresses,
            self._database,
            messages,
            clock,
            self._reporter,
            self._inbox,
            greet=self._greet,
            fresh=self._moves.moved,
        )
        self._journal = journal.Journal(
            self._database, messages, self._reporter, clock, self._courier.wake, notary
        )
        self._moves.arrive(self._journal.leave)
        announcer = Announcer(self._reporter, self._journal, self._mint, self._journal.left_alarms())
        self._announcer = announcer
        self._reconfiguration = Reconfiguration(
            terms, addresses, clock, self._journal, announcer, self._publish
        )
        for code, fault in (
            ("storage.corrupt", self._database.set_aside),
            ("identity.replaced", identity.set_aside),
            ("detector.unusable", unusable),
        ):
            announcer.alarm(code, active=fault is not None, detail=str(fault or ""))
        self._premises = Premises(settings, self._journal, self._clip_closed)
        self._readback = ReadBackStage(settings.clips_dir, self._journal, self._premises, announcer)
        self._trouble = Trouble(announcer, (settings.state.dir, settings.clips_dir))
        self._wear = WearMeter(self._journal, clock)
        self._vitals = Vitals(settings, announcer, clock, lambda: self._courier.delivery, self._do_without)
        self._walltime = WallTime(clock, settings.state.dir)
        begun_s = REACH_BACK_S + DECISION_S
        held_s = settings.clips.pre_roll_s + begun_s
        ring = self._ring = PacketRing(held_s, settings.clips.ring_bytes, begun_s)
        self._recorder, self._house_refusal = open_recorder(
            settings, ring, self._mint, self._premises, clock, announcer
        )
        recording = RecordingStage(ring, self._recorder, announcer, self._ledger, clock)
        analysis = AnalysisStage(
            Analyser(settings, detector, clock=clock), announcer, recording, self._ledger, clock
        )
        source = open_source(
            settings.capture, camera=settings.camera, masks=settings.privacy.masks, clock=clock
        )
        camera = CameraStage(source, analysis, recording, announcer, self._ledger, clock)
        self._recording, self._analysis, self._camera = recording, analysis, camera
        self._stages: tuple[Stage, ...] = (camera, analysis, recording)
        self._watch = Watch(
            settings,
            camera,
            analysis,
            recording,
            self._readback,
            self._courier,
            self._inbox,
            self._database,
            Blindness(settings.capture.source, settings.state.dir, clock),
            {
                "journal": lambda: self._journal.failure,
                "hatch": lambda: self._hatch.failure,
                "courier": lambda: self._courier.error,
                "inbox": lambda: self._inbox.error,
                "orders": lambda: self._control.error,
            },
        )
        self._housekeeping = Housekeeping(
            settings, self._journal, self._reporter, announcer, clock, self._premises
        )
        desk = self._desk(label)
        self._hatch = open_hatch(
            settings, terms, clock, self._journal, desk, analysis, self._reconfiguration.begin_anew
        )
        self._leaving = threading.Event()
        self._control = Control(
            settings,
            clock,
            addresses,
            self._database,
            self._journal,
            self._reporter,
            self._premises,
            self._courier,
            latest=lambda: camera.latest,
            diagnose=partial(diagnosis, settings, clock, desk),
            leave=self._leaving.set,
            quiet=lambda: self._quiet,
        )

    def _desk(self, label: str | None) -> StatusDesk:
        return StatusDesk(
            self._settings,
            self._clock,
            self._ledger,
            self._camera,
            label,
            self._journal,
            self._announcer,
            self._recorder,
            lambda: self._courier.delivery,
            lambda: self._courier.numbers,
            lambda: self._housekeeping.stock,
        )

    def run(self, stop: threading.Event) -> str:
        """Work until `stop` is set, a command or a configuration says to start anew, or the source has ended.

        Why it ended is returned, once all is finished.
        """
        self._journal.recover()
        self._housekeeping.recover()
        self._control.start()
        self._inbox.start()
        self._courier.start()
        self._hatch.start()
        for stage in (self._readback, *reversed(self._stages)):
            stage.start()
        try:
            why = self._supervise(stop)
        except Exception:
            with contextlib.suppress(
                StairwellError, OSError, RuntimeError
            ):  # told; what came first is raised
                self._shut_down("failed")
            raise
        self._shut_down(why)
        self._watch.raise_failure()
        return why

    def _mint(self) -> str:
        """A new ULID; with an unset clock its time part counts from the boot."""
        return ulid(self._clock.unix_ms(), os.urandom(ENTROPY_BYTES))

    def _supervise(self, stop: threading.Event) -> str:
        ready = False
        heartbeat_due = housekeeping_due = self._clock.mono()
        while self._recording.running and not self._leaving.is_set() and not stop.wait(TICK_S):
            now = self._clock.mono()
            self._watch.look_at_camera()
            self._watch.raise_failure()
            self._watch.check_progress(now)
            if not ready and (self._ledger.frames or self._camera.down is not None):
                ready = systemd.notify("READY=1") or True
            systemd.feed_watchdog()
            self._vitals.look(now)
            if self._walltime.changed():
                self._courier.announce()
            if now >= heartbeat_due:
                heartbeat_due = now + self._settings.backbone.heartbeat_s
                self._heartbeat()
            troubled = self._trouble.codes
            self._trouble.judge(self._refusals())
            if now >= housekeeping_due or self._trouble.codes - troubled:
                self._keep_house()
                give_back()
                housekeeping_due = now + (TROUBLED_S if self._trouble.codes else HOUSEKEEPING_S)
            if self._reconfiguration.due(ready=ready, quiet=self._quiet):
                return RECONFIGURE
        self._watch.raise_failure()  # the stages end for it too
        return "shutdown" if stop.is_set() else "restart" if self._leaving.is_set() else "ended"

    @property
    def _quiet(self) -> bool:
        """Whether neither an event nor a clip is under way."""
        return not self._announcer.busy and (self._recorder is None or self._recorder.current is None)

    def _greet(self, *, forgotten: bool) -> None:
        """There is a connection; the broker may have `forgotten` what it retained of us."""
        self._reconfiguration.greet()
        self._moves.clear(self._publish)
        if forgotten:
            self._journal.repeat_alarms(self._moves.topics)

    def _publish(self, publication: Publication, taken: Callable[[], None]) -> None:
        self._courier.answer(publication, taken=taken)

    def _hear_desired(self, received: Received) -> None:
        self._reconfiguration.hear(received)

    def _obey(self, received: Received) -> None:
        self._control.handle(received)

    def _clip_closed(self) -> None:
        self._readback.wake()

    def _refusals(self) -> list[StorageError | None]:
        """All that the disk refuses now."""
        recording = self._recorder.failed if self._recorder else None
        others = (self._journal.refusal, self._house_refusal, self._readback.refusal, self._adrift)
        return [recording, *others]

    def _keep_house(self) -> None:
        """Retention and what the disk refused before; a disk that still refuses is an alarm, not an end."""
        full = FULL in self._trouble.codes
        if full:
            self._ballast.drop()
        self._journal.retry()
        left = []
        while self._recorder and self._recorder.abandoned:
            left.append(self._recorder.abandoned.popleft())
        try:
            in_use = self._recorder.current if self._recorder else None
            self._housekeeping.run(in_use, left=left, full=full)
            self._wear.look()
        except StorageError as error:
            self._house_refusal = error
        else:
            self._house_refusal = None
            if not full:
                self._ballast.take()

    def _heartbeat(self) -> None:
        progress = self._ledger.read()
        numbers = self._courier.numbers
        if numbers is None:
            return
        self._judge_speed(progress)
        self._courier.pass_on(
            self._reporter.heartbeat(
                progress,
                numbers,
                self._courier.delivery.rtt_ms,
                self._housekeeping.stock,
                self._wear.last_day,
                Dropped(self._recording.gops_dropped, self._journal.lost, self._journal.deferred),
                self._journal.events_24h,
                self._announcer.alarms,
                self._vitals.board,
                self._vitals.want,
            )
        )

    def _do_without(self, want: Want) -> None:
        self._analysis.share = want.analysis
        self._ring.limit(want.ring)

    def _judge_speed(self, progress: Progress) -> None:
        """Raise or clear `camera.slow` by the share of frames skipped since the last heartbeat."""
        frames, skipped = progress.frames - self._judged.frames, progress.skipped - self._judged.skipped
        if frames >= JUDGED_FRAMES:
            self._judged = progress
            self._announcer.alarm("camera.slow", active=skipped / frames > SKIPPED_SHARE)

    def _shut_down(self, why: str) -> None:
        """End everything in order; a step that fails keeps none of the later ones from being taken.

        Raises:
            StairwellError: the first thing that went wrong.
        """
        drain_s = FAILED_DRAIN_S if why == "failed" else DRAIN_S
        steps: tuple[Callable[[], object], ...] = (
            lambda: why == RECONFIGURE or systemd.notify("STOPPING=1"),
            partial(self._hatch.close, drain_s),
            partial(self._inbox.close, ORDERS_END_S),
            self._control.close,
            self._camera.close,
            *(partial(stage.join, drain_s) for stage in self._stages),
            self._readback.end,
            partial(self._readback.join, drain_s),
            self._heartbeat,
            partial(self._journal.drain, drain_s),
            self._wear.end,
            self._walltime.end,
            partial(self._courier.close, why, drain_s),
            partial(self._database.close, drain_s),
            *([self._lock.release] if self._lock else []),
        )
        first: Exception | None = None
        for step in steps:
            try:
                step()
                if why == RECONFIGURE:
                    systemd.feed_watchdog()  # each step takes half of its time at most
            except (StairwellError, OSError, RuntimeError) as error:
                log.error("at the stop: %s", error)  # noqa: TRY400 - the first is raised with its traceback
                first = first or error
        if first is not None:
            raise first
