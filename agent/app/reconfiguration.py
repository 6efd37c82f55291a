"""The city's configuration on its way into force: heard, judged, taken, tried, proven, and reported.

What is taken waits for a quiet moment; then the agent ends in order and another begins with the new
settings (`service`). With it they are on trial until it has worked for HEALTHY_S, with its camera or saying
that it has none, and the broker has taken its report: a kit that cannot be reached where it says that it is
could never be told better.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.app.configured import fitted
from agent.backbone import docket
from agent.backbone.allowance import Allowance
from agent.backbone.configuration import ERRORS_MAX, Refusal, Reported, WrongKey
from agent.backbone.desired import Refused, Wanted, judge
from agent.backbone.envelope import encode
from agent.backbone.messages import origin
from agent.backbone.publication import Publication
from agent.backbone.revisions import OWN, Answer, Revision, Revisions
from agent.backbone.signed import Keyring
from agent.config import Settings, settled
from agent.config_layers import Layers
from agent.config_remote import effective
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.app.announcer import Announcer
    from agent.app.journal import Journal
    from agent.app.statelock import StateLock
    from agent.backbone.link import Received
    from agent.backbone.topics import Topics
    from agent.device.clock import Clock

log = logging.getLogger(__name__)

RECONFIGURE = "reconfigure"
"""Why an agent ends that is followed by another with other settings, in `stopped`."""
QUIET_WAIT_S = 300.0
"""For a moment without event and clip. A busy stairwell may have none all evening, and a mask that the city
wants must come into force all the same; what is open then ends in order, and nothing of it is lost."""
HEALTHY_S = 60.0  # an analysis that stalls with the new settings is found within a third of it (`watch`)
HEALTHY_STALLS = 4  # of `capture.stall_after_s`, if that is longer: a camera that hangs is found within three
CONNECT_S = 900.0  # seven of the longest pauses between two tries: the broker is out of our reach
RETRY_S = 5.0  # while the disk refuses to keep that a revision is good, or the kit's own file is broken
REFUSALS, REFUSALS_PER_S = 5.0, 1 / 600  # answers to what nobody signed: a flood shall wear out no card
KEY_MAX, WHY_MAX = 200, 1000  # characters, by the contract
AUDITED_MAX = 500  # characters of a line for the auditor


@dataclass(frozen=True, slots=True)
class Terms:
    """What an agent is to work by: its settings, where they come from, and what it may be told to change.

    `running` is the revision that is in `settings`; `misfit` is why a revision that was good before is not,
    `lock` is held for the agent by whoever started it; `refusal` is why the state is not where it should be.
    """

    settings: Settings
    layers: Layers
    revisions: Revisions
    running: Revision = OWN
    misfit: ConfigError | None = None
    lock: StateLock | None = None
    refusal: StorageError | None = None

    @classmethod
    def own(cls, settings: Settings) -> Terms:
        """The terms of an agent whose settings are all its own.

        Raises:
            StorageError: the state directory cannot be read.
        """
        layers = Layers(None, settings.model_dump(exclude_unset=True), {}, state=settings.state.dir)
        return cls(settings, layers, Revisions(settings.state.dir))


class Reconfiguration:
    """Hears what the city wants, watches over a trial, and says when the agent is to end for another.

    `publish` sends to the broker, and calls back once that has it. `hear` is called by the inbox's thread,
    `greet` by the courier's, `due` by the supervisor.
    """

    def __init__(
        self,
        terms: Terms,
        topics: Topics,
        clock: Clock,
        journal: Journal,
        announcer: Announcer,
        publish: Callable[[Publication, Callable[[], None]], None],
    ) -> None:
        self._terms = terms
        self._topics = topics
        self._clock = clock
        self._journal = journal
        self._announcer = announcer
        self._publish = publish
        self._keyring = Keyring(terms.settings.backbone.platform_keys)
        self._telling = threading.Lock()
        self._passing: Answer | None = self._unfit()
        """An answer that is not kept: to a message that nobody is known to have sent, or of this run only."""
        self._told = self._answer
        self._refusals = Allowance(REFUSALS, REFUSALS_PER_S)
        self._taken = threading.Event()
        self._taken_at: float | None = None
        self._ready_at: float | None = None
        self._connected = False
        self._retry_at = 0.0
        self._over = False
        self._anew = threading.Event()
        self._raise_alarms()

    def hear(self, received: Received) -> None:
        """Take a message on `cfg/des`: it gets one answer, and only a good one changes anything."""
        if not received.payload:  # somebody cleared what the broker retains: that takes nothing back
            return
        found = judge(received, self._topics.cfg_des, self._keyring, self._clock.stamp())
        if isinstance(found, Refused):
            self._refuse(found)
        else:
            self._consider(found)
        self._tell_change()

    def greet(self) -> None:
        """There is a connection: say what is in force."""
        self._tell()

    def begin_anew(self) -> None:
        """End at once for an agent with what was drawn on the spot.

        A mask does not wait for a quiet moment; an event that is open ends in order, and so does its clip.
        """
        self._anew.set()

    def report(self) -> Publication:
        """What became of the last configuration, and which values are in force."""
        answer = self._answer
        wrong = list(answer.errors.items())[:ERRORS_MAX]
        message = Reported(
            **origin(self._topics.kit, self._clock.stamp()),
            rev=self._terms.running.rev,
            seen=answer.rev,
            state=answer.fate,
            why=answer.why or None,
            detail=answer.detail[:WHY_MAX] or None,
            errors=[WrongKey(key=key[:KEY_MAX] or "?", why=why[:WHY_MAX]) for key, why in wrong],
            values=effective(self._terms.settings),
        )
        return Publication(self._topics.cfg_rep, encode(message), retain=True)

    def due(self, *, ready: bool, quiet: bool) -> bool:
        """Whether the agent is to end now, so that another one can begin with other settings.

        `ready`: it gives pictures, or has said that it has none; `quiet`: no event or clip is under way.
        """
        now = self._clock.mono()
        self._try(now, ready=ready)
        if self._taken.is_set():
            if self._taken_at is None:
                self._taken_at = now
            self._over |= quiet or now - self._taken_at >= QUIET_WAIT_S
        self._over |= self._anew.is_set()
        return self._over and self._comes_back(now)

    def _comes_back(self, now: float) -> bool:
        """Whether another agent would follow one that ends now: not while the kit's own file is broken."""
        path = self._terms.layers.path
        if path is None or now < self._retry_at:
            return path is None
        try:
            settled(Layers.read(Settings, path))
        except ConfigError as error:
            log.error("other settings have to wait: %s", error)  # noqa: TRY400 - for people
            self._retry_at = now + RETRY_S
            return False
        return True

    @property
    def _healthy_s(self) -> float:
        return max(HEALTHY_S, HEALTHY_STALLS * self._terms.settings.capture.stall_after_s)

    @property
    def _answer(self) -> Answer:
        return self._passing or self._terms.revisions.answer

    def _unfit(self) -> Answer | None:
        misfit, good = self._terms.misfit, self._terms.revisions.good
        if misfit is None:
            return None
        why = Refusal.WRONG_KEYS if misfit.keys else Refusal.UNUSABLE
        return Answer(
            rev=good.rev,
            fate="refused",
            digest=good.digest,
            why=why,
            detail=f"it was good once, and does not fit the kit's own file any more: {misfit}",
            errors=misfit.keys,
        )

    def _refuse(self, refused: Refused) -> None:
        """Answer what the platform did not sign, or not for now. It is not kept, and not told without end."""
        if not self._refusals.take(self._clock.mono()):
            log.debug("configuration passed over: %s: %s", refused.why, refused.detail)
            return
        self._passing = Answer(rev=refused.rev, fate="refused", why=refused.why, detail=refused.detail)

    def _consider(self, wanted: Wanted) -> None:
        """Judge what the platform did sign."""
        revisions = self._terms.revisions
        revision = Revision(rev=wanted.rev, values=wanted.values)
        known = revisions.known(revision)
        self._passing = None
        if known is not None:
            self._passing = self._unfit() if revision == revisions.good else None
            return
        if revisions.is_old(revision):
            detail = f"revision {revisions.highest} was seen already; the next one must be higher"
            self._refuse(Refused(Refusal.OLD_REVISION, detail, wanted.rev))
            return
        try:
            self._judge(revision, wanted.key)
        except StorageError as error:
            self._refuse(Refused(Refusal.NOT_STORED, str(error), wanted.rev))

    def _judge(self, revision: Revision, key: str) -> None:
        revisions = self._terms.revisions
        try:
            fitted(self._terms.layers, revision.values)
        except ConfigError as error:
            why = Refusal.WRONG_KEYS if error.keys else Refusal.UNUSABLE
            before = revisions.answer
            revisions.refuse(revision, why, error.problem, error.keys)
            if revisions.answer != before:  # not at each delivery of the same one
                self._audit(revision, key, "rejected", why, error.problem)
            return
        revisions.take(revision)
        self._audit(revision, key, "accepted", None, self._changes(revision))
        self._taken.set()

    def _changes(self, revision: Revision) -> str:
        """The keys whose remote values differ from those of the running revision."""
        old, new = self._terms.running.values, revision.values
        changed = sorted(
            f"{section}.{name}"
            for section in old.keys() | new.keys()
            for name in old.get(section, {}).keys() | new.get(section, {}).keys()
            if old.get(section, {}).get(name) != new.get(section, {}).get(name)
        )
        return ", ".join(changed) or "nothing changes"

    def _try(self, now: float, *, ready: bool) -> None:
        """Judge the revision on trial, if there is one."""
        running, revisions = self._terms.running, self._terms.revisions
        if running in (OWN, revisions.good) or self._over or now < self._retry_at:
            return
        if ready and self._ready_at is None:
            self._ready_at = now
        if self._ready_at is None:
            return
        try:
            if self._connected and now - self._ready_at >= self._healthy_s:
                revisions.prove(running)
                log.info("configuration %d works", running.rev)
            elif not self._connected and now - self._ready_at >= CONNECT_S:
                minutes = CONNECT_S / 60
                revisions.roll_back(running, f"the broker took no report of it within {minutes:.0f} minutes")
                self._over = True
            else:
                return
        except StorageError as error:
            log.warning("configuration %d: %s", running.rev, error)
            self._retry_at = now + RETRY_S
        self._tell_change()

    def _tell_change(self) -> None:
        if self._answer != self._told:
            self._tell()

    def _tell(self) -> None:
        """Publish the report; the last one that is handed over is the newest."""
        with self._telling:
            answer = self._answer
            if answer != self._told and answer.fate in {"refused", "rolled-back"}:
                log.error("configuration %s is %s: %s", answer.rev or "", answer.fate, answer.detail)
            self._told = answer
            self._raise_alarms()
            self._publish(self.report(), self._heard)

    def _heard(self) -> None:
        """The broker took a report: the kit can be reached where it says that it is."""
        self._connected = True

    def _raise_alarms(self) -> None:
        answer = self._answer
        self._announcer.alarm("config.refused", active=answer.fate == "refused", detail=answer.detail)
        self._announcer.alarm("config.rolled_back", active=answer.fate == "rolled-back", detail=answer.detail)
        self._announcer.alarm("config.corrupt", active=bool(self._terms.revisions.set_aside))
        self._announcer.alarm("privacy.lost", active=self._terms.layers.lost)

    def _audit(self, revision: Revision, key: str, status: str, code: str | None, text: str) -> None:
        log.info("configuration %d, signed with key %s, is %s: %s", revision.rev, key, status, text)
        said = f"revision {revision.rev}: {text}"[:AUDITED_MAX]
        self._journal.audit(docket.AuditLine("cfg/des", None, None, key, status, code, said))
