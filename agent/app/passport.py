"""The camera's passport: one page for the papers that a municipality has to keep, and for whoever asks.

Where the camera hangs, why, who answers for it, what it keeps and for how long, what it must not see, which
program and model decide, whose signature its clips carry, and when it was last found well. What nobody has
written down is marked as missing, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

import agent
from agent.agekey import key_id
from agent.app import acceptance, hatch
from agent.device.identity import KEYS, PUBLIC_NAME, PublicKey
from agent.errors import ModelError, StairwellError, StorageError
from agent.vision.models import load_card
from agent.words import counted, joined, say, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from agent.config import Settings
    from agent.config_fields import Point
    from agent.device.clock import Clock
    from agent.words import Text

    Image = NDArray[np.uint8]

STILL_S = 15.0  # the agent notes who asks before it answers, and a slow card takes its time
SIDES = (640, 360)  # of the drawing in place of a picture
PAPER, INK = 225, 60  # grey levels of that drawing
MASK, ZONE = (200, 40, 40), (20, 120, 160)  # RGB; told apart by their hatching without colour too
QUALITY = 85
SHA_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the passport; `lacking`: somebody has to state it yet."""

    label: Text
    text: Text
    lacking: bool = False


@dataclass(frozen=True, slots=True)
class Passport:
    """All of the page. `picture` is JPEG of `size` (columns, rows); `drawn`: it is no camera's."""

    kit: str
    made: str | None
    rows: tuple[Row, ...]
    picture: bytes
    size: tuple[int, int]
    drawn: bool

    @property
    def title(self) -> Text:
        """The heading."""
        return say("Passport of camera {kit}", kit=self.kit)

    @property
    def caption(self) -> Text:
        """What the picture is."""
        if self.drawn:
            return say(
                "Masks (red) and zones (blue) in the frame. The camera gave no picture of an empty place."
            )
        return say(
            "The camera's picture while nobody was in it: masks are black and edged in red, zones are blue."
        )


def passport(settings: Settings, clock: Clock) -> Passport:
    """The passport of the kit that `settings` describe.

    The picture is the running agent's; without one, and while somebody is in view, a drawing stands for it.

    Raises:
        StairwellError: an agent runs, and who asks may not ask it.
    """
    picture = _view(settings)
    image = _paper(settings) if picture is None else picture
    _outline(image, (mask.polygon for mask in settings.privacy.masks), MASK)
    _outline(image, (zone.polygon for zone in settings.view.zones), ZONE)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    return Passport(
        settings.kit.id,
        clock.stamp().ts,
        tuple(_rows(settings, clock)),
        jpeg,
        (image.shape[1], image.shape[0]),
        picture is None,
    )


def _rows(settings: Settings, clock: Clock) -> Iterator[Row]:
    papers, clips = settings.passport, settings.clips
    yield Row(say("Where"), _place(settings), lacking=not settings.site.building)
    for label, key, value in (
        (say("Purpose"), "purpose", papers.purpose),
        (say("Basis"), "basis", papers.basis),
        (say("Answers for it"), "controller", papers.controller),
        (say("Contact"), "contact", papers.contact),
    ):
        yield _stated(label, f"passport.{key}", value)
    yield Row(say("What it does"), _doing(settings))
    if clips.enabled and not clips.refused:
        yield Row(
            say("Records"),
            say(
                "clips of events, {before:g} s before and {after:g} s after them too, "
                "deleted after {hours:g} h; {sealed}",
                before=clips.pre_roll_s,
                after=clips.post_roll_s,
                hours=clips.retention_h,
                sealed=_sealed(settings),
            ),
            lacking=clips.seal == "none",
        )
    else:
        yield Row(say("Records"), say("none: only messages leave the kit"))
    yield Row(
        say("Messages"),
        say(
            "to {host}, encrypted; delivered ones are kept on the kit for {hours:g} h",
            host=settings.backbone.host,
            hours=settings.outbox.keep_h,
        )
        if settings.backbone.tls
        else say("to {host}, NOT encrypted", host=settings.backbone.host),
        lacking=not settings.backbone.tls,
    )
    yield Row(say("Masks"), _masks(settings))
    yield Row(say("Program"), verbatim(f"stairwell-agent {agent.__version__}"))
    yield _model(settings)
    yield _key(settings)
    yield _accepted(settings, clock)


def _stated(label: Text, key: str, value: str) -> Row:
    if value:
        return Row(label, verbatim(value))
    return Row(label, say("not stated (key {key})", key=key), lacking=True)


