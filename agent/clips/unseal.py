"""Opening sealed clips: at the city, never on a kit, which has no key that opens anything.

Done with pyrage, an implementation of age that is not ours: what it opens, the `age` program opens too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import pyrage
from pyrage import x25519

from agent.errors import ConfigError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


Opened = Literal["whole", "broken", "foreign"]
"""whole: opened to its end. broken: only up to where it was handed over. foreign: no key given opens it."""

_SECRET = "AGE-SECRET-KEY-1"  # noqa: S105 - how one begins
_FIX = say("name the file that `age-keygen -o` wrote; clips.recipients on the kit must hold its public key")


class In(Protocol):
    """Gives the sealed file."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""
        ...


class Out(Protocol):
    """Takes the plaintext."""

    def write(self, data: bytes, /) -> int:
        """Take all of `data`; as many bytes as it has."""
        ...

    def flush(self) -> None:
        """Nothing may be left on the way."""
        ...


def read_keys(path: Path) -> list[x25519.Identity]:
    """The secret keys in an age identity file.

    Raises:
        ConfigError: it cannot be read, or holds no key; the text repeats nothing of it.
    """
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            say("{path}: cannot be read ({reason})", path=path, reason=reason(error)), fix=_FIX
        ) from None
    try:
        keys = [x25519.Identity.from_str(line) for line in lines if line.startswith(_SECRET)]
    except pyrage.IdentityError:
        raise ConfigError(say("{path}: holds a key that is damaged", path=path), fix=_FIX) from None
    if not keys:
        raise ConfigError(say("{path}: holds no age secret key", path=path), fix=_FIX)
    return keys


def unseal(sealed: In, out: Out, keys: Sequence[x25519.Identity]) -> Opened:
    """Hand the plaintext of `sealed` to `out`, piece by piece, as far as it is authentic.

    Raises:
        OSError: `sealed` cannot be read, or `out` cannot be written.
    """
    reader, writer = _Reader(sealed), _Writer(out)
    try:
        pyrage.decrypt_io(reader, writer, keys)
    except (pyrage.DecryptError, OSError) as error:
        # pyrage tells what it cannot decrypt by either, and the disk's own errors too: those were noted.
        own = reader.error or writer.error
        if own is not None:
            raise own from None
        return "foreign" if "matching keys" in str(error) else "broken"
    return "whole"


class _Reader:
    def __init__(self, file: In) -> None:
        self._file = file
        self.error: OSError | None = None

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            self.error = error
            raise


class _Writer:
    def __init__(self, out: Out) -> None:
        self._out = out
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._out.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._out.flush()
