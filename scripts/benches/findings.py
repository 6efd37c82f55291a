"""What a bench found out: a promise, whether it was kept, and the figures that were measured on the way."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one part; `found` are its figures, or the `error`."""

    part: str
    where: str
    check: str
    promise: str
    ok: bool
    s: float
    found: dict[str, object] = field(default_factory=dict)


def of_lines(part: str, where: str, output: str) -> list[Finding]:
    """The findings that a program in a container printed, a JSON line each; other lines are passed over."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith('{"check"')]
    return [Finding(part, where, **line) for line in lines]


def show(findings: Iterable[Finding], *, as_json: bool) -> bool:
    """Print them as they come (a table, or all at the end as JSON); whether all is well."""
    console = Console(stderr=as_json)
    done = []
    for finding in findings:
        done.append(finding)
        mark = "[green]kept[/]" if finding.ok else "[bold red]BROKEN[/]"
        console.print(f"{mark} {finding.part} {finding.where}: {finding.promise} [dim]({finding.s:g} s)[/]")
        table = Table(show_header=False, box=None, padding=(0, 2))
        for name, value in finding.found.items():
            table.add_row("", name, str(value))
        if table.row_count:
            console.print(table)
    broken = sum(not finding.ok for finding in done)
    console.print(f"{len(done)} promises, {broken} broken" if done else "nothing was checked")
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in done], "broken": broken}, indent=2))
    return bool(done) and not broken
