"""Every health alarm the agent can raise. The codes are part of the contract and never change meaning."""

from __future__ import annotations

from agent.doctor.kinds import AlarmKind, Severity
from agent.doctor.surroundings import SURROUNDINGS
from agent.words import say

__all__ = ["ALARMS", "NO_PICTURES", "AlarmKind", "Severity"]

ALARMS: dict[str, AlarmKind] = {
    kind.code: kind
    for kind in (
        *SURROUNDINGS,
        AlarmKind(
            "camera.lost",
            "critical",
            say("The camera gives no pictures"),
            say("Check the camera's cable and power, and the key capture.source"),
        ),
        AlarmKind(
            "camera.missing",
            "critical",
            say("No camera was found"),
            say("Power off and check both ends of the ribbon cable; check capture.source and config.txt"),
        ),
        AlarmKind(
            "camera.busy",
            "critical",
            say("Another program holds the camera"),
            say("Stop it: sudo fuser -v /dev/media* /dev/video* shows which it is"),
        ),
        AlarmKind(
            "camera.timeout",
            "critical",
            say("The camera's sensor went silent: no frames arrive"),
            say("Power off, then reseat both ends of the camera's ribbon cable, or replace it"),
        ),
        AlarmKind(
            "camera.encoder",
            "critical",
            say("The hardware encoder went silent: the camera films, but no video comes out"),
            say('Restart the kit; if it comes back, set camera.encoder = "software"'),
        ),
        AlarmKind(
            "camera.memory",
            "critical",
            say("The camera gets no memory (CMA)"),
            say(
                "Restart the kit; lower camera.width and camera.height, or give more in config.txt: "
                "dtoverlay=vc4-kms-v3d,cma-128"
            ),
        ),
        AlarmKind(
            "camera.driver",
            "critical",
            say("The camera's software (Picamera2, libcamera) does not load"),
            say("Install it: sudo apt install --no-install-recommends python3-picamera2"),
        ),
        AlarmKind(
            "camera.slow",
            "minor",
            say("Analysis does not keep up with the camera: frames were skipped"),
            say("Lower capture.fps or detector.max_per_s; check the temperature"),
        ),
        AlarmKind(
            "detector.unusable",
            "critical",
            say("The person detector does not work: there will be no person events"),
            say("Install the agent again, or correct the key detector.model"),
        ),
        AlarmKind(
            "clips.disabled",
            "critical",
            say("Nothing is recorded: there are no keys to seal clips to"),
            say("Put the city's keys (age1…) into clips.recipients"),
        ),
        AlarmKind(
            "clips.unsealed",
            "major",
            say("Clips are not sealed: a stolen card shows everything"),
            say('Remove clips.seal = "none" and set clips.recipients'),
        ),
        AlarmKind(
            "clips.failed",
            "critical",
            say("A clip could not be written"),
            say("Check the card's free space and state; replace a worn card"),
        ),
        AlarmKind(
            "clips.lost",
            "major",
            say("A clip's file has gone from the card"),
            say("Find out who had access; check the card"),
        ),
        AlarmKind(
            "identity.replaced",
            "major",
            say("The signing key was damaged; a new one was made"),
            say("Replace the card; keep the new kit.pub beside the old one"),
        ),
        AlarmKind(
            "storage.corrupt",
            "major",
            say("The database was damaged; a new one was begun"),
            say("Replace the card; the old database lies beside for inquiry"),
        ),
        AlarmKind(
            "storage.full",
            "critical",
            say("The disk is full: recording has stopped"),
            say("Free space, or lower clips.max_mb; clips on hold are never deleted by themselves"),
        ),
        AlarmKind(
            "storage.readonly",
            "critical",
            say("The card has become read-only"),
            say("Replace the card: this is how it protects what is still on it"),
        ),
        AlarmKind(
            "storage.failing",
            "critical",
            say("The card fails to read or to write"),
            say("Replace the card; export its clips before (stairwell clips export)"),
        ),
        AlarmKind(
            "storage.mismatch",
            "critical",
            say("The card gives back something else than was written"),
            say("Replace the card; stairwell clips check names the damaged clips"),
        ),
        AlarmKind(
            "storage.gone",
            "critical",
            say("The disk of the clips is not in its place"),
            say("Mount the disk; if it was replaced on purpose: stairwell clips check --repair"),
        ),
        AlarmKind(
            "storage.refused",
            "critical",
            say("Storage refuses writes"),
            say("Free space; replace the card if it has become read-only"),
        ),
        AlarmKind(
            "rules.no_clock",
            "minor",
            say("The clock was never set: the after-hours rule is silent"),
            say("Give the kit a way to NTP, or a battery for its clock"),
        ),
        AlarmKind(
            "scene.dark",
            "minor",
            say("Dark: the lamp is out"),
            say("Check the stairwell's lamp"),
        ),
        AlarmKind(
            "scene.covered",
            "critical",
            say("The lens is covered"),
            say("Look at the camera on site"),
        ),
        AlarmKind(
            "scene.blinded",
            "critical",
            say("The camera is blinded"),
            say("Remove the light that shines into the camera"),
        ),
        AlarmKind(
            "scene.moved",
            "critical",
            say("The camera was turned"),
            say("Aim it again and accept the view anew"),
        ),
        AlarmKind(
            "scene.blurred",
            "major",
            say("The picture is blurred"),
            say("Clean the lens, check the focus"),
        ),
        AlarmKind(
            "scene.frozen",
            "critical",
            say("The picture is frozen"),
            say("Restart the kit; check the camera's cable"),
        ),
    )
}

NO_PICTURES = (
    "camera.lost",
    "camera.missing",
    "camera.busy",
    "camera.timeout",
    "camera.encoder",
    "camera.memory",
    "camera.driver",
)
"""Why there are no pictures; at most one of them is active, and none while pictures come."""
