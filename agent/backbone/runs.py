"""Sets of whole numbers that come in runs: a million numbers without a hole cost as much as one. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Runs:
    """A set of numbers, kept as the fewest (first, last) ranges, in order."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(ranges):
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __len__(self) -> int:
        """How many ranges, not how many numbers."""
        return len(self._firsts)

    def __contains__(self, number: int) -> bool:
        return self.end(number) >= number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Runs) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment] # it changes

    def add(self, first: int, last: int) -> None:
        """Take in all numbers from `first` to `last`."""
        begin = bisect_left(self._lasts, first - 1)  # the first range that touches or lies behind
        end = bisect_right(self._firsts, last + 1)  # the first range that lies behind untouched
        if begin < end:
            first = min(first, self._firsts[begin])
            last = max(last, self._lasts[end - 1])
        self._firsts[begin:end] = [first]
        self._lasts[begin:end] = [last]

    def end(self, number: int) -> int:
        """The last number of the range that holds `number`; `number` - 1 when none does."""
        place = bisect_right(self._firsts, number) - 1
        if place < 0 or self._lasts[place] < number:
            return number - 1
        return self._lasts[place]

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """The ranges between `first` and `last`, both included, that are not in the set."""
        found = []
        for place in range(bisect_left(self._lasts, first), len(self._firsts)):
            begin, end = self._firsts[place], self._lasts[place]
            if begin > last:
                break
            if begin > first:
                found.append((first, begin - 1))
            first = end + 1
        if first <= last:
            found.append((first, last))
        return found
