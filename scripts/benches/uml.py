"""A machine that can lose its power: User Mode Linux, a real kernel that is a process of this machine.

Its root is a directory of the host, read-only; its network is a wire to this machine. Killed, it is gone with
all that its kernel had in memory. Needs root's rights.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROGRAM = "linux.uml"
HOST, GUEST = "198.18.71.1", "198.18.71.2"  # RFC 2544: of the net for benches
WIRE = "swbench0"
MEMORY = "512M"  # as a Zero 2 W
XSTATE = Path(__file__).parent / "guest" / "xstate.c"
AMX = "amx_tile"  # in /proc/cpuinfo: see guest/xstate.c
ORDERLY_S = 180.0


class Uml:
    """Guests with the directory `root`; what belongs to one of them only lies in `work`.

    Raises:
        StairwellError: a program is missing.
    """

    def __init__(self, root: Path, work: Path) -> None:
        for program, package in ((PROGRAM, "user-mode-linux"), ("ip", "iproute2")):
            if shutil.which(program) is None:
                raise StairwellError(f"{program} is not installed", fix=f"apt-get install {package}")
        self._root, self._work = root, work
        # Its memory is a file that it executes: /tmp may forbid that.
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(work), "TMPDIR": "/dev/shm"}  # noqa: S108
        if AMX in Path("/proc/cpuinfo").read_text("utf-8"):
            self._environment["LD_PRELOAD"] = str(_shim(work))

    def boot(self, init: Sequence[str], console: Path) -> Guest:
        """A guest whose first process is `init`; its console goes to a file."""
        command = [PROGRAM, "root=/dev/root", "rootfstype=hostfs", f"rootflags={self._root}"]
        command += ["ro", f"mem={MEMORY}", "con=null", "con0=null,fd:1", "ssl=null", "quiet"]
        command += [f"vec0:transport=tap,ifname={WIRE},gro=1", f"uml_dir={self._work}/"]
        command += [f"init={init[0]}", "--", *init[1:]]
        return self._started(command, console)

    def boot_card(self, card: Path, share: Path, console: Path) -> Guest:
        """A guest that starts from a whole card, an image with a table of partitions, by its own systemd.

        The root is its second partition. /mnt/host is where a program in it may mount `share`.
        """
        command = [PROGRAM, f"ubd0={card}", "root=/dev/ubda2", "rootfstype=ext4", "ro", f"mem={MEMORY}"]
        command += ["con=null", "con0=null,fd:1", "ssl=null", "quiet", f"uml_dir={self._work}/"]
        command += ["systemd.show_status=0", "random.trust_cpu=1", f"bench.share={share}"]
        return self._started(command, console)

    def _started(self, command: Sequence[str], console: Path) -> Guest:
        with console.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Guest(process)


class Guest:
    """A guest that was booted."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def runs(self) -> bool:
        """Whether its kernel is there."""
        return self._process.poll() is None

    def cut(self) -> None:
        """Take its power: kernel and all."""
        if self.runs:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def over(self) -> bool:
        """Wait until it has switched itself off; whether it did in time."""
        try:
            return self._process.wait(ORDERLY_S) == 0
        except subprocess.TimeoutExpired:
            return False


@contextmanager
def wire() -> Iterator[None]:
    """This machine's end of the guest's network, up as long as this lasts."""
    _ip("tuntap", "add", "dev", WIRE, "mode", "tap")
    try:
        _ip("address", "add", f"{HOST}/30", "dev", WIRE)
        _ip("link", "set", WIRE, "up")
        yield
    finally:
        _ip("link", "delete", WIRE)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StairwellError(
            f"ip {' '.join(words)}: {done.stderr.strip()}",
            fix=f"run it as root, and once at a time; what a killed one left: ip link delete {WIRE}",
        )


def _shim(work: Path) -> Path:
    library = work / "xstate.so"
    if shutil.which("cc") is None:
        raise StairwellError("this processor has AMX, and there is no C compiler", fix="apt-get install gcc")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, XSTATE], check=True)
    return library
