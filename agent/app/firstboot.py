"""First boot: from what the card carries to a kit that the city knows. May be cut off anywhere and run again.

    settings    agent.toml from the card's file, checked before it is written
    name        the host name
    burn-in     camera, card, board and detector show that they work; the proof is kept
    enrolment   key, request, certificate; tried until it comes, and the lamp says why it does not
    handover    the services are enabled; the card's file, a secret, is deleted; the services start
    root        a kit with a read-only root restarts into it

A step that cannot be done is tried again for as long as the power is on, and the lamp says why: a kit on a
wall has no other way to tell that it did not come to its end.

No record is kept of the steps: each looks at what there is, and does what is missing. The card's file is
there until all is done, and meanwhile the service does not start the agent: the burn-in has the camera. Once
it is gone nothing of this is done again, so what each later start needs is on the disk before.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from agent.app.proof import Proof
from agent.device import kitfile
from agent.device.enrolfile import EnrolFile
from agent.device.lamp import Code
from agent.device.wallet import DIRECTORY, Wallet
from agent.durable import sync_directory
from agent.errors import ConfigError, EnrolError, StairwellError, StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.device.clock import Clock
    from agent.device.wallet import Papers

CARD_FILE = "enrol.toml"  # in the state directory; `boot/install` put it there
WAIT_MIN_S, WAIT_MAX_S = 5.0, 300.0  # between two tries of a network that is not there yet
REFUSED_S = 600.0  # a city that said no may be told otherwise at the depot, but not within seconds
AGAIN_S = 60.0  # what somebody mends over ssh is seen soon, and a bad card is hardly touched
CLOCK_REASONS = {"clock", "tls"}  # a certificate that is "not yet valid" is a wrong clock, nearly always

Done = TypeVar("Done")

log = logging.getLogger(__name__)


class Machine(Protocol):
    """What root does to the machine in between."""

    def name(self, hostname: str) -> None:
        """Call the machine so, for ever."""
        ...

    def burn_in(self) -> None:
        """Run the burn-in as the agent's user, who keeps the proof."""
        ...

    def give(self, path: Path) -> None:
        """Let the agent's user own what lies below `path`."""
        ...

    def enable(self) -> None:
        """Have the services start at each boot from now on; returns once that survives a power cut."""
        ...

    def start(self) -> None:
        """Start the services now."""
        ...

    def close_root(self) -> None:
        """Restart, where the root is to be read-only and is not yet."""
        ...


class Display(Protocol):
    """Where the codes are shown."""

    def show(self, code: Code) -> None:
        """Show it from now on."""
        ...


@dataclass(frozen=True, slots=True)
class FirstBoot:
    """The whole of it for the kit whose state lies in `state` and whose settings in `config`."""

    state: Path
    config: Path
    machine: Machine
    lamp: Display
    clock: Clock
    join: Callable[[EnrolFile, Wallet, Clock], Papers]
    wait: Callable[[float], None]

    def run(self) -> bool:
        """Do what is missing; whether the burn-in was passed. Nothing when first boot is over.

        A kit that failed its burn-in does not restart, which would end what the lamp says: its root is
        read-only from the next start on.
        """
        path = self.state / CARD_FILE
        if not path.exists():
            log.info("first boot is over already")
            return True
        self.lamp.show(Code.WORKING)
        file = self._until(lambda: self._settled(path))
        self._until(lambda: self.machine.name(f"stairwell-{file.kit}"))
        self._until(lambda: self.machine.give(self.state))
        passed = self._until(lambda: self._burned_in(file.kit))
        papers = self._until(lambda: self._enrolled(file))
        log.info("enrolled: the certificate is good until %s", papers.certificate.not_valid_after_utc)
        self._until(lambda: self.machine.give(self.state))
        self._until(self.machine.enable)
        self._until(lambda: self._forget(path))
        self._until(self.machine.start)
        if passed:
            self._until(self.machine.close_root)
        return passed

    def _until(self, step: Callable[[], Done]) -> Done:
        """Do this step, again and again until it is done; the lamp says what is wrong meanwhile."""
        said = ""
        while True:
            try:
                done = step()
            except StairwellError as error:
                if str(error) != said:
                    said = str(error)
                    log.error("%s", error)  # noqa: TRY400 # it is for people, and no traceback helps them
                self.lamp.show(Code.REFUSED if isinstance(error, ConfigError) else Code.HARDWARE)
                self.wait(AGAIN_S)
                continue
            if said:
                self.lamp.show(Code.WORKING)
            return done

    def _settled(self, path: Path) -> EnrolFile:
        """What the card carries, with the settings written that it holds."""
        file = EnrolFile.read(path)
        if kitfile.write(self.config, file, self.state):
            log.info("settings: %s", self.config)
        return file

    def _burned_in(self, kit: str) -> bool:
        """The proof that is there, or a new one; one that failed is tried again at each first boot."""
        proof = Proof.read(self.state)
        if proof is None or proof.kit != kit or not proof.ok:
            self.machine.burn_in()
            proof = Proof.read(self.state)
        if proof is None:
            log.error("burn-in: no proof was kept")
            return False
        for check in proof.checks:
            log.info("burn-in: %s %s: %s", check["code"], check["status"], check["text"])
        if not proof.ok:
            log.error("burn-in: failed: %s", ", ".join(proof.failed))
        return proof.ok

    def _enrolled(self, file: EnrolFile) -> Papers:
        wallet = Wallet(self.state / DIRECTORY)
        wait = WAIT_MIN_S
        while True:
            self.lamp.show(Code.NETWORK)
            try:
                return self.join(file, wallet, self.clock)
            except EnrolError as error:
                log.warning("enrolment: %s", error)
                if error.refused:
                    self.lamp.show(Code.REFUSED)
                    pause = REFUSED_S
                else:
                    self.lamp.show(Code.CLOCK if error.reason in CLOCK_REASONS else Code.NETWORK)
                    # Full jitter: a district whose power came back asks all over the time, not at once.
                    pause = error.retry_after_s or random.uniform(WAIT_MIN_S, wait)  # noqa: S311 # no secret
                    wait = min(WAIT_MAX_S, 2 * wait)
            self.wait(pause)

    def _forget(self, path: Path) -> None:
        """The claim is used up, but its file still names the kit's place and its broker."""
        try:
            path.unlink(missing_ok=True)  # a try before may have come so far
            sync_directory(path.parent)
        except OSError as error:
            raise StorageError(
                say("{path}: cannot be deleted ({reason})", path=path, reason=reason(error)),
                fix=say("replace a card that is worn out"),
                errno=error.errno,
            ) from None
