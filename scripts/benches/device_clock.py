"""A whole kit whose wall clock is wrong, jumps while somebody is in the picture, and comes right again.

libfaketime gives the agent's process its wall clock, OpenSSL included, and a file moves it; the monotonic
clock is the machine's. Broker and platform have the right time. The agent has no right to set the machine's
clock, as on a kit.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyrage import x25519

import whole_kit
from agent.app import hatch
from agent.device.clock import SystemClock
from agent.device.identity import KEYS, PUBLIC_NAME
from agent.errors import StairwellError
from findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBRARIES = Path("/usr/lib")
LIBRARY = "*/faketime/libfaketimeMT.so.1"  # for programs with threads
LONG_AGO = "@2006-01-01 00:00:00"
RIGHT = "+0"
HOUR = 3600.0
EXACT_S = 2.0  # NTP slews less than half a second; the rest is the way of a message on a busy machine
OPEN_S = 90.0  # for what takes the agent seconds, on a busy machine
EVENT_S = 60.0  # the sample lasts 27 s, and somebody is there for most of it
TOLD_S = 120.0  # clock.untrusted speaks after 60 s
BACK_S = 150.0  # a wait between two tries, and a try
YOUNG_S = 2.0  # an event that began so short a time ago is still under way
STOP_S = 120.0
MORE_S = 1.5  # an event's end is said so long after its last picture at most, beside events.quiet_s
QUIET_S = 2.0
CLOCKS = {
    "clock.untrusted",
    "net.tls",
    "net.mqtt",
}  # that a clock raises; id.cert_expiry stays for five minutes


@dataclass
class Kit:
    """The agent's process under a clock of its own."""

    city: whole_kit.City
    directory: Path
    file: Path
    steps: dict[str, float] = field(default_factory=dict)
    """Each move of the clock, and when it was (seconds of the boot)."""
    clock: SystemClock = field(default_factory=SystemClock)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it says."""
        return self.directory / "agent.log"

    def start(self, wall: str) -> None:
        """Start the agent at this time."""
        self._turn(wall)
        environment = {
            **whole_kit.environment(),
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.directory / "wall"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        command = ["setpriv", "--bounding-set=-sys_time", "--inh-caps=-sys_time"]
        command += [sys.executable, "-m", "agent", "run", "--config", str(self.file)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log)

    def move(self, step: str, wall: str) -> float:
        """Set the clock to `wall` (of libfaketime) while an event is under way; when it was."""
        whole_kit.wait_for("somebody in the picture", self._somebody, EVENT_S)
        self._turn(wall)
        self.steps[step] = self.clock.mono()
        return self.steps[step]

    def status(self) -> dict[str, Any]:
        """What `stairwell status` shows; nothing while it does not answer."""
        try:
            return dict(json.loads(hatch.reach(self.city.state, "status")))
        except (StairwellError, OSError):
            return {}

    def told(self, cause: str) -> Callable[[], bool]:
        """Whether the status names this cause."""
        return lambda: self.status().get("link", {}).get("cause") == cause

    def alarmed(self, code: str) -> Callable[[], bool]:
        """Whether the status shows this alarm."""
        return lambda: code in self.status().get("alarms", ())

    def _somebody(self) -> bool:
        last = self.status().get("last_event")
        return last is not None and last < YOUNG_S

    def _turn(self, wall: str) -> None:
        half = self.directory / "wall.half"
        half.write_text(wall)
        half.rename(self.directory / "wall")  # libfaketime must never read half of it


def library() -> Path:
    """Debian's libfaketime.

    Raises:
        StairwellError: it is not installed.
    """
    found = sorted(LIBRARIES.glob(LIBRARY))
    if not found or shutil.which("setpriv") is None:
        raise StairwellError("libfaketime is not installed", fix="apt-get install faketime util-linux")
    return found[0]


def findings_of() -> Iterator[Finding]:
    """One kit's life with a bad clock, step by step; the last finding is what is left of it."""
    library()
    with (
        tempfile.TemporaryDirectory(prefix="stairwell-clock-") as directory,
        whole_kit.city(directory) as city,
    ):
        identity = x25519.Identity.generate()
        key = Path(directory) / "city.key"
        key.write_text(str(identity))
        file = city.configure(
            capture={"source": str(whole_kit.PEOPLE), "loop": True},
            events={"quiet_s": QUIET_S},
            clips={"recipients": [str(identity.to_public())], "post_roll_s": 2.0},
        )
        kit = Kit(city, Path(directory), file)
        try:
            for step in (
                never_set,
                set_at_last,
                an_hour_ahead,
                an_hour_back,
                twenty_years_back,
                twenty_years_on,
            ):
                yield _try(step, kit)
            yield _try(nothing_is_left, kit, key)
        finally:
            if kit.process is not None:
                kit.process.kill()
                kit.process.wait()


