"""What `stairwell fleet` shows to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from agent.city.kits import State
from agent.city.registry import where

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.city.claims import Kept
    from agent.city.inventory import Flaw
    from agent.city.issued import Issued
    from agent.city.kits import Kit
    from agent.city.registry import Entry

STYLES = {State.ACTIVE: "green", State.QUARANTINED: "bold red", State.RETIRED: "dim"}


def kits(found: Iterable[Kit]) -> Table:
    """A line for each kit."""
    table = Table(box=None, pad_edge=False)
    for heading in ("kit", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("place", "purpose"):
        table.add_column(heading)
    for kit in found:
        state = f"[{STYLES.get(kit.state, 'default')}]{kit.state}[/]"
        table.add_row(kit.kit, state, escape(where(kit.site)), escape(kit.purpose))
    return table


def flaws(found: Iterable[Flaw]) -> Table:
    """A line for each thing that is wrong with a list."""
    table = Table(box=None, pad_edge=False)
    table.add_column("row", justify="right", no_wrap=True)
    table.add_column("column", no_wrap=True)
    for heading in ("value", "what is wrong", "fix"):
        table.add_column(heading)
    for flaw in found:
        table.add_row(str(flaw.row), flaw.column, *map(escape, (repr(flaw.value), flaw.problem, flaw.fix)))
    return table


def shown(
    kit: Kit, claims: Iterable[Kept], certificates: Iterable[Issued], entries: Iterable[Entry]
) -> Iterator[Table | str]:
    """All of one kit."""
    yield kits([kit])
    table = Table("claim made", "counts until", "", title="Claims", title_justify="left", box=None)
    for claim in claims:
        fate = (
            f"used {claim.used}" if claim.used else f"withdrawn {claim.withdrawn}" if claim.withdrawn else ""
        )
        table.add_row(claim.made, claim.expires, fate)
    yield table
    table = Table("serial", "issued", "ends", "", title="Certificates", title_justify="left", box=None)
    for one in certificates:
        fate = f"taken back {one.revoked}: {one.reason}" if one.revoked else ""
        table.add_row(one.serial, one.issued, one.ends, fate)
    yield table
    yield trail(entries)


def trail(entries: Iterable[Entry]) -> Table:
    """A line for each thing that was done."""
    table = Table(box=None, pad_edge=False)
    for heading in ("at", "kit", "what", "by"):
        table.add_column(heading, no_wrap=True)
    table.add_column("")
    for entry in entries:
        table.add_row(entry.at, entry.kit or "", entry.act, *map(escape, (entry.by, entry.detail)))
    return table


def counted(number: int, what: str) -> str:
    """`1 kit`, `2 kits`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
