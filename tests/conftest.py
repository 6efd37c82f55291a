"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

from agent.device import account

hypothesis.settings.register_profile(
    "busy",  # the machine may be: how long an example takes says nothing about what it proves
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("busy")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of the developer's shell must not change what a test sees."""
    for name in list(os.environ):
        if name.startswith("STAIRWELL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LANGUAGE", "en")
    monkeypatch.setattr(account, "SERVICE_USER", "nobody-of-this-machine")  # it may have a kit's user


@pytest.fixture(scope="session")
def samples() -> Path:
    """The footage that ships inside the package."""
    return Path(__file__).parent.parent / "agent" / "samples"
