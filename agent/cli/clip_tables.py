"""What `stairwell clips` shows to people: it fits 80 columns, and nothing that is needed is cut off."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from agent.words import joined, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.clips.check import Finding
    from agent.clips.verify import Verdict
    from agent.words import Language, Text

MB = 1e6
UNBOUNDED = 1000  # columns
TIME = len("2026-01-31T12:59:59")
DAMAGED = say("DAMAGED")


def wide() -> Console:
    """A table in a pipe is not cut to the width of a terminal that is not there."""
    return Console(width=None if sys.stdout.isatty() else UNBOUNDED, highlight=False)


def listed(found: Iterable[dict[str, Any]], language: Language) -> Table:
    """A line for each clip."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in (say("clip"), say("begins (UTC)")):
        table.add_column(heading.told(language), no_wrap=True)
    for heading in (say("seconds"), say("MB"), say("events")):
        table.add_column(heading.told(language), justify="right", no_wrap=True)
    table.add_column("", min_width=len(DAMAGED.told(language)))
    for clip in found:
        table.add_row(
            clip["clip"],
            (clip["start"]["ts"] or "?")[:TIME].replace("T", " "),
            f"{clip['dur']:.1f}",
            f"{clip['file']['bytes'] / MB:.1f}",
            str(len(clip["events"])),
            _marks(clip, language),
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


def judged(verdicts: Iterable[Verdict], language: Language) -> Table:
    """A line for each verdict."""
    table = Table(box=None, pad_edge=False)
    for heading in (say("clip"), say("verdict")):
        table.add_column(heading.told(language), no_wrap=True)
    table.add_column(say("seconds").told(language))
    table.add_column("")
    for v in verdicts:
        spans = joined(
            ", ", (say("{begin:.1f} to {end:.1f}", begin=begin, end=end) for begin, end in v.seconds)
        )
        style = "green" if v.kind == "authentic" else "bold red"
        detail = v.detail or (say("in full") if v.full else say("the sealed file"))
        table.add_row(
            v.clip,
            f"[{style}]{v.label.told(language)}[/]",
            spans.told(language),
            escape(detail.told(language)),
        )
    return table


def found(
    findings: Sequence[Finding], repaired: Sequence[Finding], language: Language
) -> Iterator[str | Padding]:
    """A paragraph for each finding."""
    for finding in repaired:
        mended = say("{finding}, repaired", finding=finding.label)
        yield f"[green]{mended.told(language)}[/]  {escape(finding.what)}"
    for finding in findings:
        style = "bold red" if finding.broken else "yellow"
        yield f"[{style}]{finding.label.told(language)}[/]  {escape(finding.what)}"
        told = say("{problem}. Fix: {fix}", problem=finding.text, fix=finding.fix)
        yield Padding(escape(told.told(language)), (0, 0, 0, 4))


def _marks(clip: dict[str, Any], language: Language) -> str:
    marks: dict[Text, bool] = {
        DAMAGED: clip["readback"] in {"mismatch", "unreadable"},
        say("open"): clip["file"]["sealed"] == "none",
        say("held"): clip["held"],
        say("cut"): clip["truncated"],
        say("unsent"): not clip["announced"],
        say("part {n}", n=clip["part"]): clip["part"] > 1,
    }
    return " ".join(mark.told(language) for mark, there in marks.items() if there)


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
