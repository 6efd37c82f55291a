"""Which rows a full outbox gives up: delivered ones first, then what matters least, the oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.backbone.drafts import DropOrder

if TYPE_CHECKING:
    import sqlite3


def victims(tx: sqlite3.Connection, rows: int, size: int) -> tuple[list[int], list[int]]:
    """The rows that go until `rows` of them and `size` bytes are reached: (delivered, waiting).

    Fewer, if what is left must never go (DropOrder.NEVER).
    """
    delivered, freed = _oldest(tx, "done_boot IS NOT NULL", (), rows, size)
    waiting: list[int] = []
    for order in DropOrder:
        if order is DropOrder.NEVER:
            break
        more, bytes_ = _oldest(
            tx,
            "done_boot IS NULL AND drop_order = ?",
            (order,),
            rows - len(delivered) - len(waiting),
            size - freed,
        )
        waiting += more
        freed += bytes_
    return delivered, waiting


def _oldest(
    tx: sqlite3.Connection, where: str, values: tuple[object, ...], rows: int, size: int
) -> tuple[list[int], int]:
    """The oldest such rows until `rows` of them and `size` bytes are reached, and what they free."""
    found: list[int] = []
    freed = 0
    for seq, more in tx.execute(f"SELECT seq, size FROM outbox WHERE {where} ORDER BY seq", values):  # noqa: S608
        if len(found) >= rows and freed >= size:
            break
        found.append(seq)
        freed += more
    return found, freed
