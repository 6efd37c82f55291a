"""The kit's signing key: made once, kept secret, told by its public half."""

from __future__ import annotations

import base64
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from agent.device.identity import Identity, PublicKey
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from pathlib import Path


def test_is_made_once_and_kept(tmp_path: Path) -> None:
    """The second start signs with the key of the first; the signatures are the same."""
    first = Identity.open(tmp_path / "keys")
    again = Identity.open(tmp_path / "keys")
    assert (first.public.raw, first.sign(b"x")) == (again.public.raw, again.sign(b"x"))
    assert again.set_aside is None
    assert Identity.open(tmp_path / "others").public.raw != first.public.raw


def test_only_the_agent_reads_the_secret(tmp_path: Path) -> None:
    """0600 in a directory 0700; the public half is for everybody and holds nothing secret."""
    keys = tmp_path / "keys"
    Identity.open(keys)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (keys, *keys.iterdir())}
    assert {"keys": 0o700, "kit.key": 0o600, "kit.pub": 0o644} == modes
    assert b"PRIVATE" not in (keys / "kit.pub").read_bytes()


def test_openssl_reads_both_halves(tmp_path: Path) -> None:
    """The files are of the usual kind: the public one is that of the secret one."""
    keys = tmp_path / "keys"
    Identity.open(keys)
    command = ["openssl", "pkey", "-in", str(keys / "kit.key"), "-pubout"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert (keys / "kit.pub").read_bytes() == done.stdout


def test_signatures_are_of_this_key_and_these_bytes(tmp_path: Path) -> None:
    """Another key, other bytes, another signature: no."""
    one, other = Identity.open(tmp_path / "a"), Identity.open(tmp_path / "b")
    signature = one.sign(b"clip")
    assert 64 == len(signature)
    assert one.public.signed(signature, b"clip")
    assert not one.public.signed(signature, b"clap")
    assert not other.public.signed(signature, b"clip")
    assert not one.public.signed(bytes(64), b"clip")
    assert not one.public.signed(b"short", b"clip")


def test_the_public_key_is_read_from_a_file_or_from_a_birth(tmp_path: Path) -> None:
    """PEM as the kit keeps it, or the base64 of its message."""
    public = Identity.open(tmp_path).public
    told = tmp_path / "told"
    told.write_text(f"{public.text}\n")
    assert [public.raw] * 2 == [PublicKey.read(path).raw for path in (tmp_path / "kit.pub", told)]
    assert 16 == len(public.fingerprint)


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", b"\xff\xfe", base64.b64encode(bytes(31)), b"-----BEGIN X"]
)
def test_what_is_no_public_key_is_told(tmp_path: Path, content: bytes) -> None:
    """The file, and what to name instead."""
    path = tmp_path / "key.pub"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"key\.pub: holds no Ed25519 public key\. Fix: .*kit\.pub"):
        PublicKey.read(path)


def test_a_key_of_another_kind_is_told(tmp_path: Path) -> None:
    """An age key's curve is not a signing key's."""
    path = tmp_path / "key.pub"
    path.write_bytes(
        X25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(ConfigError, match="holds no Ed25519 public key"):
        PublicKey.read(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        PublicKey.read(tmp_path / "none")


def other_kind() -> bytes:
    return X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "damage", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", other_kind()]
)
def test_a_damaged_secret_is_set_aside(tmp_path: Path, damage: bytes) -> None:
    """The kit goes on with a new key, says so, and throws nothing away."""
    first = Identity.open(tmp_path)
    (tmp_path / "kit.key.corrupt-1").write_bytes(b"of an earlier time")
    (tmp_path / "kit.key").write_bytes(damage)
    second = Identity.open(tmp_path)
    assert tmp_path / "kit.key.corrupt-2" == second.set_aside
    assert damage == second.set_aside.read_bytes()
    assert first.public.raw != second.public.raw == PublicKey.read(tmp_path / "kit.pub").raw
    assert Identity.open(tmp_path).set_aside is None


def test_a_lost_public_half_comes_back(tmp_path: Path) -> None:
    """It is made from the secret one."""
    public = Identity.open(tmp_path).public
    (tmp_path / "kit.pub").write_bytes(b"something else")
    Identity.open(tmp_path)
    assert public.raw == PublicKey.read(tmp_path / "kit.pub").raw


def test_a_place_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """A file where the directory should be."""
    (tmp_path / "keys").write_bytes(b"")
    with pytest.raises(StorageError, match=r"kit\.key: the kit's signing key cannot be kept"):
        Identity.open(tmp_path / "keys")
