"""Which kits' cards are made: enrolment files, all good, before any card is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device import kitfile
from agent.device.enrolfile import EnrolFile
from agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CLAIM = "stairwell fleet claim"


def enrolments(
    directory: Path, kits: Sequence[str], *, everything: bool, now: str | None
) -> tuple[EnrolFile, ...]:
    """The enrolment files of `kits` in `directory`, or of all there; `now` is UTC, None when it is unknown.

    Raises:
        ConfigError: no kit was named, or a file is missing, wrong, another kit's or expired, or no kit would
            take a setting in it. All are named.
    """
    if everything == bool(kits):
        raise ConfigError("which kits?", fix="name them, or say --all")
    paths = sorted(directory.glob("*.toml")) if everything else [directory / f"{kit}.toml" for kit in kits]
    if not paths:
        raise ConfigError(f"{directory}: no enrolment files", fix=f"{CLAIM} --all -o {directory}")
    if len(set(paths)) < len(paths):
        raise ConfigError("a kit is named twice", fix="name each kit once")
    found: list[EnrolFile] = []
    problems: list[str] = []
    fixes: dict[str, None] = {}
    for path in paths:
        try:
            found.append(_enrolment(path, now, f"{CLAIM} KIT… -o {directory} makes it anew"))
        except ConfigError as error:
            problems.append(error.problem)
            fixes[error.fix] = None
    if problems:
        raise ConfigError("; ".join(problems), fix="; ".join(fixes))
    return tuple(found)


def _enrolment(path: Path, now: str | None, anew: str) -> EnrolFile:
    try:
        enrol = EnrolFile.read(path)
    except ConfigError as error:
        raise ConfigError(error.problem, fix=anew) from None
    if enrol.kit != path.stem:
        raise ConfigError(f"{path}: is of {enrol.kit}", fix=anew)
    if now is not None and enrol.claim_expires < now:
        raise ConfigError(f"{path}: its claim expired at {enrol.claim_expires}", fix=anew)
    kitfile.check(path, enrol)
    return enrol
