"""An update: what is refused, what is left by a power cut at any step, and who decides in the end."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standin import standin

from agent.app import update
from agent.device import release, releases
from agent.device.identity import PublicKey
from agent.device.release import Facts, Manifest
from agent.device.releases import Releases, Trial
from agent.errors import ConfigError, StorageError, UpdateError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
GUARD = ROOT / "scripts" / "deb" / "trial"
KEY = Ed25519PrivateKey.from_private_bytes(b"releases of the city, a test key")
KEYS = (PublicKey(KEY.public_key()).text,)
ARCHITECTURE, PYTHON = update.machine()
SUITE = "bookworm" if PYTHON == "3.11" else "trixie"


def made(directory: Path, counter: int, *, key: Ed25519PrivateKey = KEY, **changed: str) -> Path:
    """A bundle for this machine, of two files."""
    tree = directory / f"tree-{counter}"
    (tree / "agent").mkdir(parents=True)
    (tree / "agent" / "__init__.py").write_text(f"counter = {counter}\n")
    (tree / "NOTICE").write_text("ours\n")
    facts = {"version": "1.0", "counter": counter, "suite": SUITE, "architecture": ARCHITECTURE}
    out = directory / f"bundle-{counter}"
    release.pack(tree, Facts.model_validate({**facts, "python": PYTHON, **changed}), key, out, level=0)
    return out


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A kit's directory of releases, and beside it a package of counter 3."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "counter").write_text("3\n")
    (tmp_path / "run").mkdir()
    return tmp_path / "home"


def kit(home: Path) -> Releases:
    return Releases(home, home.parent / "package")


def content(directory: Path, manifest: Manifest) -> None:
    """Proves nothing but that the files are there."""
    assert release.first_wrong(directory, manifest) is None


def install(home: Path, bundle: Path, prove: Callable[[Path, Manifest], None] = content) -> update.Done:
    return update.install(bundle, KEYS, kit(home), prove, lambda _: None, lambda _: None)


UMASK = 0o077
"""That of the agent's unit, before whose starts the guard runs."""


def guard(home: Path, word: str) -> list[str]:
    """Let the guard act; what it asked of the service manager."""
    asked = home.parent / "asked"
    (home.parent / "systemctl").write_text(f'#!/bin/sh\necho "$*" >>{asked}\n')
    (home.parent / "systemctl").chmod(0o755)
    environment = {
        "PATH": f"{home.parent}:/usr/bin:/bin",
        "STAIRWELL_HOME": str(home),
        "RUNTIME_DIRECTORY": str(home.parent / "run"),
    }
    subprocess.run([GUARD, word], env=environment, check=True, capture_output=True, umask=UMASK)
    return asked.read_text().splitlines() if asked.exists() else []


class Between(Releases):
    """Releases where root switches to another while somebody looks, after the first of two files."""

    def __init__(self, home: Path, bundle: Path) -> None:
        super().__init__(home, home.parent / "package")
        self._bundle: Path | None = bundle

    def _line(self, name: str) -> str | None:
        found = super()._line(name)
        if name == releases.TRIAL and self._bundle is not None:
            bundle, self._bundle = self._bundle, None
            install(self._home, bundle)
        return found


def acknowledge(home: Path, name: str) -> None:
    (home.parent / "run" / "acknowledged").write_text(name)


def confirmed(home: Path, counter: int) -> None:
    """Install a release, and let the platform acknowledge it."""
    install(home, made(home.parent, counter))
    acknowledge(home, f"1.0-{counter}")
    guard(home, "minute")


def test_an_update_that_is_acknowledged(home: Path) -> None:
    """It runs on trial, ends it with the platform's acknowledgement, and becomes the floor for the next."""
    done = install(home, made(home.parent, 5))
    assert Trial("1.0-5", "-", 5) == done.trial == kit(home).trial()
    assert "1.0-5" == kit(home).current()
    assert 3 == kit(home).floor()
    guard(home, "start")
    guard(home, "minute")
    assert Trial("1.0-5", "-", 5, starts=1, minutes=1) == kit(home).trial()
    acknowledge(home, "1.0-5")
    assert [] == guard(home, "minute")
    assert (None, 5, "1.0-5") == (kit(home).trial(), kit(home).floor(), kit(home).current())


def test_a_look_while_root_switches(home: Path) -> None:
    """Never a release that runs without a trial: that would be one that is confirmed."""
    looked = Between(home, made(home.parent, 5))
    assert ("1.0-5", Trial("1.0-5", "-", 5)) == looked.standing()


