"""The city's private keys as files: PEM (PKCS #8), for their owner only, sealed by a passphrase or open.

A passphrase protects a copied file, a backup, a stolen disk. It does not protect a running service: who is
root where the enrolment service runs has its key. An open key (no passphrase) has nothing but its mode 0600.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from agent.durable import write_whole
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

CityKey = EllipticCurvePrivateKey | Ed25519PrivateKey
MODE = 0o600
SEALED = b"ENCRYPTED PRIVATE KEY"  # RFC 7468, section 11


def write(path: Path, key: CityKey, passphrase: bytes | None) -> None:
    """Keep `key` at `path`, durably.

    Raises:
        OSError: the disk refused.
    """
    sealing = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    write_whole(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing), MODE)


def is_sealed(path: Path) -> bool:
    """Whether it takes a passphrase to read the key.

    Raises:
        ConfigError: the file cannot be read.
    """
    return SEALED in _content(path)


def read(path: Path, passphrase: bytes | None) -> CityKey:
    """The key at `path`; the passphrase is not looked at when the file is open.

    Raises:
        ConfigError: it cannot be read, others may read it, it is no such key, or the passphrase is wrong.
    """
    content = _content(path)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path}: other users may read this private key", fix=f"chmod 600 {path}")
    sealed = SEALED in content
    if sealed and not passphrase:
        raise ConfigError(
            f"{path}: the key is sealed, and no passphrase was given", fix="name its file: --passphrase-file"
        )
    try:
        key = load_pem_private_key(content, passphrase if sealed else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        problem = "the passphrase is wrong, or the file is damaged" if sealed else "no private key in PEM"
        raise ConfigError(
            f"{path}: {problem}", fix="try again, or restore the file from its backup"
        ) from None
    if not isinstance(key, CityKey):
        raise ConfigError(
            f"{path}: a key of another kind", fix="ECDSA P-256 signs certificates, Ed25519 signs settings"
        )
    return key


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror})",
            fix="make the city's directory with `stairwell ca init`, or bring the key back from its safe",
        ) from None
