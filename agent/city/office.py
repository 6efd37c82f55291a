"""A city's directory as a whole: its settings, its register, its authority, and the key that signs orders.

The register and the settings are open to whoever works here; keys are opened when something has to be signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.city import authority, certificates, issued, keyfile
from agent.city.authority import Authority
from agent.city.registry import Registry, note
from agent.city.settings import NAME as CITY
from agent.city.settings import CitySettings
from agent.device.identity import PublicKey
from agent.durable import write_whole
from agent.errors import ConfigError, StorageError
from agent.kitid import check_kit_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from cryptography.x509 import ReasonFlags

PLATFORM_KEY, PLATFORM_PUBLIC = "platform.key", "platform.pub"


@dataclass(frozen=True, slots=True)
class Office:
    """The city's directory, at work. `passphrase` is that of its keys, None where they are open."""

    directory: Path
    settings: CitySettings
    registry: Registry
    passphrase: bytes | None = None

    @classmethod
    def create(
        cls, directory: Path, settings: CitySettings, passphrase: bytes | None, by: str, now: datetime
    ) -> Office:
        """Make a city. `city.toml` is written last: a city without it was cut off, and is made anew.

        Raises:
            ConfigError: there is one already.
            StorageError: the disk refused.
        """
        with Registry(directory, create=True) as registry:
            with registry.transaction() as db:
                begun = bool(issued.of_name(db))
            if begun or (directory / CITY).exists():
                raise ConfigError(
                    f"{directory}: there is a city already",
                    fix="a second authority would lock out every kit of the first: name another directory",
                )
            made = Authority.create(directory, settings.name, passphrase, now)
            made.write_crl(registry.note("created", by, f"city {settings.name}", now), [], now)
        try:
            key = Ed25519PrivateKey.generate()
            keyfile.write(directory / PLATFORM_KEY, key, passphrase)
            public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            write_whole(directory / PLATFORM_PUBLIC, public, authority.PUBLIC_MODE)
            settings.write(directory)
        except OSError as error:
            raise StorageError(
                f"{directory}: cannot be written ({error.strerror})",
                fix="see that it is yours and not full",
                errno=error.errno,
            ) from None
        return cls.open(directory, passphrase)

    @classmethod
    def open(cls, directory: Path, passphrase: bytes | None = None) -> Office:
        """The city in `directory`.

        Raises:
            ConfigError: there is none, or a file of it is wrong.
            StorageError: its register cannot be opened.
        """
        return cls(directory, CitySettings.read(directory), Registry(directory), passphrase)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the register."""
        self.registry.close()

    def authority(self) -> Authority:
        """The authority, able to sign.

        Raises:
            ConfigError: its key cannot be used.
        """
        return Authority.open(self.directory, self.passphrase)

    def platform_key(self) -> Ed25519PrivateKey:
        """The key that signs configurations, as the platform's orders are signed.

        Raises:
            ConfigError: it cannot be used.
        """
        path = self.directory / PLATFORM_KEY
        key = keyfile.read(path, self.passphrase)
        if isinstance(key, Ed25519PrivateKey):
            return key
        raise ConfigError(f"{path}: no Ed25519 key", fix="restore it from its backup")

    def platform_public(self) -> str:
        """The half that kits have to know, in base64 as `backbone.platform_keys` takes it.

        Raises:
            ConfigError: the file cannot be used.
        """
        return PublicKey.read(self.directory / PLATFORM_PUBLIC).text

    def root_pem(self) -> str:
        """The city's root, by which kits check everything else.

        Raises:
            ConfigError: the file cannot be used.
        """
        return authority.pem(authority.certificate(self.directory / authority.ROOT)).decode()

    def issue(self, name: str, hosts: Sequence[str], out: Path, by: str, now: datetime) -> tuple[Path, Path]:
        """A key and a certificate for a server (with `hosts`) or a program: `<name>.pem` and `<name>.key`.

        The certificate's file has the intermediate behind it, as servers send it. The key is not sealed: its
        server reads it at each start.

        Raises:
            ConfigError: the name is a kit's, or the authority cannot sign.
            StorageError: the disk refused.
        """
        _check_service(name)
        signing = self.authority()
        key = ec.generate_private_key(certificates.CURVE())
        try:
            certificate = signing.sign(name, key.public_key(), now, hosts)
        except ValueError as error:
            raise ConfigError(
                f"--host {' '.join(hosts)}: {error}", fix="give host names or addresses"
            ) from None
        pem, secret = out / f"{name}.pem", out / f"{name}.key"
        try:
            out.mkdir(parents=True, exist_ok=True)
            keyfile.write(secret, key, None)
            with self.registry.transaction() as db:
                issued.given(db, certificate, name, by, now)
            write_whole(pem, authority.pem(certificate, *signing.chain), authority.PUBLIC_MODE)
        except OSError as error:
            raise StorageError(
                f"{out}: cannot be written ({error.strerror})",
                fix="name a directory that you may write to",
                errno=error.errno,
            ) from None
        return pem, secret

    def revoke(self, which: str, reason: ReasonFlags, by: str, now: datetime) -> int:
        """Take back what a name or a serial was given, and write the list; how many certificates that were.

        A kit's certificates are taken back with the kit: see `fleet`.

        Raises:
            ConfigError: it was given nothing that still counts.
            StorageError: the disk refused.
        """
        signing = self.authority()
        with self.registry.transaction() as db:
            count = issued.revoke(db, which, reason, by, now)
        if count == 0:
            raise ConfigError(
                f"{which}: has no certificate that counts", fix="`stairwell ca show` lists what was given"
            )
        self.write_crl(by, now, signing)
        return count

    def write_crl(self, by: str, now: datetime, signing: Authority | None = None) -> Path:
        """Write the list of what was taken back, valid from now.

        Raises:
            ConfigError: the authority cannot sign.
            StorageError: the disk refused.
        """
        signing = signing or self.authority()
        with self.registry.transaction() as db:
            named = issued.revoked(db, now)
            number = note(db, now, "listed", by, None, f"{len(named)} certificates are taken back")
        return signing.write_crl(number, named, now)


def _check_service(name: str) -> None:
    try:
        check_kit_id(name)
    except ValueError:
        if name and not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789-"):
            return
        raise ConfigError(f"{name!r}: no name of a program", fix="lower case, digits and dashes") from None
    raise ConfigError(f"{name}: is a kit's id", fix="kits enrol themselves: `stairwell fleet claim`")
