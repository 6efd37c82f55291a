"""What root does to a kit's machine at first boot: its name, its services, whose files they are."""

from __future__ import annotations

import logging
import os
import pwd
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.device import program
from agent.device.systemroot import SystemRoot
from agent.durable import write_whole
from agent.errors import StairwellError
from agent.reasons import reason
from agent.words import say, verbatim

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path("/")
USER = "stairwell"
COMMAND = "/usr/bin/stairwell"
SERVICES = (
    "stairwell-agent.service",
    "stairwell-check.timer",
    "stairwell-reboot.path",
    "stairwell-renew.timer",
    "stairwell-trial.path",
    "stairwell-update.path",
)
FAILED = 2  # exit code of a burn-in that came to its end and failed
START_S = 60.0
BURN_IN_S = 900.0  # the card's part alone may take five minutes on a bad card
KILL_S = 10.0  # for timeout(1) to do its work on a busy machine
KILLED = 137  # its exit code then
PUBLIC = 0o644

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Host:
    """This machine; `root` is where /etc hangs."""

    root: Path = ROOT
    user: str = USER
    burn_in_words: Sequence[str] = (COMMAND, "burnin")
    burn_in_s: float = BURN_IN_S

    def name(self, hostname: str) -> None:
        """Call the machine so, now and after every start; 127.0.1.1 is it, so that sudo need not ask anybody.

        Raises:
            StairwellError: the disk or the kernel refused.
        """
        file, hosts = self.root / "etc/hostname", self.root / "etc/hosts"
        line = f"127.0.1.1\t{hostname}"
        try:
            if not file.exists() or file.read_text(encoding="utf-8").strip() != hostname:
                write_whole(file, f"{hostname}\n".encode(), PUBLIC)
            text = hosts.read_text(encoding="utf-8") if hosts.exists() else "127.0.0.1\tlocalhost\n"
            kept = [old for old in text.splitlines() if not re.match(r"127\.0\.1\.1\s", old)]
            wanted = "\n".join([*kept, line]) + "\n"
            if text != wanted:
                write_whole(hosts, wanted.encode(), PUBLIC)
            if self.root == ROOT and os.uname().nodename != hostname:
                program.ask("hostnamectl", "set-hostname", hostname)
        except OSError as error:
            raise StairwellError(
                say("{path}: cannot be written ({reason})", path=error.filename, reason=reason(error)),
                fix=say("run it as root"),
            ) from None

    def burn_in(self) -> None:
        """Run the burn-in in a process of its own: a camera driver that hangs must not hold up the rest.

        Who ends it is a user's process, too: `runuser` stays in between, and killed it would leave the
        burn-in behind, with the camera in its hands.
        """
        words = ("runuser", "--user", self.user, "--", "timeout", "--signal=KILL", f"{self.burn_in_s:g}")
        answer = program.ask(*words, *self.burn_in_words, timeout_s=self.burn_in_s + KILL_S)
        if answer is None or answer.code == KILLED:
            log.error("burn-in: no end within %.0f s", self.burn_in_s)
        elif answer.code not in {0, FAILED}:
            log.error("burn-in: %s", answer.err.strip() or f"exit code {answer.code}")

    def give(self, path: Path) -> None:
        """Let the agent's user own what lies below `path`; who is not root owns it already.

        Raises:
            StairwellError: there is no such user, or the disk refused.
        """
        if os.geteuid() != 0:
            return
        try:
            user = pwd.getpwnam(self.user)
            for found in (path, *path.rglob("*")):
                os.chown(found, user.pw_uid, user.pw_gid, follow_symlinks=False)
        except KeyError:
            raise StairwellError(
                say("there is no user {user}", user=self.user), fix=say("install the package again")
            ) from None
        except OSError as error:
            raise StairwellError(
                say(
                    "{path}: cannot be given to {user} ({reason})",
                    path=error.filename,
                    user=self.user,
                    reason=reason(error),
                ),
                fix=say("run it as root"),
            ) from None

    def close_root(self) -> None:
        """Restart, where the root is to be read-only and is not yet. Cut off before, the next start is that.

        Raises:
            StairwellError: the service manager refused.
        """
        system = SystemRoot(self.root)
        if not (system.meant and system.writable):
            return
        log.info("the root is read-only from now on: restarting")
        answer = program.ask("systemctl", "--no-block", "reboot", timeout_s=START_S)
        if answer is None or answer.code:
            said = answer.err.strip() if answer else "systemctl does not answer"
            raise StairwellError(
                say("the kit does not restart: {said}", said=said), fix=verbatim("sudo systemctl reboot")
            )

    def enable(self) -> None:
        """Have the services start at each boot from now on; returns once that survives a power cut.

        Raises:
            StairwellError: the service manager refused.
        """
        self._order("enable", *(() if self.root == ROOT else ("--root", str(self.root))))
        os.sync()  # the links of systemctl are in several directories, and it flushes none

    def start(self) -> None:
        """Start the services now.

        Raises:
            StairwellError: the service manager refused.
        """
        self._order("start", "--no-block")

    def _order(self, *words: str) -> None:
        there = [name for name in SERVICES if (self.root / "usr/lib/systemd/system" / name).exists()]
        answer = program.ask("systemctl", *words, *there, timeout_s=START_S)
        if answer is None or answer.code:
            said = answer.err.strip() if answer else "systemctl does not answer"
            raise StairwellError(
                say("the services do not start: {said}", said=said),
                fix=say("systemctl status stairwell-agent"),
            )
