"""The first process of a guest that will lose its power: what systemd does for the agent, without systemd.

It mounts what the agent needs, brings up the network, starts the agent as its own user, and again when it
ends. The root is the host's and read-only; all that the agent keeps lies on the disk, which comes over the
network (scripts/benches/drive.py): User Mode Linux's own disks do not pass a flush on. Arguments: address of
the guest, of the host, the drive's port there and its size in bytes, the file whose appearance ends all in
order.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

DISK, STATE, RUNTIME = "/dev/nbd0", "/var/lib/stairwell", "/run/stairwell"
DRIVER = Path(__file__).with_name("nbd.ko")
OWNER = 990  # the agent's user: any number but root's
NOATIME = 1024
SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x891C, 0x8914, 1
SYS_FINIT_MODULE = 313  # x86-64
BLOCK = 512
SET_SOCK, SET_BLOCK, DO_IT, SET_BLOCKS, SET_FLAGS = (0xAB00 + n for n in (0, 1, 3, 7, 10))  # nbd.h
HAS_FLAGS, CAN_FLUSH, CAN_FUA = 1, 4, 8
DISK_S = 30.0
RESTART_S = 5.0  # as in the unit
STOP_S = 120.0

libc = ctypes.CDLL(None, use_errno=True)


def mount(what: str, where: str, kind: str, flags: int = 0) -> None:
    """Mount it, without options of its kind."""
    if libc.mount(what.encode(), where.encode(), kind.encode(), flags, None) != 0:
        raise OSError(ctypes.get_errno(), f"{what} on {where}: {os.strerror(ctypes.get_errno())}")


def up(interface: str, address: str) -> None:
    """Give an interface its address, in a net of four."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, "255.255.255.252")):
            where = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(control, request, struct.pack("16s16s", interface.encode(), where))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", interface.encode(), IFF_UP))


def connect(host: str, port: int, size: int) -> None:
    """Make the drive there this machine's DISK, whose caretaker is a process of its own."""
    driver = os.open(DRIVER, os.O_RDONLY)
    if libc.syscall(SYS_FINIT_MODULE, driver, b"nbds_max=1", 0) != 0:
        raise OSError(ctypes.get_errno(), f"{DRIVER}: {os.strerror(ctypes.get_errno())}")
    link = socket.create_connection((host, port), DISK_S)
    link.settimeout(None)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    disk = os.open(DISK, os.O_RDWR)
    fcntl.ioctl(disk, SET_BLOCK, BLOCK)
    fcntl.ioctl(disk, SET_BLOCKS, size // BLOCK)
    fcntl.ioctl(disk, SET_FLAGS, HAS_FLAGS | CAN_FLUSH | CAN_FUA)
    fcntl.ioctl(disk, SET_SOCK, link.fileno())
    if os.fork() == 0:
        try:
            fcntl.ioctl(disk, DO_IT)  # returns when the drive has gone
        finally:
            os._exit(1)
    os.close(disk)
    link.close()


def say(text: str) -> None:
    """A line on the console, with the time since the kernel's start."""
    print(f"init: {time.clock_gettime(time.CLOCK_BOOTTIME):.2f} {text}", flush=True)


def agent() -> subprocess.Popen[bytes]:
    """Start it."""
    return subprocess.Popen(
        ["/usr/bin/stairwell", "run"],
        user=OWNER,
        group=OWNER,
        extra_groups=[],
        umask=0o077,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/", "RUNTIME_DIRECTORY": RUNTIME},
    )


def main(address: str, host: str, port: str, size: str, end: str) -> None:
    """Work until the file `end` appears, or the power is cut."""
    for what, where in (("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/run"), ("tmpfs", "/tmp")):  # noqa: S108 - its own
        mount(what, where, what)
    up("lo", "127.0.0.1")
    up("vec0", address)
    connect(host, int(port), int(size))
    mount(DISK, STATE, "ext4", NOATIME)
    os.chown(STATE, OWNER, OWNER)
    Path(RUNTIME).mkdir(mode=0o750)
    os.chown(RUNTIME, OWNER, OWNER)
    say("mounted")
    process = agent()
    while not Path(end).exists():
        time.sleep(0.2)
        if process.poll() is not None:
            say(f"the agent ended with {process.returncode}")
            time.sleep(RESTART_S)
            process = agent()
    process.send_signal(signal.SIGTERM)
    say(f"the agent was stopped: {process.wait(STOP_S)}")
    if libc.umount2(STATE.encode(), 0) != 0:
        say(f"{STATE}: not unmounted: {os.strerror(ctypes.get_errno())}")
    say("over")
    Path("/proc/sysrq-trigger").write_text("o")
    time.sleep(STOP_S)


if __name__ == "__main__":
    main(*sys.argv[1:6])  # User Mode Linux adds words of its own
