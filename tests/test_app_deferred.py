"""What the disk refused, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone_samples import cleared, clip, erased, event, raised, snapshot, stat

from agent.app import deferred as deferred_module
from agent.app.deferred import AT_ONCE, BYTES_MAX, WRITES_MAX, Deferred, Write
from agent.types import Phase

if TYPE_CHECKING:
    import pytest

    from agent.backbone.drafts import Draft


def nothing(_: object) -> None:
    """A write that writes nothing."""


def waiting(*drafts: Draft | None) -> tuple[Deferred, list[Write]]:
    made, writes = Deferred(), [Write(nothing, draft) for draft in drafts]
    for write in writes:
        made.add(write)
    return made, writes


def left(made: Deferred, writes: list[Write]) -> list[int]:
    """The places of those that are still there, oldest first."""
    found = []
    while taken := made.take():
        found += [writes.index(write) for write in taken]
        made.settle(written=True)
    return found


def test_the_order_is_kept() -> None:
    """What was said first is written first, a part at a time; nothing is lost below the bound."""
    made, writes = waiting(*(event(n) for n in range(AT_ONCE + 3)))

    assert tuple(writes[:AT_ONCE]) == made.take()
    made.settle(written=False)
    assert list(range(AT_ONCE + 3)) == left(made, writes)
    assert (0, 0, 0) == (made.lost, made.untold, len(made))


def test_what_matters_least_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the outbox; of one rank the oldest."""
    ranks = [
        event(1, Phase.UPDATE),
        event(2, Phase.UPDATE),
        snapshot(3),
        event(4, kind="motion"),
        stat(),
        erased(5),
        event(6),
        clip(7),
        raised("a.b"),  # said anew below
        event(8, kind="tamper"),
        raised("c.d"),
        cleared("a.b"),
    ]
    for room in range(len(ranks), 2, -1):
        monkeypatch.setattr(deferred_module, "WRITES_MAX", room)
        made, writes = waiting(*reversed(ranks[:8]), *ranks[8:])
        kept = [writes[place].draft for place in left(made, writes)]
        expected = ranks[len(ranks) - room :]
        if room == len(ranks) - 1:  # the older update
            expected = [ranks[0], *ranks[2:]]
        assert sorted(map(id, expected)) == sorted(map(id, kept)), room
        assert len(ranks) - room == made.lost == made.untold


def test_memory_is_bounded_whatever_comes() -> None:
    """Even if all of it were such as never goes."""
    made = Deferred()
    for number in range(2 * WRITES_MAX):
        made.add(Write(nothing, raised(f"a.b{number}")))
        made.add(Write(nothing))

    assert WRITES_MAX == len(made)
    assert 3 * WRITES_MAX == made.lost


def test_bytes_are_bounded_with_their_pictures() -> None:
    """Pictures go before events; what was written makes room again."""
    picture = bytes(BYTES_MAX // 4)
    for _ in range(2):
        made, writes = waiting(event(1), *(snapshot(n, picture) for n in range(2, 7)), event(7))
        assert [0, 3, 4, 5, 6] == left(made, writes)
    assert 2 == made.untold
    made.settle(written=True, told=2)
    assert (2, 0) == (made.lost, made.untold)


def test_one_that_alone_is_too_much_goes() -> None:
    """It would never find room."""
    made, _ = waiting(snapshot(1, bytes(BYTES_MAX)))

    assert (0, 1) == (len(made), made.lost)


def test_what_is_being_written_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be both delivered and called lost."""
    monkeypatch.setattr(deferred_module, "WRITES_MAX", 2)
    made, writes = waiting(event(1, Phase.UPDATE), event(2, Phase.UPDATE))
    assert tuple(writes) == made.take()
    made.add(Write(nothing, raised("a.b")))
    assert (2, 1) == (len(made), made.lost)
    made.settle(written=False)
    made.add(late := Write(nothing, raised("c.d")))

    assert (writes[1], late) == made.take()


def test_what_is_only_noted_is_no_message() -> None:
    """It needs no number and no gap when it goes."""
    made, _ = waiting(*[None] * (WRITES_MAX + 1))

    assert (1, 0) == (made.lost, made.untold)
