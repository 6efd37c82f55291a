"""The device without a device: real systemd, a real package, in a container. See each part's module."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

import device_package
import findings
from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from findings import Finding

SUITES = ("bookworm", "trixie")

PARTS: dict[str, Callable[[str], Iterator[Finding]]] = {
    "package": device_package.findings_of,
}
"""What each takes is the suite of Debian."""


def main(
    part: Annotated[list[str] | None, typer.Option(help=f"{', '.join(PARTS)}; more than once.")] = None,
    suite: Annotated[list[str] | None, typer.Option(help=f"{', '.join(SUITES)}; more than once.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Exercise what a kit needs of its system; needs root's rights. Without --part: everything."""
    parts, suites = _known("part", part, tuple(PARTS)), _known("suite", suite, SUITES)
    runs = (PARTS[name](debian) for name in parts for debian in suites)
    if not findings.show(chain.from_iterable(runs), as_json=as_json):
        raise typer.Exit(1)


def _known(option: str, chosen: list[str] | None, known: tuple[str, ...]) -> list[str]:
    for name in chosen or ():
        if name not in known:
            raise StairwellError(f"--{option} {name}: unknown", fix=f"known are {', '.join(known)}")
    return chosen or list(known)
