"""Checks of the network that send nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from test_device_line import ARP, cable
from test_device_network import LITTLE, MODEM, ROUTES, WIRELESS, put

from agent.device import line
from agent.device.line import Modem
from agent.doctor import wayout

if TYPE_CHECKING:
    from pathlib import Path

    from agent.doctor.check import Verdict


def ask(code: str, root: Path) -> Verdict:
    return next(check for check in wayout.checks(root) if check.code == code).ask()


@pytest.mark.parametrize(("carrier", "expected"), [("1", "ok"), ("0", "fail"), (None, "fail")])
def test_link(carrier: str | None, expected: str, tmp_path: Path) -> None:
    """A cable that is out and a machine without a network card both fail, each in its own words."""
    if carrier is not None:
        put(tmp_path, "sys/class/net/eth0/device/vendor", "")
        put(tmp_path, "sys/class/net/eth0/carrier", carrier)
    verdict = ask("net.link", tmp_path)
    assert expected == verdict.status
    assert ("eth0" in verdict.text.en) == (carrier is not None)


def test_route(tmp_path: Path) -> None:
    """A way out, or none."""
    assert ask("net.route", tmp_path).status == "fail"
    put(tmp_path, "proc/net/route", MODEM)
    assert ask("net.route", tmp_path).status == "ok"


def test_servers(tmp_path: Path) -> None:
    """Somebody to ask for names, or nobody."""
    assert ask("net.servers", tmp_path).status == "fail"
    put(tmp_path, "etc/resolv.conf", "nameserver 10.0.0.1\n")
    verdict = ask("net.servers", tmp_path)
    assert verdict.status == "ok"
    assert "10.0.0.1" in verdict.text.uk


@pytest.mark.parametrize(
    ("level", "expected"), [("-55", "ok"), ("-72", "warn"), ("-85", "fail"), (None, "skip")]
)
def test_wifi(level: str | None, expected: str, tmp_path: Path) -> None:
    """Where it is in use, by its level."""
    assert ask("net.wifi", tmp_path).status == "skip"
    put(tmp_path, "sys/class/net/wlan0/device/vendor", "")
    put(tmp_path, "sys/class/net/wlan0/wireless/status", "")
    put(tmp_path, "sys/class/net/wlan0/carrier", "1")
    if level is not None:
        put(tmp_path, "proc/net/wireless", WIRELESS.replace("-68", level))
    assert expected == ask("net.wifi", tmp_path).status


@LITTLE
@pytest.mark.parametrize(("flags", "expected"), [("0x2", "ok"), ("0x0", "fail"), (None, "skip")])
def test_gateway(flags: str | None, expected: str, tmp_path: Path) -> None:
    """As the kernel remembers its last word."""
    put(tmp_path, "proc/net/route", ROUTES)
    if flags is not None:
        put(tmp_path, "proc/net/arp", ARP.replace("0x2 ", f"{flags} "))
    assert expected == ask("net.gateway", tmp_path).status


def test_a_modem_has_no_gateway(tmp_path: Path) -> None:
    """Nobody to answer."""
    put(tmp_path, "proc/net/route", MODEM)
    assert ask("net.gateway", tmp_path).status == "skip"
    assert ask("net.cable", tmp_path).status == "skip"


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({}, "ok"),
        ({"speed": "10"}, "warn"),
        ({"speed": "100", "duplex": "half"}, "warn"),
        ({"damaged": "300"}, "fail"),
        ({"speed": "-1"}, "skip"),
    ],
)
def test_cable(figures: dict[str, str], expected: str, tmp_path: Path) -> None:
    """A broken pair slows a cable down, a bad plug damages what it carries."""
    put(tmp_path, "proc/net/route", ROUTES)
    cable(tmp_path, **figures)
    assert expected == ask("net.cable", tmp_path).status


@pytest.mark.parametrize(("mtu", "expected"), [("1500", "ok"), ("1200", "warn"), (None, "skip")])
def test_mtu(mtu: str | None, expected: str, tmp_path: Path) -> None:
    """Below 1280 handshakes stall."""
    if mtu is not None:
        put(tmp_path, "proc/net/route", ROUTES)
        cable(tmp_path, mtu=mtu)
    assert expected == ask("net.mtu", tmp_path).status


@pytest.mark.parametrize(
    ("modem", "expected"),
    [
        (Modem("connected", "", 67), "ok"),
        (Modem("connected", "", 20), "warn"),
        (Modem("searching", "", 0), "fail"),
        (Modem("failed", "sim-missing", None), "fail"),
        (None, "skip"),
    ],
)
def test_modem(modem: Modem | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its state, then its signal."""
    monkeypatch.setattr(line, "modem", lambda: modem)
    verdict = ask("net.modem", tmp_path)
    assert expected == verdict.status
    assert ("sim-missing" in verdict.text.uk) == (modem is not None and modem.why != "")
