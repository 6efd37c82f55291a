"""Checks of the network as far as this machine goes: nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device import network
from agent.doctor.check import Check, Verdict, fail, ok, skip, warn
from agent.words import say, verbatim

if TYPE_CHECKING:
    from pathlib import Path

WEAK_DBM, DEAF_DBM = -70, -80  # below the first a radio link loses packets, below the second it breaks

_CABLE = say("Check the cable, the router's power or the antenna; `nmcli device` shows the state")
_ROUTE = say("Check the router's DHCP; `nmcli connection up` brings the connection back")
_DNS = say("Name a server: nmcli connection modify … ipv4.dns")
_ANTENNA = say("Move the antenna or the kit towards the access point, or lay a cable")
LINK = "net.link"
ROUTE = "net.route"
SERVERS = "net.servers"


def checks(root: Path) -> list[Check]:
    """The checks of this room; `root` is where /proc, /sys and /etc hang."""
    return [
        Check(LINK, say("Cable, radio or modem"), lambda: _link(root)),
        Check(ROUTE, say("The way out"), lambda: _route(root), (LINK,)),
        Check(SERVERS, say("Name servers"), lambda: _servers(root), (LINK,)),
        Check("net.wifi", say("Wi-Fi signal"), lambda: _wifi(root), (LINK,)),
    ]


def _link(root: Path) -> Verdict:
    found = network.interfaces(root)
    if not found:
        return fail(say("no network device at all"), _CABLE)
    up = [one.name for one in found if one.carrier]
    if not up:
        names = ", ".join(one.name for one in found)
        return fail(say("no carrier on {names}", names=names), _CABLE)
    return ok(verbatim(", ".join(up)))


def _route(root: Path) -> Verdict:
    route = network.default_route(root)
    if route is None:
        return fail(say("there is no default route"), _ROUTE)
    return ok(verbatim(f"{route.gateway or '-'} ({route.interface})"))


def _servers(root: Path) -> Verdict:
    servers = network.name_servers(root)
    if not servers:
        return fail(say("resolv.conf names none"), _DNS)
    return ok(verbatim(", ".join(servers)))


def _wifi(root: Path) -> Verdict:
    used = [one for one in network.interfaces(root) if one.wireless and one.carrier]
    heard = [one.signal_dbm for one in used if one.signal_dbm is not None]
    if not used:
        return skip(say("Wi-Fi is not in use"))
    if not heard:
        return skip(say("its level is not visible"))
    told = say("{level} dBm", level=heard[0])
    if heard[0] <= DEAF_DBM:
        return fail(told, _ANTENNA)
    return warn(told, _ANTENNA) if heard[0] <= WEAK_DBM else ok(told)
