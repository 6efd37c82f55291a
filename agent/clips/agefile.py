"""The age file format, version 1, as it is written: header and payload chunks.

Source: age-encryption.org/v1 (github.com/C2SP/C2SP, age.md): X25519 recipient stanzas, HKDF-SHA-256,
ChaCha20-Poly1305 in the STREAM construction. Written here and not by a library, because a library seals a
chunk only when the next one begins, and ends a file only once: a clip must be whole at every sync.

What this module promises about keys: each file has a fresh file key and payload nonce, and no chunk nonce of
it is used for two plaintexts.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNK = 64 * 1024  # plaintext bytes of every chunk but the last
TAG = 16
SEALED_CHUNK = CHUNK + TAG

_MAGIC = b"age-encryption.org/v1\n"
_FILE_KEY_BYTES = 16
_NONCE_BYTES = 16
_KEY_BYTES = 32
_COUNTER_BYTES = 11


class ChunkSealer:
    """The keys of one new file, sealed to `recipients` (X25519 public keys of 32 bytes, at least one).

    Raises:
        ValueError: there is no recipient, or one is no key that anything can be sealed to.
    """

    def __init__(self, recipients: Sequence[bytes]) -> None:
        if not recipients:
            raise ValueError("a file is sealed to at least one recipient")
        file_key = os.urandom(_FILE_KEY_BYTES)
        nonce = os.urandom(_NONCE_BYTES)
        self.head = _header(file_key, recipients) + nonce
        """What the file begins with: everything before its first chunk."""
        self._payload = ChaCha20Poly1305(_derive(file_key, nonce, b"payload"))
        self._ended = -1

    def chunk(self, number: int, plaintext: bytes | memoryview) -> bytes:
        """Chunk `number` (from 0), of CHUNK bytes, that others follow. Once for each number."""
        if len(plaintext) != CHUNK:
            raise ValueError(f"a chunk that others follow has {CHUNK} bytes, not {len(plaintext)}")
        return self._payload.encrypt(_nonce(number, last=False), plaintext, None)

    def last(self, number: int, plaintext: bytes) -> bytes:
        """Chunk `number` as the last of the file: 1 to CHUNK bytes (none if it is the only one).

        A file may be given several ends, each later than the one before.

        Raises:
            ValueError: this or a later number was given an end already, or the length is wrong.
        """
        if number <= self._ended:
            raise ValueError(f"chunk {number} has ended the file before")
        if len(plaintext) > CHUNK or (number > 0 and not plaintext):
            raise ValueError(f"the last chunk has 1 to {CHUNK} bytes, not {len(plaintext)}")
        self._ended = number
        return self._payload.encrypt(_nonce(number, last=True), plaintext, None)

    def ended(self, number: int) -> bool:
        """Whether `last` was asked for this number before."""
        return number <= self._ended


def _header(file_key: bytes, recipients: Sequence[bytes]) -> bytes:
    head = _MAGIC + b"".join(_stanza(file_key, recipient) for recipient in recipients) + b"---"
    mac = hmac.new(_derive(file_key, b"", b"header"), head, hashlib.sha256).digest()
    return head + b" " + _base64(mac) + b"\n"


def _stanza(file_key: bytes, recipient: bytes) -> bytes:
    """The file key, wrapped so that the owner of `recipient` unwraps it."""
    ephemeral = X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient))
    key = _derive(shared, share + recipient, b"age-encryption.org/v1/X25519")
    body = ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None)
    return b"-> X25519 " + _base64(share) + b"\n" + _base64(body) + b"\n"


def _derive(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt, info).derive(secret)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(_COUNTER_BYTES) + bytes([last])


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")
