"""Stops one thread of a running process, as a driver that never returns does; the others go on.

ptrace(2) stops threads one by one. A thread that is stopped while it holds a lock stops others with it, as no
hanging driver does: it is stopped while it waits for work, and let go again if the supervisor stands still.
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
REST_S = 0.03  # who waits for Python's lock asks for it each 5 ms; who waits for work does not stir

SUPERVISOR = "stairwell"  # the main thread has the program's name

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
            thread = _thread(pid, name)
            if name != SUPERVISOR:
                _await_rest(pid, thread)
            self._holder = self._hold(thread)
            if name == SUPERVISOR or _turns(pid):
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
    """Whether the supervisor goes on."""
    before = _switches(pid, pid)
    time.sleep(LIVELY_S)
    return _switches(pid, pid) > before


def _await_rest(pid: int, thread: int) -> None:
    """Return while it waits, and has done so for REST_S."""
    before = -1
    while before != (before := _switches(pid, thread)):
        time.sleep(REST_S)


def _switches(pid: int, thread: int) -> int:
    lines = Path(f"/proc/{pid}/task/{thread}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
