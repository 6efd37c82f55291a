"""Progress bars on stderr, where somebody looks."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import TaskID


class Bars:
    """A bar for each step, in bytes; made when the step is first heard of."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def advance(self, step: str, count: int, total: int | None) -> None:
        """`count` more bytes of `total` are done (None: nobody knows how many there are)."""
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total)
        self._progress.update(self._tasks[step], advance=count, total=total)

    def of(self, step: str, total: int | None) -> Callable[[int], None]:
        """`advance` of one step."""
        return lambda count: self.advance(step, count, total)


@contextmanager
def bars(title: str, *, quiet: bool, things: bool = False) -> Iterator[Bars]:
    """Bars while the work lasts; none when `quiet`, or when stderr is no terminal.

    They count bytes, or `things`.
    """
    columns = (
        TextColumn(f"{title} {{task.description}}"),
        BarColumn(),
        MofNCompleteColumn() if things else DownloadColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=quiet or not sys.stderr.isatty()) as progress:
        yield Bars(progress)
