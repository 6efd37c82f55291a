"""Whether a kit can run with its settings: asked by the agent before it starts, and by `config check`.

What the settings are by themselves (types, limits, unknown keys) `agent.config` has checked before.

The codecs, with NumPy, take as long to load as all the rest: they are where there is a film to open.
"""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent.backbone import papers
from agent.capture.camera_controls import lores_size
from agent.capture.kind import PICAMERA, source_kind
from agent.config import Kit, Site
from agent.errors import ConfigError, SourceError
from agent.vision.models import load_card
from agent.words import joined, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config import Settings


def usable(settings: Settings) -> None:
    """Refuse settings that the agent cannot run with; every reason is named at once.

    Raises:
        ConfigError: the kit's id or its place is not set, the source is of no known kind, or a file that
            the link to the broker needs cannot be used.
    """
    refusals = [refusal for check in _CHECKS for refusal in check(settings)]
    if refusals:
        raise ConfigError(
            joined("; ", (refusal.words[0] for refusal in refusals)),
            fix=joined("; ", {refusal.fix: refusal.words[1] for refusal in refusals}.values()),
            keys={key: why for refusal in refusals for key, why in refusal.keys.items()},
        )


def complete(settings: Settings) -> None:
    """As usable, and what would end the agent, or raise an alarm, as soon as it is started.

    Raises:
        ConfigError: as usable.
        ModelError: the detector's card is missing or wrong; the agent would run, and find nobody.
        SourceError: the source is a file that cannot be played.
    """
    usable(settings)
    load_card(settings.detector.model)
    if source_kind(settings.capture.source) == "file":
        from agent.capture.container import open_file  # noqa: PLC0415 - see the head of this module

        open_file(Path(settings.capture.source)).close()


def unfit(settings: Settings) -> list[ConfigError]:
    """What would keep the agent from starting, but for what the doctor asks by checks of its own.

    Those are the kit's id, the files of TLS, and whether the source is there.
    """
    return [refusal for check in (_place, _password, _masks) for refusal in check(settings)]


def _identity(settings: Settings) -> Iterator[ConfigError]:
    if settings.kit.id == Kit().id:
        yield ConfigError(say("kit.id: not set"), fix=say("set kit.id to the id on the kit's label"))


def _place(settings: Settings) -> Iterator[ConfigError]:
    """A kit that says it hangs at the placeholder is on topics to which nobody listens."""
    placeholder = Site()
    unset = [
        f"site.{key}"
        for key in ("oblast", "city", "district")
        if getattr(settings.site, key) == getattr(placeholder, key)
    ]
    if unset:
        yield ConfigError(
            say("{keys}: not set", keys=", ".join(unset)),
            fix=say("set [site] to where the kit hangs"),
            keys=dict.fromkeys(unset, "not set"),
        )


def _source(settings: Settings) -> Iterator[ConfigError]:
    yield from _refusal(lambda: source_kind(settings.capture.source))
    if settings.capture.source.startswith(PICAMERA):
        yield from _refusal(lambda: lores_size(settings.camera))


def _broker(settings: Settings) -> Iterator[ConfigError]:
    backbone = settings.backbone
    if backbone.tls:
        yield from _refusal(lambda: papers.tls_context(backbone))
    yield from _password(settings)


def _password(settings: Settings) -> Iterator[ConfigError]:
    yield from _refusal(lambda: papers.password(settings.backbone.password_file))


def _masks(settings: Settings) -> Iterator[ConfigError]:
    """Of a film only: a camera may be in use, and is not opened."""
    path = Path(settings.capture.source)
    if path.is_file():
        from agent.capture.av import must_encode  # noqa: PLC0415 - see the head of this module
        from agent.capture.container import open_file  # noqa: PLC0415 - the same

        with suppress(SourceError), closing(open_file(path)) as opened:
            yield from _refusal(lambda: must_encode(opened, settings.capture, settings.privacy.masks))


def _refusal(check: Callable[[], object]) -> Iterator[ConfigError]:
    try:
        check()
    except ConfigError as error:
        yield error


_CHECKS = (_identity, _place, _source, _broker)
