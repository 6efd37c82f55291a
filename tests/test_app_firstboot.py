"""First boot against a real city: every step, cut at every step, and what the lamp says when it waits."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from town import RELEASE_KEY, Town, Wall

from agent.app import firstboot
from agent.app.firstboot import AGAIN_S, CARD_FILE, REFUSED_S, WAIT_MAX_S, FirstBoot
from agent.app.proof import Proof
from agent.city.kits import State
from agent.config import load
from agent.device import kitfile
from agent.device.enrolment import join
from agent.device.host import SERVICES, Host
from agent.device.lamp import Code
from agent.durable import sync_directory
from agent.errors import EnrolError, StairwellError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.device.enrolfile import EnrolFile

# CPython leaves the socket of a failed TLS handshake to the garbage collector, which warns of it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored.*<ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)


class Enough(Exception):  # noqa: N818 # no error: the test has seen what it wanted
    """Ends a first boot that would wait for ever."""


@dataclass
class Hands:
    """A machine whose name, burn-in and services are written down. `ok`: the burn-in is passed."""

    state: Path
    kit: str
    ok: bool = True
    did: list[str] = field(default_factory=list)

    def name(self, hostname: str) -> None:
        """See Machine."""
        self.did.append(hostname)

    def burn_in(self) -> None:
        """See Machine."""
        self.did.append("burn-in")
        status = "ok" if self.ok else "fail"
        Proof.of(self.kit, None, [{"code": "burn.card", "status": status, "text": "x"}]).write(self.state)

    def give(self, path: Path) -> None:
        """See Machine."""
        assert self.state == path

    def enable(self) -> None:
        """See Machine."""
        assert (self.state / CARD_FILE).exists()

    def start(self) -> None:
        """See Machine."""
        assert not (self.state / CARD_FILE).exists()
        self.did.append("services")

    def close_root(self) -> None:
        """See Machine."""
        self.did.append("root")


@dataclass
class Lamp:
    """The codes that it showed."""

    codes: list[Code] = field(default_factory=list)

    def show(self, code: Code) -> None:
        """See Display."""
        self.codes.append(code)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


@pytest.fixture
def open_town(town: Town) -> Iterator[Town]:
    with town.serving():
        yield town


def put_card(town: Town, card: EnrolFile) -> Path:
    """The card's file in the kit's state directory, as the card's own script puts it there."""
    state = town.directory / "state"
    state.mkdir(exist_ok=True)
    (state / CARD_FILE).write_text(card.text(), encoding="utf-8")
    return state


def boot(
    town: Town,
    hands: Hands,
    lamp: Lamp,
    wait: Callable[[float], None] | None = None,
    clock: Wall | None = None,
) -> FirstBoot:
    def never(seconds: float) -> None:
        raise AssertionError(seconds)

    return FirstBoot(
        hands.state, town.directory / "agent.toml", hands, lamp, clock or town.clock, join, wait or never
    )


def test_from_a_card_to_a_kit(open_town: Town) -> None:
    """Settings, name, burn-in, certificate, services, in this order; then the secret is gone."""
    card = open_town.card()
    state = put_card(open_town, card)
    hands, lamp = Hands(state, card.kit), Lamp()
    assert boot(open_town, hands, lamp).run()
    assert [f"stairwell-{card.kit}", "burn-in", "services", "root"] == hands.did
    assert [Code.WORKING, Code.NETWORK] == lamp.codes
    settings = load(open_town.directory / "agent.toml")
    assert (card.kit, "51", "kyivskyi") == (settings.kit.id, settings.site.oblast, settings.site.district)
    assert (RELEASE_KEY,) == settings.update.release_keys
    assert "watermark" == settings.backbone.delivery  # a city has a platform
    assert settings.backbone.cert_file is not None
    assert settings.backbone.cert_file.exists()
    assert 0o640 == (open_town.directory / "agent.toml").stat().st_mode & 0o777
    assert card.claim not in (open_town.directory / "agent.toml").read_text()
    assert State.CLAIMED is open_town.office.registry.kit(card.kit).state
    assert not (state / CARD_FILE).exists()


def test_when_it_is_over_nothing_is_done(open_town: Town) -> None:
    """Run again, it touches nothing, and needs neither card nor network."""
    card = open_town.card()
    state = put_card(open_town, card)
    boot(open_town, Hands(state, card.kit), Lamp()).run()
    hands, lamp = Hands(state, card.kit), Lamp()
    assert boot(open_town, hands, lamp).run()
    assert ([], []) == (hands.did, lamp.codes)


