"""Writes a card, or an image of one, so that one that was cut off is seen to be.

The partition table is written last, when all else was read back and found right: a card that is pulled out in
the middle boots nowhere. Between the table and the first partition lies a mark: which card this is to be, and
whether it is done. The official layout leaves that sector empty, and no system looks at it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from agent.card.image import SECTOR
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.card.image import Layout

HEAD = 1 << 20  # written last; the first partition of the official layout begins at 4 MiB
CHUNK = 4 << 20  # the erase block of most cards
SYNC_EVERY = 8  # chunks: what the progress shows was written, and does not wait in memory
MARK_AT = SECTOR
MAGIC = "stairwell card 1"
BLKFLSBUF = 0x1261  # linux/fs.h: forget what was cached of this disk

Step = Literal["write", "read back"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Which card this is; `body` and `head` are the SHA-256 of what was written, once it is done."""

    kit: str
    digest: str
    done: bool = False
    body: str = ""
    head: str = ""

    def sector(self) -> bytes:
        """As it lies on the card."""
        return f"{MAGIC} {json.dumps(asdict(self))}\n".encode().ljust(SECTOR, b"\0")

    @classmethod
    def read(cls, path: Path) -> Mark | None:
        """The mark of the card or image at `path`; None when there is none.

        Raises:
            StorageError: it cannot be read.
        """
        try:
            with path.open("rb") as file:
                file.seek(MARK_AT)
                text = file.read(SECTOR).rstrip(b"\0").decode(errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _refused(path, error, 0) from None
        if not text.startswith(MAGIC):
            return None
        try:
            return cls(**json.loads(text.removeprefix(MAGIC)))
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Assembly:
    """The bytes of a card: `image` with `boot` (a file of the same size) in place of its boot partition."""

    image: Path
    layout: Layout
    boot: Path

    @property
    def size(self) -> int:
        """Bytes of the whole card."""
        return self.layout.size

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to `end`."""
        begin, stop = self.layout.boot.start, self.layout.boot.start + self.layout.boot.size
        with self.image.open("rb") as image, self.boot.open("rb") as boot:
            at = start
            while at < end:
                if at < begin:
                    file, offset, limit = image, at, min(begin, end)
                elif at < stop:
                    file, offset, limit = boot, at - begin, min(stop, end)
                else:
                    file, offset, limit = image, at, end
                file.seek(offset)
                # Up to the next multiple, so that chunks lie as the card's erase blocks do.
                chunk = file.read(min(CHUNK - at % CHUNK, limit - at))
                if not chunk:
                    raise StorageError(f"{file.name}: shorter than it was", fix="leave it alone meanwhile")
                yield chunk
                at += len(chunk)


def write(assembly: Assembly, target: Path, mark: Mark, heard: Callable[[Step, int], None]) -> Mark:
    """Write the card to `target` (a disk, or a file that is there), prove it, and mark it done.

    `heard` is told of bytes that were written and read back. Returns the mark that is on it.

    Raises:
        StorageError: the disk refused, or gave back something else than was written. It has no partition
            table then, and the next writing begins anew.
    """
    at = 0
    try:
        # O_EXCL of a disk: nobody has it mounted.
        fd = os.open(target, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(target, error, 0) from None
    try:
        with _closing(fd):
            sparse = stat.S_ISREG(os.fstat(fd).st_mode)  # a new file is all holes; a disk has an old content
            os.pwrite(fd, mark.sector().rjust(MARK_AT + SECTOR, b"\0").ljust(HEAD, b"\0"), 0)
            os.fsync(fd)
            body = hashlib.sha256()
            at = HEAD
            for count, chunk in enumerate(assembly.chunks(HEAD, assembly.size), 1):
                if not sparse or chunk.count(0) < len(chunk):
                    _all(fd, chunk, at)
                body.update(chunk)
                at += len(chunk)
                if count % SYNC_EVERY == 0:
                    os.fdatasync(fd)
                heard("write", len(chunk))
            os.fsync(fd)
            if (found := _hash(fd, HEAD, assembly.size, heard)) != body.hexdigest():
                raise _different(target, found)
            head = b"".join(assembly.chunks(0, HEAD))
            plain = head[:MARK_AT] + bytes(SECTOR) + head[MARK_AT + SECTOR :]
            done = Mark(mark.kit, mark.digest, True, body.hexdigest(), hashlib.sha256(plain).hexdigest())
            _all(fd, plain[:MARK_AT] + done.sector() + plain[MARK_AT + SECTOR :], 0)
            os.fsync(fd)
            if (found := _head(fd)) != done.head:
                os.pwrite(fd, bytes(SECTOR), 0)
                raise _different(target, found)
            return done
    except OSError as error:
        raise _refused(target, error, at) from None


def proved(target: Path, size: int, mark: Mark, heard: Callable[[Step, int], None]) -> bool:
    """Whether `target` still is what its mark, which is done, says; read from the card itself.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        with _closing(fd):
            if os.lseek(fd, 0, os.SEEK_END) < size:
                return False
            return _head(fd) == mark.head and _hash(fd, HEAD, size, heard) == mark.body
    except OSError as error:
        raise _refused(target, error, 0) from None


@contextlib.contextmanager
def _closing(fd: int) -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # of a card that is gone; fsync has told
            os.close(fd)


def _all(fd: int, data: bytes, at: int) -> None:
    rest = memoryview(data)
    while rest:
        count = os.pwrite(fd, rest, at)
        rest, at = rest[count:], at + count


def _forget(fd: int) -> None:
    """Have what is read next come from the card, not from memory."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    with contextlib.suppress(OSError):  # a file has no such call, and who is not root may not
        fcntl.ioctl(fd, BLKFLSBUF)


def _hash(fd: int, start: int, end: int, heard: Callable[[Step, int], None]) -> str:
    _forget(fd)
    digest = hashlib.sha256()
    at = start
    while at < end:
        chunk = os.pread(fd, min(CHUNK, end - at), at)
        if not chunk:  # a reader whose card is gone has no bytes at all
            raise OSError(errno.ENXIO, f"ends after {at / 1e6:.0f} MB")
        digest.update(chunk)
        at += len(chunk)
        heard("read back", len(chunk))
    return digest.hexdigest()


def _head(fd: int) -> str:
    _forget(fd)
    head = os.pread(fd, HEAD, 0)
    return hashlib.sha256(head[:MARK_AT] + bytes(SECTOR) + head[MARK_AT + SECTOR :]).hexdigest()


def _refused(target: Path, error: OSError, at: int) -> StorageError:
    after = f" after {at / 1e6:.0f} MB" if at else ""
    return StorageError(
        f"{target}: {error.strerror}{after}",
        fix="put the card (back) in and start again: it is written anew; another card if it happens twice",
        errno=error.errno,
    )


def _different(target: Path, found: str) -> StorageError:
    return StorageError(
        f"{target}: gave back something else than was written (SHA-256 {found[:16]}…)",
        fix="take another card: this one is worn out, or smaller than it says",
    )
