"""The city's certificate authority in a directory: a root in a safe, an intermediate at work.

    root.pem  root.key   the root: kits trust it alone. Its key makes intermediates and belongs in a safe
    root-crl.pem         the root's own list: which intermediates it took back
    ca.pem    ca.key     the intermediate, which signs kits, servers and programs
    crl.pem              what the intermediate took back, with the root's list: the broker needs it

Who was given what is in the register, not here: this room's `registry`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from agent.city import certificates, keyfile
from agent.city.certificates import Revoked, Signer
from agent.device.wallet import common_name
from agent.durable import write_whole
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

ROOT, ROOT_KEY, ROOT_CRL = "root.pem", "root.key", "root-crl.pem"
INTERMEDIATE, INTERMEDIATE_KEY = "ca.pem", "ca.key"
CRL = "crl.pem"
CRL_END = b"-----END X509 CRL-----"
DIRECTORY_MODE, PUBLIC_MODE = 0o700, 0o644


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority of a city, able to sign. `root` is the certificate only: its key stays in its safe."""

    directory: Path
    root: x509.Certificate
    signer: Signer

    @classmethod
    def create(cls, directory: Path, name: str, passphrase: bytes | None, now: datetime) -> Authority:
        """Make root and intermediate; both keys are sealed with `passphrase`, if there is one.

        What was there is written over: see Office.create.

        Raises:
            StorageError: the disk refused.
        """
        root_key, key = (ec.generate_private_key(certificates.CURVE()) for _ in range(2))
        root = certificates.root(f"{name} root", root_key, now)
        top = Signer(root, root_key)
        signer = Signer(certificates.intermediate(f"{name} kits", key.public_key(), top, now), key)
        own = certificates.crl(top, 1, [], now, signer.certificate.not_valid_after_utc)
        try:
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            keyfile.write(directory / ROOT_KEY, root_key, passphrase)
            write_whole(directory / ROOT, pem(root), PUBLIC_MODE)
            write_whole(directory / INTERMEDIATE, pem(signer.certificate), PUBLIC_MODE)
            write_whole(directory / ROOT_CRL, own.public_bytes(Encoding.PEM), PUBLIC_MODE)
            keyfile.write(directory / INTERMEDIATE_KEY, key, passphrase)
        except OSError as error:
            raise _refused(directory, error) from None
        return cls(directory, root, signer)

    @classmethod
    def open(cls, directory: Path, passphrase: bytes | None) -> Authority:
        """The authority in `directory`; `passphrase` for the intermediate's key.

        Raises:
            ConfigError: there is none, a file of it is unusable, or the passphrase is wrong.
        """
        root = certificate(directory / ROOT)
        own = certificate(directory / INTERMEDIATE)
        path = directory / INTERMEDIATE_KEY
        key = keyfile.read(path, passphrase)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != own.public_key():
            raise ConfigError(
                f"{path}: not the key of {INTERMEDIATE}", fix="restore both files from one backup"
            )
        return cls(directory, root, Signer(own, key))

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """What is sent with each certificate, so that who knows the root only can check it."""
        return (self.signer.certificate,)

    def sign(
        self, name: str, key: ec.EllipticCurvePublicKey, now: datetime, hosts: Sequence[str] = ()
    ) -> x509.Certificate:
        """A certificate for `name`; nothing is written down.

        Raises:
            ConfigError: the intermediate has ended.
            ValueError: a host is neither a name nor an address.
        """
        if now >= self.signer.certificate.not_valid_after_utc:
            raise ConfigError(
                f"{self.directory / INTERMEDIATE}: the intermediate ended on "
                f"{self.signer.certificate.not_valid_after_utc.date()}",
                fix="make a new one with the root's key: `stairwell ca renew`",
            )
        return certificates.leaf(name, key, self.signer, now, hosts)

    def write_crl(self, number: int, revoked: Iterable[Revoked], now: datetime) -> Path:
        """Write the list of what the intermediate took back, with the root's own behind it.

        Raises:
            StorageError: the disk refused.
        """
        path = self.directory / CRL
        listed = certificates.crl(self.signer, number, revoked, now)
        try:
            own = (self.directory / ROOT_CRL).read_bytes()
            write_whole(path, listed.public_bytes(Encoding.PEM) + own, PUBLIC_MODE)
        except OSError as error:
            raise _refused(path, error) from None
        return path

    def renew(self, passphrase: bytes | None, now: datetime) -> Authority:
        """The intermediate with a new term, signed by the root's key, which must be in its place for that.

        Its own key stays: what it signed and what it took back counts on.

        Raises:
            ConfigError: the root's key is not there, is another's, or the passphrase is wrong.
            StorageError: the disk refused.
        """
        path = self.directory / ROOT_KEY
        root_key = keyfile.read(path, passphrase)
        if (
            not isinstance(root_key, ec.EllipticCurvePrivateKey)
            or root_key.public_key() != self.root.public_key()
        ):
            raise ConfigError(f"{path}: not the key of {ROOT}", fix="bring the right one back from its safe")
        top = Signer(self.root, root_key)
        name = common_name(self.signer.certificate)
        made = certificates.intermediate(name, self.signer.key.public_key(), top, now)
        own = certificates.crl(top, int(now.timestamp()), [], now, made.not_valid_after_utc)
        try:
            write_whole(self.directory / ROOT_CRL, own.public_bytes(Encoding.PEM), PUBLIC_MODE)
            write_whole(self.directory / INTERMEDIATE, pem(made), PUBLIC_MODE)
        except OSError as error:
            raise _refused(self.directory, error) from None
        return replace(self, signer=replace(self.signer, certificate=made))


def certificate(path: Path) -> x509.Certificate:
    """The first certificate in a PEM file.

    Raises:
        ConfigError: the file cannot be read, or has none.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except ValueError:
        problem = "no certificate in PEM"
    raise ConfigError(f"{path}: {problem}", fix="make the city's directory with `stairwell ca init`")


def listed_until(directory: Path) -> datetime:
    """When the first of the lists in `crl.pem` ends: from then on a broker lets nobody in.

    Raises:
        ConfigError: the file cannot be read, or has none.
    """
    path = directory / CRL
    try:
        *parts, _ = path.read_bytes().split(CRL_END)
        ends = [x509.load_pem_x509_crl(part + CRL_END).next_update_utc for part in parts]
        return min(end for end in ends if end is not None)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except ValueError:
        problem = "no list in PEM"
    raise ConfigError(f"{path}: {problem}", fix="write it with `stairwell ca crl`")


def pem(*parts: x509.Certificate) -> bytes:
    """Certificates as a PEM file has them, one after the other."""
    return b"".join(part.public_bytes(Encoding.PEM) for part in parts)


def _refused(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: cannot be written ({error.strerror})",
        fix="see that the directory is yours and not full",
        errno=error.errno,
    )