def test_a_burn_in_that_was_passed_is_not_repeated(open_town: Town) -> None:
    """It takes minutes: a power cut after it costs none of them. One that failed is made again."""
    card = open_town.card()
    state = put_card(open_town, card)
    for ok, made in ((False, True), (True, True), (True, False)):
        hands = Hands(state, card.kit, ok)
        assert ok == boot(open_town, hands, Lamp(), lambda _: None).run()
        assert made == ("burn-in" in hands.did)
        put_card(open_town, card)


def test_a_burn_in_that_fails(open_town: Town) -> None:
    """The kit is enrolled and starts all the same, so that the city hears of it. It does not restart.

    What called it says so by the lamp, which a restart would end.
    """
    card = open_town.card()
    state = put_card(open_town, card)
    hands, lamp = Hands(state, card.kit, ok=False), Lamp()
    assert not boot(open_town, hands, lamp).run()
    assert "services" == hands.did[-1]


# --- waiting --------------------------------------------------------------------------------------------


def test_a_city_that_is_not_there_yet(town: Town) -> None:
    """It is asked again, ever more seldom and at random, until it answers; the lamp shows two flashes."""
    card = town.card()
    state = put_card(town, card)
    hands, lamp, waits = Hands(state, card.kit), Lamp(), list[float]()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 12:
            serving.__enter__()

    serving = town.serving()
    try:
        assert boot(town, hands, lamp, wait).run()
    finally:
        serving.__exit__(None, None, None)
    assert {Code.WORKING, Code.NETWORK} == set(lamp.codes)
    assert 12 == len(waits)
    assert max(waits[:2]) <= 10 < max(waits) <= WAIT_MAX_S


def test_a_clock_that_is_wrong(open_town: Town) -> None:
    """A kit that wakes years ago finds the city's certificate not valid yet: three flashes."""
    card = open_town.card()
    state = put_card(open_town, card)
    lamp = Lamp()

    def stop(_: float) -> None:
        raise Enough

    code = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from agent.device.clock import SystemClock
        from agent.device.enrolfile import EnrolFile
        from agent.device.enrolment import join
        from agent.device.wallet import Wallet
        from agent.errors import EnrolError
        try:
            join(EnrolFile.read(Path(sys.argv[1])), Wallet(Path(sys.argv[2])), SystemClock())
        except EnrolError as error:
            sys.exit(error.reason)
        """
    )
    done = subprocess.run(
        ["faketime", "2020-01-01 00:00:00", sys.executable, "-c", code, state / CARD_FILE, state / "tls"],
        capture_output=True,
        text=True,
        check=False,
    )
    reason = done.stderr.strip().splitlines()[-1]

    def refuse(*_: object) -> None:
        raise EnrolError("x", fix="y", reason=reason)

    hands = Hands(state, card.kit)
    first = FirstBoot(state, open_town.directory / "agent.toml", hands, lamp, open_town.clock, refuse, stop)
    with pytest.raises(Enough):
        first.run()
    assert Code.CLOCK is lamp.codes[-1], done.stderr


def test_a_city_that_says_no(open_town: Town) -> None:
    """A claim that is used or expired: four flashes, a long wait, no services; nothing of it is lost."""
    card = open_town.card()
    join(card, open_town.wallet("thief"), open_town.clock)
    state = put_card(open_town, card)
    hands, lamp, waits = Hands(state, card.kit), Lamp(), list[float]()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        raise Enough

    with pytest.raises(Enough):
        boot(open_town, hands, lamp, wait).run()
    assert (Code.REFUSED, [REFUSED_S]) == (lamp.codes[-1], waits)
    assert "services" not in hands.did
    assert (state / CARD_FILE).exists()


def test_a_card_that_is_wrong(open_town: Town, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be understood, or sets what there is not: four flashes to the end, and no settings."""
    card = open_town.card()
    state = put_card(open_town, card)
    lamp, hands = Lamp(), Hands(state, card.kit)
    wrong = card.model_copy(update={"settings": {"capture": {"fsp": 5}}})
    contents = [wrong.text(), "kit = ", "kit = ", card.text()]
    (state / CARD_FILE).write_text(contents.pop(0))

    def wait(seconds: float) -> None:
        assert (AGAIN_S, Code.REFUSED) == (seconds, lamp.codes[-1])
        assert ([], False) == (hands.did, (open_town.directory / "agent.toml").exists())
        (state / CARD_FILE).write_text(contents.pop(0))

    assert boot(open_town, hands, lamp, wait).run()
    assert [Code.WORKING, *[Code.REFUSED] * 3, Code.WORKING, Code.NETWORK] == lamp.codes
    told = [line.getMessage() for line in caplog.records if line.levelname == "ERROR"]
    assert [True, True] == ["capture.fsp: unknown key" in told[0], "no TOML" in told[1]]  # each once


