"""Whose certificates count when the kit speaks https by itself."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from agent.errors import ConfigError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from agent.config import Backbone


def https_context(backbone: Backbone) -> ssl.SSLContext:
    """TLS as anybody's: public authorities, and the city's own that signs its broker.

    Raises:
        ConfigError: `backbone.ca_file` cannot be used.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if backbone.ca_file is not None:
        try:
            context.load_verify_locations(backbone.ca_file)
        except OSError as error:
            raise ConfigError(
                say(
                    "backbone.ca_file = {path}: {reason}",
                    path=backbone.ca_file,
                    reason=reason(error),
                ),
                fix=say("check that the file exists, is PEM and readable"),
            ) from None
    return context
