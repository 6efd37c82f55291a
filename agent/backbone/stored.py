"""How a message lies in the outbox: its head as JSON, its payload, a checksum over both.

A picture that waits for delivery is footage like any other: with a Cover it lies encrypted, under a key that
is in memory only. Who takes the card finds noise; what still waited when the kit lost its power is lost, and
told by a gap.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from agent.backbone.publication import Publication

COVERED = "covered"  # key of the head
NONCE_BYTES = 12  # RFC 8439; random ones meet after 2**48 pictures


class Cover:
    """Encrypts payloads (ChaCha20-Poly1305, RFC 8439). `key` has 32 bytes and must never reach a disk."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)

    def hide(self, payload: bytes, head: bytes) -> bytes:
        """The payload encrypted, bound to its head."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, payload, head)

    def show(self, covered: bytes, head: bytes) -> bytes | None:
        """The payload again, None when it was covered with another key."""
        try:
            return self._cipher.decrypt(covered[:NONCE_BYTES], covered[NONCE_BYTES:], head)
        except InvalidTag:
            return None


def pack(publication: Publication, cover: Cover | None) -> tuple[bytes, bytes]:
    """(head, payload) as they are stored; the payload covered when there is a Cover to do it."""
    fields = asdict(publication)
    del fields["payload"], fields["correlation"]  # of answers only, and those are not stored
    if cover is not None:
        fields[COVERED] = True
    head = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    payload = publication.payload
    return head, payload if cover is None else cover.hide(payload, head)


def unpack(head: bytes, payload: bytes, cover: Cover | None) -> Publication | None:
    """The very publication that was packed; None when its payload is covered with a key that is gone."""
    fields: dict[str, Any] = json.loads(head)
    fields["user"] = tuple((name, value) for name, value in fields["user"])
    if not fields.pop(COVERED, False):
        return Publication(payload=payload, **fields)
    shown = None if cover is None else cover.show(payload, head)
    return None if shown is None else Publication(payload=shown, **fields)


def checksum(head: bytes, payload: bytes) -> int:
    """What tells that a card altered a row."""
    return zlib.crc32(payload, zlib.crc32(head))
