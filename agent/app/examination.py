"""What the doctor asks: its own checks of the machine, and those that need the rooms of the agent.

Nothing here changes the kit. Where the agent runs it is asked (`symptoms`), so that nothing is disturbed;
without it the same is tried from here. A check that needs pictures loads by itself what reads them: that
takes longer than all quick checks together.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.app import commissioning, holdings, proof, symptoms, uplink
from agent.app.usable import unfit
from agent.capture import videocore
from agent.capture.kind import source_kind
from agent.device.account import READ, WRITE, Account
from agent.doctor import boot, disk, doors, hours, machine, papers, service, systemroot, wayout
from agent.doctor.check import Check, Verdict, denied, fail, ok, skip, warn
from agent.doctor.registry import ALARMS
from agent.errors import ConfigError, ModelError, SourceError
from agent.vision.models import load_card, verify
from agent.words import joined, say, verbatim

if TYPE_CHECKING:
    from agent.config import Settings
    from agent.device.clock import Clock

ROOT = Path("/")
CSI_DEVICES = ("media*", "dma_heap/*")  # what libcamera opens; rpicam-apps issues 218 and 809


def without_settings(error: ConfigError, path: Path | None, clock: Clock, root: Path = ROOT) -> list[Check]:
    """What can be asked when the kit's own file or environment is wrong: that, and the machine."""

    def told() -> Verdict:
        if path is not None and not os.access(path, os.R_OK):
            return denied(say("{path}: only root may read it", path=path))
        return fail(*error.words)

    return [
        Check("cfg.usable", say("Settings"), told),
        *machine.checks(root),
        *hours.checks(clock, root),
        *wayout.checks(root),
        *service.checks(clock, root),
    ]


def examination(settings: Settings, clock: Clock, root: Path = ROOT) -> list[Check]:
    """Every check, in the order in which a technician reads them: a cause before what follows from it."""
    return [
        Check("cfg.usable", say("Settings"), lambda: _usable(settings)),
        *machine.checks(root),
        *boot.checks(settings, clock),
        *disk.checks(settings, root),
        *systemroot.checks(root),
        *hours.checks(clock, root),
        *papers.checks(settings, clock),
        *wayout.checks(root),
        *uplink.checks(settings),
        *_eyes(settings, root),
        *service.checks(clock, root),
        *symptoms.checks(settings),
        *holdings.checks(settings, clock),
        *proof.checks(settings),
        *commissioning.checks(settings, clock),
        *doors.checks(settings, clock, root),
    ]


def _usable(settings: Settings) -> Verdict:
    refusals = unfit(settings)
    if refusals:
        problems, fixes = zip(*(refusal.words for refusal in refusals), strict=True)
        return fail(joined("; ", problems), joined("; ", fixes))
    return ok(say("the agent can start with them"))


def _eyes(settings: Settings, root: Path) -> list[Check]:
    model = Check("ai.model", say("The model's file"), lambda: _model(settings))
    return [
        Check("cam.source", say("The camera is there"), lambda: _source(settings)),
        Check(
            "cam.access",
            say("The agent may open the camera"),
            lambda: _access(settings, root),
            ("cam.source", "disk.state"),
        ),
        Check("cam.encoder", say("What makes the video"), lambda: _encoder(settings, root)),
        model,
        Check(
            "ai.selftest",
            say("The detector sees a person"),
            lambda: _selftest(settings),
            (model.code,),
            box_s=30.0,
            quick=False,
        ),
    ]


def _source(settings: Settings) -> Verdict:
    source = settings.capture.source
    try:
        kind = source_kind(source)
    except ConfigError as error:
        return fail(error.words[0], ALARMS["camera.lost"].fix)
    if kind in {"file", "v4l2"} and not Path(source).exists():
        return fail(say("{source}: is not there", source=source), ALARMS["camera.lost"].fix)
    if kind == "picamera":
        if (held := symptoms.holds(settings, kind)) is not None:
            return held
        from agent.capture.picamera import connected  # noqa: PLC0415 - see the head of this module

        try:
            return ok(verbatim(connected(source)))
        except SourceError as error:
            return fail(error.words[0], ALARMS[error.alarm].fix)
    return ok(verbatim(kind))


def _access(settings: Settings, root: Path) -> Verdict:
    """That the devices of the camera let the agent's user in: a missing group is how a CSI camera fails."""
    kind = source_kind(settings.capture.source)
    if kind == "v4l2":
        devices = [Path(settings.capture.source)]
    elif kind == "picamera":
        devices = [path for pattern in CSI_DEVICES for path in sorted((root / "dev").glob(pattern))]
    else:
        return skip(say("it is no device of this machine"))
    user = Account.agent(settings.state.dir)
    closed = [path for path in devices if not user.may(path, READ | WRITE)]
    if closed:
        return fail(
            say("{user} may not open {paths}", user=user.name, paths=", ".join(map(str, closed))),
            say("sudo usermod -aG video {user} && sudo udevadm trigger; restart the agent", user=user.name),
        )
    return ok(verbatim(user.name))


def _encoder(settings: Settings, root: Path) -> Verdict:
    """That a board with an encoder of its own uses it: in silence the processor would take its place."""
    if source_kind(settings.capture.source) != "picamera":
        return skip(say("it is no camera of this board"))
    wanted, device = settings.camera.encoder, root / videocore.DEVICE.relative_to("/")
    if wanted == "software" or (wanted == "auto" and not videocore.expected(root)):
        return ok(say("the processor"))
    if device.exists() and not os.access(device, READ | WRITE):
        return denied(say("{path}: only root may open it", path=device))
    if videocore.probe(device):
        return ok(verbatim(str(device)))
    absent = say("{device} is no H.264 encoder", device=device)
    if wanted == "hardware":
        return fail(absent, say('set camera.encoder = "auto"'))
    return warn(
        say("{absent}: the processor takes its place", absent=absent),
        say(
            "Reboot; if it comes back, look for bcm2835-codec in dmesg, or lower camera.width and camera.fps"
        ),
    )


def _model(settings: Settings) -> Verdict:
    try:
        card = load_card(settings.detector.model)
        verify(card)
    except ModelError as error:
        return fail(*error.words)
    return ok(verbatim(card.label))


def _selftest(settings: Settings) -> Verdict:
    from agent.app import models  # noqa: PLC0415 - see the head of this module

    try:
        found: dict[str, Any] = models.check(settings.detector)
    except ModelError as error:
        return fail(*error.words)
    return ok(say("{score:.2f} in {ms:.0f} ms", score=found["score"], ms=found["ms"]))
