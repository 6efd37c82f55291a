"""What an alarm is made of: a code, how bad it is, its text and its fix in the technician's two languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["minor", "major", "critical"]


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in the technician's two languages."""

    uk: str
    en: str


@dataclass(frozen=True, slots=True)
class AlarmKind:
    """One kind of trouble."""

    code: str
    severity: Severity
    text: Text
    fix: Text
