"""Releases side by side on the kit, and which of them runs.

    /opt/stairwell/releases/<version>-<counter>/lib/   what the package keeps in /usr/lib/stairwell
    /opt/stairwell/current    a link to one of them; without it the package's own files run
    /opt/stairwell/trial      a release that has to prove itself (Trial), one line
    /opt/stairwell/floor      the highest counter that the platform acknowledged: nothing below is taken
    /opt/stairwell/failed     what was tried last in vain, and why

Not in /usr: that is the package manager's, which unpacks in place, so that a power cut leaves half of each.
The package stays beside as what a kit falls back to, with the units and the guard (scripts/deb/trial), which
counts the starts of a release on trial, ends its trial or takes it back, and is of no release.

A power cut leaves, in this order of steps:

1. `releases/incoming`, which means nothing and goes with the next update;
2. a release that is whole, and does not run: the next update finds it, proves it and goes on from there;
3. a trial of a release that does not run: the guard forgets it;
4. a release that runs on trial: it was meant to.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pydantic import ValidationError

from agent.device import release
from agent.device.release import Manifest
from agent.durable import sync_directory, write_whole
from agent.errors import StorageError, UpdateError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = Path("/opt/stairwell")
PACKAGE = Path("/usr/lib/stairwell")
RELEASES, CURRENT, TRIAL, FLOOR, FAILED = "releases", "current", "trial", "floor", "failed"
LIB, MANIFEST, INCOMING, COUNTER = "lib", "manifest.json", "incoming", "counter"
NO_RELEASE = "-"
"""In a trial: what ran before is the package."""
BLOCK = 4096  # a file takes whole blocks of ext4's
SPARE_BYTES = 64 << 20  # the agent goes on recording and writing its database meanwhile
READABLE = 0o644


@dataclass(frozen=True, slots=True)
class Trial:
    """A release that has to prove itself, as the guard reads and writes it: five words."""

    release: str
    previous: str
    """What the guard goes back to, or NO_RELEASE."""
    counter: int
    starts: int = 0
    minutes: int = 0

    def line(self) -> str:
        """As it is kept."""
        return f"{self.release} {self.previous} {self.counter} {self.starts} {self.minutes}\n"

    @classmethod
    def of(cls, line: str) -> Trial | None:
        """The trial in that line; None if there is none in it."""
        match line.split():
            case [new, previous, counter, starts, minutes] if (counter + starts + minutes).isdecimal():
                return cls(new, previous, int(counter), int(starts), int(minutes))
        return None


class Releases:
    """What is in `home`. `package` are the files of the package, with the counter of its release."""

    def __init__(self, home: Path = HOME, package: Path = PACKAGE) -> None:
        self._home = home
        self._package = package

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other update away meanwhile; the guard is not held up by it.

        Raises:
            UpdateError: another one is at work.
            OSError: the directory cannot be made or written.
        """
        (self._home / RELEASES).mkdir(parents=True, exist_ok=True)
        with (self._home / "update.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UpdateError(say("another update is at work"), fix=say("wait for its end")) from None
            yield

    def current(self) -> str | None:
        """The release that the link names; None for the package.

        Raises:
            StorageError: it cannot be read.
        """
        path = self._home / CURRENT
        try:
            return path.readlink().name
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unread(path, error) from None

    def standing(self) -> tuple[str | None, Trial | None]:
        """The release that the link names, and the trial that goes on, as both were at one moment.

        Without a trial the release of an update is one that was confirmed: to look at one file after the
        other would take a release for that which was switched to in between.

        Raises:
            StorageError: one of the two cannot be read, and what cannot be read is no success.
        """
        current = self.current()
        while True:
            line = self._line(TRIAL)
            found = None if line is None else Trial.of(line)
            if line is not None and found is None:
                raise StorageError(
                    say("{path}: the mark of a trial is damaged", path=self._home / TRIAL),
                    fix=say("none needed: the guard of the trial takes the release back"),
                )
            if (now := self.current()) == current:
                return current, found if found is not None and found.release == current else None
            current = now

    def trial(self) -> Trial | None:
        """The trial that goes on; None if there is none, also when it is of a release that does not run.

        Raises:
            StorageError: as `standing`.
        """
        return self.standing()[1]

    def floor(self) -> int:
        """The counter below which no release is taken: acknowledged here, or the package's own.

        Raises:
            StorageError: one of the two cannot be read: to take it for none would let an old release in.
        """
        return max(_number(self._line(FLOOR) or ""), _number(_line(self._package / COUNTER) or ""))

    def failed(self) -> str | None:
        """What was tried last in vain, and why, in one line; None if nothing was since the last success.

        It goes when the same release is tried anew.

        Raises:
            StorageError: it cannot be read.
        """
        return self._line(FAILED) or None

    def try_anew(self, manifest: Manifest) -> None:
        """Forget that this very release failed before.

        Raises:
            OSError: the disk refused.
        """
        if (self.failed() or "").split()[:1] == [manifest.name]:
            (self._home / FAILED).unlink(missing_ok=True)
            sync_directory(self._home)

    def directory(self, manifest: Manifest) -> Path:
        """Where the release is, or would be."""
        return self._home / RELEASES / manifest.name

    def keep(self, manifest: Manifest) -> bool:
        """Whether this very release lies here whole, left by an update that was cut off.

        A damaged one is deleted, and so is every other that does not run.

        Raises:
            OSError: the disk refused.
        """
        directory = self.directory(manifest)
        try:
            kept = Manifest.model_validate_json((directory / MANIFEST).read_bytes())
        except (OSError, ValidationError):
            kept = None
        for found in (self._home / RELEASES).iterdir():
            if found.name not in {self.current(), manifest.name}:
                _remove(found)
        if kept == manifest and release.first_wrong(directory / LIB, manifest) is None:
            return True
        if manifest.name != self.current():
            _remove(directory)
        return False

    def room(self, manifest: Manifest) -> None:
        """See that there is room for the release, with its bytecode.

        Raises:
            UpdateError: there is not.
            OSError: the disk cannot be asked.
        """
        needed = SPARE_BYTES + unpacked(manifest)
        free = shutil.disk_usage(self._home).free
        if free < needed:
            raise UpdateError(
                say(
                    "{home}: {free} MB free, and the release needs {needed} MB",
                    home=self._home,
                    free=free // 10**6,
                    needed=needed // 10**6,
                ),
                fix=say("lower clips.max_mb or clips.retention_h, or use a larger card"),
            )

    def incoming(self) -> Path:
        """A new, empty directory for the files of a release.

        Raises:
            OSError: the disk refused.
        """
        incoming = self._home / RELEASES / INCOMING
        _remove(incoming)
        (incoming / LIB).mkdir(parents=True)
        return incoming / LIB

    def unpack(self, stream: BinaryIO, name: str, manifest: Manifest) -> Path:
        """Put the release's files beside the others, proved to be on the disk; nothing runs them yet.

        Returns where they are: `settle` gives them their name.

        Raises:
            UpdateError: the payload is not what was signed, or the disk did not keep it.
            OSError: the disk refused.
        """
        incoming = self.incoming()
        release.unpack(stream, name, manifest, incoming)
        os.sync()  # once, not for each of thousands of files: a slow card takes 20 ms for each
        wrong = release.first_wrong(incoming, manifest)
        if wrong is not None:
            raise UpdateError(
                say("{path}: the disk did not keep what was written", path=incoming / wrong),
                fix=say("replace the card: `stairwell doctor` tells more of it"),
            )
        return incoming

    def settle(self, manifest: Manifest) -> None:
        """Give what was unpacked, and tried, its name.

        Raises:
            OSError: the disk refused.
        """
        incoming = self._home / RELEASES / INCOMING
        write_whole(incoming / MANIFEST, manifest.model_dump_json().encode(), READABLE)
        os.sync()  # the bytecode, too
        incoming.rename(self.directory(manifest))
        sync_directory(self._home / RELEASES)

    def switch(self, manifest: Manifest) -> Trial:
        """Let the release be the one that is started next, on trial.

        The trial is on the disk before the link is: no release ever runs untried.

        Raises:
            OSError: the disk refused.
        """
        trial = Trial(manifest.name, self.current() or NO_RELEASE, manifest.counter)
        with (self._home / "lock").open("w") as lock:  # the guard's
            fcntl.flock(lock, fcntl.LOCK_EX)
            write_whole(self._home / TRIAL, trial.line().encode(), READABLE)
            new = self._home / (CURRENT + ".new")
            new.unlink(missing_ok=True)
            new.symlink_to(Path(RELEASES) / manifest.name)
            new.rename(self._home / CURRENT)
            sync_directory(self._home)
        return trial

    def _line(self, name: str) -> str | None:
        return _line(self._home / name)


def unpacked(manifest: Manifest) -> int:
    """Bytes that a release takes on the disk, its bytecode among them."""
    return sum(_on_disk(entry) for entry in manifest.files)


def _on_disk(entry: release.Entry) -> int:
    blocks = -(-entry.size // BLOCK) * BLOCK
    # Bytecode is about as long as its source.
    return 2 * blocks if entry.path.endswith(".py") else blocks


def _line(path: Path) -> str | None:
    """What is kept there in one line; None if there is no such file.

    Raises:
        StorageError: it is there, or may be, and cannot be read.
    """
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unread(path, error) from None


def _unread(path: Path, error: OSError | UnicodeDecodeError) -> StorageError:
    return StorageError(
        say("{path}: {reason}", path=path, reason=reason(error)),
        fix=say("replace the card: `stairwell doctor` tells more of it"),
        errno=getattr(error, "errno", None),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0


def _remove(directory: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory)
