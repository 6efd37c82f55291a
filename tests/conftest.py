"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from agent.device import account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app_parts import Hands
    from kits import Kit

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


@pytest.fixture(autouse=True)
def _signals_of_a_process_of_its_own() -> Iterator[None]:
    """A command that a test runs in here ends as in a terminal, and what it does with signals ends with it.

    A shell starts what it puts into the background without the signal of Ctrl-C, and `stairwell run` takes
    signals for itself until its process ends.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The footage that ships inside the package."""
    return Path(__file__).parent.parent / "agent" / "samples"


@pytest.fixture
def open_kit(tmp_path: Path) -> Iterator[Callable[..., Kit]]:
    """Kits over one state; all are closed at the end."""
    from kits import Kit  # noqa: PLC0415 - it loads half of the agent, which most tests do without

    kits: list[Kit] = []

    def make(clock: Hands | None = None, **clips: Any) -> Kit:  # noqa: ANN401 - any key
        kits.append(Kit(tmp_path, clock, **clips))
        return kits[-1]

    yield make
    for kit in kits:
        kit.end()
