"""Stops one thread of a running process, as a driver that never returns does; the others go on.

ptrace(2) stops threads one by one. Whoever holds Python's lock when it is stopped stops all the others with
it: such a moment is let pass and another one is tried.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

SEIZE, INTERRUPT = 0x4206, 0x4207  # linux/ptrace.h
WALL = 0x40000000  # linux/wait.h: threads, too
TRIES = 50
LIVELY_S = 1.5  # the supervisor turns twice a second

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


class Frozen:
    """The thread `name` (as /proc knows it) of process `pid` stands still until `thaw`, or its end.

    Raises:
        RuntimeError: there is no such thread, or each try stopped the whole process.
    """

    def __init__(self, pid: int, name: str) -> None:
        for _ in range(TRIES):
            self._holder = self._hold(_thread(pid, name))
            if name == "stairwell" or _turns(pid):
                return
            self.thaw()
        raise RuntimeError(f"{name}: held Python's lock each time")

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self._holder, signal.SIGKILL)  # the kernel lets go of what a dead tracer held
        os.waitpid(self._holder, 0)

    @staticmethod
    def _hold(thread: int) -> int:
        """A process of our own that holds the thread for as long as it lives."""
        read, write = os.pipe()
        holder = os.fork()
        if holder == 0:
            try:
                for request in (SEIZE, INTERRUPT):
                    if _libc.ptrace(request, thread, None, None) < 0:
                        os.write(write, os.strerror(ctypes.get_errno()).encode())
                        os._exit(1)
                os.waitpid(thread, WALL)
                os.write(write, b"held")
                while not _gone(os.waitpid(thread, WALL)[1]):  # else its death would wait for its tracer
                    pass
            finally:
                os._exit(1)
        os.close(write)
        with os.fdopen(read, "rb") as answers:
            answer = answers.read(4 if holder else 0).decode()
        if answer != "held":
            raise RuntimeError(f"thread {thread}: {answer}")
        return holder


def _gone(status: int) -> bool:
    return os.WIFEXITED(status) or os.WIFSIGNALED(status)


def _thread(pid: int, name: str) -> int:
    tasks = [
        path.parent for path in Path(f"/proc/{pid}/task").glob("*/comm") if path.read_text().strip() == name
    ]
    if not tasks:
        raise RuntimeError(f"process {pid} has no thread {name}")
    return min(
        int(task.name) for task in tasks
    )  # what it starts itself (a codec's pool) has its name, and came later


def _turns(pid: int) -> bool:
    """Whether the supervisor (the main thread) goes on."""
    status = Path(f"/proc/{pid}/status")
    before = _switches(status)
    time.sleep(LIVELY_S)
    return _switches(status) > before


def _switches(status: Path) -> int:
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
