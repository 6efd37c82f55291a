"""A Debian root with real systemd as PID 1, at native speed: mmdebstrap makes it, systemd-nspawn boots it.

Each boot gets an overlay in memory, so the root stays as it was made. The container has a network of its own
with nothing but a loopback. Needs root's rights.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT = Path(__file__).parent.parent.parent
ROOTS = PROJECT / "build" / "roots"
PROGRAMS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "dpkg-deb": "dpkg"}
PACKAGES = "systemd,systemd-sysv,dbus,udev,python3,mosquitto,mosquitto-clients"
SHARE = "/run/bench"
QEMU = {"arm64": "qemu-aarch64"}
CORTEX_A53 = """processor\t: 0
BogoMIPS\t: 38.40
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd03
CPU revision\t: 4

"""
REBOOT = 133  # systemd-nspawn(1), --keep-unit
BOOT_S = 60.0  # of a container, beside what its program takes
END_S, LOOK_S = 30.0, 0.02  # what the kernel may need to end all of it on a busy machine; between two looks

UNIT = f"""[Unit]
After=multi-user.target
[Service]
Type=exec
StandardOutput=append:{SHARE}/log
StandardError=append:{SHARE}/log
ExecStart=/usr/bin/python3 {SHARE}/program.py
ExecStopPost=/bin/sh -c 'echo "$EXIT_STATUS" >{SHARE}/code; systemctl --no-block poweroff'
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program in a container ended: its exit code (None: it never did), what it printed.

    `rebooted`: the container asked for a reboot, and was not given one.
    """

    code: int | None
    output: str
    console: str
    rebooted: bool = False


def debian(suite: str, architecture: str = "amd64", packages: str = PACKAGES) -> Path:
    """The root of `suite`, made when it is not there yet (a minute or two; emulated, ten).

    Raises:
        StairwellError: a program is missing, the rights are, or mmdebstrap failed.
    """
    if os.geteuid() != 0:
        raise StairwellError("a container needs root's rights", fix="run it as root")
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            raise StairwellError(f"{program} is not installed", fix=f"apt-get install {package}")
    if architecture in QEMU and os.uname().machine != "aarch64":
        _emulate(architecture)
    root = ROOTS / f"{suite}-{architecture}"
    if not (root / "etc" / "os-release").exists():
        bootstrap(root, suite, architecture, packages)
    return root


def bootstrap(
    root: Path, suite: str, architecture: str, packages: str, *prepare: Callable[[Path], None]
) -> None:
    """Make a small Debian at `root` and let each of `prepare` finish it: there whole, or not at all.

    Raises:
        StairwellError: mmdebstrap is missing, or failed.
    """
    if shutil.which("mmdebstrap") is None:
        raise StairwellError("mmdebstrap is not installed", fix="apt-get install mmdebstrap")
    ROOTS.mkdir(parents=True, exist_ok=True)
    half = root.with_name(root.name + ".half")
    shutil.rmtree(half, ignore_errors=True)
    command = ["nice", "mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}"]
    command += [f"--architectures={architecture}", '--aptopt=APT::Install-Recommends "false"']
    # A mirror may stand still, and a machine's clock be wrong; signatures are checked all the same.
    command += ['--aptopt=Acquire::Check-Valid-Until "false"']
    command += [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "locale")]
    done = subprocess.run([*command, suite, str(half)], check=False)
    if done.returncode != 0:
        raise StairwellError(
            f"{suite} {architecture}: mmdebstrap made no root with {packages}", fix="see what it says above"
        )
    for step in prepare:
        step(half)
    half.rename(root)


def emulate(root: Path, program: Path, files: dict[str, Path], timeout_s: float) -> Finished:
    """As `boot`, for a root of arm64: on the processor of a Zero 2 W, and without systemd.

    What /proc/cpuinfo says on that processor lies in SHARE; QEMU shows the host's, which breaks XNNPACK.
    """
    with _share(program, files) as share, (share / "log").open("w") as log:
        (share / "cpuinfo").write_text(CORTEX_A53)
        command = [*_nspawn(root, share), "--as-pid2", "--setenv=QEMU_CPU=cortex-a53"]
        command += ["--", "/usr/bin/python3", f"{SHARE}/program.py"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        code: int | None = None
        try:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(timeout_s)
        finally:
            end(process)
        return Finished(code, _text(share / "log"), "")


def boot(root: Path, program: Path, files: dict[str, Path], timeout_s: float) -> Finished:
    """Boot `root` and run `program` there as a unit, with `files` beside it in SHARE; then power off."""
    with _share(program, files) as share:
        unit = share / "bench.service"
        unit.write_text(UNIT)
        command = [*_nspawn(root, share), "--boot", "--console=read-only"]
        command += [f"--bind-ro={unit}:/etc/systemd/system/bench.service"]
        command += ["--", "systemd.wants=bench.service", "systemd.show_status=0"]
        # Where the machine itself mixes both kinds of cgroups, systemd >= 256 boots with the new one only.
        environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        with (share / "console").open("w") as console:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
            try:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout_s + BOOT_S)
            finally:
                end(process)
        output, console_text = _text(share / "log"), _text(share / "console")
        return Finished(_code(share / "code"), output, console_text, process.returncode == REBOOT)


def end(process: subprocess.Popen[bytes]) -> None:
    """Cut a container's power, when systemd-nspawn(1) in `process` still runs: nothing of it is left.

    What that started is killed, its PID 1 among it, with which the kernel ends all else. Killed itself
    instead, it would leave the container running.

    Raises:
        StairwellError: it does not end.
    """
    limit = time.monotonic() + END_S
    while process.poll() is None:
        for child in children(process):  # whatever its PID 1 is at the moment
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        if time.monotonic() > limit:
            raise StairwellError(f"the container of {process.pid} does not end", fix="see what it waits for")
        time.sleep(LOOK_S)


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes that a running `process` started itself."""
    if process.poll() is not None:
        return []
    with suppress(OSError):
        return [
            int(child)
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ]
    return []


@contextmanager
def _share(program: Path, files: dict[str, Path]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="stairwell-container-", dir=ROOTS) as directory:
        share = Path(directory)
        shutil.copy(program, share / "program.py")
        for name, path in files.items():
            shutil.copy(path, share / name)
        yield share


def _nspawn(root: Path, share: Path) -> list[str]:
    command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={root}"]
    return [
        *command,
        "--volatile=overlay",
        "--private-network",
        "--capability=all",
        "--drop-capability=CAP_SYS_TIME",  # the clock is the machine's: systemd warps it at boot by the zone
        f"--bind={share}:{SHARE}",
    ]


def _emulate(architecture: str) -> None:
    """Let this kernel run that architecture's programs (binfmt_misc)."""
    formats = Path("/proc/sys/fs/binfmt_misc")
    if not (formats / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", formats], check=True)
    name = QEMU[architecture]
    if not (formats / name).exists():
        rule = Path(f"/usr/lib/binfmt.d/{name}.conf")
        if not rule.exists():
            raise StairwellError(f"{architecture} cannot be emulated", fix="apt-get install qemu-user-static")
        (formats / "register").write_text(rule.read_text().splitlines()[-1])


def _code(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
