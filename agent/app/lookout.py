"""What a technician on the spot takes from the kit: a look, a bundle. Each is noted, with who took it."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.app.annotate import Painter
from agent.app.viewfinder import Look, measured, packed
from agent.backbone import docket
from agent.device.account import name_of
from agent.shortid import ENTROPY_BYTES, short_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.app.analysis import Analysis
    from agent.app.annotate import Image
    from agent.app.journal import Journal
    from agent.config import Settings
    from agent.device.clock import Clock

FRESH_S = 5.0  # an older picture shows what was, and a technician would aim the camera by it
QUALITY = 80
VIEW_WIDTH = 960  # pixels: sharp on half a sheet of paper, and as wide as a telephone's screen
NOTED_S = 60.0  # who aims looks each second: a line of the audit for each would wash it away within an hour

_AUDIT = logging.getLogger("audit")


class Lookout:
    """Draws the newest picture with everything that the agent saw in it. One thread asks it."""

    def __init__(
        self, settings: Settings, clock: Clock, journal: Journal, latest: Callable[[], Analysis | None]
    ) -> None:
        self._view = settings.view
        self._masked = bool(settings.privacy.masks)
        self._noted: dict[int, float] = {}
        self._clock = clock
        self._journal = journal
        self._latest = latest

    @property
    def answers(self) -> dict[str, Callable[[int], bytes]]:
        """What the hatch may be asked of it."""
        return {"still": self.still, "aim": self.aim, "bundle": self.bundle, "view": self.view}

    def bundle(self, user: int) -> bytes:
        """The id of a support bundle, which `user` is about to take.

        Raises:
            StorageError: the disk refuses to note it.
        """
        number = short_id(os.urandom(ENTROPY_BYTES))
        self._note("bundle", user, "ok", None, number)
        return number.encode()

    def view(self, user: int) -> bytes:
        """The picture without drawings, for a document: as JPEG, nothing while anybody may be in it.

        Raises:
            StorageError: as `still`.
        """
        analysis = self._latest()
        fresh = analysis is not None and self._clock.mono() - analysis.frame.t <= FRESH_S
        empty = fresh and analysis is not None and not analysis.tracks and not analysis.detections
        self._note("view", user, "ok" if empty else "failed", None if empty else "no-picture", None)
        if analysis is None or not empty:
            return b""
        return _small(analysis)

    def aim(self, user: int) -> bytes:
        """The picture and its figures (`viewfinder.packed`); nothing when the camera gives none.

        `user` is noted, and again once a minute while he goes on looking.

        Raises:
            StorageError: as `still`.
        """
        analysis, now = self._latest(), self._clock.mono()
        fresh = analysis is not None and now - analysis.frame.t <= FRESH_S
        if now - self._noted.get(user, float("-inf")) >= NOTED_S:
            self._note("aim", user, "ok" if fresh else "failed", None if fresh else "no-picture", None)
            self._noted[user] = now
        if analysis is None or not fresh:
            return b""
        return packed(Look(measured(analysis, masked=self._masked), _small(analysis)))

    def still(self, user: int) -> bytes:
        """The picture as JPEG, masks burned in; nothing when the camera gives none. `user` is noted.

        Raises:
            StorageError: the disk refuses to note it: nobody looks unseen.
        """
        analysis = self._latest()
        fresh = analysis is not None and self._clock.mono() - analysis.frame.t <= FRESH_S
        self._note("look", user, "ok" if fresh else "failed", None if fresh else "no-picture", None)
        if analysis is None or not fresh:
            return b""
        return _jpeg(Painter(self._view).draw(analysis))

    def _note(self, what: str, user: int, status: str, code: str | None, text: str | None) -> None:
        name = name_of(user)
        line = docket.AuditLine(what, None, name, None, status, code, text)
        self._journal.ask(lambda tx: docket.audit(tx, line, self._clock.stamp()))
        _AUDIT.info("%s by %s is %s", what, name, status)


def _small(analysis: Analysis) -> bytes:
    """The picture as it is, at most VIEW_WIDTH wide."""
    picture = analysis.frame.picture
    scale = min(1.0, VIEW_WIDTH / picture.width)
    whole = picture.rgb(0, 0, picture.width, picture.height)
    return _jpeg(np.asarray(cv2.resize(whole, None, fx=scale, fy=scale), np.uint8))


def _jpeg(image: Image) -> bytes:
    """An RGB picture as JPEG."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
