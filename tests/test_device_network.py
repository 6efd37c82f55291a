"""The way out of the machine."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest

from agent.device import network
from agent.device.network import Interface, Route

if TYPE_CHECKING:
    from pathlib import Path

# As a Pi's kernel prints them; the words are in its byte order, which is that of this test's machine too.
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
"""
MODEM = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0
"""
ROUTES6 = (
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "fe800000000000000000000000000001 00000064 00000001 00000000 00000003     eth0\n"
)
WIRELESS = """\
Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   42.  -68.  -256        0      0      0     12      0        0
"""
LITTLE = pytest.mark.skipif(
    sys.byteorder != "little", reason="the recorded words are of a little-endian kernel"
)


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_interfaces(tmp_path: Path) -> None:
    """Those that lead out, with what the kernel tells of each; the rest is absent."""
    put(tmp_path, "sys/class/net/lo/carrier", "1")
    put(tmp_path, "sys/class/net/docker0/carrier", "1")
    put(tmp_path, "sys/class/net/eth0/device/vendor", "")
    put(tmp_path, "sys/class/net/eth0/carrier", "1\n")
    put(tmp_path, "sys/class/net/eth0/speed", "100\n")
    put(tmp_path, "sys/class/net/wlan0/device/vendor", "")
    put(tmp_path, "sys/class/net/wlan0/wireless/status", "")
    put(tmp_path, "sys/class/net/wlan0/speed", "-1\n")
    put(tmp_path, "proc/net/wireless", WIRELESS)
    put(tmp_path, "sys/class/net/wwan0/carrier", "0\n")
    assert network.interfaces(tmp_path) == [
        Interface("eth0", True, 100, False, None),
        Interface("wlan0", False, None, True, -68),
        Interface("wwan0", False, None, False, None),
    ]


def test_no_interfaces(tmp_path: Path) -> None:
    """A machine without a network has none."""
    assert network.interfaces(tmp_path) == []


@LITTLE
def test_the_cheapest_route_wins(tmp_path: Path) -> None:
    """The cable before the radio, as the kernel itself decides."""
    put(tmp_path, "proc/net/route", ROUTES)
    assert Route("eth0", "192.168.0.1") == network.default_route(tmp_path)


@LITTLE
def test_a_modem_has_no_gateway(tmp_path: Path) -> None:
    """A point-to-point line leads out all the same."""
    put(tmp_path, "proc/net/route", MODEM)
    assert Route("ppp0", None) == network.default_route(tmp_path)


def test_ipv6_alone(tmp_path: Path) -> None:
    """A network without IPv4 leads out too."""
    put(tmp_path, "proc/net/ipv6_route", ROUTES6)
    assert Route("eth0", "fe80::1") == network.default_route(tmp_path)


def test_no_route(tmp_path: Path) -> None:
    """Nothing leads out."""
    assert network.default_route(tmp_path) is None
    put(tmp_path, "proc/net/route", ROUTES.splitlines()[0])
    assert network.default_route(tmp_path) is None


def test_name_servers(tmp_path: Path) -> None:
    """In their order, without what is commented out."""
    put(
        tmp_path, "etc/resolv.conf", "# nameserver 1.1.1.1\nsearch lan\nnameserver 10.0.0.1\nnameserver ::1\n"
    )
    assert network.name_servers(tmp_path) == ("10.0.0.1", "::1")
    assert network.name_servers(tmp_path / "none") == ()


@pytest.mark.parametrize(("address", "heard"), [("0.0.0.0", True), ("127.0.0.1", False)])  # noqa: S104
def test_open_ports(address: str, heard: bool) -> None:
    """A real socket is found when it waits for others, and not when it waits for this machine."""
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        assert heard == ((address, port) in network.listening())


def test_open_ports_of_ipv6() -> None:
    """Both families are looked at."""
    with socket.create_server(("::", 0), family=socket.AF_INET6) as server:
        assert ("::", server.getsockname()[1]) in network.listening()
