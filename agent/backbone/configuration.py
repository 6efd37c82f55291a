"""The contract's messages about settings: what the city wants (`cfg/des`), what became of it (`cfg/rep`).

`cfg/des` is retained and signed (see `signed`): it reaches a kit that was dark for months, and nobody but the
platform can make one. It is the whole of what is set from afar: a key that it does not name falls back to the
kit's own file. Its number, `rev`, rises with each one: what a kit has once seen a higher number than it never
takes again, so an old configuration cannot be played back. It is judged whole; one wrong key, and nothing of
it is applied.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from agent.backbone.envelope import Message
from agent.backbone.fields import (  # noqa: TC001 - pydantic reads them
    Count,
    Name,
    Signature,
    Text,
    Ts,
)
from agent.backbone.messages import Stamped
from agent.backbone.signed import Flaw

Revision = Annotated[int, Field(ge=1, le=2**53 - 1)]
"""As large as a number of JSON can be and be signed (RFC 8785)."""
ERRORS_MAX = 32
"""Wrong keys told in one report: who made more mistakes made one."""


class Refusal(StrEnum):
    """Why a configuration was refused, beside the flaws of `signed`. Nothing of it was applied."""

    MALFORMED = "malformed"
    """No JSON object, or a field missing or of a wrong type."""
    TOO_LARGE = "too-large"
    OLD_REVISION = "old-revision"
    """The kit has seen a higher `rev`, or this one with other values."""
    WRONG_KEYS = "wrong-keys"
    """`errors` names them."""
    UNUSABLE = "unusable"
    """No key is wrong, but the kit cannot run with them; `detail` says why."""
    NOT_STORED = "not-stored"
    """The disk refuses it; it is tried again when the broker delivers it again."""


class Desired(Message):
    """On `cfg/des` (down), retained: what the city wants. The last five fields are those of `signed`."""

    model_config = ConfigDict(extra="ignore")

    v: Literal[1] = 1
    rev: Revision = Field(description="rises with each configuration; one that does not is refused")
    values: dict[str, dict[str, Any]] = Field(
        description="sections and keys as in agent.toml; what is absent is as the kit's own file says"
    )
    exp: Ts | None = Field(
        default=None, description="after it the kit does not take it up any more; absent: it never lapses"
    )
    target: Annotated[str, Field(max_length=256)] = Field(description="the topic that it is published on")
    nonce: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22}$")]
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    sig: Signature


class WrongKey(Message):
    """Why a key was refused."""

    key: Name = Field(description="section.key, as in agent.toml")
    why: Text


class Reported(Stamped):
    """On `cfg/rep`, retained: what became of the last configuration, and which values are in force."""

    rev: Count = Field(description="the revision that the kit runs with, 0 for the settings of its own file")
    seen: Revision | None = Field(default=None, description="the revision that the rest speaks of")
    state: Literal["applied", "pending", "refused", "rolled-back"] = Field(
        description="applied: it has proven itself; pending: it waits for a quiet moment, or runs on trial; "
        "refused: nothing of it was applied; rolled-back: it did not work, and is not tried again"
    )
    why: Name | None = Field(
        default=None,
        description="with refused, and only then: " + ", ".join([*Refusal, *Flaw]),
    )
    detail: Text | None = Field(default=None, description="the same for people, and why it was rolled back")
    errors: list[WrongKey] = Field(default=[], max_length=ERRORS_MAX, description="with wrong-keys")
    values: dict[str, dict[str, Any]] = Field(
        description="the values in force of all keys that may be set from afar"
    )
