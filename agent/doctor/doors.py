"""Checks of the ways in: open ports, the SSH server, the firewall, updates, who may change the agent."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import agent
from agent.device import network, program, sshd
from agent.doctor.check import Check, Verdict, denied, fail, ok, skip, warn
from agent.doctor.remedy import closing, spelled
from agent.words import say, verbatim

if TYPE_CHECKING:
    from agent.config import Settings
    from agent.device.clock import Clock

SSH = 22
DAY_S = 86_400.0
LATE_DAYS, OLD_DAYS = 30, 90  # Debian mends what matters within days; three months are many known holes
STAMP, LISTS = "var/lib/apt/periodic/update-success-stamp", "var/lib/apt/lists"
CONFIG_DIR = "etc/stairwell"

_KEYS_ONLY = say(
    "Put `PasswordAuthentication no` into /etc/ssh/sshd_config.d/10-stairwell.conf; sudo systemctl reload ssh"
)
_NO_ROOT = say(
    "Put `PermitRootLogin no` into /etc/ssh/sshd_config.d/10-stairwell.conf; sudo systemctl reload ssh"
)
_UPDATE = say("sudo apt update && sudo apt upgrade; unattended-upgrades does it by itself")


def checks(settings: Settings, clock: Clock, root: Path) -> list[Check]:
    """The checks of this module; `root` is where /proc, /etc and /var hang."""
    return [
        Check("sec.ports", say("Open ports"), lambda: _ports(root)),
        Check("sec.ssh", say("SSH server"), lambda: _ssh(root)),
        Check("sec.firewall", say("Firewall"), _firewall),
        Check("sec.updates", say("Updates of the system"), lambda: _updates(clock, root), ("time.set",)),
        Check("sec.writable", say("Only root changes the agent"), lambda: _writable(settings, root)),
    ]


def _ports(root: Path) -> Verdict:
    strange = [f"{address}:{port}" for address, port in network.listening(root) if port != SSH]
    if strange:
        return warn(
            say("others can reach {places}", places=", ".join(strange)),
            say("sudo ss -ltnp shows whose they are; stop what the kit does not need"),
        )
    return ok(say("none but SSH"))


def _ssh(root: Path) -> Verdict:
    try:
        found = sshd.configuration(root)
    except PermissionError as error:
        return denied(say("{path}: only root may read it", path=error.filename))
    if found is None:
        return ok(say("there is none"))
    if found["passwordauthentication"] == "yes" or found["kbdinteractiveauthentication"] == "yes":
        return fail(say("it takes passwords"), _KEYS_ONLY)
    if found["permitrootlogin"] != "no":
        return warn(say("root may log in with a key"), _NO_ROOT)
    return ok(say("keys only, no root"))


def _firewall() -> Verdict:
    answer = program.ask("nft", "--json", "list", "chains")
    if answer is None:
        return skip(say("nftables is not installed"))
    if answer.code != 0:
        return denied(say("only root may ask"))
    try:
        chains = [entry["chain"] for entry in json.loads(answer.out)["nftables"] if "chain" in entry]
    except (ValueError, KeyError):
        return skip(say("nft answers something unknown"))
    if any(chain.get("hook") == "input" and chain.get("policy") == "drop" for chain in chains):
        return ok(say("what is not allowed in stays out"))
    return warn(
        say("everything is let in"),
        say("Load rules with `policy drop` on input, and SSH from the city only (/etc/nftables.conf)"),
    )


def _updates(clock: Clock, root: Path) -> Verdict:
    if (root / "run/reboot-required").exists():
        return warn(say("installed, and wait for a reboot"), say("sudo reboot, when nothing is going on"))
    for name in (STAMP, LISTS):
        try:
            seen = (root / name).stat().st_mtime
        except OSError:
            continue
        days = (clock.unix_ms() / 1000 - seen) / DAY_S
        told = say("last looked for {days:.0f} days ago", days=days)
        if days >= OLD_DAYS:
            return fail(told, _UPDATE)
        return warn(told, _UPDATE) if days >= LATE_DAYS else ok(told)
    return skip(say("there is no apt here"))


def _writable(settings: Settings, root: Path) -> Verdict:
    """Settings, code, model and service: who may write them decides what the kit does."""
    places = [root / CONFIG_DIR, root / CONFIG_DIR / "agent.toml", Path(agent.__file__).parent]
    model = Path(settings.detector.model)
    places += [model] if model.is_absolute() else []
    open_ones = [path for path in places if _open(path)]
    if open_ones:
        told = say("others may change {paths}", paths=", ".join(map(str, open_ones)))
        return fail(told, spelled((("chmod", "go-w", *map(str, open_ones)),)), closing("go-w", open_ones))
    return ok(verbatim(", ".join(str(path) for path in places if path.exists())))


def _open(path: Path) -> bool:
    """Whether more than its owner may write it; a group of the owner's alone (gid = uid) is the owner."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return False
    shared = state.st_mode & stat.S_IWGRP and state.st_gid != state.st_uid
    return bool(shared or state.st_mode & stat.S_IWOTH)
