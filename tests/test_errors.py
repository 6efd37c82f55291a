"""The one error tree."""

from __future__ import annotations

import re

import pytest

from agent import errors
from agent.errors import SourceError, SourceLostError, StairwellError

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, StairwellError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_one_line_with_the_fix(kind: type[StairwellError]) -> None:
    """Every error says what is wrong and what to do, and both can be read apart."""
    error = kind("door.mp4: no such file", fix="name a file that exists")
    assert "door.mp4: no such file. Fix: name a file that exists" == str(error)
    assert ("door.mp4: no such file", "name a file that exists") == (error.problem, error.fix)


def test_the_drawing_at_the_head_is_the_tree() -> None:
    """The docstring names every class with its exit code, and no other."""
    drawn = dict(re.findall(r"(\w+Error)\s+(\d+)", errors.__doc__ or ""))
    assert drawn == {c.__name__: str(c.exit_code) for c in CLASSES}


def test_exit_codes_tell_the_kinds_apart() -> None:
    """A script sees from the number what failed; 0 and click's 2 are never taken."""
    direct = [c.exit_code for c in StairwellError.__subclasses__()]
    assert sorted(direct) == sorted(set(direct) - {0, 1, 2})


def test_a_lost_source_is_a_source_error() -> None:
    """Who handles a dead camera handles one that died."""
    assert issubclass(SourceLostError, SourceError)
