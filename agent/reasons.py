"""Why the system refused, in the technician's words: those of errno(3) that a kit meets."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from agent.words import say, verbatim

if TYPE_CHECKING:
    import sqlite3

    from agent.words import Text

_WORDS = {
    errno.ENOENT: say("there is no such file"),
    errno.ENOTDIR: say("there is no such directory"),
    errno.EISDIR: say("it is a directory"),
    errno.EACCES: say("access denied"),
    errno.EPERM: say("that is not allowed"),
    errno.ENOSPC: say("no space is left"),
    errno.EDQUOT: say("the quota is used up"),
    errno.EROFS: say("the file system is read-only"),
    errno.EIO: say("the disk fails"),
    errno.ENODEV: say("there is no such device"),
    errno.EBUSY: say("it is in use"),
    errno.ELOOP: say("it is a link"),
}

# What SQLite says when a disk or a file fails it.
_SQLITE = {
    "attempt to write a readonly database": say("attempt to write a readonly database"),
    "database disk image is malformed": say("database disk image is malformed"),
    "database is locked": say("database is locked"),
    "database or disk is full": say("database or disk is full"),
    "disk I/O error": say("disk I/O error"),
    "file is not a database": say("file is not a database"),
    "unable to open database file": say("unable to open database file"),
}


def reason(error: OSError | UnicodeDecodeError | sqlite3.Error) -> Text:
    """What the system or SQLite said, or that a file is no text; what TLS says of a file is told as it is."""
    if isinstance(error, UnicodeDecodeError):
        return say("no text")
    if not isinstance(error, OSError):
        return _SQLITE.get(str(error), verbatim(str(error)))
    if type(error).__module__ == "ssl":  # not imported for it; an SSLError's numbers are its library's
        return verbatim(str(error))
    return _WORDS.get(error.errno or 0, verbatim(error.strerror or str(error)))
