"""In a guest that was started from a kit's card: plays first boot, then looks at the read-only root."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, "/opt/bench-program")

from machine import (
    CONFIGURATION,
    SAMPLE,
    UNIT,
    Listener,
    active,
    configure,
    expect,
    report,
    run,
    shown,
    wait_for,
)

SHARE = Path("/mnt/host")
GONE = Path("/var/tmp/gone")  # noqa: S108 - of a guest
CARD_DONE, STATE = Path("/var/lib/stairwell-card.done"), Path("/var/lib/stairwell")
ENROL, UPPER = STATE / "enrol.toml", Path("/run/volatile/upper")
STEP = SHARE / "step"
"""Which start this is, as the bench counts them; its file is there from the card's installation on."""
START_S = 180.0  # five times of what it takes on an idle machine


def read_only(path: str) -> bool:
    """Whether nothing can be written there."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def doctor() -> dict[str, str]:
    """What the doctor says of the root."""
    said = run("stairwell", "doctor", "--json", "--only", "disk.root", "--lang", "en", code=None)
    (check,) = [one for one in json.loads(said)["checks"] if one["code"] == "disk.root"]
    return check


def events() -> set[str]:
    """The ids of the events that the kit knows."""
    return {event["id"] for event in json.loads(run("stairwell", "events", "--json"))}


def installed() -> dict[str, object]:
    """The card has installed itself: partitions, packages, places; the root is open for first boot."""
    expect(not read_only("/") and not UPPER.exists(), "the root is not open")
    expect(ENROL.exists(), "no enrolment file in the state directory")
    expect(Path(f"/data{ENROL}").samefile(ENROL), "the state is not on the data partition")
    expect(not Path("/boot/firmware/stairwell/enrol.toml").exists(), "the claim is on the boot partition")
    sizes = run("lsblk", "--bytes", "--noheadings", "--output", "NAME,SIZE,FSTYPE,MOUNTPOINT", code=None)
    # What first boot does, but for the city, which is not here: settings, the claim's end, the restart.
    run("systemctl", "stop", "stairwell-firstboot.service")
    configure(source=SAMPLE, recipient=(SHARE / "recipient").read_text().strip())
    ENROL.unlink()
    return {"partitions": sizes.split("\n")}


def is_read_only() -> dict[str, object]:
    """Root and boot partition are read-only, what is kept lies on the data partition, /var is in memory."""
    expect(read_only("/") and read_only("/boot/firmware"), "the root or the boot partition is writable")
    for path in ("/usr/x", "/etc/x", "/root/x"):
        expect("Read-only" in run("touch", path, code=1), f"{path} can be written")
    table = json.loads(run("findmnt", "--json", "--list", "--output", "TARGET,SOURCE,FSTYPE,OPTIONS"))
    mounts = {one["target"]: one for one in table["filesystems"]}
    expect(mounts["/var"]["fstype"] == "overlay", mounts["/var"])
    for line in Path("/etc/stairwell-keep").read_text().splitlines()[1:]:
        path = line.split()[0]
        expect("ubda3" in mounts[path]["source"], f"{path}: {mounts.get(path)}")
    GONE.touch()
    failed = run("systemctl", "--failed", "--plain", "--no-legend")
    expect(not failed, failed)
    check = doctor()
    expect(check["status"] == "ok", check)
    return {"mounts": len(mounts)}


def works() -> dict[str, object]:
    """The agent is READY, tells of a person and records a clip, as it does on a writable root."""
    listener = Listener()
    run("systemctl", "restart", UNIT)
    wait_for("the service", active, START_S)
    wait_for("an event", lambda: listener.lines("/evt/person"), START_S)
    wait_for("its clip", lambda: listener.lines("/clip"), START_S)
    listener.close()
    known = events()
    (SHARE / "events").write_text("\n".join(sorted(known)))
    return {"events": len(known), "restarts": shown("NRestarts")[0]}


def keeps() -> dict[str, object]:
    """After a restart: events, settings and journal are there, the rest of /var is as the card has it."""
    expect((SHARE / "events").exists(), "no event was told before the restart")
    before = set((SHARE / "events").read_text().split("\n"))
    expect(before and before <= events(), "events are gone")
    expect("demo_people" in CONFIGURATION.read_text(), "settings are gone")
    expect(not GONE.exists(), "what was written to memory is still there")
    boots = run("journalctl", "--list-boots", "--no-pager", code=None).strip().split("\n")
    expect(len(boots) > 1, boots)
    return {"events": len(before), "boots_in_the_journal": len(boots)}


def lists_what_was_written() -> dict[str, object]:
    """Outside of what is kept, memory alone has changed; every path is told."""
    changed = sorted(str(path.relative_to(UPPER)) for path in UPPER.rglob("*") if not path.is_dir())
    return {"in_memory": changed, "kb": sum((UPPER / name).lstat().st_size for name in changed) // 1000}


def opens() -> dict[str, object]:
    """`stairwell root open` asks for a restart and says so."""
    said = run("stairwell", "root", "open", "--why", "a new kernel", "--lang", "en")
    expect("restart" in said and read_only("/"), said)
    return {"said": said.strip().split("\n")}


def is_open() -> dict[str, object]:
    """Opened, root and /var are the card's own, as a package needs them; the doctor warns, and says why."""
    expect(not read_only("/") and not read_only("/boot/firmware"), "still read-only")
    expect(not UPPER.exists(), "/var is in memory")
    wait_for("the service", active, START_S)
    check = doctor()
    expect(check["status"] == "warn" and "a new kernel" in check["text"], check)
    Path("/usr/repaired").touch()
    run("stairwell", "root", "close")
    return {"doctor": check["text"]}


def is_closed() -> dict[str, object]:
    """Closed, it is read-only again, and what was repaired is there."""
    expect(read_only("/") and Path("/usr/repaired").exists(), "still open, or the repair is gone")
    wait_for("the service", active, START_S)
    expect(doctor()["status"] == "ok", doctor())
    return {}


STEPS = {
    "install": (installed,),
    "sealed": (is_read_only, works),
    "again": (keeps, lists_what_was_written, opens),
    "open": (is_open,),
    "closed": (is_closed,),
}


def main() -> None:
    """The checks of this start, if the card is installed; then switch off."""
    line = Path("/proc/cmdline").read_text()
    share = re.search(r"bench\.share=(\S+)", line)
    run("mount", "-t", "hostfs", "none", str(SHARE), "-o", share[1])
    if not CARD_DONE.exists():
        return  # its own unit is at work, and restarts the machine
    sys.stdout = (SHARE / "log").open("a")
    try:
        report(STEPS[STEP.read_text().strip()])
    finally:
        sys.stdout.flush()
        run("systemctl", "--no-block", "poweroff")


if __name__ == "__main__":
    main()
