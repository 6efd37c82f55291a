"""A camera's address without what only the camera may know."""

from __future__ import annotations

import re

# A password may hold any character that somebody typed unescaped, so all goes up to the last @.
_CREDENTIALS = re.compile(r"^([a-z][a-z0-9+.-]*://).*@", re.IGNORECASE | re.DOTALL)


def without_credentials(source: str, mark: str = "") -> str:
    """`capture.source` without user and password; `mark` takes their place.

    A path with an @ loses its beginning as well: rather too little is told than a password.
    """
    return _CREDENTIALS.sub(lambda found: found[1] + mark, source)
