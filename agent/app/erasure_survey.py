"""What a kit keeps, looked at before it is erased: which files, how much, and what must be known of it later.

Paths come from the settings and the directories each time, never from a record in the state directory: that
belongs to the agent's user, and root may be the one who erases.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from pydantic import BaseModel, ConfigDict

from agent import foreign
from agent.app import hatch, onlooker
from agent.app.lifeboat import STATE as BOAT
from agent.app.schemas import DATABASE
from agent.app.statelock import ERASURE, LOCK
from agent.clips import hold, store
from agent.clips.premises import MARK
from agent.config import State
from agent.device import sealing
from agent.device.identity import KEYS, PEM_MAX, Identity
from agent.device.wallet import DIRECTORY
from agent.durable import SUFFIX_NEW
from agent.errors import StorageError

if TYPE_CHECKING:
    import sqlite3

    from agent.config import Settings

CREDENTIALS, CREDSTORE, SEALED_CREDSTORE = Path("/run/credentials"), Path("/etc/credstore"), sealing.FOLDER
"""What systemd hands to the service, and where root keeps it, open and sealed."""
OPEN_SECRETS = ("kit.key", "broker.password")
"""The service's credentials that lie open (its unit's LoadCredential=); `sealing.NAMES` are those sealed."""
CLIP_FILE = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\.")
"""All that the agent puts into a directory of clips begins with a clip's ULID."""
SEALED = (".age", ".ballast")  # nobody here can open the ones, and nothing is in the other


class Counts(BaseModel):
    """How much there was, and what is to be told of it once it is gone."""

    model_config = ConfigDict(frozen=True, strict=True)

    files: int
    bytes: int
    clips: int
    held: int | None
    """None: the database cannot be read."""
    messages: int | None
    audit: int | None
    chain: dict[str, int | str] | None
    """Number and digest of the last manifest; None without one."""
    keys: list[dict[str, str]]
    """SHA-256 of each key's public half: of the 32 bytes of Ed25519, else of its SubjectPublicKeyInfo."""


@dataclass(frozen=True, slots=True)
class Step:
    """Files that go together."""

    name: str
    files: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """All of them together."""
        return sum(path.lstat().st_size for path in self.files)


@dataclass(frozen=True, slots=True)
class Survey:
    """The files of a kit in the order in which they are to go; the signing key and the mark go after them."""

    steps: tuple[Step, ...]
    identity: tuple[Path, ...]
    stores: tuple[Path, ...] = ()
    """Where root keeps secrets for the service of this kit, if it is the service's."""

    @classmethod
    def of(cls, settings: Settings, settings_file: Path | None) -> Survey:
        """What there is now. `settings_file` goes as well, as the last; None keeps it."""
        state, clips = settings.state.dir, settings.clips_dir
        inside = set(_files(state)) - {state / name for name in (ERASURE, ERASURE + SUFFIX_NEW, LOCK)}
        identity = {path for path in inside if path.is_relative_to(state / KEYS)}
        within = {path for path in inside if path.is_relative_to(clips)}
        footage = within | {path for path in _files(clips) if CLIP_FILE.match(path.name) or path.name == MARK}
        tls = {path for path in inside if path.is_relative_to(state / DIRECTORY)} | set(_outside(settings))
        steps = (
            Step("keys", tuple(sorted(tls - identity))),
            Step("clips", tuple(sorted(footage - identity - tls))),
            Step("database", tuple(sorted(inside - identity - footage - tls))),
            Step("settings", (settings_file,) if settings_file and settings_file.exists() else ()),
        )
        return cls(steps, tuple(sorted(identity)), _stores(settings))

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (*(path for step in self.steps for path in step.files), *self.identity)

    def obstacle(self) -> Path | None:
        """The first directory out of which whoever asks may take nothing, or where he may not look."""
        folders = sorted({path.parent for path in self.files})
        firm = (path for path in folders if not os.access(path, os.W_OK | os.X_OK))
        closed = (path for path in self.stores if path.is_dir() and not os.access(path, os.X_OK))
        return next(chain(firm, closed), None)

    def counts(self, settings: Settings) -> Counts:
        """How much that is.

        Raises:
            StorageError: the signing key may not be read.
        """
        database = settings.state.dir / DATABASE
        held, messages, audit, chain = _index(database)
        clips = [path for step in self.steps if step.name == "clips" for path in step.files]
        # A hold outlives an index that was damaged and set aside.
        beside = {path.stem for path in clips if path.suffix == hold.SUFFIX}
        return Counts(
            files=len(self.files),
            bytes=sum(path.lstat().st_size for path in self.files),
            clips=sum(path.name.endswith((".mp4", ".mp4.age")) for path in clips),
            held=None if held is None else len(held | beside),
            messages=messages,
            audit=audit,
            chain=chain,
            keys=_keys(settings, self),
        )


def _index(
    database: Path,
) -> tuple[set[str] | None, int | None, int | None, dict[str, int | str] | None]:
    """Ids of held clips, messages, lines of the audit, the end of the chain."""
    if not database.exists():
        return set(), 0, 0, None

    def look(tx: sqlite3.Connection) -> tuple[set[str], int, int, dict[str, int | str] | None]:
        held = {row.record.id for row in store.clips(tx) if row.held}
        messages = int(tx.execute("SELECT count(*) FROM outbox").fetchone()[0])
        audit = int(tx.execute("SELECT count(*) FROM audit").fetchone()[0])
        last = store.chain_end(tx)
        return held, messages, audit, {"number": last.number, "head": last.head} if last.number else None

    try:
        return onlooker.look(database, look)
    except StorageError:
        return None, None, None, None


def _outside(settings: Settings) -> list[Path]:
    """Secrets that the settings name, those that root keeps for the service, and what lies in memory.

    The stores are looked through whatever the settings name: those of a kit that is taken down may be lost,
    or be replaced by others, and the secrets are as good as ever.
    """
    backbone = settings.backbone
    named = [path for path in (backbone.cert_file, backbone.key_file, backbone.password_file) if path]
    inside = {path for path in named if path.is_relative_to(CREDENTIALS)}
    found = [path for path in named if path not in inside]
    found += [store / path.name for path in inside for store in (CREDSTORE, SEALED_CREDSTORE)]
    outside = [path for path in found if not path.is_relative_to(settings.state.dir)]
    if _stores(settings):
        outside += [CREDSTORE / name for name in OPEN_SECRETS]
        outside += [SEALED_CREDSTORE / name for name in sealing.NAMES.values()]
        outside += [hatch.SERVICE / "pictures.key", *_files(hatch.SERVICE / BOAT)]
    return [path for path in outside if os.path.lexists(path)]


def _stores(settings: Settings) -> tuple[Path, ...]:
    return (CREDSTORE, SEALED_CREDSTORE) if settings.state.dir == State().dir else ()


def _keys(settings: Settings, survey: Survey) -> list[dict[str, str]]:
    identity = Identity.read(settings.state.dir / KEYS)
    found = [] if identity is None else [("identity", hashlib.sha256(identity.public.raw).hexdigest())]
    for path in survey.steps[0].files:
        try:
            public = load_pem_private_key(foreign.read(path, PEM_MAX) or b"", None).public_key()
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
            continue  # a certificate, a password, a link
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        found.append(("tls", hashlib.sha256(spki).hexdigest()))
    return [{"use": use, "sha256": digest} for use, digest in found]


def _files(directory: Path) -> list[Path]:
    """Every name below that is no directory; links are not followed."""
    return [
        Path(folder) / name
        for folder, names, others in os.walk(directory)
        for name in (*others, *(name for name in names if (Path(folder) / name).is_symlink()))
    ]
