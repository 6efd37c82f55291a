"""What uv.lock pins fits together, on both Pythons of the fleet and beside what a kit has from apt."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).parent / "uv"


@cache
def exported() -> list[Requirement]:
    """Every pin of the agent itself, with the machines that it is for."""
    command = [
        UV,
        "export",
        "--frozen",
        "--offline",
        "--no-dev",
        "--no-emit-project",
        "--no-hashes",
        "--quiet",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.strip() for line in done.stdout.splitlines()]
    return [Requirement(line) for line in lines if line and line[0] != "#"]


def pins(python: str, machine: str) -> dict[str, Version]:
    """What is installed there, by name."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    chosen = [r for r in exported() if r.marker is None or r.marker.evaluate(environment)]
    names = [r.name for r in chosen]
    assert sorted(set(names)) == sorted(names), "two versions of one package"
    return {r.name: Version(next(iter(r.specifier)).version) for r in chosen}


def test_what_is_installed_fits_together() -> None:
    """No package of this environment misses another, or has one that it does not take."""
    command = [UV, "pip", "check", "--offline", "--python", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
@pytest.mark.parametrize(
    ("python", "numpy", "opencv"),
    [
        # Bookworm's simplejpeg, which Picamera2 imports, was built for numpy 1, as OpenCV 4.11 was last.
        ("3.11", (Version("1.24.2"), Version("2")), (Version("4.11"), Version("4.12"))),
        # Trixie's were built for numpy 2.2, and 2.x keeps its ABI.
        ("3.13", (Version("2.2.4"), Version("3")), (Version("4.13"), Version("5"))),
    ],
)
def test_beside_what_apt_has(
    python: str, machine: str, numpy: tuple[Version, Version], opencv: tuple[Version, Version]
) -> None:
    """Ours hide the system's numpy: it has to be of the kind that the system's Picamera2 was built for."""
    found = pins(python, machine)
    assert numpy[0] <= found["numpy"] < numpy[1]
    assert opencv[0] <= found["opencv-python-headless"] < opencv[1]
    assert set() == {"picamera2", "libcamera", "rpi-libcamera"} & set(found)
