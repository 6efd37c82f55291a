"""The key that signs releases: it says what runs on kits, and is kept apart from the keys of daily work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.city import keyfile
from agent.device.identity import PublicKey
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "release.key"


def make(path: Path, passphrase: bytes | None) -> None:
    """Make the key at `path`.

    Raises:
        ConfigError: there is a file already.
        StorageError: the disk refused.
    """
    if path.exists():
        raise ConfigError(
            f"{path}: is there already", fix="kits know this key; name another file for the next one"
        )
    try:
        keyfile.write(path, Ed25519PrivateKey.generate(), passphrase)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror})",
            fix="name a place that you may write to",
            errno=error.errno,
        ) from None


def read(path: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    """The key at `path`.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    key = keyfile.read(path, passphrase)
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise ConfigError(f"{path}: no Ed25519 key", fix="make one: stairwell ca release-key")


def public(key: Ed25519PrivateKey) -> str:
    """The half that kits have to know, in base64 as `update.release_keys` takes it."""
    return PublicKey(key.public_key()).text
