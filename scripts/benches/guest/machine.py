"""What the programs in a container share: they run on the root's own Python, with nothing but its library."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

SHARE = Path("/run/bench")
CONFIGURATION = Path("/etc/stairwell/agent.toml")
SAMPLE = "/usr/lib/stairwell/agent/samples/demo_people.mp4"
KIT = "t3st00000v"
UNIT = "stairwell-agent.service"


class BrokenPromiseError(Exception):
    """Something is not as it was promised."""


def run(*command: str, code: int | None = 0, **environment: str) -> str:
    """Both outputs of a command; BrokenPromiseError if it ends with another code (None: any will do)."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **environment},
    )
    if code is not None and done.returncode != code:
        raise BrokenPromiseError(
            f"{' '.join(command)}: exit code {done.returncode}, not {code}: {done.stdout.strip()}"
        )
    return done.stdout


def expect(condition: object, what: str) -> None:
    """BrokenPromiseError, with `what`, unless it holds."""
    if not condition:
        raise BrokenPromiseError(what)


def wait_for(what: str, condition, timeout_s: float):
    """Ask again and again until there is an answer."""
    end = time.monotonic() + timeout_s
    while not (answer := condition()):
        if time.monotonic() > end:
            raise BrokenPromiseError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.1)
    return answer


def shown(*names: str, unit: str = UNIT) -> list[str]:
    """Properties of a unit, in the order asked."""
    text = run("systemctl", "show", unit, *(f"--property={name}" for name in names))
    found = dict(line.split("=", 1) for line in text.splitlines())
    return [found[name] for name in names]


def active(unit: str = UNIT) -> bool:
    """Whether systemd calls the unit active: for the agent that is READY."""
    return shown("ActiveState", unit=unit) == ["active"]


def journal(unit: str = UNIT) -> str:
    """What the unit has said since the boot."""
    return run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", "--boot", code=None)


def configure(*, source: str, loop: bool = True, recipient: str = "") -> None:
    """Fill the kit's configuration, as an installer does."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    sections = {
        "kit": f'id = "{KIT}"',
        "site": 'oblast = "51"\ncity = "odesa"\ndistrict = "test"',
        "capture": f'source = "{source}"\nloop = {str(loop).lower()}\nstall_after_s = 3.0',
        "backbone": 'host = "127.0.0.1"\nport = 1883\ntls = false\nheartbeat_s = 5.0',
        "clips": f'recipients = ["{recipient}"]\npost_roll_s = 1.0\nmax_s = 10.0',
    }
    for name, lines in sections.items():
        head = rf"(?ms)^\[{name}\]\n(# of the bench\n.*?# end\n)?"
        text = re.sub(head, f"[{name}]\n# of the bench\n{lines}\n# end\n", text, count=1)
    CONFIGURATION.write_text(text, encoding="utf-8")


class Listener:
    """All that the broker hears of the kit, from now on."""

    def __init__(self) -> None:
        self._path = Path("/run/heard")
        with self._path.open("w") as output:
            self._process = subprocess.Popen(
                ["/usr/bin/mosquitto_sub", "-h", "127.0.0.1", "-V", "5", "-t", "bm/v1/#", "-v"], stdout=output
            )

    def lines(self, part: str = "", word: str = "") -> list[str]:
        """Messages, `topic payload`, whose topic holds `part` and whose text holds `word`."""
        lines = self._path.read_text(errors="replace").splitlines()
        return [line for line in lines if part in line.split(" ")[0] and word in line]

    def close(self) -> None:
        """Listen no more."""
        self._process.terminate()
        self._process.wait()


def report(checks) -> None:
    """Run each and print a JSON line for it; the first that fails ends the program."""
    for check in checks:
        begun = time.monotonic()
        line = {"check": check.__name__, "promise": (check.__doc__ or "").split("\n")[0]}
        try:
            line |= {"ok": True, "found": check() or {}}
        except BrokenPromiseError as error:
            line |= {"ok": False, "found": {"error": str(error), "journal": journal()[-3000:]}}
        print(json.dumps(line | {"s": round(time.monotonic() - begun, 1)}), flush=True)
        if not line["ok"]:
            sys.exit(1)
