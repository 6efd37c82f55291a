"""A module as the code under test alone sees it.

What a test sets in the standard library's own module is changed for every thread of the process: also for
those of a broker's client or a courier that another part of the test needs.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace


def standin(module: ModuleType, **others: object) -> SimpleNamespace:
    """All that the module has, with `others` in the place of its own."""
    return SimpleNamespace(**{**vars(module), **others})