@pytest.mark.parametrize("before", [None, 5])
def test_two_starts_that_fail(home: Path, before: int | None) -> None:
    """The third start is one of what ran before, a release or the package."""
    if before:
        confirmed(home, before)
    install(home, made(home.parent, 6))
    for _ in range(2):
        guard(home, "start")
        assert "1.0-6" == kit(home).current()
    guard(home, "start")
    assert (f"1.0-{before}" if before else None) == kit(home).current()
    assert kit(home).trial() is None
    assert "1.0-6 started 2 times without an acknowledgement" == kit(home).failed()
    assert (before or 3) == kit(home).floor()


def test_the_agent_can_read_what_the_guard_writes(home: Path) -> None:
    """Both are other users; a trial that cannot be read would be none, and nobody would acknowledge it."""
    assert f"UMask={UMASK:04o}" in (ROOT / "systemd/stairwell-agent.service").read_text().splitlines()
    install(home, made(home.parent, 6))
    modes = []
    for name in ("trial", "trial", "failed"):
        guard(home, "start")
        modes.append(stat.S_IMODE((home / name).stat().st_mode))
    assert [0o644] * 3 == modes
    confirmed(home, 7)
    assert 0o644 == stat.S_IMODE((home / "floor").stat().st_mode)


def test_no_acknowledgement_in_time(home: Path) -> None:
    """Fifteen minutes, counted over restarts; another release's acknowledgement is none."""
    confirmed(home, 5)
    install(home, made(home.parent, 6))
    for minute in range(1, 15):
        assert [] == guard(home, "minute")
        assert minute == (kit(home).trial() or Trial("", "", 0)).minutes
    assert ["--no-block restart stairwell-agent.service"] == guard(home, "minute")
    assert ("1.0-5", None) == (kit(home).current(), kit(home).trial())
    assert "1.0-6 no acknowledgement within 15 minutes" == kit(home).failed()


def test_what_was_taken_back_may_come_again(home: Path) -> None:
    """A release failed for want of a network: the same bundle is taken again, and is no failure then."""
    bundle = made(home.parent, 5)
    for _ in range(2):
        install(home, bundle)
        for _ in range(3):
            guard(home, "start")
        assert kit(home).current() is None
    install(home, bundle)
    acknowledge(home, "1.0-5")
    guard(home, "minute")
    assert ("1.0-5", None) == (kit(home).current(), kit(home).failed())


def test_a_lost_predecessor(home: Path) -> None:
    """When what ran before is gone, the package is what is left."""
    confirmed(home, 5)
    install(home, made(home.parent, 6))
    (home / "releases/1.0-5").rename(home.parent / "gone")
    for _ in range(3):
        guard(home, "start")
    assert kit(home).current() is None


@pytest.mark.parametrize("line", ["", "x", "1.0-5 - 5 x 0", "1.0-5 - 5 0"])
def test_a_damaged_trial(home: Path, line: str) -> None:
    """A line that says nothing leaves no release untried: the package runs."""
    install(home, made(home.parent, 5))
    (home / "trial").write_text(line)
    guard(home, "start")
    assert (None, False) == (kit(home).current(), (home / "trial").exists())
    assert "1.0-5 the trial's file was damaged" == kit(home).failed()


def test_a_trial_of_what_does_not_run(home: Path) -> None:
    """The power went between the trial and the switch: nothing runs but what ran, and it is forgotten."""
    (home / "releases").mkdir(parents=True)
    (home / "trial").write_text("1.0-5 - 5 0 0\n")
    guard(home, "start")
    assert not (home / "trial").exists()


def test_a_mark_that_is_none(home: Path) -> None:
    """The mark is another user's file: a pipe neither holds the guard up nor counts."""
    install(home, made(home.parent, 5))
    os.mkfifo(home.parent / "run" / "acknowledged")
    guard(home, "minute")
    assert Trial("1.0-5", "-", 5, minutes=1) == kit(home).trial()


def test_what_is_refused(home: Path) -> None:
    """No key, a foreign machine, an older release, a trial under way: a sentence each, nothing is left."""
    with pytest.raises(ConfigError, match=r"update\.release_keys: names no key"):
        update.install(made(home.parent, 4), (), kit(home), content, lambda _: None, lambda _: None)
    with pytest.raises(StorageError, match="none: there is no such file"):
        install(home, home.parent / "none")
    with pytest.raises(UpdateError, match=r"is for .* with Python 3\.9, and this kit has"):
        install(home, made(home.parent, 8, python="3.9"))
    with pytest.raises(UpdateError, match="its counter is 3, and this kit has seen 3"):
        install(home, made(home.parent, 3))
    (home / "floor").write_bytes(b"\xff")  # no reason to let an older one in
    fifth = made(home.parent, 5)
    with pytest.raises(StorageError, match=r"floor: no text"):
        install(home, fifth)
    (home / "floor").write_text("3\n")
    assert [] == list((home / "releases").iterdir())
    install(home, fifth)
    with pytest.raises(UpdateError, match=r"1\.0-5 is on trial"):
        install(home, made(home.parent, 6))
    assert install(home, home.parent / "bundle-5").trial is None


