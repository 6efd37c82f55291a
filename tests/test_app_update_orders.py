"""The order `update`: real TLS, real bundles, root's part, the guard's own script."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import settings, toml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from downloads import Downloads
from kits import Kit
from orders import req
from test_app_update import KEYS, Between, acknowledge, content, guard, home, kit, made

from agent import viewpoint
from agent.app import ordered, tries, update_orders
from agent.app.trust import https_context
from agent.app.update_orders import UpdateOrders
from agent.app.updatebook import Standing, UpdateBook
from agent.backbone import docket
from agent.backbone.commands import Job
from agent.backbone.docket import AuditLine, Outcome
from agent.backbone.orders import Args, UpdateArgs
from agent.config import Settings
from agent.config_layers import Layers
from agent.device import installation, release
from agent.device.clock import SystemClock
from agent.device.installation import Request
from agent.device.releases import unpacked
from agent.errors import StairwellError, StorageError, UpdateError
from pki import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.device.release import Manifest
    from agent.device.releases import Trial


__all__ = ["home"]
CLOCK = SystemClock()


class City:
    """A server with a release, a kit that is ordered to take it, and root on that kit."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state = home.parent / "state"
        self.state.mkdir()
        self.authority = Authority(home.parent / "ca")
        self.settings = self._settings(KEYS)
        self.file = home.parent / "agent.toml"
        self.file.write_text(toml(self.settings), encoding="utf-8")
        self.journal = Kit(self.state).journal
        self.left = threading.Event()
        self.quiet = True
        self.requests: list[Request] = []
        self.made_free: list[int] = []
        self.wanted = 0
        self.root = True
        self.releases = kit(home)
        self.on_asked: Callable[[], None] = lambda: None
        self.prove: Callable[..., None] = content
        self.servers: list[Downloads] = []
        self.req = req()

    def _settings(self, keys: tuple[str, ...]) -> Settings:
        trusted = {"ca_file": self.authority.ca}
        return settings(self.state, update={"release_keys": keys}, backbone=trusted)

    def serve(self, bundle: Path, *script: int | None) -> dict[str, Any]:
        """Have the bundle fetched; the arguments of the order."""
        data = bundle.read_bytes()
        store = self.authority.issue(f"store-{len(self.servers)}", "127.0.0.1")
        self.servers.append(Downloads(data, *script, certificate=store))
        digest = hashlib.sha256(data).hexdigest()
        return {"url": self.servers[-1].url, "sha256": digest, "version": "1.0"}

    def process(self, own: str = "package") -> UpdateOrders:
        """An agent of that release."""
        return UpdateOrders(
            self.settings,
            CLOCK,
            UpdateBook(self.settings, CLOCK),
            https_context(self.settings.backbone),
            lambda: self.quiet,
            self.left.set,
            self._kept_free,
            home=self.home,
            own=own,
            ask=self._ask,
        )

    def order(self, args: dict[str, Any], stopping: threading.Event | None = None) -> Outcome | None:
        """Give the order to an agent of the package."""
        line = AuditLine("update", self.req, "desk", "0123456789abcdef", "accepted", None, None)
        self.journal.ask(lambda tx: docket.audit(tx, line, CLOCK.stamp()))
        return self.process().executors["update"](self._job(UpdateArgs(**args), stopping))

    def go_on(self, own: str, stopping: threading.Event | None = None) -> Outcome | None:
        """Start the next process."""
        return self.process(own).resumed["update"](self._job(Args(), stopping))

    def codes(self) -> list[tuple[str, str | None, str]]:
        """Of the audit."""
        return self.journal.ask(
            lambda tx: tx.execute("SELECT by, code, text FROM audit WHERE code <> '' ORDER BY n").fetchall()
        )

    def _job(self, args: Args, stopping: threading.Event | None) -> Job:
        return Job(self.req, args, lambda _: None, stopping or threading.Event())

    @contextmanager
    def _kept_free(self, size: int) -> Iterator[int]:
        """As retention does: with the oldest clips room is made, until somebody asks."""
        self.made_free.append(size)
        yield self.wanted
        self.made_free.append(0)

    def _ask(self, state: Path, request: Request) -> None:
        """As the units do: the request is left, and root answers it."""
        (self.home.parent / "run" / "update").unlink(missing_ok=True)
        installation.ask(state, request, {"RUNTIME_DIRECTORY": str(self.home.parent / "run")})
        assert (self.home.parent / "run" / "update").exists()
        self.requests.append(request)
        if self.root:
            try:
                self.install_asked()
            except StairwellError as error:
                self.refused = error
        self.on_asked()

    def install_asked(self) -> None:
        """Root's part."""
        layers = Layers.read(Settings, self.file)
        ordered.install_asked(layers, self.releases, self.home, self.prove, lambda _: None)


