"""The root of a kit that is meant to be read-only (`root.read_only` in kits.toml), and its repairs.

Whether it is writable is decided at each boot (stairwell-writable.service) by what there is: an unfinished
first boot, or the mark that `open_for` leaves on the data partition. So both take a restart, for packages
must find their /var on the card, and not in memory.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.device import health
from agent.durable import sync_directory, write_whole
from agent.errors import StairwellError
from agent.reasons import reason
from agent.words import say

ROOT = Path("/")
LIST, MARK = "etc/stairwell-keep", "data/root-open"
PUBLIC = 0o644


@dataclass(frozen=True, slots=True)
class Opened:
    """A repair that has begun: who, why, and when (UTC; None while the clock was not set)."""

    by: str
    why: str
    ts: str | None


class SystemRoot:
    """The root at `root`."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root

    @property
    def meant(self) -> bool:
        """Whether this kit's card was made with a read-only root."""
        return (self._root / LIST).exists()

    @property
    def writable(self) -> bool:
        """Whether it takes writes now."""
        return not health.read_only(self._root)

    @property
    def opened(self) -> Opened | None:
        """The repair that keeps it open, from the next start on; None when there is none."""
        try:
            return Opened(**json.loads((self._root / MARK).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError):
            return Opened("?", "?", None)  # the mark is there, and that is what counts

    def open_for(self, repair: Opened) -> None:
        """Have it writable from the next start on, until it is closed.

        Raises:
            StairwellError: the kit has no read-only root, or the mark cannot be written.
        """
        self._check()
        try:
            write_whole(self._root / MARK, json.dumps(asdict(repair)).encode(), PUBLIC)
        except OSError as error:
            raise self._refused(error) from None

    def close(self) -> None:
        """Have it read-only from the next start on.

        Raises:
            StairwellError: the kit has no read-only root, or the mark cannot be taken away.
        """
        self._check()
        mark = self._root / MARK
        try:
            mark.unlink(missing_ok=True)
            sync_directory(mark.parent)
        except OSError as error:
            raise self._refused(error) from None

    def _check(self) -> None:
        if not self.meant:
            raise StairwellError(
                say("this kit's root is not read-only"), fix=say("nothing has to be opened or closed")
            )

    def _refused(self, error: OSError) -> StairwellError:
        return StairwellError(
            say("{path}: cannot be changed ({reason})", path=self._root / MARK, reason=reason(error)),
            fix=say("run it with sudo; see that the data partition is mounted (findmnt /data)"),
        )