def _place(settings: Settings) -> Text:
    site = settings.site
    parts = [
        say("oblast {number}", number=site.oblast),
        verbatim(site.city),
        verbatim(site.district),
        *([say("building {name}", name=site.building)] if site.building else []),
        *([say("entrance {name}", name=site.entrance)] if site.entrance else []),
        *([say("floor {number}", number=site.floor)] if site.floor is not None else []),
        *([say("KATOTTH {code}", code=site.katotth)] if site.katotth else []),
        *([say("precinct {name}", name=site.precinct)] if site.precinct else []),
    ]
    if not site.building:
        parts.append(say("not stated (key {key})", key="site.building"))
    return joined(", ", parts)


def _doing(settings: Settings) -> Text:
    watched = [say("persons")]
    if settings.loitering.enabled:
        watched.append(say("who stays for longer than {seconds:g} s", seconds=settings.loitering.dwell_s))
    if settings.gathering.enabled:
        watched.append(say("groups of {n} and more", n=settings.gathering.persons))
    if settings.after_hours.closed:
        watched.append(say("persons at night ({times})", times=", ".join(settings.after_hours.closed)))
    return say("notices {what}; recognises nobody, records no sound", what=joined(", ", watched))


def _sealed(settings: Settings) -> Text:
    if settings.clips.seal == "none":
        return say("NOT sealed: whoever takes the card sees them")
    names = ", ".join(key_id(key) for key in settings.clips.recipients)
    return say("sealed while they are written; only these keys open them: {keys}", keys=names)


def _masks(settings: Settings) -> Text:
    masks = settings.privacy.masks
    if not masks:
        return say("none: the camera sees its whole picture")
    return joined(
        ": ",
        [
            counted(
                "{n} area that nobody ever sees, neither live nor in a clip",
                "{n} areas that nobody ever sees, neither live nor in a clip",
                len(masks),
            ),
            verbatim(", ".join(mask.name for mask in masks)),
        ],
    )


def _model(settings: Settings) -> Row:
    label = say("Model")
    try:
        card = load_card(settings.detector.model)
    except ModelError as error:
        return Row(label, error.words[0], lacking=True)
    threshold = card.threshold if settings.detector.threshold is None else settings.detector.threshold
    return Row(
        label,
        say(
            "{name}, {licence}, SHA-256 {sha}…; counts from a score of {threshold:g}",
            name=card.name,
            licence=card.licence,
            sha=card.sha256[:SHA_DIGITS],
            threshold=threshold,
        ),
    )


def _key(settings: Settings) -> Row:
    label = say("Key of its signatures")
    try:
        key = PublicKey.read(settings.state.dir / KEYS / PUBLIC_NAME)
    except (StairwellError, OSError):
        return Row(label, say("cannot be read: run it with sudo on a kit that ran once"), lacking=True)
    return Row(label, verbatim(f"Ed25519 {key.text} ({key.fingerprint})"))


def _accepted(settings: Settings, clock: Clock) -> Row:
    label = say("Accepted")
    try:
        last = acceptance.last(settings, clock)
    except StorageError as error:
        return Row(label, error.words[0], lacking=True)
    if last is None:
        return Row(label, say("never (stairwell passport --accept NAME)"), lacking=True)
    when = (last.at.ts or "?")[:16].replace("T", " ")
    form = (
        say("{when} UTC by {who}: passed ({found})", when=when, who=last.by, found=last.told)
        if last.passed
        else say("{when} UTC by {who}: NOT passed ({found})", when=when, who=last.by, found=last.told)
    )
    return Row(label, form, lacking=not last.passed)


def _view(settings: Settings) -> Image | None:
    """The agent's picture of an empty place, RGB; None when there is none to be had."""
    try:
        jpeg = hatch.reach(settings.state.dir, "view", STILL_S)
    except PermissionError:
        raise hatch.denied() from None
    except OSError:
        return None
    if not jpeg:
        return None
    image = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _paper(settings: Settings) -> Image:
    """A frame with the masks in it, where there is no picture."""
    width, height = SIDES
    image = np.full((height, width, 3), PAPER, np.uint8)
    for mask in settings.privacy.masks:
        cv2.fillPoly(image, [_corners(image, mask.polygon)], (INK, INK, INK))
    return image


def _outline(image: Image, polygons: Iterable[Iterable[Point]], colour: tuple[int, int, int]) -> None:
    for polygon in polygons:
        corners = _corners(image, polygon)
        cv2.polylines(image, [corners], isClosed=True, color=colour, thickness=2, lineType=cv2.LINE_AA)


def _corners(image: Image, polygon: Iterable[Point]) -> NDArray[np.int32]:
    size = np.array([image.shape[1] - 1, image.shape[0] - 1])
    return np.asarray(np.rint(np.array(list(polygon)) * size), np.int32)
