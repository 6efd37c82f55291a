"""The kit's own troubles as alarms: the doctor's checks, asked by the agent, and believed once they last.

What the doctor calls a failure is an alarm of the same code; a warning is one where WARNINGS says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent.app import proof
from agent.app.linkwatch import LinkWatch
from agent.app.ontrial import OnTrial
from agent.app.want import Strain, Want
from agent.device.board import Board, measure
from agent.doctor import boot, disk, machine, papers
from agent.doctor.check import Status
from agent.doctor.debounce import Debounce

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.app.announcer import Announcer
    from agent.backbone.delivery import Delivery
    from agent.config import Settings
    from agent.device.clock import Clock

ROOT = Path("/")
LOOK_S = (
    15.0  # between two looks: they read a dozen small files, and start one short program on newer kernels
)

RAISE_S = {
    "power.undervoltage": 0.0,  # a sag of milliseconds is what a kit dies of
    "power.throttled": 60.0,
    "temp.cpu": 60.0,  # the first minute after a boot is hot and says nothing
    "temp.fan": 60.0,  # it takes seconds to turn, and heat more than a minute to gather
    "mem.free": 60.0,
    "boot.reset": 0.0,
    "disk.free": 600.0,  # a clip before retention, an update's copies: they take room and give it back
    "disk.inodes": 600.0,
    "disk.errors": 0.0,
    "sd.life": 0.0,
    "kit.burnin": 0.0,  # said as soon as somebody hears it
    "id.cert_expiry": 0.0,
    "id.key_matches": 300.0,  # a renewal puts two files in place, one after the other
}
"""The checks that are alarms too, and how long a failure must last.

What only another card or another boot can change (mem.limit, mem.swap, power.supply) is for the acceptance.
"""
CLEAR_S = 300.0  # calm for so long: a supply that sags with each person who comes in is one alarm, not twenty
WARNINGS = {
    "boot.reset",  # it works again
    "sd.life",  # a card and a certificate are replaced before they fail
    "id.cert_expiry",
}


class Vitals:
    """Looks at board, papers and link, raises their alarms, and tells `do_without` after each look.

    One thread drives it.
    """

    def __init__(
        self,
        settings: Settings,
        announcer: Announcer,
        clock: Clock,
        delivery: Callable[[], Delivery],
        do_without: Callable[[Want], None],
        root: Path = ROOT,
    ) -> None:
        all_checks = (
            *machine.checks(root),
            *boot.checks(settings, clock),
            *disk.checks(settings, root),
            *papers.checks(settings, clock),
            *proof.checks(settings),
        )
        known = {check.code: check for check in all_checks}
        self._clock = clock
        self._delivery = delivery
        self._link = LinkWatch(announcer)
        self._trial = OnTrial.here(announcer, settings, clock)
        self._checks = [known[code] for code in RAISE_S]
        self._state = settings.state.dir
        self._root = root
        self._announcer = announcer
        self._do_without = do_without
        raised = announcer.alarms
        self._beliefs = {
            code: Debounce(raise_s, CLEAR_S, active=code in raised) for code, raise_s in RAISE_S.items()
        }
        self._next = float("-inf")
        self.board = Board()
        """The last reading."""
        self.want = Want()

    def look(self, now: float) -> None:
        """Ask and judge, if it is time to; `now` in seconds that never jump."""
        self._link.judge(self._delivery(), self._clock.stamp().clk, now)
        if now < self._next:
            return
        self._next = now + LOOK_S
        self._trial.judge(self._delivery())
        for check in self._checks:
            try:
                verdict = check.ask()
            except OSError:  # the card does not answer: it has alarms of its own
                continue
            seen = None if verdict.status is Status.SKIP else self._is_trouble(check.code, verdict.status)
            active = self._beliefs[check.code].judge(seen, now)
            self._announcer.alarm(check.code, active=active, detail=verdict.text.en)
        board = self.board = measure(self._state, self._root)
        slowed = None if board.throttling is None else board.throttling.slowed
        memory = min((share for share in (board.memory, board.granted) if share is not None), default=None)
        self.want.judge(Strain(board.celsius, slowed, board.waiting, memory), now)
        self._do_without(self.want)

    @staticmethod
    def _is_trouble(code: str, status: Status) -> bool:
        return status is Status.FAIL or (status is Status.WARN and code in WARNINGS)
