"""Inside an emulated Debian without systemd: the package for another processor is tried, and purged."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, "/run/bench")

from machine import SAMPLE, SHARE, configure, expect, report, run


def installs() -> dict[str, object]:
    """It installs without a network and without a running systemd."""
    run(
        *("apt-get", "install", "--yes", "--no-install-recommends", str(SHARE / "agent.deb")),
        DEBIAN_FRONTEND="noninteractive",
    )
    return {"machine": os.uname().machine, "version": run("stairwell", "--version").strip()}


def takes_a_configuration() -> dict[str, object]:
    """The settings of a kit are good, and the video that they name can be decoded."""
    configure(source=SAMPLE, recipient="age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z")
    return {"said": run("stairwell", "config", "check").strip()}


def finds_a_person() -> dict[str, object]:
    """The detectors load, and find the person of the shipped picture."""
    return {"said": run("stairwell", "models", "check").strip().splitlines()[-1]}


def is_examined() -> dict[str, object]:
    """The doctor answers here as well."""
    told = json.loads(run("stairwell", "doctor", "--quick", "--offline", "--json", code=None))
    expect(told, "the doctor says nothing")
    return {}


def purges() -> dict[str, object]:
    """Nothing is left of it."""
    run("apt-get", "purge", "--yes", "stairwell-agent")
    for path in ("/usr/lib/stairwell", "/etc/stairwell", "/usr/bin/stairwell"):
        expect(not Path(path).exists(), path)
    expect("stairwell" not in Path("/etc/passwd").read_text(), "the user is left")
    return {}


run("mount", "--bind", str(SHARE / "cpuinfo"), "/proc/cpuinfo")
report((installs, takes_a_configuration, finds_a_person, is_examined, purges))