@pytest.fixture
def city(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    monkeypatch.setattr(update_orders, "LOOK_S", 0.01)
    monkeypatch.setattr(tries, "BACKOFF_MIN_S", 0.01)
    monkeypatch.setattr(installation, "LONGEST", 1 << 20)
    one = City(home)
    yield one
    for server in one.servers:
        server.close()


def left_over(city: City) -> list[str]:
    return sorted(path.name for path in installation.place(city.state).iterdir())


def test_a_release_that_is_confirmed(city: City) -> None:
    """Fetched over a link that breaks, installed, started in a quiet moment; it answers itself at its end."""
    assert city.order(city.serve(made(city.home.parent, 5), 300)) is None
    assert city.left.is_set()
    assert ("1.0-5", "1.0-5") == (city.requests[0].release, kit(city.home).current())
    assert [None, "bytes=300-"] == city.servers[0].asked
    stopping = threading.Event()
    threading.Timer(0.1, stopping.set).start()
    assert city.go_on("1.0-5", stopping) is None  # on trial still, and another process may go on
    acknowledge(city.home, "1.0-5")
    guard(city.home, "minute")
    assert Outcome(ok=True, code="confirmed", text="1.0-5") == city.go_on("1.0-5")
    assert [("desk", "installing", "1.0-5")] == city.codes()
    assert [] == left_over(city)
    assert not (city.home / installation.COPY).exists()


def test_a_look_while_root_switches(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is not over with the switch: the trial comes first, and nobody has acknowledged anything."""
    city.root = False
    installation.place(city.state).mkdir()
    request = Request(req=city.req, release="1.0-5")
    (installation.place(city.state) / installation.REQUEST).write_text(request.model_dump_json())
    bundle = made(city.home.parent, 5)
    monkeypatch.setattr(update_orders, "Releases", lambda home: Between(home, bundle))
    assert city.go_on("package") is None
    assert city.left.is_set()


def test_a_release_that_is_taken_back(city: City) -> None:
    """What ran before says so."""
    assert city.order(city.serve(made(city.home.parent, 5))) is None
    for _ in range(3):
        guard(city.home, "start")
    why = "1.0-5 started 2 times without an acknowledgement"
    assert Outcome(ok=False, code="rolled-back", text=why) == city.go_on("package")
    assert [] == left_over(city)


@pytest.mark.parametrize("damage", ["unreadable", "empty", "no text", "words"])
def test_a_trial_that_cannot_be_read(city: City, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """It is no success: the order waits until the guard has taken the release back, or for long enough."""
    assert city.order(city.serve(made(city.home.parent, 5))) is None
    trial = city.home / "trial"
    trial.unlink()
    if damage == "unreadable":
        trial.mkdir()  # by nobody, not even by root
        monkeypatch.setattr(update_orders, "INSTALL_S", 0.1)
        found = city.go_on("package")
        assert "no-answer" == code(found)
        assert found is not None
        assert f"{trial}: it is a directory" in str(found.text)
    else:
        trial.write_bytes({"empty": b"", "no text": b"\xff\xff", "words": b"1.0-5 on trial"}[damage])
        threading.Timer(0.2, lambda: guard(city.home, "start")).start()
        assert "rolled-back" == code(city.go_on("package"))
    assert ["installing"] == [name for _, name, _ in city.codes()]
    assert [] == left_over(city)


class PowerCut(BaseException):
    """At the worst moment."""


def test_a_power_cut_before_root_says_that_it_has_switched(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that fails then is not tried again: it was taken back for this very order."""

    def switched(manifest: Manifest) -> Trial:
        kit(city.home).switch(manifest)
        raise PowerCut

    monkeypatch.setattr(city.releases, "switch", switched)
    with pytest.raises(PowerCut):
        city.order(city.serve(made(city.home.parent, 5)))
    for _ in range(3):
        guard(city.home, "start")
    assert "rolled-back" == code(city.go_on("package"))
    assert 1 == len(city.requests)
    assert [("desk", "installing", "1.0-5")] == city.codes()


def test_what_failed_for_another(city: City) -> None:
    """A release that comes again has not failed again, whoever looks before root begins or while it works."""
    args = city.serve(made(city.home.parent, 5))
    assert city.order(args) is None
    for _ in range(3):
        guard(city.home, "start")
    city.root = False
    stopping = threading.Event()

    def look() -> None:
        UpdateBook(city.settings, CLOCK).follow(Standing.of(kit(city.home)))

    def asked() -> None:
        look()
        stopping.set()

    look()
    city.req, city.on_asked = req(), asked
    assert city.order(args, stopping) is None
    city.root, city.on_asked = True, lambda: None
    city.prove = lambda *_: look()
    assert city.go_on("package") is None
    codes = ["installing", "rolled-back", "installing"]
    assert codes == [code for _, code, _ in city.codes()]


def test_a_request_that_cannot_be_left(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit tells of no installation that nobody began."""
    monkeypatch.setattr(
        city, "_ask", lambda *_: installation.ask(city.state, Request(req=city.req, release="1.0-5"), {})
    )
    with pytest.raises(StairwellError, match="nobody is there"):
        city.order(city.serve(made(city.home.parent, 5)))
    assert [] == city.codes()


def test_a_release_that_root_refuses(city: City) -> None:
    """Why, in root's words; nothing has changed."""

    def bad(*_: object) -> None:
        raise UpdateError("1.0-5: no good", fix="none")

    city.prove = bad
    found = city.order(city.serve(made(city.home.parent, 5)))
    assert Outcome(ok=False, code="not-installed", text="1.0-5: no good") == found
    assert not city.left.is_set()
    assert kit(city.home).current() is None


def test_root_was_kept_from_it_by_a_power_cut(city: City) -> None:
    """The next process asks again; the order is done once all the same."""
    city.root = False
    stopping = threading.Event()
    city.on_asked = stopping.set
    assert city.order(city.serve(made(city.home.parent, 5)), stopping) is None
    city.root = True
    assert city.go_on("package") is None
    assert city.left.is_set()
    assert "1.0-5" == kit(city.home).current()


def test_what_never_reaches_root(city: City) -> None:
    """Another file, another version, a stranger's release, an event that does not end: each by its code."""
    bundle = made(city.home.parent, 5)
    args = city.serve(bundle)
    assert "wrong-sha256" == code(city.order({**args, "sha256": "0" * 64}))
    assert "wrong-version" == code(city.order({**args, "version": "1.1"}))
    stranger = made(city.home.parent / "elsewhere", 5, key=Ed25519PrivateKey.generate())
    with pytest.raises(UpdateError, match="the release: signed by no key"):
        city.order(city.serve(stranger))
    assert [] == left_over(city)
    large = city.home.parent / "large"
    large.write_bytes(bytes((1 << 20) + 1))
    assert "too-large" == code(city.order(city.serve(large)))
    assert [] == city.requests


def test_an_event_that_does_not_end(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, and not for ever; the file need not come twice."""
    monkeypatch.setattr(update_orders, "QUIET_S", 0.05)
    city.quiet = False
    assert "busy" == code(city.order(city.serve(made(city.home.parent, 5))))
    assert [] == city.requests


def test_a_full_card(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest clips make room before root takes it, for its copy too; where none can go root decides."""
    city.home.mkdir()
    looks = iter([99, 99, 100])
    city.wanted = 100
    monkeypatch.setattr(update_orders, "health", SimpleNamespace(free_bytes=lambda _: next(looks)))
    bundle = made(city.home.parent, 5)
    with bundle.open("rb") as stream:
        size = bundle.stat().st_size + unpacked(release.read(stream, "ours", KEYS))
    city.on_asked = lambda: city.made_free.append(-1)
    assert city.order(city.serve(bundle)) is None
    assert [size, 0, -1] == city.made_free
    assert [] == list(looks)

    monkeypatch.setattr(update_orders, "health", SimpleNamespace(free_bytes=lambda _: 99))
    monkeypatch.setattr(update_orders, "ROOM_S", 0.05)
    for _ in range(3):
        guard(city.home, "start")
    city.req = req()
    assert city.order(city.serve(made(city.home.parent, 6))) is None
    assert "1.0-6" == kit(city.home).current()


def test_a_kit_that_knows_no_key_or_tries_another(city: City) -> None:
    """Nothing is fetched."""
    args = city.serve(made(city.home.parent, 5))
    assert city.order(args) is None
    assert "on-trial" == code(city.order(args))
    city.settings = city._settings(())
    assert "no-release-key" == code(city.order(args))
    assert 1 == len(city.servers[0].asked)


def test_an_order_that_was_cut_off_before_root_was_asked(city: City) -> None:
    """It is told as any other, and its part is kept for the next."""
    stopping = threading.Event()
    stopping.set()
    assert "interrupted" == code(city.order(city.serve(made(city.home.parent, 5)), stopping))
    assert "interrupted" == code(city.go_on("package"))


@pytest.mark.parametrize("kind", ["link", "pipe", "nothing", "large"])
def test_root_believes_nothing_of_the_agents(city: City, kind: str) -> None:
    """Whatever the agent's user lays where the bundle should be: refused at once, and no copy is left."""
    place = installation.place(city.state)
    place.mkdir()
    bundle = place / installation.BUNDLE
    match kind:
        case "link":
            bundle.symlink_to(made(city.home.parent, 5))
        case "pipe":
            os.mkfifo(bundle)
        case "large":
            bundle.write_bytes(bytes((1 << 20) + 1))
    (place / installation.REQUEST).write_text(Request(req=city.req, release="1.0-5").model_dump_json())
    with pytest.raises(StairwellError):
        city.install_asked()
    status, why = installation.answered(city.home, Request(req=city.req, release="1.0-5")) or ("", "")
    assert "failed" == status
    assert why
    assert kit(city.home).current() is None
    assert not (city.home / installation.COPY).exists()


def test_the_directory_is_no_way_to_roots(city: City) -> None:
    """A link in its place leads to a file that the agent may not read: it is neither asked for nor copied."""
    roots = city.home.parent / "root"
    roots.mkdir()
    (roots / installation.REQUEST).write_text(Request(req=city.req, release="1.0-5").model_dump_json())
    made(city.home.parent, 5).rename(roots / installation.BUNDLE)
    installation.place(city.state).symlink_to(roots)
    assert installation.asked(city.state) is None
    with pytest.raises(StorageError, match="update"), installation.taken(city.state, city.home):
        pytest.fail("it was copied")
    assert not (city.home / installation.COPY).exists()


def test_the_copy_is_roots_alone(city: City) -> None:
    """While it lies there nobody else reads it."""
    installation.place(city.state).mkdir()
    made(city.home.parent, 5).rename(installation.place(city.state) / installation.BUNDLE)
    with installation.taken(city.state, city.home) as copy:
        assert 0o600 == stat.S_IMODE(copy.stat().st_mode)


@pytest.mark.timeout(60)
def test_what_is_drawn_and_fits_nothing_is_answered(city: City) -> None:
    """The agent's user may write what root's settings come to; the order does not wait half an hour then."""
    viewpoint.write(city.state, {"privacy": {"masks": 7}})  # type: ignore[dict-item]  # on purpose
    found = city.order(city.serve(made(city.home.parent, 5)))
    assert "not-installed" == code(found)
    assert found is not None
    assert "drawn.json: privacy.masks = 7" in (found.text or "")
    assert kit(city.home).current() is None


def test_a_request_that_is_none(city: City) -> None:
    """Root does nothing then."""
    place = installation.place(city.state)
    place.mkdir()
    for text in (None, "", "{}", '{"req": "../../x", "release": "1.0-5"}'):
        if text is not None:
            (place / installation.REQUEST).write_text(text)
        with pytest.raises(UpdateError, match="asks for no release"):
            city.install_asked()


def test_not_as_a_service(tmp_path: Path) -> None:
    """Nobody would hear the request, and it is said."""
    with pytest.raises(StairwellError, match="nobody is there"):
        installation.ask(tmp_path, Request(req=req(), release="1.0-5"), {})


def code(outcome: Outcome | None) -> str | None:
    assert outcome is not None
    assert not outcome.ok
    return outcome.code
