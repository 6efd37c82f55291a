"""The board's watchdog: whether systemd feeds it, and whether it starts a machine that hangs.

The second can only be tried: `Hang` notes that the machine will hang now, `hang` lets it, and in the boot
that follows the register says what started it. A kit whose watchdog does nothing stays hung until its plug is
pulled, and then the register says so.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.device import program, reset
from agent.durable import write_whole
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from agent.device.clock import Clock

NAME = "hang"  # in state.dir
MODE = 0o644  # root writes it, the agent reads it
ROOT = Path("/")
_LAST, _PERIOD = "WatchdogLastPingTimestampMonotonic", "RuntimeWatchdogUSec"
_SPANS = {"min": 60.0, "s": 1.0, "ms": 0.001}


def feeding() -> tuple[float, int] | None:
    """How long the watchdog waits (seconds), and when systemd fed it last (microseconds since the start).

    None where systemd does not feed one, or does not answer.
    """
    answer = program.ask("systemctl", "show", f"--property={_LAST}", f"--property={_PERIOD}")
    if answer is None or answer.code:
        return None
    found = dict(line.split("=", 1) for line in answer.out.splitlines() if "=" in line)
    parts = re.findall(r"(\d+)(min|ms|s)\b", found.get(_PERIOD, ""))
    last = found.get(_LAST, "")
    if not parts or not last.isdigit() or not int(last):
        return None
    return sum(int(number) * _SPANS[unit] for number, unit in parts), int(last)


@dataclass(frozen=True, slots=True)
class Trial:
    """A hang on purpose: in which boot; `judged`: the next boot has come; `reset`: what had started that."""

    boot: str
    judged: bool = False
    reset: str | None = None


class Hang:
    """The note of it in the state directory."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._path = directory / NAME
        self._boot = clock.boot

    @property
    def trial(self) -> Trial | None:
        """The last one; None when there was none."""
        try:
            return Trial(**json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def note(self) -> None:
        """This boot is the one that will hang.

        Raises:
            StorageError: it cannot be noted.
        """
        try:
            self._write(Trial(self._boot))
        except OSError as error:
            raise StorageError(
                say("{path}: cannot be written ({reason})", path=self._path, reason=reason(error)),
                fix=say("run it as root"),
                errno=error.errno,
            ) from None

    def judge(self, root: Path = ROOT, program: str = "vcgencmd") -> None:
        """In the boot after it: keep what had started that. Called at each start of the agent."""
        trial = self.trial
        if trial is None or trial.judged or trial.boot == self._boot:
            return
        # Nobody has asked for a reboot: the register of one is that of the watchdog (agent/device/reset.py).
        found = reset.cause(reset.register(root, program), in_order=False, card_reset=reset.card_reset(root))
        try:
            self._write(Trial(trial.boot, judged=True, reset=found))
        except OSError:
            return  # a disk that refuses has alarms of its own

    def _write(self, trial: Trial) -> None:
        body = {"boot": trial.boot, "judged": trial.judged, "reset": trial.reset}
        write_whole(self._path, json.dumps(body).encode(), MODE)


def hang(root: Path = ROOT) -> None:
    """Stop the kernel: it neither restarts itself nor feeds the watchdog. For root; it does not return.

    What was written is on the disk first, as after a cut of the power.

    Raises:
        OSError: the kernel does not let itself be stopped.
    """
    os.sync()
    (root / "proc/sys/kernel/panic").write_text("0", encoding="ascii")  # else it would start itself anew
    (root / "proc/sysrq-trigger").write_text("c", encoding="ascii")
