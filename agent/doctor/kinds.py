"""What an alarm is made of: a code, how bad it is, its text and its fix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from agent.words import Text

Severity = Literal["minor", "major", "critical"]


@dataclass(frozen=True, slots=True)
class AlarmKind:
    """One kind of trouble."""

    code: str
    severity: Severity
    text: Text
    fix: Text
