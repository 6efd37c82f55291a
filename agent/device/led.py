"""The board's own LED, by which a technician finds one kit among many."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import StairwellError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator

LEDS = Path("/sys/class/leds")
NAMES = ("ACT", "led0", "PWR", "led1")
"""As Raspberry Pi kernels call them, newer and older; the activity LED before the one that shows power."""
BLINK_MS = 150  # on and off: a hurry that no activity shows for long
TRIGGER = "timer"  # of the kernel's own: it blinks by itself, whatever the agent does


@contextmanager
def blinking(leds: Path = LEDS) -> Iterator[str]:
    """Let an LED blink meanwhile, and show afterwards what it showed before; its name.

    Raises:
        StairwellError: there is none, or the agent may not set it.
    """
    led = next((leds / name for name in NAMES if (leds / name / "trigger").exists()), None)
    if led is None:
        raise StairwellError(
            say("{leds}: none of {names}", leds=leds, names=", ".join(NAMES)),
            fix=say("look for the kit by its label"),
        )
    try:
        before = re.search(r"\[(\S+)\]", (led / "trigger").read_text(encoding="ascii"))
        brightness = (led / "brightness").read_text(encoding="ascii")
        (led / "trigger").write_text(TRIGGER, encoding="ascii")
        try:
            with suppress(
                PermissionError
            ):  # they appear with the trigger, and belong to root; it blinks anyway
                for name in ("delay_on", "delay_off"):
                    (led / name).write_text(str(BLINK_MS), encoding="ascii")
            yield led.name
        finally:
            (led / "trigger").write_text(before[1] if before else "none", encoding="ascii")
            if before is None or before[1] == "none":
                (led / "brightness").write_text(brightness, encoding="ascii")
    except OSError as error:
        raise StairwellError(
            say("{led}: cannot be set ({reason})", led=led, reason=reason(error)),
            fix=say("let the agent's user write there (a udev rule)"),
        ) from None
