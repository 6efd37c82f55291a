"""How good the line is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from programs import Programs
from test_device_network import put

from agent.device import line
from agent.device.line import Line, Modem

if TYPE_CHECKING:
    from pathlib import Path

ARP = """\
IP address       HW type     Flags       HW address            Mask     Device
192.168.0.1      0x1         0x2         dc:a6:32:01:02:03     *        eth0
192.168.0.9      0x1         0x0         00:00:00:00:00:00     *        eth0
"""
MODEM = """\
{"modem":{"3gpp":{"operator-name":"Kyivstar","registration-state":"home"},"generic":{"access-technologies":["lte"],
"signal-quality":{"recent":"yes","value":"67"},"state":"connected","state-failed-reason":"--"}}}
"""
FAILED = MODEM.replace('"connected"', '"failed"').replace('"--"', '"sim-missing"')


def cable(
    root: Path, speed: str = "1000", duplex: str = "full", damaged: str = "0", mtu: str = "1500"
) -> None:
    home = "sys/class/net/eth0"
    for name, text in {"speed": speed, "duplex": duplex, "mtu": mtu}.items():
        put(root, f"{home}/{name}", f"{text}\n")
    put(root, f"{home}/statistics/rx_packets", "20000\n")
    put(root, f"{home}/statistics/rx_crc_errors", f"{damaged}\n")
    put(root, f"{home}/statistics/rx_length_errors", "0\n")


def test_line(tmp_path: Path) -> None:
    """A cable has all of it, a radio what it has."""
    cable(tmp_path, damaged="7")
    put(tmp_path, "sys/class/net/wlan0/speed", "-1\n")
    assert Line(1000, "full", 1500, 20_000, 7) == line.line("eth0", tmp_path)
    assert Line(None, None, None, 0, 0) == line.line("wlan0", tmp_path)


@pytest.mark.parametrize(
    ("address", "expected"), [("192.168.0.1", True), ("192.168.0.9", False), ("192.168.0.7", None)]
)
def test_neighbours(address: str, expected: bool | None, tmp_path: Path) -> None:
    """One that answered, one that did not, one that nobody asked."""
    put(tmp_path, "proc/net/arp", ARP)
    assert expected is line.neighbour(address, tmp_path)


@pytest.mark.parametrize(
    ("said", "code", "expected"),
    [
        (MODEM, 0, Modem("connected", "", 67)),
        (FAILED, 0, Modem("failed", "sim-missing", 67)),
        ("error: couldn't find modem\n", 1, None),
        ('{"modem": {}}', 0, None),
        ("no JSON", 0, None),
    ],
)
def test_modem(
    said: str, code: int, expected: Modem | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ModemManager tells it, or not."""
    Programs(tmp_path, monkeypatch).put("mmcli", said, code)
    assert expected == line.modem()
