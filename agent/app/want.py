"""What the agent does without when the board is hot, busy or short of memory. Pure.

Heat and a crowded processor lower the rate of analysis, in steps: recording and events never suffer. Want of
memory shortens the pre-roll, which is the largest thing that the agent can give back.

A step up is taken when strain has lasted for STEP_S, a step down after CALM_S of calm: the board must have
felt the last step before the next is judged.
"""

from __future__ import annotations

from dataclasses import dataclass

SHARES = (1.0, 0.5, 0.25)
"""Of the rate of analysis, or of the ring, by step. A quarter of ten a second still finds a visit."""
STEP_S = 30.0  # a Pi's temperature follows its load within half a minute
CALM_S = 180.0


@dataclass(frozen=True, slots=True)
class Strain:
    """What was measured; None is not known, and is no strain.

    `celsius` of the processor; `slowed`: held down by the firmware; `waiting`: the part of the last minute in
    which something waited for it; `memory`: the share that can be had, of the board's or of the unit's.
    """

    celsius: float | None = None
    slowed: bool | None = None
    waiting: float | None = None
    memory: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Where strain begins, and below which it has ended."""

    celsius: tuple[float, float] = (78.0, 72.0)  # the firmware slows the processor down at 80
    waiting: tuple[float, float] = (0.8, 0.4)
    # Of the unit's 302 MB the agent has 235 at most, libraries included: 22 % are left. Strain begins when it
    # has 266, and has ended when it has 257: the pre-roll that it gives back has 5 MB.
    memory: tuple[float, float] = (0.12, 0.15)


class Step:
    """One thing that is done without, in steps."""

    def __init__(self) -> None:
        self._step = 0
        self._moved = float("-inf")
        self._strained: float | None = None
        self._calm: float | None = None

    @property
    def share(self) -> float:
        """What is left of it, 0..1."""
        return SHARES[self._step]

    def judge(self, strained: bool | None, now: float) -> float:  # noqa: FBT001 - it is the thing judged
        """The share after this was seen at `now` (s); None is neither strain nor calm."""
        if strained:
            self._calm = None
            self._strained = now if self._strained is None else self._strained
            if self._step < len(SHARES) - 1 and now - max(self._strained, self._moved) >= STEP_S:
                self._step, self._moved = self._step + 1, now
        elif strained is False:
            self._strained = None
            self._calm = now if self._calm is None else self._calm
            if self._step and now - max(self._calm, self._moved) >= CALM_S:
                self._step, self._moved = self._step - 1, now
        else:
            self._calm = self._strained = None
        return self.share


class Want:
    """What is left of the analysis rate and of the pre-roll."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._analysis, self._ring = Step(), Step()

    @property
    def analysis(self) -> float:
        """Of the wanted pictures per second, 0..1."""
        return self._analysis.share

    @property
    def ring(self) -> float:
        """Of the pre-roll, 0..1."""
        return self._ring.share

    def judge(self, strain: Strain, now: float) -> None:
        """Take this in."""
        limits = self._limits
        busy = _any(
            _above(strain.celsius, limits.celsius), strain.slowed, _above(strain.waiting, limits.waiting)
        )
        short = _above(
            None if strain.memory is None else -strain.memory, (-limits.memory[0], -limits.memory[1])
        )
        self._analysis.judge(busy, now)
        self._ring.judge(short, now)


def _above(value: float | None, limits: tuple[float, float]) -> bool | None:
    """True from the first limit on, False below the second, None between them and for an unknown value."""
    if value is None or limits[1] <= value < limits[0]:
        return None
    return value >= limits[0]


def _any(*seen: bool | None) -> bool | None:
    """True if one is; else False if any could tell calm and none is in between."""
    if any(seen):
        return True
    return False if False in seen else None
