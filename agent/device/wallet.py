"""The kit's TLS papers on disk: certificate, key and the city's roots, always of one and the same set.

    kit -> 2          a link to the set that counts; whoever reads through it never meets half of two sets
    1/                the set before, kept until the next one
    2/                kit.key  kit.pem (with its intermediates)  ca.pem
    3/                a set that is being made: its key is there before the city is asked

A link changes in one step, so a power cut leaves the old set or the new one. A key that the city was asked to
certify is kept until the answer is there: whatever is cut off, the same question is asked again.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from agent.durable import sync_directory, write_whole
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

LINK = "kit"
KEY, CERTIFICATE, ROOTS = "kit.key", "kit.pem", "ca.pem"
DIRECTORY = "tls"
"""The wallet's name within the state directory."""
DIRECTORY_MODE, SECRET_MODE, PUBLIC_MODE = 0o700, 0o600, 0o644


@dataclass(frozen=True, slots=True)
class Papers:
    """A set that fits together. `directory` is where settings point: the link, not what it leads to."""

    directory: Path
    certificate: x509.Certificate
    roots: str

    @property
    def kit(self) -> str:
        """Whose it is; empty when that is not said in one name."""
        return common_name(self.certificate)

    @property
    def files(self) -> tuple[Path, Path]:
        """Certificate and key."""
        return self.directory / CERTIFICATE, self.directory / KEY

    def half_over(self, now: datetime) -> bool:
        """Whether half of its life is behind it."""
        begin, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return now >= begin + (end - begin) / 2

    def over(self, now: datetime) -> bool:
        """Whether it counts no more."""
        return now >= self.certificate.not_valid_after_utc


class Wallet:
    """The papers in a directory. One program at a time may change them; any may read."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def current(self) -> Papers | None:
        """The set that counts; None when there is none, or none that fits together."""
        link = self.directory / LINK
        certificate = _certificate(link)
        if certificate is None:
            return None
        try:
            return Papers(link, certificate, (link / ROOTS).read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError):
            return None

    def key(self) -> ec.EllipticCurvePrivateKey:
        """The key of the set that is being made: made now and on disk, or that of a try that was cut off.

        Raises:
            StorageError: the disk refused.
        """
        pending = self._pending()
        key = _key(pending / KEY)
        if key is not None:
            return key
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            self.directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            pending.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
            sync_directory(self.directory)
            write_whole(pending / KEY, pem, SECRET_MODE)
        except OSError as error:
            raise self._refused(error) from None
        return key

    def put(self, chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> Papers:
        """Complete the set that is being made with the city's answer, and let it count.

        Raises:
            StorageError: the disk refused; the set before still counts.
        """
        pending = self._pending()
        try:
            write_whole(pending / ROOTS, _pem(roots), PUBLIC_MODE)
            write_whole(pending / CERTIFICATE, _pem(chain), PUBLIC_MODE)
        except OSError as error:
            raise self._refused(error) from None
        self.finish()
        papers = self.current()
        if papers is None:
            raise StorageError(
                say("{path}: what was written there does not read the same", path=self.directory),
                fix=say("replace the card: it is worn"),
            )
        return papers

    def finish(self) -> None:
        """Let a set count that was complete when the power went, and clear away what is older than the last.

        Raises:
            StorageError: the disk refused.
        """
        pending = self._pending()
        if _certificate(pending) is None:
            return
        new = self.directory / f"{LINK}.new"
        try:
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
            new.symlink_to(pending.name)
            new.rename(self.directory / LINK)
            sync_directory(self.directory)
        except OSError as error:
            raise self._refused(error) from None
        for old in range(1, int(pending.name) - 1):
            shutil.rmtree(self.directory / str(old), ignore_errors=True)

    def discard(self) -> None:
        """Forget the key that is waiting for its certificate: the city will not give one for it."""
        shutil.rmtree(self._pending(), ignore_errors=True)

    def _pending(self) -> Path:
        """The directory after the one that counts."""
        try:
            number = int((self.directory / LINK).readlink().name)
        except (OSError, ValueError):
            number = 0
        return self.directory / str(number + 1)

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(
            say("{path}: cannot be written ({reason})", path=self.directory, reason=reason(error)),
            fix=say("see that it belongs to the agent's user and is not read-only or full"),
            errno=error.errno,
        )


def common_name(of: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """The name in a subject that has nothing else; empty when it has something else, or none."""
    subject = list(of.subject)
    if len(subject) != 1 or subject[0].oid != NameOID.COMMON_NAME or not isinstance(subject[0].value, str):
        return ""
    return subject[0].value


def _certificate(directory: Path) -> x509.Certificate | None:
    """The certificate of a set whose key is there and its own."""
    key = _key(directory / KEY)
    try:
        certificate = x509.load_pem_x509_certificate((directory / CERTIFICATE).read_bytes())
    except (OSError, ValueError):
        return None
    return certificate if key is not None and key.public_key() == certificate.public_key() else None


def _key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)
