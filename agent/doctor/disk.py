"""Checks of the disks under the state directory and the clips."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.device import boot, health, identity, storage
from agent.device.account import ENTER, SERVICE_GROUP, SERVICE_USER, WRITE, Account
from agent.doctor.check import Check, Verdict, denied, fail, ok, skip, warn
from agent.doctor.registry import ALARMS
from agent.doctor.remedy import spelled
from agent.reasons import reason
from agent.words import say, verbatim

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Settings

LOW = 0.15  # of the file system: below it ext4 slows down, and retention fights for each megabyte
EMPTY = 0.08  # of it, where clips.reserve_mb keeps nothing free
SHORT = 0.9  # of clips.reserve_mb: retention keeps that free, and looks each minute
FEW, FEWEST = 0.10, 0.03  # of the places for files: logs of other programs eat them, clips never do
SLOW_S, STUCK_S = 0.2, 1.0  # a synced 4 KB; balena's doctor calls more than a second a failing card
SYNCS = 5
WORN, SPENT = 0.8, 1.0  # of a chip's life as it says itself
BLOCK = 4096

_CARD = say("Replace the card; export its clips before (stairwell clips export)")
_SPACE, _CLUTTER = ALARMS["disk.free"].fix, ALARMS["disk.inodes"].fix


def checks(settings: Settings, root: Path) -> list[Check]:
    """The checks of this room; `root` is where /sys hangs."""
    state = settings.state.dir
    clips = settings.clips_dir
    return [
        Check("disk.state", say("State directory"), lambda: _state(state)),
        Check(
            "disk.writable",
            say("The card takes writes"),
            lambda: _writable(state),
            ("disk.state",),
        ),
        Check(
            "disk.free",
            say("Free space"),
            lambda: _free(clips if clips.is_dir() else state, settings.clips.reserve_mb * 1e6),
            ("disk.state",),
        ),
        Check("disk.inodes", say("Room for files"), lambda: _inodes(state), ("disk.state",)),
        Check(
            "disk.write_ms",
            say("Time of a write"),
            lambda: _write_time(state),
            ("disk.writable",),
            box_s=20.0,
            quick=False,
        ),
        Check(
            "disk.errors",
            say("Errors of the file system"),
            lambda: _errors(state, root),
            ("disk.state",),
        ),
        Check(
            "disk.kernel",
            say("The kernel's complaints of the card"),
            _complaints,
            box_s=2 * boot.JOURNAL_S,
            quick=False,
        ),
        Check("sd.life", say("Wear of the flash"), lambda: _life(state, root), ("disk.state",)),
    ]


def _state(path: Path) -> Verdict:
    if not path.is_dir():
        remedy = (("install", "-d", "-m", "700", "-o", SERVICE_USER, "-g", SERVICE_GROUP, str(path)),)
        return fail(say("{path}: no such directory", path=path), spelled(remedy), remedy)
    return ok(verbatim(str(path)))


def _writable(path: Path) -> Verdict:
    """For the agent's user: root may write everywhere."""
    if health.read_only(path):
        return fail(
            say("{path}: the file system is read-only", path=path),
            say(
                "sudo mount -o remount,rw {path}; if it comes back, replace the card: so it protects itself",
                path=storage.mount_point(path),
            ),
        )
    user = Account.agent(path)
    obstacle = user.obstacle(path, WRITE | ENTER)
    if obstacle is not None:
        whole = path.resolve()
        by_hand = (("chown", "-R", user.name, str(whole)), ("chmod", "700", str(whole)))
        told = say("{path}: the agent's user {user} may not write there", path=path, user=user.name)
        return fail(told, spelled(by_hand), by_hand if obstacle == whole and _ours(whole) else ())
    return ok(say("yes"))


def _ours(path: Path) -> bool:
    """Whether a directory is the agent's: a wrong `state.dir` must not give away somebody else's."""
    if not os.access(path, os.R_OK | os.X_OK):
        return False  # who may not look there gives nothing away either
    return (path / identity.KEYS).is_dir() or not any(path.iterdir())


def _free(path: Path, reserve: float) -> Verdict:
    """`reserve` is what retention keeps free, in bytes: so little is as it should be, and is no failure."""
    space = storage.space(path)
    if space is None:
        return skip(say("{path}: does not answer", path=path))
    gb = space.free / 1e9
    told = say("{gb:.1f} GB free ({share:.0%})", gb=gb, share=space.share)
    if space.free < (SHORT * reserve if reserve else EMPTY * space.total):
        return fail(told, _SPACE)
    return warn(told, _SPACE) if space.share < LOW else ok(told)


def _inodes(path: Path) -> Verdict:
    share = storage.inodes(path)
    if share is None:
        return skip(say("this file system has no such limit"))
    told = say("{share:.0%} of the places for files are free", share=share)
    if share < FEWEST:
        return fail(told, _CLUTTER)
    return warn(told, _CLUTTER) if share < FEW else ok(told)


def _complaints() -> Verdict:
    lines = boot.disk_errors()
    if lines is None:
        return denied(say("the kernel's journal is not here or not ours to read"))
    if lines:
        return fail(
            say("{n} since the boot, the last: {last}", n=len(lines), last=lines[-1]),
            _CARD,
        )
    return ok(say("none since the boot"))


def _write_time(path: Path) -> Verdict:
    """The slowest of a few synced writes of one page, as the outbox makes them; nothing is left behind."""
    if not os.access(path, os.W_OK):
        return denied(say("{path}: only the agent and root may look there", path=path))
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
        return fail(say("a write failed: {reason}", reason=reason(error)), _CARD)
    finally:
        with suppress(OSError):
            probe.unlink()
    told = say("the slowest took {ms:.0f} ms", ms=1000 * worst)
    if worst >= STUCK_S:
        return fail(told, _CARD)
    return warn(told, _CARD) if worst >= SLOW_S else ok(told)


def _errors(path: Path, root: Path) -> Verdict:
    name = storage.partition(path, root)
    count = storage.file_system_errors(name, root) if name else None
    if count is None:
        return skip(say("this file system does not count them"))
    if count:
        return fail(say("{count} on {name}", count=count, name=name), _CARD)
    return ok(say("none on {name}", name=name))


def _life(path: Path, root: Path) -> Verdict:
    name = storage.device(path, root)
    card = storage.card(name, root) if name else None
    if card is None:
        return skip(say("neither a card nor an eMMC chip"))
    if card.spent or (card.life is not None and card.life >= SPENT):
        return fail(say("{name}: its life is used up", name=card.name), _CARD)
    if card.life is None:
        return skip(say("{name}: the card does not tell its wear", name=card.name))
    told = say("{name}: {share:.0%} worn", name=card.name, share=card.life)
    return warn(told, _CARD) if card.life >= WORN else ok(told)
