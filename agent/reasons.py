"""Why the system refused, in the technician's words: those of errno(3) that a kit meets."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from agent.words import say, verbatim

if TYPE_CHECKING:
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
}


def reason(error: OSError) -> Text:
    """What the system said."""
    return _WORDS.get(error.errno or 0, verbatim(error.strerror or str(error)))