def never_set(kit: Kit) -> dict[str, object]:
    """A clock of 2006: TLS is refused as not yet valid, clock.untrusted is raised, no time is told."""
    kit.start(LONG_AGO)
    cause_s = whole_kit.wait_for("tls-not-yet-valid", kit.told("tls-not-yet-valid"), OPEN_S)
    alarm_s = whole_kit.wait_for("clock.untrusted", kit.alarmed("clock.untrusted"), TOLD_S)
    clock = kit.status()["clock"]
    expect((clock["ts"], clock["clk"]) == (None, "none"), f"the clock is told as {clock}")
    expect(not kit.city.births, "it was born without a clock")
    return {"cause_s": round(cause_s, 1), "alarm_s": round(cause_s + alarm_s, 1)}


def set_at_last(kit: Kit) -> dict[str, object]:
    """Set during an event: connected, born with a true (boot, mono, ts), the alarm is over."""
    kit.move("set", RIGHT)
    born_s = whole_kit.wait_for("a birth", lambda: kit.city.births, BACK_S)
    expect(abs(off(kit.city.births[-1])) <= EXACT_S, f"born at a wrong time: {kit.city.births[-1]}")
    over_s = whole_kit.wait_for("the alarm's end", lambda: not kit.alarmed("clock.untrusted")(), OPEN_S)
    return {"born_s": round(born_s, 1), "alarm_over_s": round(born_s + over_s, 1)}


def an_hour_ahead(kit: Kit) -> dict[str, object]:
    """An hour ahead during an event: born again with the new time over the same connection."""
    return _reborn(kit, "an hour ahead", f"+{HOUR:.0f}", HOUR)


def an_hour_back(kit: Kit) -> dict[str, object]:
    """An hour back, to the right time, during an event: born again."""
    return _reborn(kit, "an hour back", RIGHT, 0.0)


def twenty_years_back(kit: Kit) -> dict[str, object]:
    """Twenty years back during an event: no time is told; the next TLS is refused by name; then it is set."""
    kit.move("twenty years back", LONG_AGO)
    whole_kit.wait_for("no time", lambda: kit.status().get("clock", {}).get("clk") == "none", OPEN_S)
    heard = len(kit.city.heartbeats)
    whole_kit.wait_for("a heartbeat", lambda: len(kit.city.heartbeats) > heard, OPEN_S)
    expect(kit.city.heartbeats[-1]["ts"] is None, "a heartbeat tells a time of 2006")
    cause_s = _cut_off(kit, "tls-not-yet-valid")
    return {"cause_s": cause_s, "back_s": _set_right(kit, "set again")}


def twenty_years_on(kit: Kit) -> dict[str, object]:
    """Twenty years ahead: the next TLS is refused as expired, no clip is thrown away; then it is set."""
    kept = kit.status()["clips"]["kept"]
    expect(kept, "there are no clips to lose")
    kit.move("twenty years ahead", f"+{20 * 365.25 * 24 * HOUR:.0f}")
    cause_s = _cut_off(kit, "tls-expired")
    time.sleep(65)  # a round of housekeeping
    now = kit.status()["clips"]["kept"]
    expect(now >= kept, f"{kept} clips became {now}")
    return {"cause_s": cause_s, "clips": now, "back_s": _set_right(kit, "set for good")}


