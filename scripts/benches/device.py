"""The device without a device: real systemd, package, Picamera2 and faults. See each part's module."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

import device_camera
import device_clock
import device_memory
import device_network
import device_package
import device_powercut
import device_readonly
import device_systemd
import device_whole
import findings
from agent.errors import StairwellError
from findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUITES = ("bookworm", "trixie")


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of it."""

    minutes: float
    cuts: int


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is exercised: in which suites of Debian, and how, given the suite and how much.

    Without `suites` on this machine as it is; `run` is then given "". `minutes` are those of a run that is
    not told how long.
    """

    suites: tuple[str, ...]
    run: Callable[[str, Amount], Iterator[Finding]]
    minutes: float = 0.0


PARTS = {
    "package": Part(SUITES, lambda suite, _: device_package.findings_of(suite)),
    "erase": Part(SUITES, lambda suite, _: device_package.erased(suite)),
    "systemd": Part(SUITES, lambda suite, _: device_systemd.findings_of(suite)),
    "arm64": Part(SUITES, lambda suite, _: device_package.emulated(suite)),
    "camera": Part(
        device_camera.SUITES, lambda suite, much: device_camera.findings_of(suite, much.minutes), minutes=10
    ),
    "whole": Part(
        device_camera.SUITES, lambda suite, much: device_whole.findings_of(suite, much.minutes), minutes=5
    ),
    "memory": Part((), lambda _, much: device_memory.findings_of(much.minutes), minutes=30),
    "powercut": Part(
        device_powercut.SUITES, lambda suite, much: device_powercut.findings_of(suite, much.cuts)
    ),
    "readonly": Part(device_readonly.SUITES, lambda suite, _: device_readonly.findings_of(suite)),
    "clock": Part((), lambda *_: device_clock.findings_of()),
    "network": Part((), lambda *_: device_network.findings_of()),
}


KNOWN = sorted({suite for part in PARTS.values() for suite in part.suites})


def main(
    part: Annotated[list[str] | None, typer.Option(help=f"{', '.join(PARTS)}; more than once.")] = None,
    suite: Annotated[list[str] | None, typer.Option(help=f"{', '.join(KNOWN)}; more than once.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.2, help="How long camera (10), whole (5) and memory (30) run."),
    ] = None,
    cuts: Annotated[int, typer.Option(min=1, help="How often powercut cuts the power.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Exercise what a kit needs of its system; needs root's rights. Without --part: everything."""
    parts, suites = _known("part", part, list(PARTS)), _known("suite", suite, KNOWN)
    chosen = [
        (name, debian) for name in parts for debian in PARTS[name].suites or ("",) if debian in ("", *suites)
    ]
    run = _run if len(chosen) == 1 else _run_to_the_end
    runs = (run(name, debian, Amount(minutes or PARTS[name].minutes, cuts)) for name, debian in chosen)
    if not findings.show(chain.from_iterable(runs), as_json=as_json):
        raise typer.Exit(1)


def _run(name: str, suite: str, amount: Amount) -> Iterator[Finding]:
    return PARTS[name].run(suite, amount)


def _run_to_the_end(name: str, suite: str, amount: Amount) -> Iterator[Finding]:
    """As `_run`; a part that cannot go on is one finding, and keeps none of the others from being run."""
    begun = time.monotonic()
    try:
        yield from _run(name, suite, amount)
    except (StairwellError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        took = round(time.monotonic() - begun, 1)
        yield Finding(
            name, suite, "run", "the part runs to its end", ok=False, s=took, found={"error": str(error)}
        )


def _known(option: str, chosen: list[str] | None, known: list[str]) -> list[str]:
    for name in chosen or ():
        if name not in known:
            raise StairwellError(f"--{option} {name}: unknown", fix=f"known are {', '.join(known)}")
    return chosen or known
