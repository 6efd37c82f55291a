"""What `stairwell clips` shows to people: it fits 80 columns, and nothing that is needed is cut off."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.clips.check import Finding
    from agent.clips.verify import Verdict

MB = 1e6
UNBOUNDED = 1000  # columns
TIME = len("2026-01-31T12:59:59")


def wide() -> Console:
    """A table in a pipe is not cut to the width of a terminal that is not there."""
    return Console(width=None if sys.stdout.isatty() else UNBOUNDED, highlight=False)


def listed(found: Iterable[dict[str, Any]]) -> Table:
    """A line for each clip."""
    table = Table(box=None, pad_edge=False)
    for heading in ("clip", "begins (UTC)"):
        table.add_column(heading, no_wrap=True)
    for heading in ("seconds", "MB", "events"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for clip in found:
        table.add_row(
            clip["clip"],
            (clip["start"]["ts"] or "?")[:TIME].replace("T", " "),
            f"{clip['dur']:.1f}",
            f"{clip['file']['bytes'] / MB:.1f}",
            str(len(clip["events"])),
            _marks(clip),
        )
    return table


def shown(clip: dict[str, Any]) -> Table:
    """All of one clip."""
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)  # 15 characters at most: a hash fits beside it
    table.add_column(overflow="fold")
    for key, value in _flat(clip):
        table.add_row(key, escape(value))
    return table


def judged(verdicts: Iterable[Verdict]) -> Table:
    """A line for each verdict."""
    table = Table(box=None, pad_edge=False)
    for heading in ("clip", "verdict", "seconds"):
        table.add_column(heading, no_wrap=heading != "seconds")
    table.add_column("")
    for v in verdicts:
        spans = ", ".join(f"{begin:.1f} to {end:.1f}" for begin, end in v.seconds)
        style = "green" if v.kind == "authentic" else "bold red"
        how_far = "in full" if v.full else "the sealed file"
        table.add_row(v.clip, f"[{style}]{v.kind}[/]", spans, v.detail or how_far)
    return table


def found(findings: Sequence[Finding], repaired: Sequence[Finding]) -> Iterator[str | Padding]:
    """A paragraph for each finding."""
    for finding in repaired:
        yield f"[green]{finding.code}, repaired[/]  {escape(finding.what)}"
    for finding in findings:
        style = "bold red" if finding.broken else "yellow"
        yield f"[{style}]{finding.code}[/]  {escape(finding.what)}"
        yield Padding(escape(f"{finding.text}. Fix: {finding.fix}"), (0, 0, 0, 4))


def counted(number: int, what: str) -> str:
    """`1 clip`, `2 clips`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _marks(clip: dict[str, Any]) -> str:
    marks = {
        "DAMAGED": clip["readback"] in {"mismatch", "unreadable"},
        "open": clip["file"]["sealed"] == "none",
        "held": clip["held"],
        "cut": clip["truncated"],
        "unsent": not clip["announced"],
        f"part {clip['part']}": clip["part"] > 1,
    }
    return " ".join(mark for mark, there in marks.items() if there)


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        match item:
            case dict():
                yield from _flat(item, f"{prefix}{key}.")
            case list():
                yield prefix + key, " ".join(map(str, item))
            case str():
                yield prefix + key, item
            case _:
                yield prefix + key, json.dumps(item)
