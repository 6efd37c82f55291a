"""Doing without."""

from __future__ import annotations

import pytest

from agent.app.want import CALM_S, STEP_S, Strain, Want

HOT, COOL, BETWEEN = Strain(celsius=85.0), Strain(celsius=50.0), Strain(celsius=75.0)


def test_a_calm_board_does_everything() -> None:
    """And one that cannot be measured, too: not knowing is no strain."""
    want = Want()
    for now in range(0, 1000, 10):
        want.judge(Strain() if now % 20 else COOL, now)
    assert (want.analysis, want.ring) == (1.0, 1.0)


def test_strain_lowers_the_rate_step_by_step() -> None:
    """Half when it lasts, a quarter when that did not help, and never less."""
    want = Want()
    seen = []
    for now in (0.0, STEP_S / 2, STEP_S, 1.5 * STEP_S, 2 * STEP_S, 20 * STEP_S):
        want.judge(HOT, now)
        seen.append(want.analysis)
    assert seen == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert want.ring == 1.0


def test_calm_gives_it_back_step_by_step() -> None:
    """Each step after a time of calm; what lies between the limits is not calm."""
    want = Want()
    for now in (0.0, STEP_S, 2 * STEP_S):
        want.judge(HOT, now)
    want.judge(COOL, 100.0)
    want.judge(COOL, 100.0 + CALM_S - 1)
    assert want.analysis == 0.25
    want.judge(COOL, 100.0 + CALM_S)
    assert want.analysis == 0.5
    want.judge(BETWEEN, 100.0 + CALM_S + 10)
    want.judge(COOL, 100.0 + 2 * CALM_S)
    assert want.analysis == 0.5
    want.judge(COOL, 100.0 + 3 * CALM_S)
    assert want.analysis == 1.0


@pytest.mark.parametrize(
    "strain", [Strain(celsius=78.0), Strain(celsius=50.0, slowed=True), Strain(waiting=0.9, celsius=50.0)]
)
def test_each_kind_of_strain(strain: Strain) -> None:
    """Heat, a firmware that holds down, a queue for the processor: one is enough."""
    want = Want()
    want.judge(strain, 0.0)
    want.judge(strain, STEP_S)
    assert want.analysis == 0.5


def test_a_moment_of_strain_is_none() -> None:
    """A start, a backup, a log rotation: over before it lasts."""
    want = Want()
    for now, strain in ((0.0, HOT), (STEP_S - 1, COOL), (STEP_S, HOT), (2 * STEP_S - 1, HOT)):
        want.judge(strain, now)
    assert want.analysis == 1.0


def test_memory_shortens_the_pre_roll_and_nothing_else() -> None:
    """The largest thing that can be given back."""
    want = Want()
    want.judge(Strain(memory=0.05, celsius=50.0), 0.0)
    want.judge(Strain(memory=0.05, celsius=50.0), STEP_S)
    assert (want.analysis, want.ring) == (1.0, 0.5)
    want.judge(Strain(memory=0.15), 1000.0)
    assert want.ring == 0.5
    want.judge(Strain(memory=0.5), 2000.0)
    want.judge(Strain(memory=0.5), 2000.0 + CALM_S)
    assert want.ring == 1.0
