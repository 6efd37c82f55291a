"""What the kit does when it is told to: every order's executor, and what they need of the agent."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from agent.app.clip_orders import ClipOrders
from agent.app.redaction import redacted
from agent.app.trust import https_context
from agent.app.update_orders import UpdateOrders
from agent.app.updatebook import UpdateBook
from agent.backbone.commands import Commands
from agent.backbone.docket import Outcome
from agent.backbone.orders import EchoArgs, IdentifyArgs, ResendArgs
from agent.backbone.resend import make_due
from agent.capture.snapshot import still
from agent.device import led, reboot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agent.app.journal import Journal
    from agent.app.premises import Premises
    from agent.app.reporter import Reporter
    from agent.backbone.commands import Job
    from agent.backbone.courier import Courier
    from agent.backbone.link import Received
    from agent.backbone.topics import Topics
    from agent.config import Settings
    from agent.database import Database
    from agent.device.clock import Clock
    from agent.types import Frame

FRESH_S = 5.0  # an older picture is no "now": two seconds more than a camera needs to be reopened
PICTURE_MAX = 20_000  # bytes: 27 KB in base64, well below what brokers take


class Control:
    """Obeys.

    `latest` gives the newest picture, masked; `diagnose` says how the kit is, as JSON types; `leave` begins
    the end of the process, to be started anew by the service manager; `quiet` tells whether neither an event
    nor a clip is under way.

    Raises:
        ConfigError: `backbone.ca_file` cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        topics: Topics,
        database: Database,
        journal: Journal,
        reporter: Reporter,
        premises: Premises,
        courier: Courier,
        *,
        latest: Callable[[], Frame | None],
        diagnose: Callable[[], dict[str, Any]],
        leave: Callable[[], None],
        quiet: Callable[[], bool],
        leds: Path = led.LEDS,
        reboot_request: Callable[[], None] = reboot.request,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._journal = journal
        self._courier = courier
        self._latest = latest
        self._diagnose = diagnose
        self._leave = leave
        self._leds = leds
        self._reboot = reboot_request
        context = https_context(settings.backbone)  # one for both: each has all public authorities, 0.8 MB
        clips = ClipOrders(settings, journal, reporter, premises, clock, context)
        updates = UpdateOrders(
            settings, clock, UpdateBook(settings, clock), context, quiet, leave, premises.kept_free
        )
        self._commands = Commands(
            topics,
            settings.backbone.platform_keys,
            database,
            clock,
            courier.answer,
            {**self._executors(), **clips.executors, **updates.executors},
            updates.resumed,
        )

    @property
    def error(self) -> Exception | None:
        """A fault of ours that ended a thread."""
        return self._commands.error

    def start(self) -> None:
        """Answer what an earlier process left, and begin.

        Raises:
            StorageError: the disk refuses.
        """
        self._commands.start()

    def handle(self, received: Received) -> None:
        """An order came. In the inbox's thread."""
        self._commands.handle(received)

    def close(self) -> bool:
        """End soon; whether all did."""
        return self._commands.close()

    def _executors(self) -> Mapping[str, Callable[[Job], Outcome | None]]:
        return {
            "snapshot": self._snapshot,
            "resend": self._resend,
            "rebirth": self._rebirth,
            "echo": _echo,
            "identify": self._identify,
            "restart": self._restart,
            "reboot": self._reboot_machine,
            "diagnose": lambda _: Outcome(ok=True, out=self._diagnose(), secret=True),
            "config/get": lambda _: Outcome(ok=True, out={"settings": redacted(self._settings)}, secret=True),
        }

    def _snapshot(self, job: Job) -> Outcome:
        del job
        frame = self._latest()
        age = None if frame is None else self._clock.mono() - frame.t
        if frame is None or age is None or age > FRESH_S:
            return Outcome(ok=False, code="no-picture", text="the camera gives none; `alm` and `hb` tell why")
        image = still(frame.picture, PICTURE_MAX)
        out = {
            "content_type": "image/jpeg",
            "age": round(max(0.0, age), 2),
            "width": image.width,
            "height": image.height,
            "bytes": len(image.jpeg),
            "sha256": hashlib.sha256(image.jpeg).hexdigest(),
            "jpeg": base64.b64encode(image.jpeg).decode(),
        }
        return Outcome(ok=True, out=out, secret=True)

    def _resend(self, job: Job) -> Outcome:
        args = job.said(ResendArgs)
        if args.last < args.first:
            return Outcome(ok=False, code="empty-range", text="`to` is lower than `from`")
        found = self._journal.ask(lambda tx: make_due(tx, args.first, args.last))
        self._courier.resend(args.first, args.last)
        for seq in found.last_words:
            self._courier.resend(seq, seq)
        return Outcome(ok=True, out={"due": found.due, "waiting": found.waiting, "gone": found.gone})

    def _rebirth(self, job: Job) -> Outcome:
        del job
        self._courier.announce()
        return Outcome(ok=True)

    def _identify(self, job: Job) -> Outcome:
        args = job.said(IdentifyArgs)
        with led.blinking(self._leds) as name:
            job.stopping.wait(args.seconds)
        return Outcome(ok=True, out={"led": name})

    def _restart(self, job: Job) -> None:
        del job
        self._leave()

    def _reboot_machine(self, job: Job) -> None:
        del job
        self._reboot()


def _echo(job: Job) -> Outcome:
    return Outcome(ok=True, out={"text": job.said(EchoArgs).text})
