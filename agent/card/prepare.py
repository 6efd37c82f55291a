"""The whole procedure for one card: look, make the boot partition, write, prove."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING

from agent.card import needs
from agent.card.boot import Boot
from agent.card.content import City, Content, content
from agent.card.disk import check, disk_at
from agent.card.image import identify, layout
from agent.card.kits import Kits, Secrets
from agent.card.package import CAMERA, packages
from agent.card.unpack import CHUNK, raw_image
from agent.card.writing import Assembly, Mark, proved, write
from agent.durable import SUFFIX_NEW, sync_directory
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.card.image import Layout, System
    from agent.device.enrolfile import EnrolFile


class Outcome(StrEnum):
    """What became of a card."""

    WRITTEN = "written"
    READY = "ready"
    """It was there already, and is what it shall be."""


@dataclass(frozen=True, slots=True)
class Base:
    """What all cards of a batch are made from, looked at once."""

    image: Path
    image_sha256: str
    layout: Layout
    system: System
    city: City
    cache: Path

    @property
    def notes(self) -> list[str]:
        """What whoever makes the cards should know."""
        if CAMERA in {package.name for package in self.city.packages}:
            return []
        return [
            f"no {CAMERA} among the packages: the Lite image has it not, and a ribbon-cable camera needs it"
        ]


def base(
    image: Path,
    kits: Path,
    package_files: Sequence[Path],
    *,
    cache: Path,
    sha256: str | None,
    advance: Callable[[int], None],
) -> Base:
    """Everything that the cards have in common, checked before the first of them is written.

    Raises:
        ConfigError: the image, the settings or a package cannot be used; the text names it.
        StorageError: the cache cannot be written.
    """
    settings = Kits.read(kits)
    secrets = Secrets.read(settings, kits.parent)
    raw = raw_image(image, cache, sha256, advance)
    where = layout(raw.path)
    system = identify(raw.path, where)
    carried = packages(package_files, system.suite)
    needs.check(carried, needs.installed(raw.path, where))
    city = City(settings, secrets, carried)
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_room(cache, error) from None
    return Base(raw.path, raw.sha256, where, system, city, cache)


def to_file(common: Base, enrol: EnrolFile, target: Path, heard: Callable[[str, int], None]) -> Outcome:
    """Make the card's image at `target`; what is there and is this card stays.

    Raises:
        ConfigError, StorageError: it could not be made; what was at `target` is untouched.
    """
    inside = _content(common, enrol)
    if _ready(common, inside, target, heard):
        return Outcome.READY
    new = target.with_name(target.name + SUFFIX_NEW)
    try:
        new.unlink(missing_ok=True)
        # It holds the claim: nobody else may read it.
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        os.truncate(new, common.layout.size)
        _write(common, inside, new, heard)
        new.rename(target)
        sync_directory(target.parent)
    except OSError as error:
        raise StorageError(
            f"{target}: cannot be written ({error.strerror})", fix="free space, or name another directory"
        ) from None
    finally:
        new.unlink(missing_ok=True)
    return Outcome.WRITTEN


def to_disk(
    common: Base, enrol: EnrolFile, disk: Path, heard: Callable[[str, int], None], *, force: bool
) -> Outcome:
    """Make the card in `disk`, after the caller has shown it to whoever decides.

    Raises:
        StairwellError: the disk may not be written.
        ConfigError: a template cannot be filled; the disk is untouched.
        StorageError: it refused; it has no partition table then, and the next time begins anew.
    """
    found = disk_at(disk)
    if found is None:
        raise ConfigError(f"{disk}: no disk", fix="put the card in, and name its disk (lsblk shows it)")
    check(found, common.layout.size, force=force)
    inside = _content(common, enrol)
    if _ready(common, inside, disk, heard):
        return Outcome.READY
    _write(common, inside, disk, heard)
    return Outcome.WRITTEN


def _content(common: Base, enrol: EnrolFile) -> Content:
    boot = Boot(common.image, common.layout.boot.start)
    return content(common.city, enrol, common.system, common.image_sha256, boot)


def _ready(common: Base, inside: Content, target: Path, heard: Callable[[str, int], None]) -> bool:
    mark = Mark.read(target)
    if mark is None or not mark.done or (mark.kit, mark.digest) != (inside.kit, inside.digest):
        return False
    return proved(target, common.layout.size, mark, heard)


def _write(common: Base, inside: Content, target: Path, heard: Callable[[str, int], None]) -> None:
    # Not in /tmp, which may be memory: this is 512 MB. It has no name, so that no kill leaves it behind.
    with ExitStack() as held:
        try:
            file = held.enter_context(tempfile.TemporaryFile(dir=common.cache))
            _cut_out(common, file)
        except OSError as error:
            raise _no_room(common.cache, error) from None
        boot = Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")
        _fill(boot, inside)
        write(Assembly(common.image, common.layout, boot), target, Mark(inside.kit, inside.digest), heard)


def _no_room(cache: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{cache}: cannot be written ({error.strerror})", fix="free 1 GB, or name another --cache"
    )


def _cut_out(common: Base, file: IO[bytes]) -> None:
    """The image's boot partition, into a file of its own."""
    part = common.layout.boot
    with common.image.open("rb") as image:
        image.seek(part.start)
        left = part.size
        while left:
            chunk = image.read(min(CHUNK, left))
            if chunk.count(0) == len(chunk):
                file.seek(len(chunk), os.SEEK_CUR)
            else:
                file.write(chunk)
            left -= len(chunk)
    file.truncate()
    file.flush()


def _fill(path: Path, inside: Content) -> None:
    """Put the files there, and read each back: what mtools says it did is not taken on trust."""
    boot = Boot(path)
    for name, data in inside.files.items():
        boot.write(name, data)
        wanted = data if isinstance(data, bytes) else data.read_bytes()
        found = boot.read(name)
        if found is None or hashlib.sha256(found).digest() != hashlib.sha256(wanted).digest():
            raise StorageError(
                f"{name}: the boot partition gave back something else", fix="try another image"
            )
