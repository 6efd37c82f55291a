"""A drive with a volatile cache: what its guest has not flushed may be lost when the power is cut.

A guest that writes to a file of its host has written it for good, flushed or not: its death is no power cut.
So the guest's disk is a network block device that this process serves. It takes writes into memory, and puts
them into the image when it is told to flush, or with a write that says so (FUA). At a cut each write that
waited is kept, lost or torn at a sector (not within SUPERBLOCK) by chance, as in a drive that empties its
cache in any order. Few writes wait at any moment; so it can be told to stand still in the midst of some, for
the cut to come then.

`Drive` starts the server; run as a program it is the server. There is no handshake: the guest's kernel is
told by ioctl(2) what it needs to know (guest/powercut.py).
"""

from __future__ import annotations

import json
import mmap
import os
import random
import select
import socket
import struct
import subprocess
import sys
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path

SECTOR = 512
# ext4 writes its superblock in place, without a journal. Half of it anew is a file system that neither a
# kernel nor e2fsck opens: that is between ext4 and the card (one that maps 4 KiB at once does not do it), and
# nothing of ours.
SUPERBLOCK = range(1024, 2048)
KEPT_SHARES = (0.0, 0.5, 0.9)  # of the writes that waited; one of them for each cut
TORN_SHARE = 0.1  # of those that are kept
LOAD_BYTES = 1 << 20
STILL = "still"  # what the server says once it has stopped
SILENT_S = 30.0  # a guest that takes no answer for so long is gone

# The protocol of network block devices, doc/proto.md of nbd.
REQUEST = struct.Struct(">IHHQQI")
REPLY = struct.Struct(">IIQ")
REQUEST_MAGIC, REPLY_MAGIC = 0x25609513, 0x67446698
FUA = 1


class Command(IntEnum):
    """What a guest asks for."""

    READ = 0
    WRITE = 1
    LEAVE = 2
    FLUSH = 3


@dataclass(frozen=True, slots=True)
class Cut:
    """A loss of power: how many writes waited in the cache; of those, how many were lost or torn.

    `flushes`: how often the guest had the cache emptied since the last one.
    """

    waiting: int
    lost: int
    torn: int
    flushes: int


