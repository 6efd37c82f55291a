"""From a blank card to a kit that is commissioned in its city's list, timed step by step; and cut off.

One kit goes from the depot's list through card, first boot, first event and each step of `stairwell
commission` to `stairwell fleet accept`; another loses its power at each step up to the first event; a third
is ordered to take releases; a list of a thousand kits is taken through the depot's commands.

Real are the depot's commands, the enrolment service, the broker with the reference consumer, the card's own
files, scripts and packages, systemd, the firewall, first boot, burn-in, agent and TLS, the commissioning. Not
real: the board (a container on this machine's processor, with the package for it), the official image (a
small one with its layout; cloud-init is not run), the camera (a recorded video, whose persons are the walk
test's), ssh and the page for masks (commands are given as root, masks come from a file), the hands (a stated
model, kit_hands.py).
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import container
import findings
import kit_fleet
import kit_hands
from agent.city.kits import State
from agent.errors import StairwellError
from device_package import built
from findings import Finding
from kit_camera import CAMERA, footage
from kit_commission import Site
from kit_cuts import CUTS
from kit_depot import Depot, insert, official, words_of
from kit_machine import AGENT, FIRMWARE, PACKAGES, STATE, Machine, Networks
from kit_orders import Orders
from kit_update import Updates, released, roomy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from kit_cuts import Cut

SUITES = ("bookworm", "trixie")
PARTS = ("flow", "cuts", "update", "list")
PART = "kit"
CARD_S, INSTALL_S, FIRST_BOOT_S, EVENT_S = 120.0, 600.0, 600.0, 180.0


def main(
    part: Annotated[list[str] | None, typer.Option(help=f"{', '.join(PARTS)}; more than once.")] = None,
    suite: Annotated[str, typer.Option(help=f"{' or '.join(SUITES)}.")] = SUITES[0],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Take kits through their lives, as root. Without --part: all of it.

    flow: from a blank card to commissioned, timed; cuts: the power goes at each step; update: releases that
    are ordered; list: 1,000 kits.
    """
    for option, chosen, known in (("suite", [suite], SUITES), ("part", part or (), PARTS)):
        for name in chosen:
            if name not in known:
                raise StairwellError(f"--{option} {name}: unknown", fix=f"known are {', '.join(known)}")
    if not findings.show(findings_of(suite, part or PARTS), as_json=as_json):
        raise typer.Exit(1)


@dataclass
class Run:
    """One flow: what it has, and the seconds of each step that are measured on the way."""

    suite: str
    work: Path
    depot: Depot
    networks: Networks
    root: Path
    image: Path
    footage: Path
    native: Path
    carried: Path
    kits: list[str] = field(default_factory=list)
    took: dict[str, float] = field(default_factory=dict)

    def finding(self, check: str, promise: str, ok: object, s: float, **found: object) -> Finding:
        """A finding of this bench."""
        return Finding(PART, self.suite, check, promise, ok=bool(ok), s=round(s, 1), found=found)


def findings_of(suite: str, parts: Collection[str]) -> Iterator[Finding]:
    """What is found in these parts."""
    kinds = {"flow": _flow, "cuts": _cut_off, "update": _updated}
    chosen = {name: kind for name, kind in kinds.items() if name in parts}
    if chosen:
        with _begun(suite) as run:
            yield _founded(run, len(chosen))
            with run.depot.serving(run.networks.city):
                for kit, (name, kind) in zip(run.kits, chosen.items(), strict=True):
                    yield from kind(run, kit, run.work / name)
    if "list" in parts:
        yield from kit_fleet.findings_of()


@contextmanager
def _begun(suite: str) -> Iterator[Run]:
    """What the kits of a run share."""
    root = container.ROOTS / f"{suite}-kit"
    if not (root / "etc/os-release").exists():
        container.debian(suite)  # its complaints, if it cannot be made
        container.bootstrap(root, suite, "amd64", PACKAGES)
    with tempfile.TemporaryDirectory(dir=container.ROOTS) as directory, Networks().laid() as networks:
        work = Path(directory)
        depot = Depot(work / "depot")
        depot.work.mkdir()
        image = official(work / "official.img", suite, root)
        debs = [built(suite, work / name, name) for name in ("amd64", "arm64")]
        yield Run(suite, work, depot, networks, root, image, footage(work / "camera.mp4"), *debs)


