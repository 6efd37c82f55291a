"""What reaches the card: the bench counts right, and a heartbeat costs nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from rich.progress import Progress

import whole_kit
from agent.errors import StairwellError
from card import Card, card
from writes import Bench, Result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Card]:
    try:
        made = card(tmp_path)
        found = made.__enter__()
    except StairwellError as error:
        pytest.skip(f"needs a card: {error}")
    yield found
    made.__exit__(None, None, None)


def test_what_is_written_is_counted(disk: Card) -> None:
    """With the file system's share; and nothing while nobody writes."""
    disk.written()
    before = disk.written()
    assert before == disk.written()

    with (disk.place / "file").open("wb") as file:
        file.write(os.urandom(MIB))
        file.flush()
        os.fsync(file.fileno())
    assert MIB < disk.written() - before < 1.1 * MIB


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_heartbeat_costs_nothing(disk: Card, tmp_path: Path) -> None:
    """The whole agent, connected and watching an empty stairwell. Half a minute: most of it is settling."""
    result = Result("noatime", events=0)
    with whole_kit.city(str(tmp_path)) as city, Progress(disable=True) as progress:
        Bench(disk, city, result, progress).count_heartbeats(6)

    assert result.heartbeats > 0
    assert 0 == result.heartbeat_bytes
