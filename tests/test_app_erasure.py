"""Erasing a kit: what goes, what is refused, and that a power cut anywhere only delays it."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import sqlite3
import stat
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import Hands, toml
from broker import Broker, Listener, wait_for
from clips_keys import RECIPIENTS
from commandline import Ended, stairwell
from killed import killed_at
from kits import Kit, name

from agent.app import erasure_survey
from agent.app.erasure import Erasure
from agent.app.erasure_receipt import genuine
from agent.app.erasure_survey import Survey
from agent.app.statelock import ERASURE, LOCK, StateLock
from agent.clips import hold, store
from agent.config import State, load
from agent.device import shred
from agent.device.identity import KEYS, Identity
from agent.device.wallet import Wallet
from agent.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

STEPS = ("open", "write", "fsync", "rename", "unlink", "rmdir")  # of the disk; before each the power may go


class Home:
    """A kit with clips, messages, keys and settings, whose agent has ended."""

    def __init__(self, directory: Path, *, held: bool = False, clips: Path | None = None) -> None:
        self.state = directory / "state"
        self.state.mkdir(parents=True)
        elsewhere = {"dir": clips} if clips else {}
        kit = Kit(
            self.state, Hands(ts="2026-05-01T10:00:00.000Z"), seal="age", recipients=RECIPIENTS, **elsewhere
        )
        kit.housekeeping.recover()
        self.head = [kit.clip(number).manifest for number in (1, 2)][-1]
        if held:
            kit.journal.ask(lambda tx: store.hold(tx, name(2), held=True))
        self.clips, self.key, self.id = kit.directory, kit.identity.public, kit.settings.kit.id
        kit.end()
        Wallet(self.state / "tls").key()  # of a set that is being made
        (self.state / "configuration.json").write_text("masks and places")
        self.config = directory / "agent.toml"
        self.config.write_text(toml(kit.settings))
        self.receipt = directory / "receipt.json"

    def __call__(self, *options: object) -> Ended:
        """Run `stairwell erase`."""
        return stairwell("erase", "--config", self.config, "--lang", "en", *options)

    def copied(self, directory: Path) -> Home:
        """The same kit in another place."""
        shutil.copytree(self.state.parent, directory, symlinks=True)
        twin = copy.copy(self)
        twin.state = directory / "state"
        twin.config, twin.receipt = directory / self.config.name, directory / self.receipt.name
        twin.config.write_text(self.config.read_text().replace(str(self.state), str(twin.state)))
        return twin

    def left(self) -> list[str]:
        """All names that are still there."""
        return sorted(path.relative_to(self.state).as_posix() for path in self.state.rglob("*"))

    def kept(self) -> list[str]:
        """What a look alone neither brings nor takes."""
        return [path for path in self.left() if path not in {LOCK, "agent.db-wal", "agent.db-shm"}]


@pytest.fixture(autouse=True)
def fstrim(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of the machine's, which would trim all of its disk; the file that it leaves has its words."""
    programs = tmp_path_factory.mktemp("bin")
    asked = programs / "asked"
    (programs / "fstrim").write_text(f'#!/bin/sh\necho "$@" >{asked}\n')
    (programs / "fstrim").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return asked


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "kit")


