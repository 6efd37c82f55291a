"""Inside a fresh Debian: the package is installed, used, upgraded, removed, put back and purged."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, "/run/bench")

from machine import (
    CONFIGURATION,
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

DEB, NEWER = SHARE / "agent.deb", SHARE / "newer.deb"
RECIPIENT = (SHARE / "recipient").read_text().strip()
STATE, LIBRARY = Path("/var/lib/stairwell"), Path("/usr/lib/stairwell")
UNITS = (
    UNIT,
    "stairwell-check.timer",
    "stairwell-renew.timer",
    "stairwell-reboot.path",
    "stairwell-update.path",
)
VOLATILE = re.compile(
    r"/(proc|sys|dev|run|tmp|var/(log|tmp|cache|backups|lib/(dpkg|apt|mosquitto))"
    r"|var/lib/systemd/(random-seed|timesync|catalog|timers|linger)|etc/.*-$)"
)
START_S = 90.0
SOUND = ("sound", "усе справне")  # of the check, in the language that the machine's units have


def tree() -> set[str]:
    """Every path that a package could have left."""
    found: set[str] = set()
    for directory, names, files in os.walk("/"):
        at = directory.rstrip("/")
        names[:] = [name for name in names if not VOLATILE.match(f"{at}/{name}")]
        found |= {f"{at}/{name}" for name in (*names, *files) if not VOLATILE.match(f"{at}/{name}")}
    return found


def accounts() -> set[str]:
    """The names of users and groups."""
    lines = Path("/etc/passwd").read_text().splitlines() + Path("/etc/group").read_text().splitlines()
    return {line.split(":")[0] for line in lines}


BEFORE, ACCOUNTS = tree(), accounts()
key = ""


def install(deb: Path = DEB, **environment: str) -> str:
    """What apt says while it installs."""
    return run(
        *("apt-get", "install", "--yes", "--no-install-recommends", "--allow-downgrades", str(deb)),
        DEBIAN_FRONTEND="noninteractive",
        **environment,
    )


def installs() -> dict[str, object]:
    """It installs without a network, tells what to do, and starts nothing that could only fail."""
    said = install()
    expect("kit.id: не задано" in said and "sudo systemctl start stairwell-agent" in said, said)
    expect(not active(), "the agent was started without a configuration")
    expect(not run("systemctl", "--failed", "--plain", "--no-legend"), "a unit has failed")
    for unit in UNITS:
        expect(run("systemctl", "is-enabled", unit) == "enabled\n", f"{unit} is not enabled")
        expect(unit == UNIT or active(unit), f"{unit} is not active")
    expect("video" in run("id", "-nG", "stairwell").split(), "not in the group video")
    mode, group = f"{CONFIGURATION.stat().st_mode & 0o777:o}", CONFIGURATION.group()
    expect((mode, group) == ("640", "stairwell"), f"agent.toml: {mode} {group}")
    megabytes = sum(path.stat().st_size for path in LIBRARY.rglob("*") if path.is_file()) / 1e6
    return {"installed_mb_with_bytecode": round(megabytes), "version": run("stairwell", "--version").strip()}


def pleases_systemd() -> dict[str, object]:
    """This systemd finds nothing wrong in the units, and little that they leave open."""
    units = sorted(str(path) for path in Path("/usr/lib/systemd/system").glob("stairwell-*"))
    chrony = Path("/usr/bin/chronyc")  # a kit's card has it, this root has not; gone again before the purge
    chrony.touch(0o755)
    said = run("systemd-analyze", "verify", "--man=no", *units)
    chrony.unlink()
    expect("stairwell" not in said, said)  # it may complain of units of the root's own
    verdict = run("systemd-analyze", "security", "--threshold=15", "--no-pager", UNIT)
    exposure = re.search(r"Overall exposure level.*: (\S+)", verdict)
    rules = Path("/usr/lib/udev/rules.d/70-stairwell.rules")
    if "verify" in run("udevadm", "--help"):  # since systemd 254
        run("udevadm", "verify", str(rules))
    return {"exposure": exposure[1] if exposure else verdict}


def refuses_to_spin() -> dict[str, object]:
    """Started without a configuration it fails once, with the line that names the key, and waits."""
    run("systemctl", "start", UNIT, code=None)
    wait_for("the refusal", lambda: shown("ActiveState") == ["failed"], START_S)
    run("sleep", "7")  # longer than RestartSec
    state = shown("ActiveState", "Result", "NRestarts", "ExecMainStatus")
    expect(state == ["failed", "exit-code", "0", "3"], f"{state}")
    said = run("systemctl", "status", "--no-pager", UNIT, code=None)
    expect("Що робити: впишіть kit.id з етикетки комплекту" in said, said)
    return {}


def explains_a_missing_camera() -> dict[str, object]:
    """Without a camera it is up, READY by the alarm; city and technician are told what is missing."""
    listener = Listener()
    configure(source="/dev/video0", recipient=RECIPIENT)
    run("runuser", "-u", "stairwell", "--", "stairwell", "config", "check")
    run("systemctl", "start", UNIT)  # returns with READY
    alarm = wait_for("the alarm", lambda: listener.lines("/alm/camera.lost"), START_S)[0]
    listener.close()
    text = json.loads(alarm.split(" ", 1)[1])
    expect("/dev/video0" in journal(), journal())
    doctor = run(
        "runuser", "-u", "stairwell", "--", "stairwell", "doctor", "--lang", "en", "--offline", code=2
    )
    complaints = [line for line in doctor.splitlines() if "(cam.source)" in line]
    expect(complaints and "/dev/video0" in complaints[0], doctor)
    return {"alarm": text["text"]["en"], "fix": text["fix"]["en"], "doctor": complaints[0]}


def tells_of_a_person() -> dict[str, object]:
    """With a video file as its camera: READY, a person event, a sealed clip; and it is locked in."""
    global key  # noqa: PLW0603 - what later checks compare with
    listener = Listener()
    configure(source=SAMPLE, recipient=RECIPIENT)
    run("systemctl", "restart", UNIT)
    moments = shown("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    begun, ready = (int(moment) / 1e6 for moment in moments)
    event = wait_for("an event", lambda: listener.lines("/evt/person"), START_S)[0]
    wait_for("its clip", lambda: listener.lines("/clip"), START_S)
    listener.close()
    key = (STATE / "keys" / "kit.pub").read_text()
    process = Path("/proc") / shown("MainPID")[0] / "status"
    status = dict(re.findall(r"^(\w+):\t(.*)$", process.read_text(), re.MULTILINE))
    locks = (int(status["CapEff"], 16), status["NoNewPrivs"], status["Seccomp"])
    expect(locks == (0, "1", "2"), f"capabilities, no_new_privs, seccomp: {locks}")
    expect("0" not in status["Uid"].split(), status["Uid"])
    files = {path.name.split(".")[-1] for path in (STATE / "clips").iterdir()}
    expect("age" in files and "mp4" not in files, f"clips: {files}")
    return {
        "ready_s": round(ready - begun, 1),
        "person": json.loads(event.split(" ", 1)[1])["phase"],
        "resident_mb": round(int(status["VmRSS"].split()[0]) / 1000),
        "threads": int(status["Threads"]),
    }


def checks_at_night() -> dict[str, object]:
    """The nightly check runs in its own sandbox beside the agent and finds the store sound."""
    run("systemctl", "start", "stairwell-check.service")
    said = journal("stairwell-check.service")
    verdicts = [line for line in said.splitlines() if line.endswith(SOUND)]
    expect(verdicts, said)
    wakes = run("systemctl", "list-timers", "--no-pager", "stairwell-check.timer")
    expect("stairwell-check.service" in wakes, wakes)
    return {"said": verdicts[-1]}


def upgrades() -> dict[str, object]:
    """The next version keeps settings, key and messages, leaves no old bytecode, and runs again by itself."""
    settings = CONFIGURATION.read_text()
    pid = shown("MainPID")
    stale = next((LIBRARY / "agent" / "__pycache__").iterdir())
    os.utime(stale, (0, 0))
    install(NEWER)
    wait_for("the service", active, START_S)
    expect(pid != shown("MainPID"), "the old agent runs on")
    expect(settings == CONFIGURATION.read_text(), "the settings were replaced")
    expect(key == (STATE / "keys" / "kit.pub").read_text(), "the kit's key was replaced")
    expect(stale.stat().st_mtime, f"{stale}: of the old version")
    for _ in range(2):  # it may run again, as after a power cut
        run("/var/lib/dpkg/info/stairwell-agent.postinst", "configure", "0.1.0")
    expect(active(), "the agent does not run")
    return {}


def survives_a_dead_upgrade() -> dict[str, object]:
    """A power cut after the unpacking is mended by `dpkg --configure -a`."""
    run("dpkg", "--unpack", str(NEWER))
    expect(not active(), "the agent runs on modules that were replaced")
    run("dpkg", "--configure", "--pending")
    wait_for("the service", active, START_S)
    return {}


def removes() -> dict[str, object]:
    """Removed, the agent is gone with every file of its own; settings, keys and clips stay."""
    run("apt-get", "remove", "--yes", "stairwell-agent")
    expect(not LIBRARY.exists() and not Path("/usr/bin/stairwell").exists(), "files are left")
    expect(not active(), "the service is left")
    expect(CONFIGURATION.exists() and (STATE / "agent.db").exists(), "settings or state are gone")
    return {}


def comes_back() -> dict[str, object]:
    """Installed again it is the same kit, and starts by itself: the settings are there."""
    install()
    wait_for("the service", active, START_S)
    expect(key == (STATE / "keys" / "kit.pub").read_text(), "the kit's key was replaced")
    return {}


def purges() -> dict[str, object]:
    """Purged, what is left is what it says: clips, keys, waiting messages, and their user."""
    said = run("apt-get", "purge", "--yes", "stairwell-agent")
    expect("kept: /var/lib/stairwell (keys, clips" in said, said)
    left = {path for path in tree() - BEFORE if not path.startswith(f"{STATE}/")}
    expect({str(STATE)} == left, f"left: {sorted(left)}")
    expect({"stairwell"} == accounts() - ACCOUNTS, f"accounts: {accounts() - ACCOUNTS}")
    return {}


def purges_all_when_asked() -> dict[str, object]:
    """With STAIRWELL_PURGE=all nothing at all is left."""
    install()
    run("apt-get", "purge", "--yes", "stairwell-agent", STAIRWELL_PURGE="all")
    expect(tree() <= BEFORE, f"left: {sorted(tree() - BEFORE)}")
    expect(accounts() == ACCOUNTS, f"accounts: {accounts() - ACCOUNTS}")
    return {}


report(
    (
        installs,
        pleases_systemd,
        refuses_to_spin,
        explains_a_missing_camera,
        tells_of_a_person,
        checks_at_night,
        upgrades,
        survives_a_dead_upgrade,
        removes,
        comes_back,
        purges,
        purges_all_when_asked,
    )
)
