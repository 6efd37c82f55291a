"""Debian's own parsers of what we render: unpacked, and never installed, for their services would start."""

from __future__ import annotations

import fcntl
import functools
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "build" / "parsers"
PACKAGES = ("chrony", "cloud-init", "libnm0", "network-manager", "openssh-server", "python3-yaml", "sudo")
READY = FOLDER / "ready"  # written last
ALONE = 'mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec "$0" "$@"'


@functools.cache
def unpacked() -> Path:
    """Where the packages lie unpacked; fetched by apt once for a checkout."""
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get here to fetch Debian's parsers with")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:  # both Pythons of the checks may come at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not READY.exists():
            done = subprocess.run(
                ["apt-get", "-qq", "download", *PACKAGES],
                cwd=FOLDER,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                pytest.skip(f"Debian's parsers cannot be fetched: {done.stderr.strip()}")
            for deb in FOLDER.glob("*.deb"):
                subprocess.run(["dpkg-deb", "--extract", deb, FOLDER], check=True)
                deb.unlink()
            READY.touch()
    return FOLDER


def parse(name: str, *arguments: object, text: str = "") -> str:
    """What the program `name` of these packages says (both streams); it must be content."""
    folder = unpacked()
    program = next(p for d in ("usr/sbin", "usr/bin") if (p := folder / d / name).exists())
    libraries = ":".join(map(str, (*(folder / "usr/lib").glob("*-linux-gnu"), folder / "usr/libexec/sudo")))
    done = subprocess.run(
        # Of their own: sshd wants /run/sshd, which only its service makes.
        ["unshare", "--map-root-user", "--mount", "sh", "-c", ALONE, program, *map(str, arguments)],
        env={**os.environ, "LD_LIBRARY_PATH": libraries},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


def yaml(text: str) -> Any:  # noqa: ANN401 # whatever the text says
    """What Debian's PyYAML, with which cloud-init reads, makes of `text`."""
    folder = str(unpacked() / "usr/lib/python3/dist-packages")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module("yaml").safe_load(text)