def _founded(run: Run, kits: int) -> Finding:
    begun = time.monotonic()
    run.depot.found()
    made = time.monotonic()
    run.kits = run.depot.take_in(kits)
    found = {"city_s": round(made - begun, 1), "list_s": round(time.monotonic() - made, 1)}
    return run.finding(
        "depot", "a city is made, and its list taken in", run.kits, time.monotonic() - begun, **found
    )


def _prepared(run: Run, kit: str) -> Path:
    begun = time.monotonic()
    run.depot.claim(kit)
    run.took["claim"] = time.monotonic() - begun
    begun = time.monotonic()
    card = run.depot.prepare(kit, run.image, run.carried)
    run.took["card"] = time.monotonic() - begun
    return card


def _built(run: Run, card: Path, machine: Machine) -> None:
    """The card is in the kit, the camera at its cable."""
    insert(card, machine.at(FIRMWARE), run.native)
    shutil.copy(run.footage, machine.at(CAMERA))


def _flow(run: Run, kit: str, work: Path) -> Iterator[Finding]:
    """One kit without a mishap."""
    card = _prepared(run, kit)
    took = run.took
    yield run.finding(
        "card",
        "prepare-card writes the kit's card, and reads it back",
        card.exists(),
        took["claim"] + took["card"],
    )
    with Machine(run.root, work, run.networks.kit).made() as machine:
        _built(run, card, machine)
        took["start"] = _boot_until_restart(machine, CARD_S)
        took["install"] = _boot_until_restart(machine, INSTALL_S)
        ok = machine.at("var/lib/stairwell-card.done").exists()
        yield run.finding("installs", "the card installs itself", ok, took["start"] + took["install"])
        yield from _first_boot(run, machine, kit)
        yield from _told(run, machine, kit)
        yield from Site(run, machine, kit).findings()
    yield _operator(run)


def _boot_until_restart(machine: Machine, timeout_s: float) -> float:
    begun = time.monotonic()
    machine.boot(words_of(machine.at(FIRMWARE)))
    machine.rebooted(timeout_s)
    return time.monotonic() - begun


def _first_boot(run: Run, machine: Machine, kit: str) -> Iterator[Finding]:
    begun = time.monotonic()
    machine.boot(words_of(machine.at(FIRMWARE)))
    steps: dict[str, Callable[[], object]] = {
        "settings": lambda: "first boot" in machine.text("etc/stairwell/agent.toml"),
        "burn_in": machine.at(f"{STATE}/burnin.json").exists,
        "enrolment": lambda: machine.at(f"{STATE}/tls/kit").is_symlink(),
        "handover": lambda: not machine.at(f"{STATE}/enrol.toml").exists(),
        "agent_ready": lambda: machine.active(AGENT),
    }
    for name, done in steps.items():
        run.took[name] = machine.until(name, done, FIRST_BOOT_S)
    found = {f"{name}_s": round(run.took[name], 1) for name in steps}
    state = run.depot.registry.kit(kit).state
    hostname = machine.text("etc/hostname").strip()
    ok = (state, hostname) == (State.CLAIMED, f"stairwell-{kit}")
    yield run.finding(
        "first_boot", "blank state to an enrolled kit whose agent runs", ok, time.monotonic() - begun, **found
    )


def _told(run: Run, machine: Machine, kit: str) -> Iterator[Finding]:
    """The way of an event, before anybody comes."""
    city = run.depot.city
    begun = time.monotonic()
    machine.until("an event", lambda: any("/evt/person" in topic for topic in city.topics(kit)), EVENT_S)
    took = time.monotonic() - begun
    run.took["event"] = took
    trouble = city.troubled
    yield run.finding(
        "event", "a person is told, and stored by the platform", not trouble, took, trouble=trouble
    )


