"""A kit's read-only root is opened for a repair, and closed again: who did it, and why, is in the audit."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agent.app.archive import Archive
from agent.backbone import docket
from agent.config import load
from agent.device.systemroot import Opened
from agent.errors import StairwellError
from agent.reasons import reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.device.clock import Clock
    from agent.device.systemroot import SystemRoot
    from agent.words import Text

OPEN, CLOSE = "root/open", "root/close"

_AUDIT = logging.getLogger("audit")


class Opening:
    """Opens and closes `system`, and notes it in the audit of the kit with the settings in `config`.

    `unnoted` hears why it is not there: what is to be mended may be the settings, or the database.
    """

    def __init__(
        self, system: SystemRoot, config: Path | None, clock: Clock, unnoted: Callable[[Text], None]
    ) -> None:
        self._system, self._config, self._clock = system, config, clock
        self._unnoted = unnoted

    def open(self, by: str, why: str) -> None:
        """Have the root writable from the next start on.

        Raises:
            StairwellError: as `SystemRoot.open_for`; nothing is noted.
        """
        self._system.open_for(Opened(by, why, self._clock.stamp().ts))
        self._note(OPEN, by, why)

    def close(self, by: str) -> None:
        """Have it read-only from the next start on.

        Raises:
            StairwellError: as `SystemRoot.close`; nothing is noted.
        """
        self._system.close()
        self._note(CLOSE, by, None)

    def _note(self, what: str, by: str, why: str | None) -> None:
        _AUDIT.warning("%s by %s: %s", what, by, why or "-")
        line = docket.AuditLine(what, None, by, None, "ok", None, why)
        try:
            archive = Archive(load(self._config), self._clock)
            archive.ask(lambda tx: docket.audit(tx, line, self._clock.stamp()))
        except StairwellError as error:
            self._unnoted(error.line)
        except OSError as error:
            self._unnoted(reason(error))
