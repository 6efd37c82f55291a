"""An update of the agent: from a signed bundle to a release on trial.

The running release takes the next one in, after everything was asked that can be asked without letting it
work: who signed it, whether it is for this machine and newer than what was acknowledged, whether there is
room, whether the card keeps it, and whether it answers by itself, with this kit's settings and as the agent's
user.
"""

from __future__ import annotations

import json
import os
import platform
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import agent
from agent.device import release
from agent.errors import ConfigError, StorageError, UpdateError
from agent.reasons import reason
from agent.words import Text, say, verbatim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.device.release import Manifest
    from agent.device.releases import Releases, Trial

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
USER: str | None = "stairwell"
PATIENCE_S = 300.0  # the slowest is the bytecode of some thousand files: a Zero 2 W needs two minutes
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from agent.cli import main; main()"
"""As /usr/bin/stairwell starts a release. Its arguments: the release's files, then the command's."""
IMPORTS = (
    "import sys; sys.path.insert(0, sys.argv[1]); import agent.app.live, agent.cli.run, agent.cli.update"
)
OWN = Path(agent.__file__).parents[1]
"""The files of the release that runs."""
TRY_ANOTHER = say("tell whoever made the release; this kit goes on with the one that it has")


@dataclass(frozen=True, slots=True)
class Done:
    """What an update came to."""

    manifest: Manifest
    trial: Trial | None
    """None when the release runs already."""


def machine() -> tuple[str, str]:
    """The architecture as Debian calls it, and the Python's version."""
    major, minor = sys.version_info[:2]
    return ARCHITECTURES.get(platform.machine(), platform.machine()), f"{major}.{minor}"


def install(
    bundle: Path,
    keys: Sequence[str],
    releases: Releases,
    prove: Callable[[Path, Manifest], None],
    begin: Callable[[Manifest], None],
    tell: Callable[[Text], None],
) -> Done:
    """Take the release of `bundle` in, and let it be what is started next, on trial.

    It may be cut off at any time, and be called again. `prove` tries a release that is unpacked and raises if
    it is no good; `begin` hears of the release once it is known to be the city's and for this kit, and an
    earlier failure of it is forgotten, before anything else changes; `tell` is told of each step that takes
    long.

    Raises:
        ConfigError: no key is configured that may sign releases.
        UpdateError: the release is not taken, and why.
        StorageError: the bundle cannot be read, or the disk refused.
    """
    if not keys:
        raise ConfigError(
            say("update.release_keys: names no key, so no release can be trusted"),
            fix=say("set the city's release key: `stairwell ca release-key` shows it"),
        )
    try:
        with bundle.open("rb") as stream, releases.alone():
            manifest = release.read(stream, bundle.name, keys)
            if _runs_already(manifest, releases):
                return Done(manifest, None)
            tell(
                say(
                    "{release}: {files} files, {mb} MB",
                    release=manifest.name,
                    files=len(manifest.files),
                    mb=manifest.size // 10**6,
                )
            )
            release.check_payload(stream, bundle.name, manifest)
            releases.try_anew(manifest)
            begin(manifest)
            if not releases.keep(manifest):
                releases.room(manifest)
                tell(say("unpacking, and reading back what the card has kept"))
                unpacked = releases.unpack(stream, bundle.name, manifest)
                tell(say("trying whether it runs here"))
                prove(unpacked, manifest)
                releases.settle(manifest)
            return Done(manifest, releases.switch(manifest))
    except OSError as error:
        place = error.filename or bundle
        raise StorageError(
            say("{path}: {reason}", path=place, reason=reason(error)),
            fix=say("run it as root, with a bundle that is there and a disk that can be written"),
            errno=error.errno,
        ) from None


