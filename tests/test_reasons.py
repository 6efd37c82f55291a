"""Why the system refused."""

from __future__ import annotations

import errno
import os

from agent.reasons import reason


def test_known_ones_are_told_in_both_languages() -> None:
    """Those that a kit meets."""
    said = reason(OSError(errno.ENOENT, os.strerror(errno.ENOENT)))
    assert ("there is no such file", "такого файлу немає") == (said.en, said.uk)


def test_others_are_told_as_the_system_does() -> None:
    """Better in English than not at all."""
    assert "Too many links" == reason(OSError(errno.EMLINK, "Too many links")).uk
    assert "odd" == reason(OSError("odd")).uk
