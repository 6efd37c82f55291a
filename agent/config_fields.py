"""What settings are made of: the base of every section, and the types that several sections share."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agent.config_words import UnfitError
from agent.words import say

Fraction01 = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
"""A topic level, or a name in messages: lower case, digits, dashes."""
Receipt = Literal["watermark", "puback"]
"""Whose word counts for a message's delivery: the platform's watermark, or the broker's PUBACK."""
Point = tuple[Fraction01, Fraction01]
"""A place in fractions of the picture, origin top left."""
Polygon = Annotated[tuple[Point, ...], Field(min_length=3)]
"""Corners as fractions of the picture, origin top left."""


class Section(BaseModel):
    """A table of the configuration: strict about its keys, and never changed once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


PlatformKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$")]
"""32 bytes in base64, an Ed25519 public key; the last digit has no stray bits (RFC 4648, 3.5)."""


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    _ = parts.port  # raises ValueError when it is none
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise UnfitError(say("an address of the form https://host:port is needed"))
    return url.rstrip("/")


HttpsUrl = Annotated[str, AfterValidator(_check_url)]
"""Where a service answers over TLS, without a slash at the end."""


def _check_host(host: str) -> str:
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host))
    try:
        name = host.encode("idna").decode()  # as the system's resolver is asked
    except UnicodeError:
        name = ""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise UnfitError(
            say("a name such as broker.example.org is needed, or an address; the port has its own key")
        )
    return host


Host = Annotated[str, AfterValidator(_check_host)]
"""A machine of the network: a name that can be asked for, or an address."""
