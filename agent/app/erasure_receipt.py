"""The receipt of an erased kit: what it was, what went, which keys are no more; signed by the last of them.

`sig` is Ed25519, base64, over CONTEXT and the canonical JSON (RFC 8785) of all other fields. `public_key` is
the kit's, as its birth said it: compare it with what the city knows. A kit without a key gives none of both.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import rfc8785

import agent

if TYPE_CHECKING:
    from agent.app.erasure_survey import Counts
    from agent.device.clock import Stamp
    from agent.device.identity import Identity, PublicKey

CONTEXT = b"stairwell erase receipt v1\n"
"""Before what is signed: no signature of the kit's for something else can pass for a receipt's."""

Receipt = dict[str, Any]


def receipt(
    kit: str, at: Stamp, counts: Counts, identity: Identity | None, *, runs: int, settings: bool
) -> Receipt:
    """Made once all but the signing key is gone, after `runs` runs; `settings`: those went, too."""
    body: Receipt = {
        "v": 1,
        "kit": kit,
        "erased": {"boot": at.boot, "mono": at.mono, "ts": at.ts, "clk": at.clk},
        **counts.model_dump(),
        "settings": settings,
        "runs": runs,
        "sw": agent.__version__,
    }
    if identity is None:
        return body
    body["public_key"] = identity.public.text
    return {**body, "sig": base64.b64encode(identity.sign(CONTEXT + rfc8785.dumps(body))).decode()}


def genuine(told: Receipt, key: PublicKey) -> bool:
    """Whether `key` signed this receipt as it is."""
    body = {name: value for name, value in told.items() if name != "sig"}
    try:
        signature = base64.b64decode(told["sig"], validate=True)
        return key.signed(signature, CONTEXT + rfc8785.dumps(body))
    except (KeyError, TypeError, ValueError):
        return False
