"""The kit's own signing key: Ed25519, made at the first start, never leaving the kit.

The secret lies in `kit.key` (PEM, PKCS #8, readable by the agent's user only), the public half beside it in
`kit.pub`: that is what the city keeps, and what `stairwell clips verify --public-key` takes. A secret that a
worn card damaged is set aside and a new one is made, for the kit must go on; clips that the old key signed
stay provable with the old public half.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from agent import foreign
from agent.durable import free_name, write_whole
from agent.errors import ConfigError, StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from pathlib import Path

KEYS = "keys"
"""The directory of the key within the state directory."""
SECRET_NAME, PUBLIC_NAME = "kit.key", "kit.pub"
SECRET_MODE, PUBLIC_MODE, DIRECTORY_MODE = 0o600, 0o644, 0o700
PEM_MAX = 64 * 1024  # bytes; an Ed25519 key has 119
RAW_BYTES = 32
FINGERPRINT_DIGITS = 16  # 64 bits: names a key among a fleet's thousands; signatures are checked by the whole


class PublicKey:
    """The half of a kit's key that anybody may have."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    @property
    def raw(self) -> bytes:
        """The 32 bytes of RFC 8032."""
        return self._key.public_bytes_raw()

    @property
    def text(self) -> str:
        """The 32 bytes in base64, as messages carry them and `--public-key` takes them."""
        return base64.b64encode(self.raw).decode()

    @property
    def pem(self) -> bytes:
        """As `kit.pub` holds it."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def fingerprint(self) -> str:
        """The key's short name: the head of the SHA-256 of its bytes."""
        return hashlib.sha256(self.raw).hexdigest()[:FINGERPRINT_DIGITS]

    def signed(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` of `data` is by this key."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    @classmethod
    def of(cls, raw: bytes) -> PublicKey:
        """The key of these 32 bytes.

        Raises:
            ValueError: they are not 32.
        """
        return cls(Ed25519PublicKey.from_public_bytes(raw))

    @classmethod
    def read(cls, path: Path) -> PublicKey:
        """The key in a file: PEM as in `kit.pub`, or the base64 of a birth message.

        Raises:
            ConfigError: there is no such file, or no such key in it.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                say("{path}: cannot be read ({reason})", path=path, reason=reason(error)),
                fix=say("name the kit's kit.pub, or a file with the key of its birth message"),
            ) from None
        try:
            return cls._parse(data)
        except (ValueError, UnsupportedAlgorithm):
            raise ConfigError(
                say("{path}: holds no Ed25519 public key", path=path),
                fix=say("name the kit's kit.pub, or a file with the key of its birth message"),
            ) from None

    @classmethod
    def _parse(cls, data: bytes) -> PublicKey:
        if not data.lstrip().startswith(b"-----"):
            try:
                return cls.of(base64.b64decode(data.strip(), validate=True))
            except binascii.Error as error:
                raise ValueError(str(error)) from None
        key = load_pem_public_key(data)
        if isinstance(key, Ed25519PublicKey):
            return cls(key)
        raise ValueError("a key of another kind")


class Identity:
    """Signs in the kit's name. `set_aside` is the damaged secret that was found in its place, or None."""

    def __init__(self, key: Ed25519PrivateKey, set_aside: Path | None = None) -> None:
        self._key = key
        self.set_aside = set_aside

    @property
    def public(self) -> PublicKey:
        """The half to give away."""
        return PublicKey(self._key.public_key())

    def sign(self, data: bytes) -> bytes:
        """64 bytes that only this kit can make of `data`, the same each time (RFC 8032)."""
        return self._key.sign(data)

    @classmethod
    def read(cls, directory: Path) -> Identity | None:
        """The identity kept in `directory`; None when there is none that can be used. Nothing is changed.

        Whoever reads may be root, and the directory the agent's user's: see `foreign`.

        Raises:
            StorageError: the key may not be read.
        """
        path = directory / SECRET_NAME
        try:
            key = _secret(foreign.read(path, PEM_MAX) or b"")
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP}:  # no agent makes it a link
                return None
            raise StorageError(
                say("{path}: cannot be read ({reason})", path=path, reason=reason(error)),
                fix=say("run it with sudo"),
                errno=error.errno,
            ) from None
        return None if key is None else cls(key)

    @classmethod
    def open(cls, directory: Path) -> Identity:
        """The identity kept in `directory`, made there when there is none that can be used.

        Raises:
            StorageError: the directory or a file in it cannot be read or written.
        """
        path = directory / SECRET_NAME
        try:
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            identity = cls._load(path)
            public = identity.public.pem
            kept = directory / PUBLIC_NAME
            if not kept.exists() or kept.read_bytes() != public:
                write_whole(kept, public, PUBLIC_MODE)
        except OSError as error:
            raise StorageError(
                say(
                    "{path}: the kit's signing key cannot be kept ({reason})", path=path, reason=reason(error)
                ),
                fix=say("see that the directory belongs to the agent's user and is not read-only or full"),
            ) from None
        return identity

    @classmethod
    def _load(cls, path: Path) -> Identity:
        set_aside = None
        if path.exists():
            key = _secret(path.read_bytes())
            if key is not None:
                return cls(key)
            set_aside = free_name(path)
            path.rename(set_aside)
        key = Ed25519PrivateKey.generate()
        write_whole(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), SECRET_MODE)
        return cls(key, set_aside)


def _secret(pem: bytes) -> Ed25519PrivateKey | None:
    """The key, or None when this is none."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PrivateKey) else None
