"""Inside a Debian with the package: what systemd makes of the service when a part of it stands still."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, "/run/bench")

from freeze import SUPERVISOR, Frozen
from machine import (
    SAMPLE,
    SHARE,
    UNIT,
    Listener,
    active,
    configure,
    expect,
    journal,
    report,
    run,
    shown,
    wait_for,
)

RUNTIME = Path("/run/stairwell")
UPTIME = Path("/run/uptime")
SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
START_S = 90.0
RECOVER_S = (
    120.0  # from the end of a process to the READY of the next: at most RestartSec, DRAIN_S and a start
)

# Seconds within which each has to be found: twice the agent's own limit at this configuration.
STAGES = {"camera": 40, "analysis": 60, "recording": 300, "courier": 300, "mqtt": 300, "database": 300}


def pid() -> int:
    """The agent's process."""
    return int(shown("MainPID")[0])


def restarts() -> int:
    """How often systemd has started it anew by itself."""
    return int(shown("NRestarts")[0])


def starts() -> dict[str, object]:
    """Started, it is READY with the first picture, and its watchdog is fed."""
    run("apt-get", "install", "--yes", "--no-install-recommends", str(SHARE / "agent.deb"))
    Path("/etc/credstore").mkdir(exist_ok=True)
    Path("/etc/credstore/kit.key").write_text("a secret of root's\n")
    Path("/etc/credstore/kit.key").chmod(0o600)
    configure(source=SAMPLE, recipient=(SHARE / "recipient").read_text().strip())
    begun = time.monotonic()
    run("systemctl", "start", UNIT)
    ready = time.monotonic() - begun
    fed = shown("WatchdogTimestampMonotonic")
    wait_for("a fed watchdog", lambda: shown("WatchdogTimestampMonotonic") != fed, 5)
    return {"ready_s": round(ready, 1), "systemd": run("systemctl", "--version").split()[1]}


def keeps_secrets() -> dict[str, object]:
    """A secret of root's in /etc/credstore reaches the agent through memory; core dumps are off."""
    inside = Path(f"/proc/{pid()}/root/run/credentials/{UNIT}/kit.key")
    expect(inside.read_text() == "a secret of root's\n", f"{inside}")
    limits = Path(f"/proc/{pid()}/limits").read_text()
    cores = next(line.split()[4] for line in limits.splitlines() if line.startswith("Max core"))
    expect(cores == "0", limits)
    return {}


def clocks(listener: Listener) -> list[str]:
    """What the heartbeats say of the clock."""
    return [json.loads(line.split(" ", 1)[1])["clk"] for line in listener.lines("/hb")]


def tells_the_time() -> dict[str, object]:
    """Its sandbox forbids adjtimex(2): timesyncd's mark is believed, and no clock without it."""
    listener = Listener()
    before = wait_for("a heartbeat", lambda: clocks(listener), 30)
    SYNCHRONIZED.parent.mkdir(parents=True, exist_ok=True)
    SYNCHRONIZED.touch()
    wait_for("a clock that is kept", lambda: clocks(listener)[-1] == "ntp", 30)
    listener.close()
    SYNCHRONIZED.unlink()
    expect("ntp" not in before, f"{before}")
    return {"without": before[0]}


def survives_a_kill() -> dict[str, object]:
    """SIGKILL: started anew, with the key of the pictures that wait."""
    key = hashlib.sha256((RUNTIME / "pictures.key").read_bytes()).digest()
    begun, before = time.monotonic(), restarts()
    os.kill(pid(), signal.SIGKILL)
    wait_for("a restart", lambda: restarts() > before and active(), RECOVER_S)
    expect(key == hashlib.sha256((RUNTIME / "pictures.key").read_bytes()).digest(), "the key is another one")
    return {"ready_again_s": round(time.monotonic() - begun, 1)}


def errors() -> list[str]:
    """The lines with which it ended so far."""
    return [line for line in journal().splitlines() if line.startswith("stairwell: ")]


def found(stage: str) -> dict[str, object]:
    """Freeze a thread; the agent has to end itself, say why, and be back."""
    wait_for("work of every stage", lambda: (RUNTIME / "pictures.key").exists() and active(), START_S)
    time.sleep(5)  # past the first pictures
    before, old, told = restarts(), pid(), len(errors())
    frozen = Frozen(old, stage)
    begun = time.monotonic()
    try:
        wait_for("the end", lambda: not active() or pid() != old, STAGES[stage])
        seen = time.monotonic() - begun
        wait_for("a restart", lambda: restarts() > before and active(), RECOVER_S)
    finally:
        frozen.thaw()
    said = errors()[told:]
    expect(said, "no word of it")
    return {"found_s": round(seen, 1), "ready_again_s": round(time.monotonic() - begun, 1), "said": said[0]}


def watchdog(freeze, thaw) -> dict[str, object]:
    """Stop what feeds the watchdog: systemd has to end it and be rid of it."""
    wait_for("the service", active, START_S)
    begun, before, old = time.monotonic(), restarts(), pid()
    held = freeze(old)
    try:
        wait_for("the watchdog", lambda: "Watchdog timeout" in journal().rsplit("Started", 1)[-1], 180)
        seen = time.monotonic() - begun
        wait_for("a restart", lambda: restarts() > before and active(), RECOVER_S)
    finally:
        thaw(held)
    return {"found_s": round(seen, 1), "ready_again_s": round(time.monotonic() - begun, 1)}


def a_frozen_supervisor_is_killed() -> dict[str, object]:
    """The supervisor stands still: the watchdog fires, and the journal has the stack of every thread."""
    figures = watchdog(lambda old: Frozen(old, SUPERVISOR), lambda held: held.thaw())
    said = journal()
    expect("Fatal Python error: Aborted" in said and "most recent call first" in said, said[-3000:])
    return figures


def a_frozen_process_is_killed() -> dict[str, object]:
    """The whole process stands still (SIGSTOP): the watchdog fires."""
    return watchdog(lambda old: os.kill(old, signal.SIGSTOP), lambda _: None)


def fail_a_tenth_time() -> None:
    """Nine failures were a minute ago; after one more the kit reboots, and this program with it.

    What is up for two hours is the kit, not the machine that plays it.
    """
    UPTIME.write_text("7200.00 7200.00\n")
    settings = Path(f"/run/systemd/system/{UNIT}.d/uptime.conf")
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[Service]\nEnvironment=UPTIME={UPTIME}\n")
    run("systemctl", "daemon-reload")
    (RUNTIME / "failures").write_text("7140\n" * 9)
    os.kill(pid(), signal.SIGKILL)
    time.sleep(RECOVER_S)


def stage_check(stage: str):
    """The check of one stage."""
    check = functools.partial(found, stage)
    check.__name__ = f"a_frozen_{stage}_is_found"
    check.__doc__ = f"The thread `{stage}` stands still: the agent says so, ends, and is back."
    return check


report(
    (
        starts,
        keeps_secrets,
        tells_the_time,
        survives_a_kill,
        *map(stage_check, STAGES),
        a_frozen_supervisor_is_killed,
        a_frozen_process_is_killed,
    )
)
fail_a_tenth_time()
