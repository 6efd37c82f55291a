"""The order `update`: a release is fetched, handed to root, and run on trial; its end ends the order.

The order outlives this process. What it waits for is kept beside the bundle (`agent.device.installation`),
and the process that comes after answers: the release itself once it is confirmed, or whatever ran before.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from agent.app.fetch import Fetch
from agent.app.ontrial import OWN
from agent.app.updatebook import CONFIRMED, NOT_INSTALLED, ROLLED_BACK, Standing
from agent.backbone.commands import INTERRUPTED
from agent.backbone.docket import Outcome
from agent.backbone.orders import UpdateArgs
from agent.device import health, installation, release
from agent.device.installation import Request, Status
from agent.device.releases import HOME, SPARE_BYTES, Releases, unpacked
from agent.errors import StairwellError, StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from agent.app.updatebook import UpdateBook
    from agent.backbone.commands import Job
    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.device.release import Manifest

log = logging.getLogger(__name__)

FETCH_S = 3600.0  # 100 MB over 300 kbit/s take 45 minutes
QUIET_S = 600.0  # how long an update waits for the end of an event; a longer one is a reason to ask again
ROOM_S = 200.0  # three looks of retention, once a minute, and a slow card's deletions
RESTART_S = 120.0  # once installed: the trial's minutes run, and a stop finishes the clip under way
INSTALL_S = 2400.0  # more than the unit has; unpacking, reading back and proving take a Zero 2 W ten minutes
LOOK_S = 1.0  # between two looks at how things stand: two small files
TAKEN = frozenset({Status.BEGUN, Status.OK})  # root has taken the request in hand


class UpdateOrders:
    """Does it, in the thread of its lane; `context` is that of the agent's https (`trust`).

    `quiet` tells whether neither an event nor a clip is under way; `leave` begins the end of the process.
    `kept_free` has retention keep room for what is no clip (`Premises`). `own` is the release that this
    process is of.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        book: UpdateBook,
        context: ssl.SSLContext,
        quiet: Callable[[], bool],
        leave: Callable[[], None],
        kept_free: Callable[[int], AbstractContextManager[int]],
        *,
        home: Path = HOME,
        own: str = OWN,
        ask: Callable[[Path, Request], None] = installation.ask,
    ) -> None:
        self._keys = settings.update.release_keys
        self._state = settings.state.dir
        self._place = installation.place(settings.state.dir)
        self._context = context
        self._clock = clock
        self._book = book
        self._quiet = quiet
        self._leave = leave
        self._kept_free = kept_free
        self._clips = settings.clips_dir
        self._home = home
        self._releases = Releases(home)
        self._own = own
        self._ask = ask

    @property
    def executors(self) -> dict[str, Callable[[Job], Outcome | None]]:
        """By the names of ORDERS."""
        return {"update": self._update}

    @property
    def resumed(self) -> dict[str, Callable[[Job], Outcome | None]]:
        """What goes on with it in the next process."""
        return {"update": self._go_on}

    def _update(self, job: Job) -> Outcome | None:
        try:
            found = self._prepare(job, job.said(UpdateArgs))
        except StairwellError:
            installation.forget(self._state)
            raise
        if isinstance(found, Outcome):
            return self._end(found)
        if not self._wait_for_quiet(job, QUIET_S):
            if job.stopping.is_set():
                return self._end(INTERRUPTED)
            why = f"an event or a clip has gone on for {QUIET_S:.0f} s; give the order again later"
            return self._end(_failed("busy", why))
        self._make_room(job, found)
        request = Request(req=job.req, release=found.name)
        self._ask(self._state, request)
        return self._await(job, request)

    def _prepare(self, job: Job, args: UpdateArgs) -> Manifest | Outcome:
        """Have the release fetched, and known to be the one that is meant; or what the order comes to."""
        if not self._keys:
            return _failed("no-release-key", "update.release_keys names none, so no release can be trusted")
        if (trial := self._releases.trial()) is not None:
            return _failed("on-trial", f"{trial.release} is on trial: 15 minutes at most")
        refused = self._fetch(job, args)
        if refused is not None:
            return refused
        with (self._place / installation.BUNDLE).open("rb") as stream:
            manifest = release.read(stream, "the release", self._keys)
        if manifest.version != args.version:
            return _failed("wrong-version", f"the file is a release of {manifest.version}")
        current, trial = self._releases.standing()
        if manifest.name == current and trial is None:  # it may have been installed by hand meanwhile
            return Outcome(ok=True, code="runs-already", text=manifest.name)
        return manifest

    def _make_room(self, job: Job, manifest: Manifest) -> None:
        """Have the oldest clips make room for root's copy and the unpacked release, before it takes theirs.

        Else no clip could begin on a full card until the next retention. Where they lie elsewhere there is
        nothing to make, and where too few can go it is root who refuses.
        """
        try:
            if self._home.stat().st_dev != self._clips.stat().st_dev:
                return
            size = unpacked(manifest) + (self._place / installation.BUNDLE).stat().st_size
        except OSError:
            return
        until = self._clock.mono() + ROOM_S
        with self._kept_free(size) as wanted:
            while (health.free_bytes(self._home) or 0) < wanted:
                if self._clock.mono() > until or job.stopping.wait(LOOK_S):
                    return

    def _go_on(self, job: Job) -> Outcome | None:
        """Find out what became of an order that an earlier process was given, or have it gone on with."""
        request = installation.asked(self._state)
        if request is None or request.req != job.req:
            return INTERRUPTED
        try:
            answer, standing = self._look(request)
        except StorageError:  # it is looked at again
            return self._await(job, request)
        if standing.current != request.release and _found(request, standing, answer) is None:
            # A power cut may have kept root from it; to ask twice does no harm.
            self._ask(self._state, request)
        return self._await(job, request)

    def _await(self, job: Job, request: Request) -> Outcome | None:
        """Wait for the end of it; None when the process ends first, and the next one goes on."""
        until = self._clock.mono() + INSTALL_S
        noted = False
        while not job.stopping.wait(LOOK_S):
            try:
                answer, standing = self._look(request)
            except StorageError as error:  # the guard mends what is damaged
                if self._clock.mono() > until:
                    return self._end(_failed("no-answer", str(error)))
                continue
            # What failed before root began, did so for somebody else.
            noted = noted or (answer[0] in TAKEN and self._noted(request))
            if standing.trial is not None and standing.trial.release == request.release:
                if self._own == request.release:
                    until = self._clock.mono() + INSTALL_S
                    continue
                self._wait_for_quiet(job, RESTART_S)
                self._leave()
                return None
            outcome = _found(request, standing, answer)
            if outcome is not None:
                return self._end(outcome)
            if self._clock.mono() > until:
                text = "stairwell-update.service has not answered; `systemctl status` tells more"
                return self._end(_failed("no-answer", text))
        return None

    def _noted(self, request: Request) -> bool:
        """Note who gave the order; whether that is done."""
        try:
            self._book.hand_over(request.req, request.release)
        except StorageError as error:  # it has alarms of its own, and is asked again
            log.debug("who ordered %s is not noted: %s", request.release, error)
            return False
        return True

    def _look(self, request: Request) -> tuple[tuple[str, str], Standing]:
        """What root has said to it, and why, empty as long as that is nothing; then how the releases stand.

        In this order: an earlier failure of the same release is gone once root has begun.

        Raises:
            StorageError: as `Standing.of`.
        """
        return installation.answered(self._home, request) or ("", ""), Standing.of(self._releases)

    def _fetch(self, job: Job, args: UpdateArgs) -> Outcome | None:
        """Have the bundle at its place; what keeps it from being there.

        A part that an earlier order left is gone on from, if it is of the same file.
        """
        part = self._place / f"{args.sha256}.part"
        try:
            self._place.mkdir(mode=0o700, exist_ok=True)
            for found in self._place.glob("*.part"):
                if found != part:
                    found.unlink()
            (self._place / installation.BUNDLE).unlink(missing_ok=True)
            with part.open("a+b") as file:
                # Root makes a copy of it, beside what it unpacks.
                spare = SPARE_BYTES + installation.LONGEST
                failure = Fetch(
                    args.url,
                    file,
                    installation.LONGEST,
                    spare,
                    self._context,
                    job.progress,
                    job.stopping,
                    FETCH_S,
                ).run()
                if failure is not None:
                    return _failed(failure.code, failure.text)
                file.seek(0)
                if hashlib.file_digest(file, "sha256").hexdigest() != args.sha256:
                    part.unlink()
                    return _failed("wrong-sha256", "what came is not the file that was meant")
            part.rename(self._place / installation.BUNDLE)
        except OSError as error:
            raise StorageError(
                say("{path}: {reason}", path=error.filename or part, reason=reason(error)),
                fix=say("free space, or replace a card that is worn out"),
                errno=error.errno,
            ) from None
        return None

    def _wait_for_quiet(self, job: Job, longest: float) -> bool:
        """Wait for a moment without event and clip; whether there was one in time."""
        until = self._clock.mono() + longest
        while not self._quiet():
            if self._clock.mono() > until or job.stopping.wait(LOOK_S):
                return False
        return True

    def _end(self, outcome: Outcome) -> Outcome:
        installation.forget(self._state)
        return outcome


def _found(request: Request, standing: Standing, answer: tuple[str, str]) -> Outcome | None:
    """How it ended; None if it has not."""
    if standing.current == request.release and standing.trial is None:
        return Outcome(ok=True, code=CONFIRMED, text=request.release)
    status, why = answer
    # Before root began, a failure is one of an earlier time.
    if status in TAKEN and standing.took_back(request.release):
        return _failed(ROLLED_BACK, standing.failed or "")
    return _failed(NOT_INSTALLED, why) if status == Status.FAILED else None


def _failed(code: str, text: str) -> Outcome:
    return Outcome(ok=False, code=code, text=text)