def _runs_already(manifest: Manifest, releases: Releases) -> bool:
    """Whether there is nothing to do; raises an UpdateError when it may not be done."""
    current, trial = releases.standing()
    if current == manifest.name:
        return True
    if trial is not None:
        raise UpdateError(
            say("{release} is on trial", release=trial.release),
            fix=say("wait until it is acknowledged or taken back: 15 minutes at most"),
        )
    architecture, python = machine()
    if (manifest.architecture, manifest.python) != (architecture, python):
        raise UpdateError(
            say(
                "{name} is for {suite} {its} with Python {wanted}, and this kit has {architecture} with "
                "Python {python}",
                name=manifest.name,
                suite=manifest.suite,
                its=manifest.architecture,
                wanted=manifest.python,
                architecture=architecture,
                python=python,
            ),
            fix=say("take the bundle that was made for this kit's system"),
        )
    floor = releases.floor()
    if manifest.counter <= floor:
        raise UpdateError(
            say(
                "{name}: its counter is {counter}, and this kit has seen {floor}",
                name=manifest.name,
                counter=manifest.counter,
                floor=floor,
            ),
            fix=say(
                "a kit takes only newer ones; to go back, have the old one made anew, with a higher counter"
            ),
        )
    return False


class Battery:
    """What a new release must answer by itself before it is let work. `config` are the kit's settings."""

    def __init__(self, config: Path | None, python: str = sys.executable) -> None:
        self._python = python
        self._settings = [] if config is None else ["--config", str(config)]

    def prove(self, directory: Path, manifest: Manifest) -> None:
        """Try the release whose files are in `directory`.

        Raises:
            UpdateError: it failed, and how it said so.
        """
        # As root, whose the directory is: the agent may not write there.
        self._expect(directory, say("its bytecode"), "-m", "compileall", "-q", str(directory), ours=True)
        self._expect(directory, say("its modules"), "-c", IMPORTS, str(directory))
        said = self._expect(directory, say("its version"), "-c", START, str(directory), "--version").strip()
        if said != manifest.version:
            raise UpdateError(
                say("{name} says that it is {said}", name=manifest.name, said=said), fix=TRY_ANOTHER
            )
        for words in (("models", "check"), ("config", "check", *self._settings)):
            self._expect(
                directory, verbatim(f"`stairwell {' '.join(words[:2])}`"), "-c", START, str(directory), *words
            )
        worse = sorted(self._failures(directory) - self._failures(None))
        if worse:
            raise UpdateError(
                say(
                    "{name}: its doctor finds what the running release's does not: {codes}",
                    name=manifest.name,
                    codes=", ".join(worse),
                ),
                fix=TRY_ANOTHER,
            )

    def _failures(self, directory: Path | None) -> set[str]:
        """The codes of what a release's doctor calls a failure; of the running one without a `directory`."""
        words = ("doctor", "--quick", "--offline", "--json", *self._settings)
        place = str(directory or OWN)
        done = self._run("-c", START, place, *words)
        try:
            found = json.loads(done.stdout)["checks"]
            return {check["code"] for check in found if check["status"] == "fail"}
        except (ValueError, LookupError, TypeError):
            raise UpdateError(
                say("the doctor of {place} could not run: {why}", place=place, why=_last(done)),
                fix=TRY_ANOTHER,
            ) from None

    def _expect(self, directory: Path, what: Text, *words: str, ours: bool = False) -> str:
        done = self._run(*words, ours=ours)
        if done.returncode != 0:
            raise UpdateError(
                say("{directory}: {what} failed: {why}", directory=directory, what=what, why=_last(done)),
                fix=TRY_ANOTHER,
            )
        return done.stdout

    def _run(self, *words: str, ours: bool = False) -> subprocess.CompletedProcess[str]:
        account = None if ours else _account()
        try:
            return subprocess.run(
                [self._python, "-I", *words],
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE_S,
                check=False,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=os.getgrouplist(account.pw_name, account.pw_gid) if account else None,
            )
        except subprocess.TimeoutExpired:
            raise UpdateError(
                say("{words}: no end within {seconds:.0f} s", words=" ".join(words[-2:]), seconds=PATIENCE_S),
                fix=TRY_ANOTHER,
            ) from None


def _account() -> pwd.struct_passwd | None:
    """Whose rights a program gets: the agent's user's, if there is one and we may choose; else our own."""
    if USER is None or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        return None


def _last(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"it ended with {done.returncode}"
