"""Stand-ins for programs of the machine: they say what the real ones were seen to say."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Programs:
    """A directory that is the whole search path; a program that was not put there is not installed."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._directory = directory / "programs"
        self._directory.mkdir()
        monkeypatch.setenv("PATH", str(self._directory))

    def put(self, name: str, out: str = "", code: int = 0, *, when: str = "*") -> None:
        """It prints `out` and ends with `code`, if its words fit the shell pattern `when`.

        What is put later is looked at first.
        """
        path = self._directory / name
        before = path.read_text(encoding="utf-8").partition("\n")[2] if path.exists() else ""
        case = f"case \"$*\" in {when}) printf '%s' {shlex.quote(out)}; exit {code};; esac"
        path.write_text(f"#!/bin/sh\n{case}\n{before}", encoding="utf-8")
        path.chmod(0o755)
