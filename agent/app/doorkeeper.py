"""Who may use the page for drawing: whoever has the one-time code, from one browser, for a while.

Invariants: the code lets in once; after TRIES wrong ones, or CODE_S without the right one, it never does. Who
is in is known by a token that only that browser has, and stays in until nothing was done there for IDLE_S,
LIFE_S at most.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32: no letter is taken for a digit."""
LENGTH = 10  # 50 bits; with five tries nobody guesses it
MISREAD = str.maketrans("OIL", "011", "- ")
TRIES = 5  # a code read off a screen is mistyped twice, not five times
CODE_S = 600.0  # until it is typed in: a tunnel by ssh has to be made first
IDLE_S = 900.0  # a page that is forgotten open in a stairwell
LIFE_S = 7200.0  # nobody aims a camera for longer

End = Literal["locked", "expired", "idle", "over"]
"""Why nobody gets in any more: wrong codes; no code in time; nothing done for long; in for LIFE_S."""


class Doorkeeper:
    """Keeps the door of one page. Safe to call from any thread; `now` is in seconds that never jump."""

    def __init__(self, now: float) -> None:
        self._code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        self._lock = threading.Lock()
        self._token: bytes | None = None
        self._opened = self._seen = now
        self.wrong = 0
        """Codes that were not it."""

    @property
    def code(self) -> str:
        """As it is shown."""
        return f"{self._code[: LENGTH // 2]}-{self._code[LENGTH // 2 :]}"

    @property
    def left(self) -> int:
        """Tries that are left."""
        return max(0, TRIES - self.wrong)

    def enter(self, typed: str, now: float, note: Callable[[], None]) -> str | None:
        """The token for whoever typed the code; None if it is wrong, or lets in no more.

        `note` is called before anybody is let in; if it raises, nobody is, and the code stays good.
        """
        given = typed.upper().translate(MISREAD).encode()
        with self._lock:
            if self._end(now) or self._token is not None:
                return None
            if not hmac.compare_digest(_digest(given), _digest(self._code.encode())):
                self.wrong += 1
                return None
            note()
            token = secrets.token_urlsafe(32)
            self._token = _digest(token.encode())
            self._opened = self._seen = now
            return token

    def admits(self, token: str, now: float, *, active: bool = True) -> bool:
        """Whether this is who was let in; if so, and if it is `active`, somebody has done something."""
        with self._lock:
            if self._token is None or self._end(now):
                return False
            if not hmac.compare_digest(_digest(token.encode()), self._token):
                return False
            if active:
                self._seen = now
            return True

    def end(self, now: float) -> End | None:
        """Why nobody gets in any more; None while somebody may."""
        with self._lock:
            return self._end(now)

    def _end(self, now: float) -> End | None:
        if self._token is None:
            if self.wrong >= TRIES:
                return "locked"
            return "expired" if now - self._opened >= CODE_S else None
        if now - self._opened >= LIFE_S:
            return "over"
        return "idle" if now - self._seen >= IDLE_S else None


def _digest(text: bytes) -> bytes:
    """Of one length for whatever was typed."""
    return hashlib.sha256(text).digest()
