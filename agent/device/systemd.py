"""The service manager's notification protocol (sd_notify(3)), without a library: one datagram per word."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> bool:
    """Send `state` (`READY=1`, `WATCHDOG=1`, `STATUS=…`); False when no service manager listens.

    Raises:
        OSError: NOTIFY_SOCKET is set and nothing can be sent there.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    # A leading @ names a socket in the abstract namespace, whose address begins with a zero byte.
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto(state.encode(), target)
    return True


def watchdog_s() -> float | None:
    """Seconds within which `WATCHDOG=1` is due, or None when no watchdog watches this process."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) > 0 else None


def feed_watchdog() -> None:
    """Tell a watchdog that the process is alive, if one watches it.

    Raises:
        OSError: as notify.
    """
    if watchdog_s() is not None:
        notify("WATCHDOG=1")
