"""A small page on the kit, on which a technician aims the camera and draws masks and zones on its picture.

It is served (`board_server`) on the loopback interface alone, so ssh carries it (`ssh -L`), with its
encryption and its keys; nothing of it is ever on the network. A one-time code lets one browser in
(`doorkeeper`). The page sees what the agent shows: masked pictures. The agent notes who looks and who draws.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.app import drawing, hatch
from agent.app.board_server import BoardServer
from agent.app.doorkeeper import Doorkeeper
from agent.errors import ConfigError, StairwellError
from agent.reasons import reason
from agent.thread import NamedThread
from agent.words import joined, say, verbatim

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.words import Language

PORT = 8470
"""Unless another one is asked for. None of IANA's well-known ones; a kit's sshd lets this one through."""
LOOK_S = 0.1  # between two looks whether the page is over
TELL_S = 3.0  # a page that is over is refused for so long before nobody answers: it looks once a second

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Saved:
    """What was drawn last, or found right as it was; `drawing.drawn` tells the digest once it is in force."""

    digest: str
    masks: int
    zones: int


class Board:
    """The page, from `start` to `close`. `saved` is what was drawn last, None before anything was.

    Raises:
        ConfigError: nothing can listen at the port.
    """

    def __init__(self, settings: Settings, clock: Clock, language: Language, port: int = PORT) -> None:
        self.kit = settings.kit.id
        self.state: Path = settings.state.dir
        self.language: Language = language
        self.door = Doorkeeper(clock.mono())
        self.saved: Saved | None = None
        self.finished = threading.Event()
        self._clock = clock
        try:
            self._server = BoardServer(self, port)
        except OSError as error:
            raise ConfigError(
                joined(": ", (verbatim(f"--port {port}"), reason(error))),
                fix=say("name a port that is free, or 0 for any"),
            ) from None
        self._thread = NamedThread("board", functools.partial(self._server.serve_forever, LOOK_S))

    @property
    def port(self) -> int:
        """Where it listens, on the loopback interface."""
        return int(self._server.server_address[1])

    def now(self) -> float:
        """Seconds that never jump."""
        return self._clock.mono()

    def note(self, text: str) -> None:
        """Have the agent note what became of the page.

        Raises:
            OSError, StairwellError: it was not noted.
        """
        if not hatch.reach(self.state, "board", drawing.PATIENCE_S, text.encode()):
            raise StairwellError(
                say("the agent could not note who uses the page"),
                fix=say("`stairwell doctor` tells what its disk has"),
            )

    def keep(self, digest: str, draft: drawing.Draft) -> None:
        """Remember what was drawn last."""
        self.saved = Saved(digest, len(draft.masks), len(draft.zones))

    def start(self) -> None:
        """Answer from now on; that the page was opened is noted.

        Raises:
            OSError, StairwellError: no agent runs, or it cannot note it.
        """
        try:
            self.note("opened")
        except (OSError, StairwellError):
            self._server.server_close()
            raise
        self._thread.start()

    def wait(self) -> str:
        """Until somebody has finished, or nobody may use it any more: why, in one word.

        A page whose time is over learns it meanwhile: with nobody to answer it would ask about the tunnel.
        """
        while not self.finished.wait(LOOK_S):
            end = self.door.end(self.now())
            if end is not None:
                time.sleep(TELL_S if end in {"idle", "over"} else 0)
                return end
        return "finished"

    def close(self, why: str) -> None:
        """Answer no more, and have that noted as far as the agent can."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        try:
            self.note(f"closed: {why}" + (f", {self.door.wrong} wrong codes" if self.door.wrong else ""))
        except (OSError, StairwellError) as error:
            _LOG.warning("that the page was closed (%s) is not in the audit: %s", why, error)


def serve(
    settings: Settings, clock: Clock, language: Language, port: int, opened: Callable[[Board], None]
) -> Saved | None:
    """Serve the page until it is over; `opened` tells people where it is. What was drawn last, if anything.

    Ctrl-C ends it as well: what was saved by then is in force all the same.

    Raises:
        ConfigError: nothing can listen at the port.
        OSError: no agent answers (as `hatch.ask`).
        StairwellError: it cannot note who uses the page.
    """
    board = Board(settings, clock, language, port)
    board.start()
    why = "interrupted"
    try:
        opened(board)
        why = board.wait()
    except KeyboardInterrupt:
        pass
    finally:
        board.close(why)
    return board.saved
