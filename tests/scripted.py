"""A hatch that answers as an agent does to whoever draws, by a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.app import hatch
from agent.app.drawing import Draft, Drawn, Verdict
from agent.app.hatch import Hatch
from agent.app.viewfinder import Aim, Look, packed
from agent.config_layers import Origin
from agent.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.errors import StairwellError

AIM = Aim(t=1, width=64, height=48, light=90, burnt=0, contrast=9, sharpness=2, states=(), persons=0)


class Scripted:
    """It takes every drawing at once, unless it is told otherwise, and keeps what it hears of a page."""

    def __init__(self, state: Path) -> None:
        self.drawn = Draft()
        self.masks_from = Origin.DRAWN
        self.jpeg = b"\xff\xd8JPEG"
        self.told: list[str] = []
        self.deaf = False
        """It cannot note what becomes of a page."""
        self.refusal: StairwellError | None = None
        """Why it takes no drawing."""
        self.away = 0
        """Questions for what is in force that it does not answer."""
        self.stuck = False
        """It takes what is drawn, and does not come back with it."""
        self.hatch = Hatch(
            state / hatch.NAME,
            {"aim": self._aim, "drawn": self._drawn},
            {"redraw": self._redraw, "board": self._board},
        )
        self.hatch.start()

    def _aim(self, _user: int) -> bytes:
        return packed(Look(AIM, self.jpeg)) if self.jpeg else b""

    def _drawn(self, _user: int) -> bytes:
        if self.away:
            self.away -= 1
            return b""
        digest = "older" if self.stuck else self.drawn.digest
        found = Drawn(draft=self.drawn, digest=digest, masks_from=self.masks_from, zones_from=Origin.DRAWN)
        return found.model_dump_json().encode()

    def _redraw(self, _user: int, letter: bytes) -> bytes:
        if self.refusal:
            return Verdict.refused(self.refusal).model_dump_json().encode()
        wanted = Draft.model_validate_json(letter)
        changed = wanted != self.drawn or self.stuck
        self.drawn, self.away = wanted, int(changed)
        return Verdict(digest=wanted.digest, changed=changed).model_dump_json().encode()

    def _board(self, _user: int, letter: bytes) -> bytes:
        if self.deaf:
            raise StorageError("full", fix="none")
        self.told.append(letter.decode())
        return b"{}"
