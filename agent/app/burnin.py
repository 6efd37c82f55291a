"""The burn-in: what a new kit has to show before it hangs on a wall.

Checks of the doctor's kind: those of the board and the detector that the doctor has, and two that take their
time and the camera for themselves, so that they are asked here only.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.app.examination import examination
from agent.app.proof import Proof
from agent.capture.source import open_source
from agent.device import storage, watchdog
from agent.doctor.check import Check, Verdict, fail, ok, warn
from agent.doctor.registry import ALARMS
from agent.errors import SourceError, StallError
from agent.reasons import reason
from agent.types import Frame
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.doctor.check import Result

TRIAL = "burnin.trial"
BOARD = (
    "power.*",
    "temp.*",
    "boot.watchdog",
    "mem.*",
    "cam.source",
    "cam.access",
    "ai.model",
    "ai.selftest",
    "disk.state",
    "disk.free",
    "disk.errors",
)
"""Of the doctor's own checks: what is the kit's alone, without network or papers."""

WATCH_S, FIRST_S = 10.0, 25.0  # of pictures; a Pi's camera takes up to eight to give its first one
PACE = 0.8  # of the wanted rate: a busy first boot costs a few pictures, a bad cable most of them
SIZE, BLOCK = 256 << 20, 4 << 20  # more than the memory of any card's own cache
ROOM = 4  # times as much has to be free: the kit has to live with the rest
SLOW_MB_S, TOO_SLOW_MB_S = 8.0, 2.0  # class 10 promises 10 MB/s; clips and database need 0.5
FED_S, FED_LOOK_S = 20.0, 0.5  # systemd feeds it each 7 s of its 14 (systemd/system.conf.d)
_UNFED = say("Reboot once: the package has systemd feed it from then on (RuntimeWatchdogSec)")
SEED = 20261127  # any: the same bytes are made again to compare


def proof(settings: Settings, clock: Clock, results: Iterable[Result]) -> Proof:
    """What the answers come to, now."""
    return Proof.of(
        settings.kit.id,
        clock.stamp().ts,
        (
            {"code": one.check.code, "status": one.verdict.status.value, "text": one.verdict.text.en}
            for one in results
        ),
    )


def checks(settings: Settings, clock: Clock, size: int = SIZE) -> list[Check]:
    """All that a kit has to show; `size` bytes are written to its card."""
    own = [
        Check(
            "burn.camera",
            say("The camera films"),
            lambda: _camera(settings),
            ("cam.source",),
            box_s=FIRST_S + 2 * WATCH_S + 10,
            quick=False,
        ),
        Check(
            "burn.card",
            say("The card keeps what is written"),
            lambda: _card(settings.state.dir, size),
            box_s=10 + 2 * size / (TOO_SLOW_MB_S * 1e6),
            quick=False,
        ),
        Check(
            "burn.watchdog",
            say("The watchdog is fed"),
            _watchdog,
            ("boot.watchdog",),
            box_s=FED_S + 10,
            quick=False,
        ),
    ]
    return [*own, *examination(settings, clock)]


def _camera(settings: Settings) -> Verdict:
    """Pictures come at their rate, and differ: a frozen sensor repeats itself to the last bit."""
    try:
        seen = _pictures(settings)
    except SourceError as error:
        return fail(error.words[0], ALARMS[error.alarm].fix)
    except StallError as error:
        return fail(error.words[0], ALARMS["camera.timeout"].fix)
    if seen.count < 2:  # noqa: PLR2004 # one picture has no rate
        return fail(say("no pictures within {s:.0f} s", s=FIRST_S), ALARMS["camera.timeout"].fix)
    if not seen.changed:
        return fail(say("every picture is the same"), ALARMS["camera.timeout"].fix)
    rate = (seen.count - 1) / seen.lasted
    line = say("{rate:.1f} pictures a second, wanted {wanted:.1f}", rate=rate, wanted=settings.capture.fps)
    return ok(line) if rate >= PACE * settings.capture.fps else fail(line, ALARMS["camera.timeout"].fix)


@dataclass(slots=True)
class _Seen:
    """Pictures of a camera: how many, over how many seconds, how many unlike the one before."""

    count: int = 0
    lasted: float = 0.0
    changed: int = 0


def _pictures(settings: Settings) -> _Seen:
    """What the camera shows for WATCH_S, or until it falls silent."""
    seen = _Seen()
    first = 0.0
    before = None
    with closing(open_source(settings.capture, camera=settings.camera, keep_packets=False)) as source:
        # A live source waits for its camera for ever: somebody else has to end it.
        patience = threading.Timer(FIRST_S, source.close)
        patience.start()
        for item in source.items():
            if not isinstance(item, Frame):
                continue
            now = time.monotonic()
            if not seen.count:
                patience.cancel()
                patience = threading.Timer(2 * WATCH_S, source.close)
                patience.start()
                first = now
            seen.count += 1
            seen.lasted = now - first
            seen.changed += before is not None and not np.array_equal(before, item.luma)
            before = item.luma.copy()
            if seen.lasted >= WATCH_S:
                break
        patience.cancel()
    return seen


def _card(directory: Path, size: int) -> Verdict:
    """What is written comes back the same, from the card and not from memory."""
    space = storage.space(directory)
    if space is None or space.free < ROOM * size:
        return fail(say("less than {mb} MB free", mb=ROOM * size >> 20), say("Take a larger card"))
    path = directory / TRIAL
    worn = say("Replace the card: it is worn out, or a forgery")
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            begun = time.monotonic()
            for block in _blocks(size):
                os.write(fd, block)
                os.fsync(fd)
            rate = size / 1e6 / (time.monotonic() - begun)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.lseek(fd, 0, os.SEEK_SET)
            same = all(os.read(fd, BLOCK) == block for block in _blocks(size))
        finally:
            os.close(fd)
            path.unlink()
    except OSError as error:
        return fail(say("{path}: {reason}", path=path, reason=reason(error)), worn)
    line = say("{mb} MB written and read back, {rate:.0f} MB/s", mb=size >> 20, rate=rate)
    if not same:
        return fail(say("it gave back something else than was written"), worn)
    if rate < TOO_SLOW_MB_S:
        return fail(line, worn)
    return ok(line) if rate >= SLOW_MB_S else warn(line, worn)


def _watchdog() -> Verdict:
    """Systemd feeds it within half of the time that it waits: seen once, as it happens."""
    first = watchdog.feeding()
    if first is None:
        return fail(say("systemd does not feed it"), _UNFED)
    period, last = first
    end = time.monotonic() + min(FED_S, period)
    while time.monotonic() < end:
        time.sleep(FED_LOOK_S)
        now = watchdog.feeding()
        if now is not None and now[1] != last:
            return ok(say("fed, and waits {s:g} s", s=period))
    return fail(say("not fed within {s:g} s", s=min(FED_S, period)), _UNFED)


def _blocks(size: int) -> Iterable[bytes]:
    """Bytes that no card can squeeze, the same each time."""
    source = np.random.default_rng(SEED)
    return (source.bytes(min(BLOCK, size - at)) for at in range(0, size, BLOCK))