def nothing_is_left(kit: Kit, key: Path) -> dict[str, object]:
    """Every message came and is dated right, events have their true length, clips are what was signed."""
    time.sleep(QUIET_S)
    whole_kit.wait_for("an empty outbox", lambda: kit.status().get("outbox", {}).get("waiting") == 0, OPEN_S)
    whole_kit.wait_for("an end of the link's alarms", lambda: not CLOCKS & {*kit.status()["alarms"]}, OPEN_S)
    kit.process.terminate()
    expect(kit.process.wait(STOP_S) == 0, f"ended with {kit.process.returncode}")
    city = kit.city
    told = city.told
    expect(not told["missing"] and not told["against_the_contract"], f"{told} {city.odd}")
    worst = max(abs(_misdated(city, one.message, one.at)) for one in city.stored)
    expect(worst <= EXACT_S, f"a message is dated {worst:.1f} s off")
    lengths = _lengths(city)
    for step, when in kit.steps.items():
        expect(any(began < when < ended for began, ended, _ in lengths), f"no event lasted through: {step}")
    longest = max(abs(dur - (ended - began)) for began, ended, dur in lengths)
    expect(longest <= QUIET_S + MORE_S, f"an event's length is {longest:.1f} s off")
    command = [sys.executable, "-m", "agent", "clips", "verify", "--json", "--identity", str(key)]
    command += ["--public-key", str(city.state / KEYS / PUBLIC_NAME), str(city.state / "clips")]
    verified = subprocess.run(
        command, env=whole_kit.environment(), capture_output=True, text=True, check=False
    )
    expect(verified.returncode == 0, verified.stdout[-2000:] + verified.stderr[-500:])
    return {
        **told,
        "without_a_time": sum(one.message["ts"] is None for one in city.stored),
        "worst_date_s": round(worst, 2),
        "events_with_an_end": len(lengths),
        "worst_length_s": round(longest, 2),
    }


def off(message: dict[str, Any]) -> float:
    """Seconds by which a message's time is ahead of when it was said."""
    return datetime.fromisoformat(message["ts"]).timestamp() - really(message["mono"])


def really(mono: float) -> float:
    """When a moment of this boot was, seconds since the epoch."""
    return datetime.now(UTC).timestamp() - (SystemClock().mono() - mono)


def expect(holds: object, otherwise: str) -> None:
    """BrokenPromise, unless it holds."""
    if not holds:
        raise BrokenPromiseError(otherwise)


class BrokenPromiseError(Exception):
    """Something is not as it was promised."""


def _try(step: Callable[..., dict[str, object]], kit: Kit, *arguments: object) -> Finding:
    begun = time.monotonic()
    promise = (step.__doc__ or "").strip()
    try:
        found, ok = step(kit, *arguments), True
    except (BrokenPromiseError, TimeoutError) as error:
        found, ok = {"error": str(error), "said": kit.log.read_text()[-1500:]}, False
    return Finding("clock", "faketime", step.__name__, promise, ok, round(time.monotonic() - begun, 1), found)


def _reborn(kit: Kit, step: str, wall: str, ahead: float) -> dict[str, object]:
    births = len(kit.city.births)
    session = kit.city.births[-1]["session"]
    kit.move(step, wall)
    born_s = whole_kit.wait_for("a birth", lambda: len(kit.city.births) > births, OPEN_S)
    birth = kit.city.births[-1]
    expect(abs(off(birth) - ahead) <= EXACT_S, f"born at a wrong time: {birth}")
    expect(birth["session"] == session, "the connection did not stand")
    return {"born_s": round(born_s, 1)}


def _cut_off(kit: Kit, cause: str) -> float:
    """Let the broker go and come; after how many seconds the cause is told."""
    kit.city.broker.kill()
    kit.city.broker.start()
    return round(whole_kit.wait_for(cause, kit.told(cause), BACK_S), 1)


def _set_right(kit: Kit, step: str) -> float:
    """Set the clock during an event; after how many seconds there is a connection."""
    kit.move(step, RIGHT)
    return round(
        whole_kit.wait_for("a connection", lambda: kit.status().get("link", {}).get("connected"), BACK_S), 1
    )


def _misdated(city: whole_kit.City, message: dict[str, Any], at: str | None) -> float:
    """Seconds by which the platform's date of a message is off, now that it knows all that it will know."""
    dated = city.consumer.date(whole_kit.KIT, message["boot"], message["mono"], message["ts"]) or at
    return (
        float("inf") if dated is None else datetime.fromisoformat(dated).timestamp() - really(message["mono"])
    )


def _lengths(city: whole_kit.City) -> list[tuple[float, float, float]]:
    """Of each event: when it began, when its end was said (s of the boot), and its length."""
    ends = [one.message for one in city.stored if one.message.get("phase") == "end"]
    return [(end["mono0"], end["mono"], end["dur"]) for end in ends]
