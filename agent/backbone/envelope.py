"""What every message has in common, and how it becomes bytes."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

PAYLOAD_MAX = 64 * 1024  # bytes, of what a kit takes; a whole configuration has a tenth of it

_SENT_AS_NULL = {"ts", "t0", "since"}
_HEAD = ("v", "dev", "stream", "seq", "boot", "mono", "ts", "clk")  # first in every payload


class Message(BaseModel):
    """What every message has in common: strictness, and that an absent field is not sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _leave_out(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        return {k: v for k, v in fields.items() if v is not None or k in _SENT_AS_NULL}


def encode(message: Message) -> bytes:
    """The message as compact JSON in UTF-8, envelope first; the same message gives the same bytes."""
    fields = message.model_dump(mode="json", by_alias=True)
    head = {key: fields.pop(key) for key in _HEAD if key in fields}
    return json.dumps({**head, **fields}, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
