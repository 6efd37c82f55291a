"""Small files with their checksum, whole or not there: what the agent keeps beside its database."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from agent import foreign
from agent.durable import write_whole
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from pathlib import Path

MODE = 0o640
SIZE_MAX = 1 << 20  # bytes; the largest, a configuration by the city, has 64 KB


def write(path: Path, body: bytes) -> None:
    """Put `body` at `path`; it survives a power cut once this returns.

    Raises:
        StorageError: the disk refused; what was there is untouched.
    """
    try:
        write_whole(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body + b"\n", MODE)
    except OSError as error:
        raise StorageError(
            say("{path}: cannot be written ({reason})", path=path, reason=reason(error)),
            fix=say("free space, or replace a card that is worn out"),
            errno=error.errno,
        ) from None


def read(path: Path) -> bytes | None:
    """What was written to `path`; None if there is no file, or it is not what was written.

    Whoever reads may be root, and the directory the agent's user's: see `foreign`.

    Raises:
        StorageError: it cannot be read, or is a link.
    """
    try:
        found = foreign.read(path, SIZE_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(
            say("{path}: cannot be read ({reason})", path=path, reason=reason(error)),
            fix=say("see that the directory belongs to the agent's user; as another one, look with sudo"),
            errno=error.errno,
        ) from None
    if found is None:
        return None
    checksum, _, body = found.partition(b"\n")
    body = body.removesuffix(b"\n")
    return body if hashlib.sha256(body).hexdigest().encode() == checksum else None
