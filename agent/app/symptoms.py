"""Checks of what the running agent tells of itself. It is asked at its hatch: nothing is disturbed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import agent
from agent.app import hatch
from agent.app.status import understood
from agent.app.uplink import CAUSES, WEAK, mended
from agent.backbone.causes import Cause
from agent.device import unit
from agent.doctor import machine, service
from agent.doctor.check import Check, Verdict, alarmed, denied, fail, ok, skip, warn
from agent.doctor.registry import ALARMS, NO_PICTURES
from agent.doctor.remedy import spelled
from agent.errors import StairwellError
from agent.words import Text, counted, given, joined, say, verbatim

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.app.status import Status
    from agent.config import Settings

RUNNING = "svc.running"
OLD_S, DEAD_S = 2.0, 10.0  # of the last picture
LATE_S, STUCK_S = 300.0, 3600.0  # of the oldest message that waits
FULLER, FULL = 0.7, 0.9  # of the outbox
SLOW_SHARE = 0.5  # of the time between two pictures that one look of the detector may take
FAR_MS, LOST_MS = 300, 1500  # a healthy LTE link has below 100; over the second TLS takes half a minute
UNHEARD = say("See whether the platform is subscribed at the broker, and acknowledges what it gets")
BIG_MB = 266  # from here on the agent does without: see agent.app.want


def checks(settings: Settings) -> list[Check]:
    """The checks of this module."""

    def told(judge: Callable[[Status], Verdict]) -> Callable[[], Verdict]:
        return lambda: judge(understood(hatch.reach(settings.state.dir, "status")))

    return [
        Check(RUNNING, say("The agent runs"), lambda: _running(settings)),
        Check("svc.version", say("The agent's version"), told(_version), (RUNNING,)),
        Check("svc.alarms", say("The agent's alarms"), told(_alarms), (RUNNING,)),
        Check("cam.frames", say("The camera's pictures"), told(_pictures), (RUNNING,)),
        Check("cam.speed", say("Analysis keeps up"), told(_speed), (RUNNING,)),
        Check("ai.latency", say("Time of the detector"), told(_latency), (RUNNING,)),
        Check("net.mqtt", say("The MQTT link"), told(_link), (RUNNING,)),
        Check("net.rtt", say("Time of the broker's answer"), told(_rtt), ("net.mqtt",)),
        Check("store.outbox", say("Messages that wait"), told(_outbox), (RUNNING,)),
        Check("clips.recording", say("Recording works"), told(_recording), (RUNNING,)),
        Check("priv.core", say("No memory in core dumps"), told(_core), (RUNNING,)),
        Check("svc.memory", say("The agent's memory"), told(_resident), (RUNNING,)),
    ]


def judged(status: Status) -> dict[str, Verdict]:
    """What the doctor says of each part that a screen shows, of a status that was asked already."""
    return {
        "camera": _pictures(status),
        "detector": _latency(status),
        "messages": _outbox(status),
        "link": _link(status),
        "clips": _recording(status),
        "board": machine.heat(status.machine.t),
        "alarms": _alarms(status),
    }


def holds(settings: Settings, kind: str) -> Verdict | None:
    """What a running agent tells of its camera of this kind: asking the camera itself costs seconds.

    None where no agent answers, or it has not opened the camera yet: then it is looked for.
    """
    try:
        status = understood(hatch.reach(settings.state.dir, "status"))
    except (OSError, StairwellError):
        return None
    camera = status.camera
    if camera.source != kind or (camera.down is None and camera.age is None):
        return None
    return ok(say("the agent has it open")) if camera.down is None else _pictures(status)


def _running(settings: Settings) -> Verdict:
    try:
        status = understood(hatch.reach(settings.state.dir, "status"))
    except (FileNotFoundError, ConnectionRefusedError):
        return fail(say("no"), service.START)
    except PermissionError:
        return denied(say("only root and the group stairwell may ask it"))
    except StairwellError as error:
        remedy = (("systemctl", "restart", unit.NAME),)
        return fail(error.words[0], spelled(remedy), remedy)
    return ok(say("{version}, for {seconds:.0f} s", version=status.sw, seconds=status.up))


def _version(status: Status) -> Verdict:
    if status.sw != agent.__version__:
        remedy = (("systemctl", "restart", unit.NAME),)
        told = say("{old} runs, {new} is installed", old=status.sw, new=agent.__version__)
        return warn(told, spelled(remedy), remedy)
    return ok(verbatim(status.sw))


def _core(status: Status) -> Verdict:
    limits = Path(f"/proc/{status.pid}/limits").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^Max core file size +(\S+)", limits, re.MULTILINE)
    if found is None:
        return skip(say("the kernel does not tell"))
    if found[1] != "0":
        return warn(
            say("a crash may write pictures from memory to the card"),
            say("Run it as the service (LimitCORE=0), or under `ulimit -c 0`"),
        )
    return ok(say("none are written"))


def _alarms(status: Status) -> Verdict:
    if not status.alarms:
        return ok(say("none"))
    kinds = [ALARMS[code] for code in status.alarms if code in ALARMS]
    told = joined("; ", (joined(": ", (verbatim(kind.code), kind.text)) for kind in kinds))
    fix = joined("; ", (kind.fix for kind in kinds))
    return warn(told, fix) if all(kind.severity == "minor" for kind in kinds) else fail(told, fix)


def _pictures(status: Status) -> Verdict:
    camera = status.camera
    fix = ALARMS[next((code for code in NO_PICTURES if code in status.alarms), "camera.lost")].fix
    if camera.down is not None:
        return fail(say("none: {why}", why=given(camera.down, camera.down_uk)), fix)
    if camera.age is None:
        return fail(say("not one yet"), fix)
    told = say("{age:.1f} s ago", age=camera.age)
    if camera.age >= DEAD_S:
        return fail(told, fix)
    return warn(told, fix) if camera.age >= OLD_S else ok(told)


def _speed(status: Status) -> Verdict:
    if "camera.slow" in status.alarms:
        return alarmed("camera.slow")
    camera = status.camera
    return ok(say("{skipped} of {frames} were skipped", skipped=camera.skipped, frames=camera.frames))


def _latency(status: Status) -> Verdict:
    times = status.detector.ms
    if times is None:
        return skip(say("it has not looked yet"))
    told = say("{middle:.0f} ms, 95 %: {slow:.0f}", middle=times[0], slow=times[1])
    budget_ms = 1000 / status.camera.fps
    return warn(told, ALARMS["camera.slow"].fix) if times[0] > budget_ms * (1 + SLOW_SHARE) else ok(told)


def _link(status: Status) -> Verdict:
    link = status.link
    if not link.connected:
        return fail(say("{host}: {cause}", host=link.host, cause=no_link(link.cause)), mended(link.cause))
    if link.refused:
        return warn(
            counted("the broker refused {n} message", "the broker refused {n} messages", link.refused),
            say("Check the kit's rights (ACL) at the broker"),
        )
    return ok(say("{host}, {n} taken", host=link.host, n=link.taken))


def no_link(cause: str | None) -> Text:
    """Why there is no link, by the link's own word for it."""
    if cause is None:
        return say("not connected yet")
    return CAUSES[Cause(cause)] if cause in set(Cause) else verbatim(cause)