class Cache:
    """The drive itself: the file `image` is what a cut leaves, memory what its guest sees."""

    def __init__(self, image: Path) -> None:
        self._file = os.open(image, os.O_RDWR | os.O_CLOEXEC)
        self._seen = mmap.mmap(-1, os.fstat(self._file).st_size)
        self._waiting: list[tuple[int, bytes]] = []
        self._flushes = 0
        for offset in range(0, len(self._seen), LOAD_BYTES):
            block = os.pread(self._file, LOAD_BYTES, offset)
            if any(block):  # what was never written costs no memory
                self._seen[offset : offset + len(block)] = block

    def read(self, offset: int, size: int) -> bytes:
        """What was written last."""
        return self._seen[offset : offset + size]

    def write(self, offset: int, data: bytes, *, through: bool = False) -> None:
        """Take it into the cache, or straight into the image.

        What waits for the same place goes into the image first, with all before it: it must not come later
        and undo this write.
        """
        self._seen[offset : offset + len(data)] = data
        if not through:
            self._waiting.append((offset, data))
            return
        older = 0
        for number, (at, waits) in enumerate(self._waiting, 1):
            if at < offset + len(data) and offset < at + len(waits):
                older = number
        self._settle(older)
        os.pwrite(self._file, data, offset)

    def flush(self) -> None:
        """Put all that was written into the image."""
        self._flushes += 1
        self._settle(len(self._waiting))

    def cut(self, chance: random.Random) -> Cut:
        """Lose power: what the image has afterwards is all there is."""
        share = chance.choice(KEPT_SHARES)
        lost = torn = 0
        for offset, data in self._waiting:
            if chance.random() >= share:
                lost += 1
                continue
            kept = data
            whole = offset < SUPERBLOCK.stop and SUPERBLOCK.start < offset + len(data)
            if len(data) > SECTOR and not whole and chance.random() < TORN_SHARE:
                torn += 1
                kept = data[: SECTOR * chance.randrange(1, len(data) // SECTOR)]
            os.pwrite(self._file, kept, offset)
        for offset, data in self._waiting:
            self._seen[offset : offset + len(data)] = os.pread(self._file, len(data), offset)
        done = Cut(len(self._waiting), lost, torn, self._flushes)
        self._waiting.clear()
        self._flushes = 0
        return done

    def _settle(self, count: int) -> None:
        """Put the oldest `count` writes that wait into the image."""
        for offset, data in self._waiting[:count]:
            os.pwrite(self._file, data, offset)
        del self._waiting[:count]


class Server:
    """Serves a Cache to one guest after the other, at a free port of `host`."""

    def __init__(self, cache: Cache, host: str) -> None:
        self._cache = cache
        self._door = socket.create_server((host, 0))
        self._guest: socket.socket | None = None
        self._left = 0
        """How many more writes and flushes are taken until it stands still; 0: it goes on."""
        self._still = False
        self.port: int = self._door.getsockname()[1]

    def run(self) -> None:
        """Obey the orders on stdin, a line each: `arm COUNT`, `cut SEED`; end with it."""
        while True:
            asking = [sys.stdin] if self._still else [sys.stdin, self._guest or self._door]
            ready, _, _ = select.select(asking, [], [])
            if sys.stdin in ready:
                order, _, number = sys.stdin.readline().partition(" ")
                if order == "arm":
                    self._left = int(number)
                elif order == "cut":
                    self._part()
                    self._still, self._left = False, 0
                    cut = self._cache.cut(random.Random(int(number)))  # noqa: S311 - what is lost, no keys
                    print(json.dumps(asdict(cut)), flush=True)
                else:
                    return
            elif self._guest is None:
                self._guest, _ = self._door.accept()
                self._guest.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._guest.settimeout(SILENT_S)
            else:
                try:
                    self._answer(self._guest)
                except OSError:  # it is gone
                    self._part()

    def _part(self) -> None:
        if self._guest is not None:
            self._guest.close()
            self._guest = None

    def _answer(self, guest: socket.socket) -> None:
        """Take one request.

        Raises:
            OSError: the guest is gone, or its power is to be cut.
        """
        magic, flags, command, handle, offset, size = REQUEST.unpack(_take(guest, REQUEST.size))
        if magic != REQUEST_MAGIC or command == Command.LEAVE:
            raise ConnectionResetError
        given = _take(guest, size) if command == Command.WRITE else b""
        if command != Command.READ and self._counts_down():
            return  # not done, and the guest waits for the answer
        asked = b""
        match command:
            case Command.READ:
                asked = self._cache.read(offset, size)
            case Command.WRITE:
                self._cache.write(offset, given, through=bool(flags & FUA))
            case Command.FLUSH:
                self._cache.flush()
            case _:
                raise ValueError(f"a guest asked for {command}")
        guest.sendall(REPLY.pack(REPLY_MAGIC, 0, handle) + asked)

    def _counts_down(self) -> bool:
        """Whether it stands still from here on."""
        if self._left:
            self._left -= 1
            if not self._left:
                self._still = True
                print(STILL, flush=True)
        return self._still


def _take(guest: socket.socket, size: int) -> bytes:
    """So many bytes: a dead guest's half a request must not keep the power from being cut."""
    data = bytearray()
    while len(data) < size:
        ready, _, _ = select.select([sys.stdin, guest], [], [])
        if sys.stdin in ready or not (piece := guest.recv(size - len(data))):
            raise ConnectionResetError
        data += piece
    return bytes(data)


class Drive:
    """The drive with the content of the file `image`, to be had at `port` of the address `host`."""

    def __init__(self, image: Path, host: str) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__, str(image), host],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._server.stdout.readline())

    def arm(self, count: int, timeout_s: float) -> bool:
        """Stand still from the write or flush `count` from now on; whether it came to that in time."""
        self._say(f"arm {count}")
        return self.stands_still(timeout_s)

    def stands_still(self, timeout_s: float) -> bool:
        """Whether it has stopped, or does so in time."""
        ready, _, _ = select.select([self._server.stdout], [], [], timeout_s)
        return bool(ready)

    def cut(self, seed: int) -> Cut:
        """Lose power; the guest must be gone."""
        self._say(f"cut {seed}")
        while (line := self._server.stdout.readline().strip()) == STILL:
            pass
        return Cut(**json.loads(line))

    def _say(self, order: str) -> None:
        self._server.stdin.write(f"{order}\n")
        self._server.stdin.flush()

    def close(self) -> None:
        """Be gone; what was not flushed is lost."""
        self._server.communicate()


if __name__ == "__main__":
    server = Server(Cache(Path(sys.argv[1])), sys.argv[2])
    print(server.port, flush=True)
    server.run()
