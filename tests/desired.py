"""What the tests of remote configuration share: a platform that signs configurations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from backbone_samples import TOPICS
from orders import PLATFORM

from agent.backbone.link import Received
from agent.backbone.signed import Kind, sign

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from agent.backbone.topics import Topics

Tables = dict[str, dict[str, Any]]


def desired(
    rev: Any,  # noqa: ANN401 - also what is no revision
    values: Any = None,  # noqa: ANN401 - also what is no table
    *,
    topics: Topics = TOPICS,
    key: Ed25519PrivateKey = PLATFORM,
    **changes: Any,  # noqa: ANN401 - any field, None leaves it out
) -> bytes:
    """The payload of a signed configuration."""
    fields = {"v": 1, "rev": rev, "values": {} if values is None else values, "target": topics.cfg_des}
    fields = {name: value for name, value in {**fields, **changes}.items() if value is not None}
    return json.dumps(sign(Kind.CONFIGURATION, fields, key)).encode()


def arriving(payload: bytes, topics: Topics = TOPICS) -> Received:
    """How it comes out of the link."""
    return Received(topics.cfg_des, payload, retain=True, response_topic=None, correlation=None)
