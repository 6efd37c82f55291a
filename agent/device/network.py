"""The way out: interfaces, addresses, gateway, name servers. Nothing is sent."""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")

_ROUTE_UP, _ROUTE_GATEWAY = 0x1, 0x2  # linux/route.h


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface that leads out of the machine. What the kernel does not tell is None."""

    name: str
    carrier: bool
    """A cable is in, a station or a modem is connected."""
    speed: int | None
    """Mbit/s; None for radio."""
    wireless: bool
    signal_dbm: int | None


@dataclass(frozen=True, slots=True)
class Route:
    """The way to everywhere else."""

    interface: str
    gateway: str | None
    """None on a point-to-point line (a modem)."""


def interfaces(root: Path = ROOT) -> list[Interface]:
    """All but the loopback and those that only live inside this machine, by name."""
    found = []
    signals = _signals(root)
    home = root / "sys/class/net"
    for path in sorted(home.iterdir()) if home.is_dir() else ():
        if not ((path / "device").exists() or path.name.startswith(("wwan", "ppp", "usb"))):
            continue  # loopback, bridges, containers' ends
        speed = _text(path / "speed")
        found.append(
            Interface(
                path.name,
                _text(path / "carrier") == "1",
                int(speed) if speed and speed.isdigit() else None,
                (path / "wireless").exists() or (path / "phy80211").exists(),
                signals.get(path.name),
            )
        )
    return found


def default_route(root: Path = ROOT) -> Route | None:
    """The default route of IPv4 with the lowest metric, or any of IPv6; None when there is neither."""
    best: tuple[int, Route] | None = None
    for line in (_text(root / "proc/net/route") or "").splitlines()[1:]:
        name, destination, gateway, flags, _, _, metric, mask = line.split()[:8]
        if int(destination, 16) or int(mask, 16) or not int(flags, 16) & _ROUTE_UP:
            continue
        address = socket.inet_ntoa(struct.pack("=I", int(gateway, 16)))  # in the machine's own byte order
        route = Route(name, address if int(flags, 16) & _ROUTE_GATEWAY else None)
        if best is None or int(metric) < best[0]:
            best = int(metric), route
    if best is not None:
        return best[1]
    for line in (_text(root / "proc/net/ipv6_route") or "").splitlines():
        destination, length, *_, next_hop, _, _, _, flags, name = line.split()
        if int(destination, 16) or int(length, 16) or not int(flags, 16) & _ROUTE_UP or name == "lo":
            continue
        return Route(name, socket.inet_ntop(socket.AF_INET6, bytes.fromhex(next_hop)))
    return None


def name_servers(root: Path = ROOT) -> tuple[str, ...]:
    """What resolv.conf(5) names."""
    text = _text(root / "etc/resolv.conf") or ""
    return tuple(re.findall(r"^\s*nameserver\s+(\S+)", text, re.MULTILINE))


def listening(root: Path = ROOT) -> list[tuple[str, int]]:
    """(address, port) of every TCP socket that waits for others than this machine, in order.

    From /proc/net/tcp and tcp6 (proc(5)): state 0A is LISTEN; addresses are words in the machine's order.
    """
    found = set()
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in (_text(root / "proc/net" / name) or "").splitlines()[1:]:
            _, local, _, state = line.split()[:4]
            if state != "0A":
                continue
            words, port = local.split(":")
            packed = b"".join(struct.pack("=I", int(words[i : i + 8], 16)) for i in range(0, len(words), 8))
            address = socket.inet_ntop(family, packed).removeprefix("::ffff:")
            if not (address.startswith("127.") or address == "::1"):
                found.add((address, int(port, 16)))
    return sorted(found)


def _signals(root: Path) -> dict[str, int]:
    # " wlan0: 0000   61.  -49.  -256  ...": the fourth word is the level, dBm for all drivers of the kit.
    found = re.findall(
        r"^\s*(\w+): +\w+ +[\d.]+ +(-?\d+)\.?", _text(root / "proc/net/wireless") or "", re.MULTILINE
    )
    return {name: int(level) for name, level in found}


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