def _rtt(status: Status) -> Verdict:
    ms = status.link.rtt_ms
    if ms is None:
        return skip(say("nothing was sent yet"))
    told = say("{ms:.0f} ms", ms=ms)
    if ms >= LOST_MS:
        return fail(told, WEAK)
    return warn(told, WEAK) if ms >= FAR_MS else ok(told)


def _outbox(status: Status) -> Verdict:
    box = status.outbox
    if box is None:
        return skip(say("not open yet"))
    rows = 0.0 if box.max_rows is None else box.waiting / box.max_rows  # small messages meet this bound first
    share, age = max(box.bytes / box.max_bytes, rows), box.age or 0.0
    fix = UNHEARD if status.link.connected else mended(status.link.cause)
    told = say("{n} wait, the oldest for {age:.0f} s, {share:.0%} full", n=box.waiting, age=age, share=share)
    if age >= STUCK_S or share >= FULL:
        return fail(told, fix)
    return warn(told, fix) if age >= LATE_S or share >= FULLER else ok(told)


def _recording(status: Status) -> Verdict:
    clips = status.clips
    if clips.refused is not None:
        known = clips.refused_fix
        fix = ALARMS["clips.failed"].fix if known is None else given(known, clips.refused_fix_uk)
        return fail(given(clips.refused, clips.refused_uk), fix)
    return ok(counted("{n} clip, {mb:.0f} MB", "{n} clips, {mb:.0f} MB", clips.kept or 0, mb=clips.mb or 0.0))


def _resident(status: Status) -> Verdict:
    told = say("{mb:.0f} MB", mb=status.machine.mem_mb)
    if status.machine.mem_mb > BIG_MB:
        return warn(told, say("Restart the agent, and tell its makers"))
    return ok(told)
