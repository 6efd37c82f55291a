"""A city in a network namespace: reference broker and platform, name servers, portals, kits on lines.

A program (`device_network.py` starts it, as root, in namespaces of its own): it lets every fault happen at
the same time, each to a kit of its own; a JSON line for each finding, what happens meanwhile to stderr.
Arguments: names of faults (none: all), or `--quick`. Nothing is left behind: it is the first process of its
namespace, so all ends with it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import network_kit
from agent.backbone.link import CONNECT_S
from city import City
from light_kit import kit_id, settings
from network_faults import AFTER_S, BACK_S, DELAY_MS, FAULTS, Fault, Told, judge
from network_line import LARGEST, Line, Lines, device
from pki import Authority
from reference import PLATFORM, ReferenceBroker, connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from findings import Finding

NAME = "mqtt.city.test"
BROKER, RESOLVER, PORTAL_TLS, PORTAL_HTTP = "10.77.0.1", "10.77.0.53", "10.77.0.3", "10.77.0.4"
ANSWERS = {RESOLVER: BROKER, PORTAL_TLS: PORTAL_TLS, PORTAL_HTTP: PORTAL_HTTP}
"""Each name server, and what it answers for every name."""
PORTAL_PORT = 443  # whatever a guest asks for ends there
RULES = """
table ip city {
  set cut { type ipv4_addr; }
  set mute { type ipv4_addr; }
  set portal_tls { type ipv4_addr; }
  set portal_http { type ipv4_addr; }
  chain input {
    type filter hook input priority 0;
    ip saddr @cut ip daddr BROKER tcp dport PORT reject with tcp reset
    ip saddr @mute udp dport 53 drop
  }
  chain hijack {
    type nat hook prerouting priority -100;
    ip saddr @portal_tls udp dport 53 dnat to PORTAL_TLS
    ip saddr @portal_http udp dport 53 dnat to PORTAL_HTTP
    ip daddr PORTAL_TLS tcp dport PORT dnat to PORTAL_TLS:443
    ip daddr PORTAL_HTTP tcp dport PORT dnat to PORTAL_HTTP:443
  }
}
"""
GREETING = b"\x16"  # RFC 8446: a record of the handshake
MESSAGES_FIRST = 4  # messages that have arrived before a fault begins
CALM_S = 120.0  # until they have, with all kits starting at once
DRAIN_S = 90.0  # for the last messages of a kit that has a connection
LOOK_S = 0.1
STORED_S = 1.0  # between two looks at what is stored
BLIND_S = 3.0  # a kit that has found its link again notices in that time that it has not


@dataclass
class Site:
    """A kit, its line and what has been seen of it. Times are of the monotonic clock."""

    fault: Fault
    number: int
    wire: socket.socket
    pid: int
    line: Line
    looks: int = 0
    last: dict[str, Any] = field(default_factory=dict)
    connected: bool = False
    told: Told = field(default_factory=Told)
    begun: float | None = None
    lifted: float | None = None
    stopped: float | None = None
    ended: float | None = None
    at_begin: int = 0
    at_lift: int = 0
    is_down: bool = False

    @property
    def kit(self) -> str:
        """Its id."""
        return kit_id(self.number)

    @property
    def address(self) -> str:
        """Of the kit."""
        return f"10.77.{self.number}.2"


class Faults:
    """All sites of one run."""

    def __init__(self, directory: Path, faults: list[Fault], *, quick: bool) -> None:
        self._quick = quick
        self._authority = Authority(directory / "keys")
        for number in range(1, len(faults) + 1):
            self._authority.issue(kit_id(number))
        self._broker = ReferenceBroker(directory, self._authority, "0.0.0.0", hosts=(NAME,))  # noqa: S104
        self._resolver = directory / "resolv.conf"
        self._resolver.write_text(f"nameserver {RESOLVER}\n")
        self._city = City(directory / "city")
        self._programs: list[subprocess.Popen[bytes]] = []
        self._heard: dict[str, int] = {PORTAL_TLS: 0, PORTAL_HTTP: 0}
        # Before there is any thread: a forked process of several threads may hang.
        self._sites = [self._kit(directory, number, fault) for number, fault in enumerate(faults, 1)]
        self._lines = Lines([site.line for site in self._sites])

    def run(self) -> Iterator[Finding]:
        """From the first connection to the last message; findings as they come."""
        self._lay()
        self._broker.start()
        self._lines.start()
        platform = self._city.platform(self._broker.settings(PLATFORM), PLATFORM, acknowledge=True)
        platform.start()
        platform.listening(CONNECT_S)
        begun = time.monotonic()
        for site in self._sites:
            site.wire.send(b".")
        next_look = 0.0
        try:
            while any(site.ended is None for site in self._sites):
                for error in (self._lines.error, platform.error):
                    if error is not None:
                        raise error
                now = time.monotonic()
                stored = now >= next_look
                next_look = now + STORED_S if stored else next_look
                for site in self._sites:
                    if site.ended is None:
                        self._listen(site)
                        self._move(site, now, begun, stored=stored)
                        if site.ended is not None:
                            took = round(site.ended - begun, 1)
                            yield judge(site.fault, self._sum(site), quick=self._quick, took=took)
                time.sleep(LOOK_S)
        finally:
            platform.close()

    def close(self) -> None:
        """End everything."""
        for site in self._sites:
            with contextlib.suppress(ProcessLookupError):
                os.kill(site.pid, signal.SIGKILL)
            os.waitpid(site.pid, 0)
        for program in self._programs:
            program.kill()
            program.wait()
        self._broker.kill()

    def _kit(self, directory: Path, number: int, fault: Fault) -> Site:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        backbone = connection(self._broker.port, self._authority.directory, kit_id(number))
        chosen = settings(number, directory / f"kit-{number}", backbone.model_copy(update={"host": NAME}))
        child = os.fork()
        if not child:
            here.close()
            try:
                network_kit.run(chosen, f"10.77.{number}.2", self._resolver, there)
            except BaseException:  # noqa: BLE001 - top of a process: told, and nothing of the parent's is done
                traceback.print_exc()
            os._exit(0)
        there.close()
        _, (fd,), _, _ = socket.recv_fds(here, 1, 1)
        line = Line(fd, device(f"kit{number}"))
        return Site(fault, number, here, child, line)

    def _lay(self) -> None:
        """Addresses, routes, rules, name servers and portals."""
        network_kit.ip("link", "set", "lo", "up")
        for address in (BROKER, *ANSWERS):
            network_kit.ip("addr", "add", f"{address}/32", "dev", "lo")
        for site in self._sites:
            name = f"kit{site.number}"
            network_kit.ip("link", "set", name, "up")
            network_kit.ip("route", "add", f"{site.address}/32", "dev", name, "src", BROKER)
        places = {"PORTAL_TLS": PORTAL_TLS, "PORTAL_HTTP": PORTAL_HTTP, "BROKER": BROKER}
        rules = RULES
        for word, value in {**places, "PORT": str(self._broker.port)}.items():
            rules = rules.replace(word, value)
        subprocess.run(["nft", "-f", "-"], input=rules.encode(), check=True)
        for server, answer in ANSWERS.items():
            command = [
                "dnsmasq",
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
            ]
            command += [
                "--user=",
                "--group=",
                "--pid-file=",
                f"--listen-address={server}",
                "--bind-interfaces",
            ]
            self._programs.append(subprocess.Popen([*command, f"--address=/#/{answer}"]))
        certificate, key = Authority(self._authority.directory / "portal", "portal").issue(
            "portal", "portal.test"
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        for address, wrap in ((PORTAL_TLS, context), (PORTAL_HTTP, None)):
            server = socket.create_server((address, PORTAL_PORT))
            threading.Thread(target=self._portal, args=(server, address, wrap), daemon=True).start()

    def _portal(self, server: socket.socket, address: str, context: ssl.SSLContext | None) -> None:
        """Answer as a portal does: by its own certificate, or by a page. What can be read is counted."""
        while True:
            client, _ = server.accept()
            with contextlib.suppress(OSError):
                client.settimeout(CONNECT_S)
                if context is None:
                    client.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\n\r\n")
                    said = client.recv(LARGEST)
                    self._heard[address] += 0 if said[:1] in (b"", GREETING) else len(said)
                else:
                    client = context.wrap_socket(client, server_side=True)
                    self._heard[address] += len(client.recv(LARGEST))
            client.close()

    def _listen(self, site: Site) -> None:
        """Take in what the kit says of itself."""
        while True:
            try:
                word = site.wire.recv(LARGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if not word:
                raise RuntimeError(f"{site.fault.name}: the kit has ended")
            look = site.last = json.loads(word)
            site.looks += 1
            if site.begun is None:
                site.connected = look["connected"]
                continue
            self._take_in(site, look)

    def _take_in(self, site: Site, look: dict[str, Any]) -> None:
        told, since = site.told, round(look["t"] - site.begun, 1)
        cause = look["cause"]
        if cause and (not told.causes or told.causes[-1] != cause):
            told.causes.append(cause)
            _say(site, f"{cause}: {look['detail']}", since)
        if told.cause_s is None and cause in site.fault.causes:
            told.cause_s = since
        for alarm in look["alarms"]:
            if alarm not in told.alarms:
                told.alarms.append(alarm)
                _say(site, f"alarm {alarm}", since)
            if told.alarm_s is None and alarm == site.fault.alarm:
                told.alarm_s = since
        if look["connected"] and not site.connected:
            told.connections += 1
            _say(site, "connected", since)
            if site.fault.heals and told.back_s is None:
                told.back_s = since
        site.connected = look["connected"]
        told.rtt_ms = max(told.rtt_ms, look["rtt_ms"] or 0.0)

    def _move(self, site: Site, now: float, begun: float, *, stored: bool) -> None:
        """Let the fault begin, end, and what follows from it."""
        fault, seconds = site.fault, site.fault.seconds
        if self._quick:
            cause = not fault.causes or site.told.cause_s is not None
            delay = not fault.stands or site.told.rtt_ms >= DELAY_MS
            seconds = fault.quick if cause and delay else fault.cause_s
        if site.begun is None:
            if stored and site.connected and self._stored(site) >= MESSAGES_FIRST:
                self._impose(site, now)
            elif now - begun > CALM_S:
                raise RuntimeError(f"{site.fault.name}: no connection before the fault: {site.last}")
        elif site.lifted is None:
            self._flap(site, now)
            if now - site.begun >= seconds:
                site.told.during = self._stored(site) - site.at_begin
                self._lift(site, now)
        elif site.stopped is None:
            self._see_it_end(site, now, stored=stored)
        elif stored:
            whole = self._missing(site, site.last["last"]) == 0
            if whole or now - site.stopped > DRAIN_S:
                site.ended = now

    def _impose(self, site: Site, now: float) -> None:
        site.begun, site.at_begin = now, self._stored(site)
        _say(site, "begins", 0)
        self._set(site, "add")
        for name, value in site.fault.line.items():
            setattr(site.line, name, value)
        if site.fault.forgets:
            site.line.forget()

    def _lift(self, site: Site, now: float) -> None:
        site.lifted, site.at_lift = now, site.last["last"]
        _say(site, "ends", round(now - site.begun, 1))
        self._set(site, "delete")
        plain = Line(0, 0)
        for name in site.fault.line:
            setattr(site.line, name, getattr(plain, name))
        if site.is_down:
            self._switch(site, down=False)

    def _see_it_end(self, site: Site, now: float, *, stored: bool) -> None:
        """Whether the link is back, all has arrived, and no alarm is left; or too much time has passed."""
        told, since = site.told, round(now - site.lifted, 1)
        if told.back_s is None and site.connected and (since > BLIND_S or told.connections):
            told.back_s = since if told.connections else 0.0
        if stored and told.delivered_s is None and self._missing(site, site.at_lift) == 0:
            told.delivered_s = since
            _say(site, "all delivered", round(now - site.begun, 1))
        done = told.back_s is not None and told.delivered_s is not None and not site.last["alarms"]
        if done or since > BACK_S + AFTER_S:
            site.stopped = now
            site.wire.send(b".")

    def _flap(self, site: Site, now: float) -> None:
        down = site.fault.down
        if down is None:
            return
        wanted = not down or int((now - site.begun) / down) % 2 == 0
        if wanted != site.is_down:
            self._switch(site, down=wanted)

    def _switch(self, site: Site, *, down: bool) -> None:
        within = ["nsenter", f"--net=/proc/{site.pid}/ns/net"]
        if down:
            subprocess.run([*within, "ip", "link", "set", network_kit.DEVICE, "down"], check=True)
        else:
            network_kit.go_up(*within)
        site.is_down = down

    def _set(self, site: Site, verb: str) -> None:
        for name in site.fault.sets:
            command = ["nft", verb, "element", "ip", "city", name, f"{{ {site.address} }}"]
            subprocess.run(command, check=True)

    def _stored(self, site: Site) -> int:
        stream = site.last.get("stream")
        return sum(b - a + 1 for a, b in self._city.kept(site.kit, stream)) if stream else 0

    def _missing(self, site: Site, upto: int) -> int:
        kept = self._city.kept(site.kit, site.last["stream"])
        return sum(b - a + 1 for a, b in kept.missing(1, upto))

    def _sum(self, site: Site) -> Told:
        told = site.told
        told.said = site.last["last"]
        told.missing = self._missing(site, told.said)
        portal = {"portal-tls": PORTAL_TLS, "portal-http": PORTAL_HTTP}.get(site.fault.name)
        told.portal = self._heard[portal] if portal else 0
        heard = [topic.rpartition("/alm/")[2] for topic in self._city.topics(site.kit) if "/alm/" in topic]
        told.raised = sorted({code for code in heard if heard.count(code) > 1})
        return told


def _say(site: Site, what: str, since: float) -> None:
    sys.stderr.write(f"network {site.fault.name}: {what} ({since:g} s)\n")


def main(arguments: list[str]) -> None:
    """Run the faults that are asked for."""
    if os.getpid() != 1:  # addresses and rules would be this machine's
        raise SystemExit("network_city.py: only in namespaces of its own, as device_network.py starts it")
    logging.getLogger("agent").setLevel(logging.CRITICAL)  # what the network does is said below
    quick = "--quick" in arguments
    chosen = [
        fault for fault in FAULTS if (fault.quick if quick else fault.name in arguments or not arguments)
    ]
    with tempfile.TemporaryDirectory(prefix="stairwell-network-") as directory:
        faults = Faults(Path(directory), chosen, quick=quick)
        try:
            for finding in faults.run():
                line = {
                    name: value for name, value in asdict(finding).items() if name not in ("part", "where")
                }
                print(json.dumps(line), flush=True)
        finally:
            faults.close()


if __name__ == "__main__":
    main(sys.argv[1:])