def the_services_own(home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Let the kit be the service's, and root keep its secrets in two directories below `folder`."""
    stores = folder / "open", folder / "sealed"
    for path, place in zip(stores, ("CREDSTORE", "SEALED_CREDSTORE"), strict=True):
        path.mkdir(parents=True)
        monkeypatch.setattr(erasure_survey, place, path)
    own = State(dir=load(home.config).state.dir)
    monkeypatch.setattr(erasure_survey, "State", lambda: own)
    monkeypatch.setattr("agent.app.hatch.SERVICE", folder / "run")
    return stores


def test_all_goes_and_the_receipt_tells(home: Home) -> None:
    """Nothing is left but the receipt, which the kit's key signed: counts, chain's end, digests of keys."""
    files = [path for path in home.state.rglob("*") if path.name != LOCK and not path.is_dir()]
    done = home("--yes", "--receipt", home.receipt)
    assert 0 == done.returncode, done.stderr
    assert [] == home.left()
    assert not home.config.exists()
    told = json.loads(done.stdout)
    assert told == json.loads(home.receipt.read_text())
    assert genuine(told, home.key)
    assert not genuine({**told, "clips": 1}, home.key)
    assert not genuine({key: value for key, value in told.items() if key != "sig"}, home.key)
    assert (home.id, 2, 0, 1, True) == tuple(
        told[key] for key in ("kit", "clips", "held", "runs", "settings")
    )
    assert len(files) + 1 == told["files"]
    assert {"number": 2, "head": home.head} == told["chain"]
    assert ["identity", "tls"] == [key["use"] for key in told["keys"]]
    assert told["keys"][0]["sha256"].startswith(home.key.fingerprint)
    assert {"boot", "mono", "ts", "clk"} == set(told["erased"])
    assert f"Kit {home.id} will lose: {told['files']} files" in done.stderr
    assert "destroy the card" in done.stderr
    again = stairwell("erase", "--yes", "--config", home.config)
    assert 3 == again.returncode  # the settings that were named are gone, and no others are taken for them


@pytest.mark.parametrize("heard", [True, False])
def test_the_city_is_told(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, heard: bool
) -> None:
    """With the link up the receipt is the kit's last word, retained in its birth's place; else it says so."""
    broker = Broker(tmp_path)
    monkeypatch.setenv("STAIRWELL_BACKBONE__TLS", "false")
    monkeypatch.setenv("STAIRWELL_BACKBONE__HOST", "127.0.0.1")
    monkeypatch.setenv("STAIRWELL_BACKBONE__PORT", str(broker.port))
    if heard:
        broker.start()
    try:
        done = home("--yes")
        assert 0 == done.returncode, done.stderr
        assert heard == ("The city was told." in done.stderr)
        assert heard != ("The city could not be told: bring it the receipt." in done.stderr)
        if heard:
            late = Listener(broker.port)
            wait_for(lambda: late.heard)
            late.close()
            assert [(f"{home.id}/st", True)] == [(m.topic[-len("/st") - 10 :], m.retain) for m in late.heard]
            word = json.loads(late.heard[0].payload)
            assert ("stopped", "erased", json.loads(done.stdout)) == (
                word["state"],
                word["why"],
                word["receipt"],
            )
            assert genuine(word["receipt"], home.key)
    finally:
        broker.stop()


def test_json_is_the_receipt_alone(home: Home) -> None:
    """For programs: the receipt, and not a word beside it."""
    done = home("--yes", "--json", "--keep-settings")
    assert (0, "") == (done.returncode, done.stderr)
    assert genuine(json.loads(done.stdout), home.key)
    assert not json.loads(done.stdout)["settings"]
    assert home.config.exists()
    again = home("--yes")
    assert 6 == again.returncode
    assert "there is nothing to erase" in again.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may ask for it")
def test_the_card_is_told(home: Home, fstrim: Path) -> None:
    """That it may forget what is free, once all is gone; and it is said whether it took that."""
    assert "The card was told to forget its free room." in home("--yes").stderr
    assert f"{home.state}\n" == fstrim.read_text()


def test_ukrainian(home: Home) -> None:
    """In the technician's language."""
    done = home("--yes", "--lang", "uk")
    assert f"Комплект {home.id} стерто" in done.stderr
    assert "знищіть картку" in done.stderr


def test_clips_on_hold(tmp_path: Path) -> None:
    """They are in the way, and nothing is touched, until they are given up; so it is when nobody can tell."""
    home = Home(tmp_path, held=True)
    before = home.kept()
    refused = home("--yes")
    assert 6 == refused.returncode
    assert "1 clip is on hold. Fix: export them first" in refused.stderr
    assert before == home.kept()
    database = home.state / "agent.db"
    whole = database.read_bytes()
    database.write_bytes(b"no database" * 1000)
    assert "nobody can tell" in home("--yes").stderr
    database.write_bytes(whole)
    given = home("--yes", "--even-held", "--json")
    assert (0, 1) == (given.returncode, json.loads(given.stdout)["held"])


def test_a_hold_that_only_its_file_tells(home: Home) -> None:
    """The index was damaged and set aside, and no agent has begun anew since: evidence is in the way."""
    (home.state / "agent.db").rename(home.state / "agent.db.corrupt-1")
    hold.put(home.clips, name(2), "olena", "case 12", Hands().stamp())
    before = home.kept()
    refused = home("--yes")
    assert 6 == refused.returncode
    assert "1 clip is on hold. Fix: export them first" in refused.stderr
    assert before == home.kept()
    assert 0 == home("--yes", "--even-held").returncode
    assert not list(home.clips.glob("*.hold"))


def test_a_running_agent(home: Home) -> None:
    """It is refused beside one, with the fix; nothing is touched."""
    running = StateLock(home.state)
    before = home.kept()
    refused = home("--yes")
    running.release()
    assert 6 == refused.returncode
    assert "another agent works there" in refused.stderr
    assert "Fix: add --stop, or first: sudo systemctl stop stairwell-agent" in refused.stderr
    assert before == home.kept()


def test_stop(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --stop systemd is asked first; where that fails nothing is touched."""
    programs = tmp_path / "bin"
    programs.mkdir()
    asked, systemctl = tmp_path / "asked", programs / "systemctl"
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    before = home.kept()
    for code in (1, 0):
        systemctl.write_text(f'#!/bin/sh\necho "$@" >{asked}\necho no >&2\nexit {code}\n')
        systemctl.chmod(0o755)
        done = home("--yes", "--stop")
        words = asked.read_text().split()
        assert ("stop", "stairwell-agent.service") == (words[0], words[-1])
        assert code == done.returncode, done.stderr
        if code:
            assert "the agent could not be stopped (no)" in done.stderr
            assert before == home.kept()
    assert [] == home.left()


def test_nobody_to_ask(home: Home) -> None:
    """Without a terminal and without --yes nothing goes."""
    before = home.kept()
    assert 64 == home().returncode
    assert before == home.kept()


@pytest.mark.parametrize("typed", ["the id", "another"])
def test_the_id_is_asked_for(home: Home, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    """Only the kit's own id, typed at a terminal, lets it go."""
    controller, terminal = os.openpty()
    os.write(controller, f"{home.id if typed == 'the id' else '51dqx2v7kx'}\n".encode())
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        done = home()
    os.close(controller)
    if typed == "the id":
        assert (0, []) == (done.returncode, home.left())
    else:
        assert 1 == done.returncode
        assert "that is another id: nothing was erased" in done.stderr
        assert home.config.exists()


def test_a_receipt_that_could_not_be_kept(home: Home) -> None:
    """Is found out before anything is gone."""
    before = home.kept()
    for path in (
        home.state / "receipt.json",
        home.clips / "receipt.json",
        home.state.parent / "no" / "r.json",
    ):
        refused = home("--yes", "--receipt", path)
        assert 6 == refused.returncode
        assert str(path) in refused.stderr
    assert before == home.kept()


def test_a_directory_that_is_no_kits(tmp_path: Path) -> None:
    """A wrong `state.dir` costs nobody's files."""
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "cat.jpg").write_bytes(b"cat")
    config = tmp_path / "agent.toml"
    config.write_text(f'[state]\ndir = "{photos}"\n')
    refused = stairwell("erase", "--config", config, "--yes", "--lang", "en")
    assert 6 == refused.returncode
    assert "is no state directory of a kit" in refused.stderr
    assert (photos / "cat.jpg").exists()


def test_clips_and_papers_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a directory that others share only clips go; the secrets that the settings name go, too."""
    shared = tmp_path / "disk"
    shared.mkdir()
    (shared / "holiday.mp4").write_bytes(b"not ours")
    home = Home(tmp_path / "kit", clips=shared)
    password = tmp_path / "password"
    password.write_text("secret")
    monkeypatch.setenv("STAIRWELL_BACKBONE__PASSWORD_FILE", str(password))
    done = home("--yes")
    assert 0 == done.returncode, done.stderr
    assert [shared / "holiday.mp4"] == list(shared.iterdir())
    assert not password.exists()


@pytest.mark.parametrize("name_first", [False, True])
def test_overwritten(tmp_path: Path, *, name_first: bool) -> None:
    """A file's bytes are random before its name goes; links and files with another name stay whole."""
    secret, link, twin, other = (tmp_path / word for word in ("secret", "link", "twin", "other"))
    secret.write_bytes(b"k" * 3000)
    other.write_bytes(b"kept")
    link.symlink_to(other)
    twin.hardlink_to(other)
    with secret.open("rb") as seen:
        shred.destroy(secret, overwrite=True, name_first=name_first)
        remains = seen.read()
    assert 3000 == len(remains)
    assert b"kkkk" not in remains
    for path in (link, twin):
        shred.destroy(path, overwrite=True)
    shred.destroy(secret, overwrite=True)  # gone already: well
    assert [other] == list(tmp_path.iterdir())
    assert b"kept" == other.read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to become somebody else")
def test_without_rights(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not take the settings away is told so before anything is gone; keeping them, it is done.

    But not by one who may not look whether root keeps secrets for the service.
    """

    def erased(file: Path | None) -> int:
        child = os.fork()
        if child == 0:
            code = 5
            try:
                os.setgid(65534)
                os.setuid(65534)
                with Erasure(settings, file, Hands()) as erasure:
                    erasure.destroy(lambda _: None, lambda *_: None)
                    erasure.finish()
                code = 0
            except StorageError as error:
                code = 3 if "you may take nothing out of it" in str(error) else 4
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    settings = load(home.config)
    for path in (home.state, *home.state.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    for path in (*list(tmp_path.parents)[:-2], tmp_path, home.state.parent):
        path.chmod(path.stat().st_mode | stat.S_IXOTH)
    before = home.kept()
    assert 3 == erased(home.config)
    _, sealed = the_services_own(home, tmp_path, monkeypatch)
    sealed.chmod(0o700)
    assert 3 == erased(None)
    assert before == home.kept()
    sealed.chmod(0o755)
    assert 0 == erased(None)
    assert [] == home.left()


def erase(home: Home) -> dict[str, Any]:
    """One whole run."""
    settings = load(home.config if home.config.exists() else None, {"state": {"dir": str(home.state)}})
    with Erasure(settings, home.config, Hands()) as erasure:
        told = erasure.destroy(
            lambda done: home.receipt.write_text(json.dumps(done)) and None, lambda *_: None
        )
        erasure.finish()
    return told


def test_a_power_cut_anywhere(tmp_path: Path) -> None:
    """SIGKILL before each step on the disk: no agent starts then, and a run ends it.

    That is so once the mark is there. Before it nothing is gone, and after it there is nothing to go on with.
    """
    first, reached = Home(tmp_path / "kit"), set()
    for number in range(1000):
        home = first.copied(tmp_path / str(number))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with killed_at(number, STEPS):
                    erase(home)
                code = 0
            finally:
                os._exit(code)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert ended in {0, -signal.SIGKILL}
        whole = ended == 0
        if whole or not home.left():
            reached.add("end")
        elif (home.state / ERASURE).exists():
            reached.add("signed" if not (home.state / KEYS / "kit.key").exists() else "begun")
            with pytest.raises(StorageError, match="is being erased, and that was cut off"):
                StateLock(home.state)
            erase(home)
        else:
            reached.add("nothing")
            assert home.key.raw == Identity.open(home.state / KEYS).public.raw
            with closing(sqlite3.connect(home.state / "agent.db")) as database:
                assert (2,) == database.execute("SELECT count(*) FROM clips").fetchone()
            erase(home)
        told = json.loads(home.receipt.read_text())
        assert [] == home.left(), number
        assert not home.config.exists()
        assert genuine(told, home.key), number
        assert (2, home.head) == (told["clips"], told["chain"]["head"])
        if whole:
            break
    assert {"nothing", "begun", "signed", "end"} == reached


def test_a_receipt_that_cannot_be_written_after_all(home: Home) -> None:
    """The signing key is still there, and the next run, with the same receipt, ends it."""

    def full(_: dict[str, Any]) -> None:
        raise StorageError("no room", fix="make some")

    settings = load(home.config)
    with Erasure(settings, None, Hands()) as erasure, pytest.raises(StorageError, match="no room"):
        erasure.destroy(full, lambda *_: None)
    assert (home.state / KEYS / "kit.key").exists()
    done = home("--keep-settings", "--receipt", home.receipt)  # it was asked for once: no question
    assert 0 == done.returncode, done.stderr
    assert "an earlier run was cut off; it goes on" in done.stderr
    assert genuine(json.loads(home.receipt.read_text()), home.key)
    assert [] == home.left()


def test_sealed_clips_go_last_of_the_secrets(home: Home) -> None:
    """What gives access to the city goes first, the settings last, and each file goes once."""
    survey = Survey.of(load(home.config), home.config)
    assert ["keys", "clips", "database", "settings"] == [step.name for step in survey.steps]
    assert len(set(survey.files)) == len(survey.files)
    assert all(step.files for step in survey.steps)


def test_what_root_keeps_for_the_service_goes(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that systemd hands to the agent is destroyed where root keeps it, open or sealed."""
    stores = [tmp_path / "open", tmp_path / "sealed"]
    for folder, place in zip(stores, ("CREDSTORE", "SEALED_CREDSTORE"), strict=True):
        folder.mkdir()
        (folder / "sealed.password").touch()
        monkeypatch.setattr(erasure_survey, place, folder)
    seen = "/run/credentials/stairwell-agent.service/sealed.password"
    settings = load(home.config, {"backbone": {"password_file": seen}})
    keys = Survey.of(settings, None).steps[0].files
    assert {folder / "sealed.password" for folder in stores} <= set(keys)


def test_secrets_go_that_no_setting_names(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the unit may load is destroyed, though the settings that named it are another's by now."""
    open_, sealed = the_services_own(home, tmp_path, monkeypatch)
    ours = {open_ / "kit.key", open_ / "broker.password", sealed / "sealed.key", sealed / "sealed.password"}
    for path in (*ours, open_ / "of.another.service"):
        path.touch()
    (sealed / "sealed.key").unlink()
    (sealed / "sealed.key").symlink_to("gone")
    keys = set(Survey.of(load(home.config), None).steps[0].files)
    assert ours == {path for path in keys if path.is_relative_to(tmp_path / "open") or path.parent == sealed}
