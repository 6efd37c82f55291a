"""Plaintext against its manifest, stretch by stretch: which seconds are not what was recorded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.clips.manifest import Manifest


class PlaintextCheck:
    """Takes the plaintext of a clip in order (an Out of `unseal`) and compares it with `told`."""

    def __init__(self, told: Manifest) -> None:
        self.bytes = 0
        """How many came."""
        self._wanted = told.plain.bytes
        self._stretches = told.plain.fragments
        self._dur = told.video.dur
        self._wrong: list[int] = []
        self._index = 0
        self._left = self._stretches[0].bytes if self._stretches else 0
        self._own = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Take the next bytes."""
        self.bytes += len(data)
        rest = memoryview(data)
        while rest and self._index < len(self._stretches):
            part, rest = rest[: self._left], rest[self._left :]
            self._own.update(part)
            self._left -= len(part)
            if not self._left:
                self._next()
        return len(data)

    def flush(self) -> None:
        """See Out: nothing waits."""

    def at(self, offset: int) -> float:
        """The second to which a byte of the plaintext belongs."""
        for stretch in self._stretches:
            if offset < stretch.bytes:
                return stretch.t
            offset -= stretch.bytes
        return self._dur

    def altered(self, ends: int) -> tuple[tuple[float, float], ...]:
        """The seconds that differ; what lies behind byte `ends` counts as such.

        More bytes than there should be belong to no second: then it is all of them.
        """
        wrong = sorted({*self._wrong, *range(self._index, len(self._stretches))})
        begins = [stretch.t for stretch in self._stretches] + [self._dur]
        spans: list[tuple[float, float]] = []
        for index in wrong:
            begin, end = begins[index], max(begins[index : index + 2])
            if spans and spans[-1][1] >= begin:
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            else:
                spans.append((begin, end))
        if not spans and ends != self._wanted:
            spans.append((0.0, self._dur))
        return tuple(spans)

    def _next(self) -> None:
        if self._own.hexdigest() != self._stretches[self._index].sha256:
            self._wrong.append(self._index)
        self._index += 1
        self._own = hashlib.sha256()
        if self._index < len(self._stretches):
            self._left = self._stretches[self._index].bytes
