"""Checks of the network as far as this machine goes: nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device import network
from agent.doctor.check import Check, Verdict, fail, ok, skip, warn
from agent.doctor.registry import Text

if TYPE_CHECKING:
    from pathlib import Path

WEAK_DBM, DEAF_DBM = -70, -80  # below the first a radio link loses packets, below the second it breaks

_CABLE = Text(
    "Перевірте кабель, живлення маршрутизатора чи антену; nmcli device покаже стан",
    "Check the cable, the router's power or the antenna; `nmcli device` shows the state",
)
_ROUTE = Text(
    "Перевірте DHCP маршрутизатора; nmcli connection up поверне з'єднання",
    "Check the router's DHCP; `nmcli connection up` brings the connection back",
)
_DNS = Text(
    "Впишіть сервер імен: nmcli connection modify … ipv4.dns",
    "Name a server: nmcli connection modify … ipv4.dns",
)
_ANTENNA = Text(
    "Пересуньте антену чи комплект ближче до точки доступу, або прокладіть кабель",
    "Move the antenna or the kit towards the access point, or lay a cable",
)
LINK = "net.link"
ROUTE = "net.route"
SERVERS = "net.servers"


def checks(root: Path) -> list[Check]:
    """The checks of this room; `root` is where /proc, /sys and /etc hang."""
    return [
        Check(LINK, Text("Кабель, радіо чи модем", "Cable, radio or modem"), lambda: _link(root)),
        Check(ROUTE, Text("Шлях назовні", "The way out"), lambda: _route(root), (LINK,)),
        Check(SERVERS, Text("Сервери імен", "Name servers"), lambda: _servers(root), (LINK,)),
        Check("net.wifi", Text("Сигнал Wi-Fi", "Wi-Fi signal"), lambda: _wifi(root), (LINK,)),
    ]


def _link(root: Path) -> Verdict:
    found = network.interfaces(root)
    if not found:
        return fail("жодного мережевого пристрою", "no network device at all", _CABLE)
    up = [one.name for one in found if one.carrier]
    if not up:
        names = ", ".join(one.name for one in found)
        return fail(f"немає зв'язку на {names}", f"no carrier on {names}", _CABLE)
    return ok(", ".join(up), ", ".join(up))


def _route(root: Path) -> Verdict:
    route = network.default_route(root)
    if route is None:
        return fail("немає маршруту за замовчуванням", "there is no default route", _ROUTE)
    text = f"{route.gateway or '-'} ({route.interface})"
    return ok(text, text)


def _servers(root: Path) -> Verdict:
    servers = network.name_servers(root)
    if not servers:
        return fail("resolv.conf не називає жодного", "resolv.conf names none", _DNS)
    return ok(", ".join(servers), ", ".join(servers))


def _wifi(root: Path) -> Verdict:
    used = [one for one in network.interfaces(root) if one.wireless and one.carrier]
    heard = [one.signal_dbm for one in used if one.signal_dbm is not None]
    if not used:
        return skip("Wi-Fi не використовується", "Wi-Fi is not in use")
    if not heard:
        return skip("рівня не видно", "its level is not visible")
    uk, en = f"{heard[0]} дБм", f"{heard[0]} dBm"
    if heard[0] <= DEAF_DBM:
        return fail(uk, en, _ANTENNA)
    return warn(uk, en, _ANTENNA) if heard[0] <= WEAK_DBM else ok(uk, en)