def test_a_full_card(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is unpacked it is seen that there is room; the numbers are told."""
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil's own is
    space = standin(shutil, disk_usage=lambda _: usage(10**9, 10**9 - 10**6, 10**6))
    monkeypatch.setattr(releases, "shutil", space)
    with pytest.raises(UpdateError, match="1 MB free, and the release needs 67 MB"):
        install(home, made(home.parent, 5))
    assert [] == list((home / "releases").iterdir())


def test_a_release_that_proves_no_good(home: Path) -> None:
    """It never runs, and goes with the next update; what ran goes on."""

    def refuse(directory: Path, manifest: Manifest) -> None:
        raise UpdateError(f"{directory}: {manifest.name} is no good", fix="none")

    with pytest.raises(UpdateError, match=r"1\.0-5 is no good"):
        install(home, made(home.parent, 5), refuse)
    assert (None, None) == (kit(home).current(), kit(home).trial())
    install(home, made(home.parent, 6))
    assert ["1.0-6"] == [path.name for path in (home / "releases").iterdir()]


def test_old_ones_go(home: Path) -> None:
    """At most two lie there, whatever was installed: what runs, and what ran before or comes next."""
    for counter in (4, 5, 6):
        confirmed(home, counter)
    assert {"1.0-5", "1.0-6"} == {path.name for path in (home / "releases").iterdir()}


def test_one_at_a_time(home: Path) -> None:
    """Two updates at once would unpack into each other."""
    with kit(home).alone(), pytest.raises(UpdateError, match="another update is at work"):
        install(home, made(home.parent, 5))


def test_the_command_follows_the_link(home: Path) -> None:
    """`stairwell` is of the release that is current, and of the package where there is none."""
    text = (GUARD.parent / "stairwell").read_text(encoding="utf-8")
    places = home.parent / "package", home / "current" / "lib"
    for place, named in zip(places, ("/usr/lib/stairwell", "/opt/stairwell/current/lib"), strict=True):
        text = text.replace(f'"{named}"', repr(str(place)))
    for place in (places[0], home / "releases" / "1.0-5" / "lib"):
        (place / "agent").mkdir(parents=True)
        (place / "agent" / "__init__.py").touch()
        (place / "agent" / "cli.py").write_text(f"def main():\n    print({str(place)!r})\n")
    ran = [sys.executable, "-I", "-c", text]
    assert f"{places[0]}\n" == subprocess.run(ran, capture_output=True, text=True, check=True).stdout
    (home / "current").symlink_to("releases/1.0-5")
    assert f"{place}\n" == subprocess.run(ran, capture_output=True, text=True, check=True).stdout


def killed(home: Path, bundle: Path, step: int) -> bool:
    """Install in a process that SIGKILL ends before its `step`th change of the disk; whether it was so."""
    child = os.fork()
    if child == 0:
        left = step

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE
            changes = event in {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.symlink"}
            if (writes or changes) and (left := left - 1) == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            install(home, bundle)
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or 0 == os.waitstatus_to_exitcode(status)
    return os.WIFSIGNALED(status)


def test_a_cut_at_any_step(home: Path) -> None:
    """Killed before each change of the disk: what is to run is whole, and on trial if it is new.

    The same update called again comes to its end.
    """
    confirmed(home, 5)
    bundle, step = made(home.parent, 6), 1
    while killed(home, bundle, step):
        current = kit(home).current()
        assert current in {"1.0-5", "1.0-6"}
        manifest = Manifest.model_validate_json((home / f"releases/{current}/manifest.json").read_bytes())
        assert release.first_wrong(home / f"releases/{current}/lib", manifest) is None
        assert (Trial("1.0-6", "1.0-5", 6) if current == "1.0-6" else None) == kit(home).trial()
        guard(home, "start")
        assert current == kit(home).current()
        install(home, bundle)
        assert "1.0-6" == kit(home).current()
        for _ in range(3):
            guard(home, "start")
        assert ("1.0-5", None) == (kit(home).current(), kit(home).trial())
        shutil.rmtree(home / "releases/1.0-6")
        step += 1
    assert step > 15
    assert Trial("1.0-6", "1.0-5", 6) == kit(home).trial()
