"""Masks and zones that are drawn on the picture of a running agent: what is in force, and what shall be.

Who draws asks over the hatch (`Draft.of`, `drawn`, `redraw`). The agent judges a drawing together with all
other settings, keeps it (`viewpoint`), notes who drew what, and begins anew with it at once, so that nothing
sees a pixel that was just masked for longer than that takes.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from agent import viewpoint
from agent.app import hatch
from agent.app.usable import usable
from agent.backbone import docket
from agent.capture.kind import source_kind
from agent.config import Mask, settled
from agent.config_layers import Origin
from agent.config_rules import Zone  # noqa: TC001 - pydantic reads it
from agent.config_words import UnfitError, unfit
from agent.device.account import name_of
from agent.errors import ConfigError, StairwellError, StorageError
from agent.words import given, joined, say, verbatim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from agent.app.journal import Journal
    from agent.app.reconfiguration import Terms
    from agent.config import Settings
    from agent.config_layers import Layers
    from agent.device.clock import Clock
    from agent.words import Text

AREAS_MAX, CORNERS_MAX = 16, 64
"""Masks, and zones, of one drawing; corners of each. More is no drawing of a stairwell."""
PATIENCE_S = 30.0  # a card that is slow with the audit, and with two files
ABOVE = {Origin.ENVIRONMENT, Origin.REMOTE}
"""The layers over what is drawn."""

_ABOVE_FIX = say("have it changed there: by the city (cfg/des), or in the unit's environment")
_AUDIT = logging.getLogger("audit")


class Draft(BaseModel):
    """Masks and zones, all of them: those in force, or as they shall be (`Sketch`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    masks: tuple[Mask, ...] = ()
    zones: tuple[Zone, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Draft:
        """Those in force, of which a file may have more than can be drawn."""
        return cls(masks=settings.privacy.masks, zones=settings.view.zones)

    def drawn_by_somebody(self) -> Draft:
        """Itself.

        Raises:
            StairwellError: its mask only stands in for a drawing that cannot be read.
        """
        if self.masks == _LOST:
            raise StairwellError(
                say("what was drawn is damaged: the whole picture is masked in its place"),
                fix=say("Draw masks and zones again: stairwell commission view"),
            )
        return self

    @property
    def digest(self) -> str:
        """Tells it from another one."""
        body = json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()
        return hashlib.sha256(body).hexdigest()[:16]


_LOST = Draft.model_validate(viewpoint.LOST["privacy"]).masks


def _drawable(draft: Draft) -> Draft:
    for areas in (draft.masks, draft.zones):
        if len(areas) > AREAS_MAX:
            raise UnfitError(say("more than {n} masks, or zones, of one picture", n=AREAS_MAX))
        for area in areas:
            if len(area.polygon) > CORNERS_MAX:
                raise UnfitError(say("{name} has more than {n} corners", name=area.name, n=CORNERS_MAX))
            if [other.name for other in areas].count(area.name) > 1:
                raise UnfitError(say("two are named {name}", name=area.name))
    return draft


Sketch = Annotated[Draft, AfterValidator(_drawable)]
"""A draft that somebody drew."""
SKETCH: TypeAdapter[Draft] = TypeAdapter(Sketch)


class Drawn(BaseModel):
    """What is in force in the running agent."""

    model_config = ConfigDict(frozen=True)

    draft: Draft
    digest: str
    masks_from: Origin
    zones_from: Origin

    @property
    def fixed(self) -> tuple[str, ...]:
        """What cannot be redrawn here, `masks` or `zones`: a higher layer sets it."""
        kinds = (("masks", self.masks_from), ("zones", self.zones_from))
        return tuple(name for name, origin in kinds if origin in ABOVE)


class Verdict(BaseModel):
    """What came of a drawing: `digest` is that of `Drawn` once it is in force, None when it was refused."""

    model_config = ConfigDict(frozen=True)

    digest: str | None = None
    changed: bool = False
    """Whether the agent begins anew for it."""
    why: dict[str, str] = {}
    fix: dict[str, str] = {}
    """Of a refusal, by language."""

    @classmethod
    def refused(cls, error: StairwellError) -> Verdict:
        """That it was, and why."""
        why, fix = ({"en": text.en, "uk": text.uk} for text in error.words)
        return cls(why=why, fix=fix)

    def upheld(self) -> str:
        """The digest.

        Raises:
            ConfigError: it was refused.
        """
        if self.digest is None:
            why, fix = (given(words.get("en", "?"), words.get("uk")) for words in (self.why, self.fix))
            raise ConfigError(why, fix=fix)
        return self.digest


class DrawingDesk:
    """Answers the hatch for the running agent; its thread alone calls it. `begin_anew` ends the agent."""

    def __init__(self, terms: Terms, clock: Clock, journal: Journal, begin_anew: Callable[[], None]) -> None:
        self._terms = terms
        self._layers = terms.layers.with_remote(terms.running.values)
        self._kept = Draft.of(terms.settings)
        """What the next start has: another than this one once something was drawn."""
        self._sure = not terms.layers.lost
        """Whether the disk has what is kept, whole."""
        self._state = terms.layers.state or terms.settings.state.dir
        self._clock = clock
        self._journal = journal
        self._begin_anew = begin_anew

    def drawn(self, _user: int) -> bytes:
        """What is in force, as `Drawn`."""
        draft = Draft.of(self._terms.settings)
        return (
            Drawn(
                draft=draft,
                digest=draft.digest,
                masks_from=self._layers.origin("privacy", "masks"),
                zones_from=self._layers.origin("view", "zones"),
            )
            .model_dump_json()
            .encode()
        )

    def redraw(self, user: int, letter: bytes) -> bytes:
        """Put a `Draft` into force; the answer is a `Verdict`.

        What cannot be noted is not done.
        """
        try:
            verdict = self._redraw(user, letter)
        except StairwellError as error:
            verdict = Verdict.refused(error)
        return verdict.model_dump_json().encode()

    def board(self, user: int, letter: bytes) -> bytes:
        """Note what became of a page for drawing, which `user` has opened.

        Raises:
            StorageError: the disk refuses to note it.
        """
        self._note("board", user, "ok", None, letter.decode("utf-8", errors="replace"))
        return b"{}"

    def _redraw(self, user: int, letter: bytes) -> Verdict:
        try:
            draft, before = _draft(letter), self._kept
            if draft == before and self._sure:
                return Verdict(digest=before.digest, changed=draft != Draft.of(self._terms.settings))
            values = self._values(draft, before)
            usable(self._judged(self._layers.with_drawn(values)))
            # An agent begins by the kit's own layers; one whose city takes its values back has nothing else.
            self._judged(self._layers.with_drawn(values).with_remote({}))
        except ConfigError as error:
            self._note("redraw", user, "failed", "refused", error.problem)
            raise
        self._note("redraw", user, "ok", None, _difference(before, draft))
        self._sure = False
        try:
            viewpoint.write(self._state, values)
        except StorageError as error:
            self._note("redraw", user, "failed", "not-stored", error.problem)
            raise
        self._kept, self._layers, self._sure = draft, self._layers.with_drawn(values), True
        self._begin_anew()
        return Verdict(digest=draft.digest, changed=True)

    def _judged(self, layers: Layers) -> Settings:
        """The settings that these layers come to, if an agent can begin with them.

        Raises:
            ConfigError: a key is wrong, or masks could not be burned into what the camera sends encoded.
        """
        settings, running = settled(layers), self._terms.settings
        works = bool(running.privacy.masks) and not running.capture.reencode  # so this camera sends no H.264
        if not settings.privacy.masks or settings.capture.reencode or works or not self._encoded:
            return settings
        raise ConfigError(
            say(
                "masks need capture.reencode = true, and {layer} sets it to false",
                layer=layers.origin("capture", "reencode"),
            ),
            fix=_ABOVE_FIX,
        )

    @property
    def _encoded(self) -> bool:
        """Whether the camera may send H.264, which is recorded as it comes unless it is encoded again."""
        return source_kind(self._terms.settings.capture.source) not in {"picamera", "synthetic"}

    def _values(self, draft: Draft, before: Draft) -> dict[str, dict[str, Any]]:
        """The layer that brings the draft into force.

        Raises:
            ConfigError: a higher layer sets what it would change.
        """
        values: dict[str, dict[str, Any]] = {}
        for section, key, wanted, there in (
            ("privacy", "masks", draft.masks, before.masks),
            ("view", "zones", draft.zones, before.zones),
        ):
            origin, name = self._layers.origin(section, key), f"{section}.{key}"
            kept = self._layers.drawn.get(section, {})
            if origin in ABOVE and wanted == there and key in kept:
                values[section] = {key: kept[key]}  # it counts again once the city says nothing of it
                continue
            if origin in ABOVE and wanted != there:
                raise ConfigError(
                    say(
                        "{key} is set by {layer}, which stands over what is drawn",
                        key=name,
                        layer=origin,
                    ),
                    fix=_ABOVE_FIX,
                )
            if wanted != there or origin is Origin.DRAWN:
                values[section] = {
                    key: [area.model_dump(mode="json", exclude_defaults=True) for area in wanted]
                }
        masked = draft.masks or values.get("privacy", {}).get("masks")  # those that count again later, too
        if masked and self._encoded:
            values["capture"] = {"reencode": True}  # what arrives as H.264 cannot be masked as it is
        return values

    def _note(self, what: str, user: int, status: str, code: str | None, text: str) -> None:
        name = name_of(user)
        text = text[: docket.TEXT_MAX]  # some of it is the asker's
        shown = "".join(char if char.isprintable() else "?" for char in text)
        line = docket.AuditLine(what, None, name, None, status, code, shown)
        self._journal.ask(lambda tx: docket.audit(tx, line, self._clock.stamp()))
        _AUDIT.info("%s by %s is %s: %s", what, name, status, line.text)


def drawn(state: Path) -> Drawn:
    """What is in force in the running agent.

    Raises:
        OSError: as `hatch.ask`.
        StairwellError: it is of another version.
    """
    try:
        return Drawn.model_validate_json(hatch.reach(state, "drawn", PATIENCE_S))
    except ValidationError:
        raise _strange() from None


def redraw(state: Path, draft: Draft) -> Verdict:
    """Have the running agent put a draft into force; `drawn` tells when it is.

    Raises:
        OSError: as `hatch.ask`.
        StairwellError: it is of another version.
    """
    letter = draft.model_dump_json().encode()
    try:
        return Verdict.model_validate_json(hatch.reach(state, "redraw", PATIENCE_S, letter))
    except ValidationError:
        raise _strange() from None


def _draft(letter: bytes) -> Draft:
    try:
        return SKETCH.validate_json(letter)
    except ValidationError as error:
        raise unusable(error) from None


def unusable(error: ValidationError) -> ConfigError:
    """What is told of a drawing that is none."""
    return ConfigError(
        say("the drawing cannot be used: {found}", found=wrong(error)), fix=say("correct what is named")
    )


def wrong(error: ValidationError) -> Text:
    """What is wrong with a drawing, area by area."""
    told = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"])
        why = unfit(item["type"], item["msg"], item.get("ctx", {}))
        told.append(joined(": ", (verbatim(place), why)) if place else why)
    return joined("; ", told)


def _difference(before: Draft, after: Draft) -> str:
    """What was added, changed and taken away, by name: taking a mask away reveals."""
    said = []
    for kind, old, new in (
        ("mask", before.masks, after.masks),
        ("zone", before.zones, after.zones),
    ):
        olds, news = _named(old), _named(new)
        for act, names in (
            ("taken away", olds.keys() - news.keys()),
            ("changed", {name for name in olds.keys() & news.keys() if olds[name] != news[name]}),
            ("added", news.keys() - olds.keys()),
        ):
            if names:
                said.append(f"{kind} {', '.join(sorted(names))} {act}")
    return "; ".join(said) or "other order"


def _named(areas: Iterable[Mask | Zone]) -> dict[str, list[Mask | Zone]]:
    """By their names; a file may have two masks of one."""
    found: dict[str, list[Mask | Zone]] = {}
    for area in areas:
        found.setdefault(area.name, []).append(area)
    return found


def _strange() -> StairwellError:
    return StairwellError(
        say("the agent that runs is of another version: its answer makes no sense"),
        fix=verbatim("sudo systemctl restart stairwell-agent"),
    )
