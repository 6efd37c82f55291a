"""The settings as they may be shown: on a screen, in an answer, in a request for support."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agent.capture.address import without_credentials

if TYPE_CHECKING:
    from agent.config import Settings

HIDDEN = "***"


def redacted(settings: Settings) -> dict[str, Any]:
    """Every key with its value, as JSON types.

    Secrets are in files, of which only the names are told; a camera's address loses its password, and what
    comes after `?`, where some cameras want one.
    """
    values = settings.model_dump(mode="json")
    source = without_credentials(values["capture"]["source"], f"{HIDDEN}@")
    values["capture"]["source"] = re.sub(r"^([^:/]+://[^?]*\?).*", rf"\1{HIDDEN}", source, flags=re.DOTALL)
    return values
