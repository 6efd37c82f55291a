"""What one stream owes the platform, and the sets of numbers that it is kept in."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from agent.backbone import account as account_module
from agent.backbone.account import Account
from agent.backbone.runs import Runs

RANGES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)).map(lambda r: (r[0], r[0] + r[1])))
STEPS = st.lists(
    st.one_of(st.integers(1, 40), st.tuples(st.integers(1, 40), st.integers(0, 5)).map(lambda r: [r]))
)


def numbers(ranges: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


def as_set(runs: Runs) -> set[int]:
    return numbers(list(runs))


@given(RANGES, st.integers(1, 70), st.integers(0, 20))
def test_runs_are_a_set(ranges: list[tuple[int, int]], first: int, length: int) -> None:
    """Whatever is added in whatever order: the same numbers as a set of them, in the fewest ranges."""
    runs, model = Runs(), numbers(ranges)
    for begin, end in ranges:
        runs.add(begin, end)

    assert model == as_set(runs)
    assert list(runs) == list(Runs(reversed(ranges)))
    assert all(last + 1 < after for (_, last), (after, _) in zip(runs, list(runs)[1:], strict=False))
    assert {n for n in range(75) if n in runs} == model
    assert numbers(runs.missing(first, first + length)) == set(range(first, first + length + 1)) - model


@given(RANGES, st.integers(1, 70))
def test_end_of_a_range(ranges: list[tuple[int, int]], number: int) -> None:
    """How far one can go from a number without leaving the set."""
    model = numbers(ranges)
    end = number - 1
    while end + 1 in model:
        end += 1

    assert end == Runs(ranges).end(number)


@given(STEPS)
def test_account_against_two_sets(steps: list[int | list[tuple[int, int]]]) -> None:
    """The watermark passes what is stored or excused and nothing else; saving changes nothing."""
    account, stored, excused = Account(), set(), set()
    for step in steps:
        if isinstance(step, int):
            account.store(step)
            stored.add(step)
        else:
            account.excuse([(first, first + length) for first, length in step])
            excused |= numbers([(first, first + length) for first, length in step])
        account = Account(json.loads(json.dumps(account.save())))
        both = stored | excused

        assert (stored, excused) == (as_set(account.stored), as_set(account.excused))
        assert next(n for n in range(1, 100) if n not in both) - 1 == account.watermark
        assert max(both) == account.highest
        assert set(range(1, account.highest + 1)) - both == numbers(account.missing())


def test_holes_of_a_year_are_forgotten() -> None:
    """A kit that drops every other message for ever fills no memory; what is open is never forgotten."""
    account = Account()
    for number in range(1, 3 * account_module.HOLES_MAX, 2):
        account.store(number)
        account.excuse([(number + 1, number + 1)])
    account.store(9 * account_module.HOLES_MAX)

    assert len(account.stored) <= account_module.HOLES_MAX
    assert 3 * account_module.HOLES_MAX == account.watermark
    assert [(account.watermark + 1, 9 * account_module.HOLES_MAX - 1)] == account.missing()
