"""The support bundle: what a support engineer needs, and nothing that anybody else could use.

A tar.gz of JSON files with a manifest of their hashes, sealed to the support's keys where the kit has some.
Its id is short enough for the telephone. That it was taken, and by whom, stands in the kit's audit.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyrage

from agent.agekey import key_id
from agent.app import evidence, hatch
from agent.app.archive import Archive
from agent.backbone import docket
from agent.device.account import name_of
from agent.doctor.censor import Censor
from agent.doctor.vocabulary import vocabulary
from agent.durable import write_whole
from agent.errors import StairwellError, StorageError
from agent.reasons import reason
from agent.shortid import ENTROPY_BYTES, short_id
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.errors import ConfigError
    from agent.words import Text

MAX_BYTES = 5_000_000
"""Of a finished bundle: what a slow LTE link carries in some minutes, and any mail."""
PSEUDONYMS = "pseudonyms.key"
"""The kit's secret for them, in its state directory: so they are the same in the next bundle."""
SECRET_BYTES = 32
PRIVATE = 0o600
MANIFEST = "manifest.json"
AGE_OVERHEAD = 10_000  # bytes of headers and tags that sealing adds, far more than eight recipients need


@dataclass(frozen=True, slots=True)
class Bundle:
    """A finished bundle. `missing` says of each file that could not be made why."""

    id: str
    data: bytes
    sealed: bool
    missing: dict[str, Text]
    unnoted: Text | None
    """Why it does not stand in the kit's audit; None when it does."""

    @property
    def name(self) -> str:
        """Of its file."""
        return f"stairwell-{self.id}.tar.gz" + (".age" if self.sealed else "")


def bundle(settings: Settings, clock: Clock, trouble: ConfigError | None = None, *, quick: bool) -> Bundle:
    """Make a bundle, and note it in the audit before anything leaves.

    Raises:
        StairwellError: an agent runs, and who asks may not ask it: nobody takes a bundle unseen.
    """
    number, unnoted = _note(settings, clock)
    secret = _secret(settings.state.dir / PSEUDONYMS)
    censor = Censor(secret or os.urandom(SECRET_BYTES), vocabulary(), evidence.literals(settings))
    files: dict[str, Any] = {}
    missing: dict[str, Text] = {}
    for name, gather in evidence.sources(settings, clock, trouble, quick=quick):
        try:
            files[name] = censor.value(json.loads(json.dumps(gather())))
        except (StairwellError, OSError, ValueError, subprocess.SubprocessError) as error:
            missing[name] = censor.told(_why(error))
    about = {
        "v": 1,
        "id": number,
        "kit": settings.kit.id,
        "made": asdict(clock.stamp()),
        "sealed_to": [key_id(key) for key in settings.support.recipients],
        "lasting_pseudonyms": secret is not None,
        "audited": unnoted is None,
        "missing": {name: why.en for name, why in missing.items()},
    }
    data = _packed(files, about)
    if settings.support.recipients:
        keys = [pyrage.x25519.Recipient.from_str(key) for key in settings.support.recipients]
        data = pyrage.encrypt(data, keys)
    return Bundle(number, data, bool(settings.support.recipients), missing, unnoted)


def _note(settings: Settings, clock: Clock) -> tuple[str, Text | None]:
    """Put a line into the audit: by the running agent, else by ourselves. The id, and why it is not there."""
    number = short_id(os.urandom(ENTROPY_BYTES))
    try:
        if answer := hatch.reach(settings.state.dir, "bundle"):
            return answer.decode("ascii"), None
    except (FileNotFoundError, ConnectionRefusedError):
        return number, _note_alone(settings, clock, number)
    except PermissionError:
        raise hatch.denied() from None
    except OSError as error:
        return number, say("the agent does not answer ({error})", error=reason(error))
    return number, say("the agent could not note it")


def _note_alone(settings: Settings, clock: Clock, number: str) -> Text | None:
    line = docket.AuditLine("bundle", None, name_of(os.getuid()), None, "ok", None, number)
    try:
        archive = Archive(settings, clock)
        archive.ask(lambda tx: docket.audit(tx, line, clock.stamp()))
    except (StorageError, OSError) as error:
        return _why(error)
    return None


def _why(error: Exception) -> Text:
    match error:
        case StairwellError():
            return error.line
        case OSError() if error.filename is not None:
            return say("{path}: {reason}", path=error.filename, reason=reason(error))
        case OSError():
            return reason(error)
    return say("nothing to be made sense of came back ({error})", error=error)


def _secret(path: Path) -> bytes | None:
    """The kit's secret, made now if there is none; None where it cannot be kept."""
    try:
        if path.exists():
            kept = path.read_bytes()
            return kept if len(kept) == SECRET_BYTES else None
        made = os.urandom(SECRET_BYTES)
        write_whole(path, made, PRIVATE)
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    except OSError:
        return None
    return made


def _packed(files: dict[str, Any], about: dict[str, Any]) -> bytes:
    """The archive; the oldest half of the journal goes as often as it is too large."""
    while True:
        contents = {name: _text(value) for name, value in files.items()}
        data = _tar(contents, about)
        journal = files.get("journal.json") or []
        if len(data) + AGE_OVERHEAD <= MAX_BYTES or not journal:
            return data
        files = {**files, "journal.json": journal[: len(journal) // 2]}


def _tar(contents: dict[str, bytes], about: dict[str, Any]) -> bytes:
    hashes = [
        {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in contents.items()
    ]
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, data in _with_manifest(contents, {**about, "files": hashes}):
            member = tarfile.TarInfo(f"stairwell-{about['id']}/{name}")
            member.size, member.mode = len(data), PRIVATE
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _with_manifest(contents: dict[str, bytes], manifest: dict[str, Any]) -> Iterable[tuple[str, bytes]]:
    yield MANIFEST, _text(manifest)
    yield from contents.items()


def _text(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