@pytest.mark.parametrize("step", ["name", "give", "enable", "start", "close_root"])
def test_a_kit_that_cannot_go_on(open_town: Town, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Whatever step it is, five flashes, and not those of work, until it can; none before is done twice."""
    card = open_town.card()
    state = put_card(open_town, card)
    lamp, hands, waits = Lamp(), Hands(state, card.kit), list[float]()
    done = getattr(hands, step)

    def refused(*words: object) -> None:
        if len(waits) < 2:
            raise StorageError("the disk is read-only", fix="replace it")
        done(*words)

    def wait(seconds: float) -> None:
        waits.append(seconds)
        assert Code.HARDWARE is lamp.codes[-1]

    monkeypatch.setattr(hands, step, refused)
    assert boot(open_town, hands, lamp, wait).run()
    assert [AGAIN_S] * 2 == waits
    assert [f"stairwell-{card.kit}", "burn-in", "services", "root"] == hands.did
    assert Code.HARDWARE is not lamp.codes[-1]


def test_a_card_whose_deletion_is_refused(open_town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is gone, but not yet for good, is made so: the kit goes on once the disk takes it."""
    card = open_town.card()
    state = put_card(open_town, card)
    hands, refusals = Hands(state, card.kit), [OSError(errno.EIO, "Input/output error")]

    def refused(directory: Path) -> None:
        if refusals:
            raise refusals.pop()
        sync_directory(directory)

    def wait(_: float) -> None:
        waits.append(hands.did[-1])
        assert 1 == len(waits)

    waits = list[str]()
    monkeypatch.setattr(firstboot, "sync_directory", refused)
    assert boot(open_town, hands, Lamp(), wait).run()
    assert (["burn-in"], ["services", "root"]) == (waits, hands.did[-2:])


# --- cut off --------------------------------------------------------------------------------------------

CHILD = textwrap.dedent(
    """
    import json, os, signal, sys, time
    from pathlib import Path
    from agent.app.firstboot import CARD_FILE, FirstBoot
    from agent.app.proof import Proof
    from agent.device.clock import SystemClock
    from agent.device.enrolment import join
    from agent.device.host import Host

    state, config, root, kit, moment, cut = sys.argv[1:]
    state, host = Path(state), Host(Path(root))
    calls = {"rename": 0, "delete": 0}

    def die_at(name):
        if name == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(function, name):
        def called(path, *a, **k):
            if name == "delete" and path.name != CARD_FILE:
                return function(path, *a, **k)
            calls[name] += 1
            if f"{name} {calls[name]}" == moment and cut == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(path, *a, **k)
            if f"{name} {calls[name]}" == moment and cut == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return called

    Path.rename = counted(Path.rename, "rename")
    Path.unlink = counted(Path.unlink, "delete")

    class Hands:
        def name(self, hostname): die_at("name")
        def burn_in(self):
            Proof.of(kit, None, [{"code": "burn.card", "status": "ok", "text": "x"}]).write(state)
            die_at("burn-in")
        def give(self, path): die_at("give")
        def enable(self):
            host.enable()
            die_at("enable")
        def start(self): die_at("start")
        def close_root(self): pass

    class Lamp:
        def show(self, code): pass

    FirstBoot(state, Path(config), Hands(), Lamp(), SystemClock(), join, time.sleep).run()
    sys.exit(json.dumps(calls))
    """
)

RENAMES = 6  # settings, proof, key, roots, chain, link: each a file that is put whole
MOMENTS = [
    *((f"rename {number}", "after") for number in range(1, RENAMES + 1)),
    *((f"rename {number}", "before") for number in (1, 3, 6)),
    *(("delete 1", cut) for cut in ("before", "after")),
    *((name, "") for name in ("name", "burn-in", "give", "enable", "start")),
]


needs_systemctl = pytest.mark.skipif(
    shutil.which("systemctl") is None, reason="systemctl is not installed (Debian: systemd)"
)
UNITS = Path(__file__).parent.parent / "systemd"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine's disk, with the package's units; nothing is enabled."""
    units = tmp_path / "machine/usr/lib/systemd/system"
    units.mkdir(parents=True)
    for path in UNITS.iterdir():
        if path.is_file():
            shutil.copy(path, units)
    return tmp_path / "machine"


def enabled(root: Path) -> set[str]:
    """What starts at each boot."""
    return {path.name for path in (root / "etc/systemd/system").glob("*.wants/*")}


def child(
    town: Town, state: Path, root: Path, kit: str, moment: str, cut: str
) -> subprocess.CompletedProcess[str]:
    words = (state, town.directory / "agent.toml", root, kit, moment, cut)
    return subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, words)], capture_output=True, text=True, check=False
    )


@needs_systemctl
@pytest.mark.slow  # sixteen processes, a second each
def test_killed_at_every_step(open_town: Town, root: Path) -> None:
    """Whatever was under way, the next start ends as if nothing had happened: with one certificate.

    And first boot either begins again, or the services start without it.
    """
    for moment, cut in MOMENTS:
        card = open_town.card()
        state = put_card(open_town, card)
        done = child(open_town, state, root, card.kit, moment, cut)
        assert -signal.SIGKILL == done.returncode, (moment, cut, done.stderr)
        over = not (state / CARD_FILE).exists()
        assert not over or set(SERVICES) == enabled(root), (moment, cut)
        hands = Hands(state, card.kit)
        assert boot(open_town, hands, Lamp()).run(), (moment, cut)
        assert not (state / CARD_FILE).exists()
        assert card.kit == load(open_town.directory / "agent.toml").kit.id
        acts = open_town.acts(card.kit)
        assert 1 == acts.count("issued"), (moment, cut, acts)
        shutil.rmtree(state)
        shutil.rmtree(root / "etc", ignore_errors=True)
        (open_town.directory / "agent.toml").unlink()


@needs_systemctl
def test_the_moments_are_all(open_town: Town, root: Path) -> None:
    """A first boot without a cut puts as many files as the test above knows of, and deletes the one."""
    card = open_town.card()
    done = child(open_town, put_card(open_town, card), root, card.kit, "none", "")
    assert {"rename": RENAMES, "delete": 1} == json.loads(done.stderr.splitlines()[-1])


# --- the machine ----------------------------------------------------------------------------------------


def test_the_name_of_the_machine(tmp_path: Path) -> None:
    """It stands in /etc/hostname and /etc/hosts, once, however often it is given."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").write_text("127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n")
    for _ in range(2):
        Host(tmp_path).name("stairwell-k7f3k2qx4m")
    assert "stairwell-k7f3k2qx4m\n" == (tmp_path / "etc/hostname").read_text()
    assert "127.0.0.1\tlocalhost\n127.0.1.1\tstairwell-k7f3k2qx4m\n" == (tmp_path / "etc/hosts").read_text()


