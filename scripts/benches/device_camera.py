"""The camera of a kit: our `picamera:` source under a real Picamera2 on a real libcamera.

They run in a Debian root of their own, for only Debian's testing suite has a libcamera with the `virtual`
camera: mmdebstrap makes it once (two minutes, under build/), with Picamera2 from PyPI and the versions of
everything else that uv.lock pins. What is not real is said in `camera/virtual_camera.py`.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import container
import limited
from agent.errors import StairwellError, StallError
from findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

INSIDE = Path(__file__).resolve().parent / "camera"
PACKAGES = Path("opt/bench/packages")
VIRTUAL = Path("usr/share/libcamera/pipeline/virtual/virtual.yaml")

SUITES = ("forky",)
DEBIAN = "python3,python3-libcamera,python3-prctl,libcamera-ipa"
PYPI = ("picamera2==0.3.38", "simplejpeg==1.9.0", "piexif==1.1.3", "pillow==13.0.0", "videodev2==0.0.4")
UV = Path(sys.executable).parent / "uv"
FPS, SIZE, LORES = 15.0, [1280, 720], [320, 180]
ANALYSED_FPS = 10.0  # capture.fps by default
FAULTS_S = 300.0  # the faults at the end take half a minute of an idle machine
LONGEST_GROUP_S = 1.2  # one second, and a frame or two that a busy machine lost
ALIKE = 0.95  # of 255 levels: the pattern's own means differ by less between two moments
GROWTH_MB = 8.0  # allocators settle for a while; a leaked picture is 1.4 MB, a leaked packet 8 kB


def findings_of(suite: str, minutes: float) -> Iterator[Finding]:
    """Film for so long, then let the camera fail in each way that can be had here."""
    root = made(suite)
    seconds = 60 * minutes
    begun = time.monotonic()
    asked = {"seconds": seconds, "fps": FPS, "width": SIZE[0], "height": SIZE[1]}
    done = _inside(root, seconds + FAULTS_S, json.dumps(asked))
    if done.returncode != 0:
        raise StairwellError(
            f"camera {suite}: ended with {done.returncode}", fix=f"it said: {done.stderr[-2000:].strip()}"
        )
    took = round(time.monotonic() - begun, 1)
    yield from judge(suite, json.loads(done.stdout.splitlines()[-1]), seconds, took)
    begun = time.monotonic()
    hung = _inside(root, FAULTS_S, "hang")
    yield judge_hang(suite, hung.returncode, hung.stdout.strip(), round(time.monotonic() - begun, 1))


def judge(suite: str, found: dict[str, Any], seconds: float, took: float) -> Iterator[Finding]:
    """What `camera/film.py` found in a run of `took` seconds, beside what was promised."""
    pictures = seconds * FPS
    checks = [
        (
            "pictures",
            f"every picture of {seconds / 60:g} minutes is a packet that decodes",
            ("python", "seconds", "packets", "decoded", "frames", "outages"),
            found["decoded"] == found["packets"] >= 0.99 * pictures
            and found["frames"] >= 0.97 * seconds * ANALYSED_FPS
            and not found["outages"],
        ),
        (
            "times",
            "times are the sensor's, rise evenly, and each second has its key frame",
            ("rising", "unstamped", "gap_median_ms", "gap_p95_ms", "gap_worst_ms", "key_gap_worst_s"),
            found["rising"]
            and not found["unstamped"]
            and abs(found["gap_median_ms"] * FPS / 1000 - 1) < 0.02  # noqa: PLR2004 - 2 %
            and found["gap_p95_ms"] < 1500 / FPS
            and found["key_gap_worst_s"] <= LONGEST_GROUP_S,
        ),
        (
            "sizes",
            "both streams and the recording have the sizes that were asked for, and show one moment",
            ("main", "lores", "recorded", "alike"),
            found["main"] == found["recorded"] == [SIZE]
            and found["lores"] == [LORES]
            and found["alike"] > ALIKE,
        ),
        ("masks", "no masked pixel leaves", ("unmasked",), found["unmasked"] == 0),
        (
            "memory",
            f"memory grows by less than {GROWTH_MB:g} MB",
            ("rss_begin_mb", "rss_end_mb", "cpu_percent"),
            found["rss_end_mb"] - found["rss_begin_mb"] < GROWTH_MB,
        ),
        ("controls", "our numbers for libcamera's controls are libcamera's", ("numbers",), found["numbers"]),
        (
            "busy",
            "a camera in other hands is told of, and taken once it is free",
            ("held",),
            found["held"] == ["camera.busy"],
        ),
        (
            "silence",
            "a sensor that falls silent is reopened once; the second time the process ends",
            ("silent",),
            found["silent"] == ["camera.timeout", "pictures", "camera.timeout", "end"],
        ),
    ]
    for number, (check, promise, names, ok) in enumerate(checks):
        figures = {name: found[name] for name in names}
        yield Finding("camera", suite, check, promise, ok=bool(ok), s=0 if number else took, found=figures)


def judge_hang(suite: str, code: int, told: str, took: float) -> Finding:
    """How a process ended whose camera hung."""
    return Finding(
        "camera",
        suite,
        "hang",
        "a camera that hangs in its driver does not keep the process from ending",
        ok=(code, told) == (StallError.exit_code, "camera.timeout end"),
        s=took,
        found={"exit": code, "told": told},
    )


def _inside(root: Path, timeout_s: float, argument: str) -> subprocess.CompletedProcess[str]:
    """Run `film.py` in the root."""
    environment = {"PYTHONDONTWRITEBYTECODE": "1", **limited.granted(limited.AGENT).environment}
    command = within(root, "film.py", environment)
    return subprocess.run(
        ["timeout", "--signal=KILL", f"{timeout_s:g}", *command, argument],
        capture_output=True,
        text=True,
        check=False,
    )


def within(
    root: Path, program: str, environment: Mapping[str, str], shared: Sequence[Path] = ()
) -> list[str | Path]:
    """The command of a program of camera/ in the root; by exec alone it becomes that program.

    It has a mount namespace of its own, so that nothing stays mounted. `shared` are directories of the host
    that are there under the same paths, with nothing beside them.
    """
    bench = root / PACKAGES.parent
    mounts = [
        f"mount -t proc proc {root}/proc",
        f"mount --bind -o ro /sys {root}/sys",
        f"mount --bind -o ro {container.PROJECT / 'agent'} {bench}/agent",
        f"mount --bind -o ro {INSIDE} {bench}/camera",
        f"mount --bind -o ro {INSIDE / VIRTUAL.name} {root / VIRTUAL}",
    ]
    for path in shared:
        mounts += [f"mkdir -p {root}{path.parent}", f"mount -t tmpfs tmpfs {root}{path.parent}"]
        mounts += [f"mkdir {root}{path}", f"mount --bind {path} {root}{path}"]
    inside = ["env", "-i", "PATH=/usr/bin:/bin"]
    inside += [f"PYTHONPATH=/{PACKAGES.parent}:/{PACKAGES.parent}/camera:/{PACKAGES}"]
    inside += [f"{name}={value}" for name, value in environment.items()]
    # There are no dma-buf heaps here, and libcamera says so for every frame.
    inside += ["LIBCAMERA_LOG_LEVELS=*:WARN,DmaBufAllocator:FATAL"]
    inside += ["python3", f"/{PACKAGES.parent}/camera/{program}"]
    script = " && ".join([*mounts, 'exec chroot "$0" "$@"'])
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, root, *inside]


def made(suite: str) -> Path:
    """The root, made if it is not there or was made by another recipe."""
    pins = "\n".join((*PYPI, _locked(), ""))
    recipe = json.dumps([DEBIAN, pins, platform.machine()])
    root = container.ROOTS / f"{suite}-camera-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not root.exists():
        for old in container.ROOTS.glob(f"{suite}-camera-*"):
            shutil.rmtree(old)
        machine = _said("dpkg", "--print-architecture")
        container.bootstrap(root, suite, machine, DEBIAN, lambda half: _furnish(half, pins))
    return root


def _furnish(root: Path, pins: str) -> None:
    """Put Picamera2 and the agent's packages in, for the root's own Python, and places to mount at.

    `pins` are the lines of a requirements file.

    Raises:
        StairwellError: PyPI has them not for this Python.
    """
    version = _said("chroot", root, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    command = [UV, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", version, "--target", root / PACKAGES, "--requirement", "-"]
    if subprocess.run(command, input=pins, text=True, check=False).returncode != 0:
        raise StairwellError(
            f"camera: PyPI has not all of these as wheels for Python {version}: {' '.join(pins.split())}",
            fix="see what uv says above; the names stand in scripts/benches/device_camera.py and uv.lock",
        )
    for name in ("agent", "camera"):
        (root / PACKAGES.parent / name).mkdir()
    (root / VIRTUAL).parent.mkdir(parents=True, exist_ok=True)
    (root / VIRTUAL).touch()


def _locked() -> str:
    """What uv.lock pins of the agent's packages, each with its marker."""
    command = (UV, "export", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes", "--no-annotate")
    return _said(*command, "--no-header", "--quiet", "--project", container.PROJECT)


def _said(*command: object) -> str:
    return subprocess.run([*map(str, command)], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