def _operator(run: Run) -> Finding:
    machine_s = {name: round(took, 1) for name, took in run.took.items()}
    hands = kit_hands.seconds()
    waits = kit_hands.waits(run.took)
    limit, unknown = kit_hands.LIMIT_S, kit_hands.unknown(run.took)
    return run.finding(
        "ten_minutes",
        "hands (a model) and what they wait for (measured) take ten minutes at most",
        hands + waits <= limit and not unknown,
        sum(run.took.values()),
        actions=len(kit_hands.ACTIONS),
        hands_s=hands,
        waits_s=round(waits),
        operator_s=round(hands + waits),
        limit_s=limit,
        not_run=unknown,
        machine_s=machine_s,
    )


def _cut_off(run: Run, kit: str, work: Path) -> Iterator[Finding]:
    """Another kit, whose power goes at each step of its first day."""
    card = _prepared(run, kit)
    with Machine(run.root, work, run.networks.kit).made() as machine:
        _built(run, card, machine)
        for cut in CUTS:
            begun = time.monotonic()
            seen = _cut_at(machine, cut)
            yield run.finding(
                f"cut_{cut.name}", f"the power goes: {cut.when}", seen, time.monotonic() - begun
            )
        begun = time.monotonic()
        _to_the_end(machine)
        yield from _whole(run, machine, kit, begun)


def _cut_at(machine: Machine, cut: Cut) -> bool:
    """Start, and cut once it is seen; whether it was (False: it went by between two looks)."""
    end = time.monotonic() + FIRST_BOOT_S
    while True:
        if not machine.runs:
            machine.boot(words_of(machine.at(FIRMWARE)))
        while machine.runs:
            if machine.up and cut.seen(machine.disk):
                machine.cut()
                return not cut.over(machine.disk)
            if time.monotonic() > end:
                raise StairwellError(f"{cut.name}: never seen", fix=f"it said: {machine.said()}")


def _to_the_end(machine: Machine) -> None:
    end = time.monotonic() + FIRST_BOOT_S
    while True:
        if not machine.runs:
            machine.boot(words_of(machine.at(FIRMWARE)))
        if not machine.at(f"{STATE}/enrol.toml").exists() and machine.active(AGENT):
            return
        if time.monotonic() > end:
            raise StairwellError("the kit does not come to its end", fix=f"it said: {machine.said()}")
        time.sleep(0.2)


def _updated(run: Run, kit: str, work: Path) -> Iterator[Finding]:
    """A third kit, which is ordered to take releases."""
    card, orders = _prepared(run, kit), Orders(run.depot, run.networks.city, kit)
    with Machine(run.root, work, run.networks.kit).made() as machine:
        _built(run, card, machine)
        with roomy(machine), orders.open():
            _to_the_end(machine)
            releases = released(run.native, run.suite, run.depot.release_key, orders.store)
            yield from Updates(run, machine, orders, releases).findings()


def _whole(run: Run, machine: Machine, kit: str, begun: float) -> Iterator[Finding]:
    city, registry = run.depot.city, run.depot.registry
    machine.until("an event", lambda: any("/evt/person" in topic for topic in city.topics(kit)), EVENT_S)
    acts = [entry.act for entry in registry.trail(kit)]
    given = [one for one in run.depot.certificates(kit) if not one["revoked"]]
    refused = acts.count("refused")
    failed = machine.run("systemctl", "--failed", "--plain", "--no-legend").stdout.strip()
    ok = len(given) == 1 and not refused and registry.kit(kit).state is State.CLAIMED and not city.troubled
    yield run.finding(
        "resumed",
        "cut at each step it comes to its end: one certificate, one claim used, an event stored",
        ok,
        time.monotonic() - begun,
        starts=machine.boots,
        certificates=len(given),
        given_again=acts.count("given again"),
        refused=refused,
        units_failed=failed,
    )
