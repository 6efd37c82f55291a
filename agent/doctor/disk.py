"""Checks of the disks under the state directory and the clips."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.device import health, storage
from agent.doctor.check import Check, Verdict, alarmed, fail, ok, skip, warn
from agent.doctor.registry import ALARMS, Text

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Settings

LOW, EMPTY = (
    0.15,
    0.08,
)  # of the file system: below it ext4 slows down, and retention fights for each megabyte
SLOW_S, STUCK_S = 0.2, 1.0  # a synced 4 KB; balena's doctor calls more than a second a failing card
SYNCS = 5
WORN, SPENT = 0.8, 1.0  # of a chip's life as it says itself
BLOCK = 4096

_SPACE = ALARMS["storage.full"].fix
_CARD = Text(
    "Замініть картку; кліпи з неї спершу вивантажте (stairwell clips export)",
    "Replace the card; export its clips before (stairwell clips export)",
)
_STATE = Text(
    "Створіть теку state.dir і віддайте її користувачеві stairwell (chown stairwell)",
    "Make the directory state.dir and give it to the user stairwell (chown stairwell)",
)
_AS_USER = Text(
    "Запустіть від імені агента: sudo -u stairwell stairwell doctor",
    "Run it as the agent's user: sudo -u stairwell stairwell doctor",
)


def checks(settings: Settings, root: Path) -> list[Check]:
    """The checks of this room; `root` is where /sys hangs."""
    state = settings.state.dir
    clips = settings.clips_dir
    return [
        Check("disk.state", Text("Тека стану", "State directory"), lambda: _state(state)),
        Check(
            "disk.writable",
            Text("Картка приймає запис", "The card takes writes"),
            lambda: _writable(state),
            ("disk.state",),
        ),
        Check(
            "disk.free",
            Text("Вільне місце", "Free space"),
            lambda: _free(clips if clips.is_dir() else state),
            ("disk.state",),
        ),
        Check(
            "disk.write_ms",
            Text("Швидкість запису", "Time of a write"),
            lambda: _write_time(state),
            ("disk.writable",),
            box_s=20.0,
            quick=False,
        ),
        Check(
            "disk.errors",
            Text("Помилки файлової системи", "Errors of the file system"),
            lambda: _errors(state, root),
            ("disk.state",),
        ),
        Check(
            "sd.life", Text("Знос пам'яті", "Wear of the flash"), lambda: _life(state, root), ("disk.state",)
        ),
    ]


def _state(path: Path) -> Verdict:
    if not path.is_dir():
        return fail(f"{path}: немає теки", f"{path}: no such directory", _STATE)
    return ok(str(path), str(path))


def _writable(path: Path) -> Verdict:
    if health.read_only(path):
        return alarmed("storage.readonly")
    if not os.access(path, os.W_OK):
        if os.geteuid() != path.stat().st_uid:
            return skip(f"{path}: лише для користувача агента", f"{path}: only for the agent's user")
        return fail(f"{path}: запис заборонено", f"{path}: writing is not allowed", _AS_USER)
    return ok("так", "yes")


def _free(path: Path) -> Verdict:
    space = storage.space(path)
    if space is None:
        return skip(f"{path}: не відповідає", f"{path}: does not answer")
    gb = space.free / 1e9
    uk, en = f"{gb:.1f} ГБ вільно ({space.share:.0%})", f"{gb:.1f} GB free ({space.share:.0%})"
    if space.share < EMPTY:
        return fail(uk, en, _SPACE)
    return warn(uk, en, _SPACE) if space.share < LOW else ok(uk, en)


def _write_time(path: Path) -> Verdict:
    """The slowest of a few synced writes of one page, as the outbox makes them; nothing is left behind."""
    probe = path / f".doctor-{os.getpid()}"
    worst = 0.0
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            for _ in range(SYNCS):
                began = time.monotonic()
                os.write(descriptor, bytes(BLOCK))
                os.fsync(descriptor)
                worst = max(worst, time.monotonic() - began)
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = error.strerror or repr(error)
        return fail(f"запис не вдався: {reason}", f"a write failed: {reason}", _CARD)
    finally:
        with suppress(OSError):
            probe.unlink()
    uk, en = f"найповільніший {1000 * worst:.0f} мс", f"the slowest took {1000 * worst:.0f} ms"
    if worst >= STUCK_S:
        return fail(uk, en, _CARD)
    return warn(uk, en, _CARD) if worst >= SLOW_S else ok(uk, en)


def _errors(path: Path, root: Path) -> Verdict:
    name = storage.partition(path, root)
    count = storage.file_system_errors(name, root) if name else None
    if count is None:
        return skip("ця файлова система їх не рахує", "this file system does not count them")
    if count:
        return fail(f"{count} на {name}", f"{count} on {name}", _CARD)
    return ok(f"жодної на {name}", f"none on {name}")


def _life(path: Path, root: Path) -> Verdict:
    name = storage.device(path, root)
    card = storage.card(name, root) if name else None
    if card is None:
        return skip("це не картка і не мікросхема eMMC", "neither a card nor an eMMC chip")
    if card.spent or (card.life is not None and card.life >= SPENT):
        return fail(f"{card.name}: ресурс вичерпано", f"{card.name}: its life is used up", _CARD)
    if card.life is None:
        return skip(f"{card.name}: картка про знос не каже", f"{card.name}: the card does not tell its wear")
    uk, en = f"{card.name}: зношено на {card.life:.0%}", f"{card.name}: {card.life:.0%} worn"
    return warn(uk, en, _CARD) if card.life >= WORN else ok(uk, en)
