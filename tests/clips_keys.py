"""Keys for the tests of clips: a city's, an escrow's, a stranger's, and the kit's own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyrage import x25519

from agent.agekey import key_id
from agent.clips.manifest import Model, Notary
from agent.clips.seal import Recipients
from agent.device.identity import Identity

if TYPE_CHECKING:
    from pathlib import Path

CITY, ESCROW, STRANGER = (x25519.Identity.generate() for _ in range(3))
RECIPIENTS = (str(CITY.to_public()), str(ESCROW.to_public()))
SEALED_TO = Recipients.of(RECIPIENTS)
KEY_IDS = tuple(key_id(recipient) for recipient in RECIPIENTS)
KIT_KEY = Identity(Ed25519PrivateKey.generate())
OTHER_KIT_KEY = Identity(Ed25519PrivateKey.generate())

KIT, STREAM = "k7f3k2qx4m", "9f2c1a7e"
MODEL = Model(label="ssdlite@12345678", sha256="12345678" * 8)


def notary(directory: Path, stream: str = STREAM) -> Notary:
    """The notary of a kit whose clips lie in `directory`."""
    return Notary(directory, KIT_KEY, KIT, stream, MODEL)


def age(sealed: Path, identity: x25519.Identity = CITY) -> bytes:
    """What Debian's `age` makes of the file; it must be content with it."""
    return subprocess.run(_command(sealed, identity), capture_output=True, check=True).stdout


def age_complains(sealed: Path, identity: x25519.Identity = CITY) -> tuple[bytes, str]:
    """What it gives, and says, of a file that is not whole."""
    done = subprocess.run(_command(sealed, identity), capture_output=True, check=False)
    assert 0 != done.returncode
    return done.stdout, done.stderr.decode()


def _command(sealed: Path, identity: x25519.Identity) -> list[str]:
    keys = sealed.with_name("identity.txt")
    keys.write_text(f"# a test\n{identity}\n", encoding="utf-8")
    return ["age", "--decrypt", "--identity", str(keys), str(sealed)]
