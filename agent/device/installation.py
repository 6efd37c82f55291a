"""A release that the agent wants installed. It has no right to that: it asks, and root answers.

    <state>/update/bundle     the signed release, as it was fetched
    <state>/update/request    which order wants it (Request)
    $RUNTIME_DIRECTORY/update for this stairwell-update.path (root's) looks; that it is there is all it says
    /opt/stairwell/answer     what root says to it, one line: its number, a Status, and the release or why

What lies in the state directory is the agent's user's, so root believes nothing of it: it takes a copy of
the bundle that nobody else can change, and lets its signature decide (`agent.app.update`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent import foreign
from agent.device.releases import READABLE, SPARE_BYTES
from agent.durable import write_whole
from agent.errors import StairwellError, StorageError, UpdateError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DIRECTORY, BUNDLE, REQUEST = "update", "bundle", "request"
TRIGGER = "update"
"""The file in RUNTIME_DIRECTORY (/run/stairwell) for which systemd/stairwell-update.path looks."""
ANSWER, COPY = "answer", "bundle"
LONGEST = 256 << 20  # bytes of a bundle; a release of today has 100 MB
CHUNK = 1 << 20
REQUEST_MAX = 1024  # bytes
ANSWER_MAX = 500  # characters of why
PRIVATE = 0o600


class Status(StrEnum):
    """What root says. Before it begins it forgets an earlier failure of the release."""

    BEGUN = "begun"
    OK = "ok"
    """It has switched to the release."""
    FAILED = "failed"


class Request(BaseModel):
    """What the agent wants, and for which order."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    req: str = Field(pattern=r"^[0-9A-Z]{26}$")
    release: str = Field(pattern=r"^[0-9a-z.-]{1,100}$")
    """Its directory's name."""


def place(state: Path) -> Path:
    """Where the agent keeps what it fetched and what it wants."""
    return state / DIRECTORY


def ask(state: Path, request: Request, environment: Mapping[str, str] = os.environ) -> None:
    """Ask for the installation of the bundle that lies at its place.

    Raises:
        StairwellError: the agent does not run as a service, so nobody would hear.
        StorageError: the request cannot be left.
    """
    runtime = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if not runtime:
        raise StairwellError(
            say("an update was asked for, and nobody is there who could do it"),
            fix=say("run the agent as the service stairwell-agent"),
        )
    path = place(state) / REQUEST
    try:
        write_whole(path, request.model_dump_json().encode(), PRIVATE)
        path = Path(runtime) / TRIGGER
        path.touch(mode=PRIVATE)
    except OSError as error:
        raise StorageError(
            say("{path}: an update cannot be asked for ({reason})", path=path, reason=reason(error)),
            fix=say("see that the directory belongs to the agent's user"),
            errno=error.errno,
        ) from None


def asked(state: Path) -> Request | None:
    """The request that was left, None if there is none or it is no such thing. Follows no link."""
    try:
        with _opened(state, REQUEST) as descriptor:
            return Request.model_validate_json(os.read(descriptor, REQUEST_MAX))
    except (OSError, ValidationError):
        return None


@contextlib.contextmanager
def taken(state: Path, home: Path) -> Iterator[Path]:
    """The bundle as root's own file in `home`, for as long as it is needed.

    Raises:
        UpdateError: there is none, it is too long, or there is no room for it.
        StorageError: the disk refused.
    """
    copy = home / COPY
    try:
        home.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        with _opened(state, BUNDLE) as descriptor:
            _copy(descriptor, copy)
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise StorageError(
            say("{path}: {reason}", path=error.filename or copy, reason=reason(error)),
            fix=say("free space, or replace a card that is worn out"),
            errno=error.errno,
        ) from None
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def answer(home: Path, request: Request, status: Status, why: str) -> None:
    """Tell the agent what became of its request.

    Raises:
        OSError: the disk refused.
    """
    line = " ".join(f"{request.req} {status} {why}".split())[:ANSWER_MAX]
    home.mkdir(parents=True, exist_ok=True)
    write_whole(home / ANSWER, line.encode(), READABLE)


def answered(home: Path, request: Request) -> tuple[str, str] | None:
    """What root said last to a request: a Status, and the release or why. None while it has said nothing."""
    try:
        line = (home / ANSWER).read_text("utf-8", errors="replace")
    except OSError:
        return None
    req, _, rest = line.partition(" ")
    status, _, why = rest.partition(" ")
    return (status, why) if req == request.req else None


def forget(state: Path) -> None:
    """Drop bundle and request: they have ended."""
    for name in (BUNDLE, REQUEST):
        with contextlib.suppress(OSError):
            (place(state) / name).unlink()


@contextlib.contextmanager
def _opened(state: Path, name: str) -> Iterator[int]:
    """A file that the agent left. Its directory is the agent's, too, and is no way to files of root's."""
    with foreign.directory(place(state)) as folder, foreign.opened(place(state) / name, folder) as file:
        yield file


def _copy(descriptor: int, copy: Path) -> None:
    size = os.fstat(descriptor).st_size
    if size > LONGEST:
        raise UpdateError(
            say(
                "a bundle of {size} MB, and {most} MB are taken at most", size=size >> 20, most=LONGEST >> 20
            ),
            fix=say("take a bundle of scripts/build-bundle"),
        )
    free = shutil.disk_usage(copy.parent).free
    if free - size < SPARE_BYTES:
        raise UpdateError(
            say(
                "{path}: {free} MB free, and the bundle has {size} MB",
                path=copy.parent,
                free=free >> 20,
                size=size >> 20,
            ),
            fix=say("lower clips.max_mb or clips.retention_h, or use a larger card"),
        )
    with (
        os.fdopen(os.dup(descriptor), "rb") as source,
        open(copy, "xb", opener=lambda path, flags: os.open(path, flags, PRIVATE)) as target,
    ):
        left = size  # no more, should it grow meanwhile: its signature covers what it was
        while left and (data := source.read(min(left, CHUNK))):
            target.write(data)
            left -= len(data)
