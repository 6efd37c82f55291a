"""What the kit shows the broker and checks it by: certificates, key, password; and that they may be renewed.

A renewed certificate is taken up while the agent runs. New files count only once they load as a whole, so a
pair that is half written costs nothing: the connection goes on with what it has.
"""

from __future__ import annotations

import logging
import random
import ssl
from typing import TYPE_CHECKING

from agent.durable import version
from agent.errors import ConfigError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Backbone

LOOK_S = 30.0  # between two looks at the files: a certificate is renewed weeks before it ends
SPREAD_S = 300.0  # within which a connection is made anew: a thousand kits may get theirs in one hour

_LOG = logging.getLogger(__name__)

_Seen = tuple[tuple[int, int, int] | None, ...]


class Papers:
    """The TLS files of one link. The network thread owns it."""

    def __init__(self, settings: Backbone) -> None:
        self._settings = settings
        named = (settings.ca_file, settings.cert_file, settings.key_file)
        self._files = tuple(path for path in named if path is not None) if settings.tls else ()
        self._loaded = self._refused = self._see()
        self._next = 0.0
        self._due: float | None = None
        self._random = random.Random()  # noqa: S311 - it spreads load, it guards nothing

    def load(self) -> ssl.SSLContext | None:
        """A context of the files as they are now; None without TLS.

        Raises:
            ConfigError: they cannot be used.
        """
        if not self._settings.tls:
            return None
        seen = self._see()
        context = tls_context(self._settings)
        self._loaded, self._due = seen, None
        return context

    def renewed(self) -> ssl.SSLContext | None:
        """A context of files that are others than those loaded; None if they are the same, or of no use."""
        seen = self._see()
        if seen in (self._loaded, self._refused):
            return None
        try:
            return self.load()
        except ConfigError as error:
            self._refused = seen  # said once
            _LOG.warning("%s; going on with what was loaded before", error)
            return None

    def due(self, now: float) -> bool:
        """Whether the connection is to be made anew for the files; `now` in seconds that never jump."""
        if now >= self._next:
            self._next = now + LOOK_S
            if self._see() in (self._loaded, self._refused):
                self._due = None
            elif self._due is None:
                self._due = now + self._random.uniform(0, SPREAD_S)
        if self._due is None or now < self._due:
            return False
        loaded = self._loaded
        if self.renewed() is None:
            self._due = None
            return False
        self._loaded = loaded  # the next connection loads them
        return True

    def _see(self) -> _Seen:
        """What tells one version of the files from another."""
        return tuple(version(path) for path in self._files)


def tls_context(settings: Backbone) -> ssl.SSLContext:
    """TLS 1.2 or newer, the broker's name checked, our certificate shown if there is one.

    Certificates must keep to RFC 5280 (authority key identifier, key usage of the authority …).

    Raises:
        ConfigError: a file is missing, unreadable, or no certificate or key.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Python 3.13 is strict by default: a fleet must not find out when its system is upgraded.
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        if settings.cert_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except OSError as error:
        files = [str(f) for f in (settings.ca_file, settings.cert_file, settings.key_file) if f]
        raise ConfigError(
            say("backbone: TLS files {files}: {reason}", files=", ".join(files), reason=reason(error)),
            fix=say("check that the files exist, are PEM, belong together, and that the agent may read them"),
        ) from None
    return context


def password(path: Path | None) -> str | None:
    """The password that the file holds, without its line's end; None without a file.

    Raises:
        ConfigError: the file is missing, unreadable, or no text.
    """
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            say("backbone.password_file = {path}: {reason}", path=path, reason=reason(error)),
            fix=say("check that the file exists and is readable"),
        ) from None