@pytest.mark.parametrize("umask", [0o077, 0o022])
def test_settings_are_the_agents_to_read(town: Town, umask: int) -> None:
    """The service's umask closes what it makes; the agent's group reads its settings all the same."""
    old = os.umask(umask)
    try:
        path, card = town.directory / "etc" / "agent.toml", town.card()
        assert kitfile.write(path, card, town.directory)
        assert 0o640 == path.stat().st_mode & 0o777
        path.chmod(0o600)  # a cut before the mode was set
        assert not kitfile.write(path, card, town.directory)
    finally:
        os.umask(old)
    assert 0o640 == path.stat().st_mode & 0o777


def test_a_machine_that_cannot_be_named(tmp_path: Path) -> None:
    """A disk that takes nothing is told by its file."""
    (tmp_path / "etc").touch()
    with pytest.raises(StairwellError, match="etc"):
        Host(tmp_path).name("stairwell-k7f3k2qx4m")


@needs_systemctl
def test_services_that_cannot_be_enabled(root: Path) -> None:
    """It is an error, with what systemd says."""
    (root / "etc").touch()
    with pytest.raises(StairwellError, match=r"the services do not start: .+"):
        Host(root).enable()


@needs_systemctl
def test_services_that_are_not_there(tmp_path: Path) -> None:
    """A disk without the package has nothing to start, which is an error."""
    with pytest.raises(StairwellError, match=r"the services do not start: .+"):
        Host(tmp_path).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another")
def test_a_burn_in_that_hangs_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of it stays behind: the agent needs the camera that it had."""
    hangs = ("sleep", f"600.{os.getpid()}")
    Host(user="nobody", burn_in_words=hangs, burn_in_s=1.0).burn_in()
    assert "no end within 1 s" in caplog.text
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert " ".join(hangs) not in processes


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_files_are_the_agents(tmp_path: Path) -> None:
    """All below the state directory, links themselves and not what they lead to."""
    outside = tmp_path / "outside"
    outside.touch()
    state = tmp_path / "state"
    (state / "tls").mkdir(parents=True)
    (state / "tls/link").symlink_to(outside)
    Host(user="nobody").give(state)
    assert {65534} == {path.lstat().st_uid for path in (state, state / "tls", state / "tls/link")}
    assert 0 == outside.stat().st_uid
    with pytest.raises(StairwellError, match="there is no user nemo"):
        Host(user="nemo").give(state)
