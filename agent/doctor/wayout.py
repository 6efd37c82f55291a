"""Checks of the network as far as this machine goes: nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device import line, network
from agent.doctor.check import Check, Verdict, fail, ok, skip, warn
from agent.words import counted, say, verbatim

if TYPE_CHECKING:
    from pathlib import Path

WEAK_DBM, DEAF_DBM = -70, -80  # below the first a radio link loses packets, below the second it breaks
TORN = 0.001  # of the packets: TCP falls to a crawl
SLOW_MBIT = 100  # a healthy cable gives it to the oldest Pi; less is a broken pair
SMALLEST = 1280  # IPv6 needs it (RFC 8200), and so does a TLS handshake without delays
FAINT = 40  # percent, where balena's doctor warns too

_CABLE = say("Check the cable, the router's power or the antenna; `nmcli device` shows the state")
_ROUTE = say("Check the router's DHCP; `nmcli connection up` brings the connection back")
_DNS = say("Name a server: nmcli connection modify … ipv4.dns")
_ANTENNA = say("Move the antenna or the kit towards the access point, or lay a cable")
_PLUG = say("Plug the cable in anew at both ends, or replace it; try another port of the router")
_SIM = say("mmcli -m any tells why; check the SIM, its PIN and its contract")
LINK = "net.link"
ROUTE = "net.route"
SERVERS = "net.servers"


def checks(root: Path) -> list[Check]:
    """The checks of this room; `root` is where /proc, /sys and /etc hang."""
    return [
        Check(LINK, say("Cable, radio or modem"), lambda: _link(root)),
        Check(ROUTE, say("The way out"), lambda: _route(root), (LINK,)),
        Check(SERVERS, say("Name servers"), lambda: _servers(root), (LINK,)),
        Check("net.gateway", say("The router answers"), lambda: _gateway(root), (ROUTE,)),
        Check("net.cable", say("Cable"), lambda: _cable(root), (ROUTE,)),
        Check("net.mtu", say("Size of a packet"), lambda: _mtu(root), (ROUTE,)),
        Check("net.modem", say("Mobile modem"), _modem, (LINK,)),
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


def _gateway(root: Path) -> Verdict:
    """As the kernel remembers it: nothing is sent."""
    route = network.default_route(root)
    if route is None or route.gateway is None:
        return skip(say("a line without a router (a modem)"))
    answered = line.neighbour(route.gateway, root)
    if answered is None:
        return skip(say("nobody has spoken to it lately"))
    if not answered:
        return fail(say("{address}: does not answer", address=route.gateway), _CABLE)
    return ok(verbatim(route.gateway))


def _cable(root: Path) -> Verdict:
    route = network.default_route(root)
    if route is None:
        return skip(say("there is no default route"))
    found = line.line(route.interface, root)
    share = found.damaged / found.packets if found.packets else 0.0
    if share >= TORN:
        return fail(say("{share:.1%} of the packets arrive damaged", share=share), _PLUG)
    if found.speed is None:
        return skip(say("{interface} does not tell its speed", interface=route.interface))
    told = say("{speed} Mbit/s, {duplex} duplex", speed=found.speed, duplex=found.duplex or "-")
    return warn(told, _PLUG) if found.speed < SLOW_MBIT or found.duplex == "half" else ok(told)


def _mtu(root: Path) -> Verdict:
    route = network.default_route(root)
    mtu = None if route is None else line.line(route.interface, root).mtu
    if mtu is None:
        return skip(say("the kernel does not tell"))
    told = counted("{n} byte", "{n} bytes", mtu)
    if mtu < SMALLEST:
        return warn(
            told, say("Set the connection's MTU to 1400: nmcli connection modify … 802-3-ethernet.mtu 1400")
        )
    return ok(told)


def _modem() -> Verdict:
    found = line.modem()
    if found is None:
        return skip(say("there is none"))
    if found.state == "failed":
        return fail(say("it has failed: {why}", why=found.why or "-"), _SIM)
    if found.state not in {"connected", "connecting", "registered"}:
        return fail(say("not connected: {state}", state=found.state), _SIM)
    told = say("{state}, signal {share:.0%}", state=found.state, share=(found.quality or 0) / 100)
    return warn(told, _ANTENNA) if (found.quality or 0) < FAINT else ok(told)


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
