"""What the audit tells of updates, with real bundles, the guard's own script and a kit's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, settings
from kits import Kit
from test_app_update import KEYS, acknowledge, content, guard, home, kit, made

from agent.app.update import install
from agent.app.updatebook import COMMAND, Attempt, Standing, UpdateBook, following
from agent.backbone.docket import AuditLine
from agent.device.releases import Trial
from agent.errors import UpdateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.device.release import Manifest
    from agent.words import Text

__all__ = ["home"]


class Office:
    """A kit whose releases a person updates, and the agent's book of that."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.kit = Kit(home.parent)
        self.book = UpdateBook(settings(home.parent), Hands())
        self.unnoted: list[Text] = []

    def update(self, bundle: Path, prove: Callable[[Path, Manifest], None] = content) -> None:
        """As `stairwell update` does."""
        attempt = Attempt(self.book, "olena", self.unnoted.append)

        def begin(manifest: Manifest) -> None:
            attempt.begin(manifest)
            self.look()  # an earlier failure is none of this time
            assert "installing" == self.lines()[-1][1]

        with attempt.told():
            install(bundle, KEYS, kit(self.home), prove, begin, lambda _: None)

    def look(self) -> None:
        """As the agent does, each quarter of a minute, and once more: a line is written once."""
        releases = kit(self.home)
        for book in (self.book, UpdateBook(settings(self.home.parent), Hands())):
            book.follow(Standing(releases.current(), releases.trial(), releases.failed()))

    def lines(self) -> list[tuple[str, str | None, str, str]]:
        """Status, code, text and who, of each line."""
        return self.kit.journal.ask(
            lambda tx: tx.execute("SELECT status, code, text, by FROM audit ORDER BY n").fetchall()
        )


@pytest.fixture
def office(home: Path) -> Office:
    return Office(home)


def test_an_update_that_is_confirmed(office: Office) -> None:
    """Begun by somebody, on trial, confirmed: three lines in his name, whatever was refused between them."""
    office.look()
    assert [] == office.lines()
    office.update(made(office.home.parent, 5))
    office.look()
    refused = "1.0-5 is on trial"
    with pytest.raises(UpdateError, match=refused):
        office.update(made(office.home.parent, 6))
    office.look()
    acknowledge(office.home, "1.0-5")
    guard(office.home, "minute")
    office.look()
    expected = [
        ("accepted", "installing", "1.0-5", "olena"),
        ("accepted", "on-trial", "1.0-5", "olena"),
        ("rejected", None, refused, "olena"),
        ("ok", "confirmed", "1.0-5", "olena"),
    ]
    assert expected == office.lines()
    assert [] == office.unnoted


def test_an_update_that_is_taken_back(office: Office) -> None:
    """It never lived to say so: what runs again says how it ended; a second try is told as the first."""
    bundle = made(office.home.parent, 5)
    why = "1.0-5 started 2 times without an acknowledgement"
    expected = [
        ("accepted", "installing", "1.0-5", "olena"),
        ("failed", "rolled-back", why, "olena"),
    ]
    for again in (1, 2):

        def look(*_: object) -> None:
            office.look()

        office.update(bundle, look)  # while it is tried, too: the last failure is none of this time
        for _ in range(3):
            guard(office.home, "start")
        office.look()
        assert expected * again == office.lines()


def test_an_update_that_is_not_taken(office: Office) -> None:
    """A stranger's bundle is rejected; a release that is no good is accepted, and then fails."""

    def bad(_: Path, manifest: Manifest) -> None:
        raise UpdateError(f"{manifest.name}: no good", fix="none")

    stranger = office.home.parent / "stranger"
    stranger.write_bytes(b"nothing")
    with pytest.raises(UpdateError):
        office.update(stranger)
    with pytest.raises(UpdateError):
        office.update(made(office.home.parent, 5), bad)
    office.look()
    assert [
        ("rejected", None, "stranger: not a release of the stairwell agent", "olena"),
        ("accepted", "installing", "1.0-5", "olena"),
        ("failed", "not-installed", "1.0-5: no good", "olena"),
    ] == office.lines()


def test_a_kit_without_a_database(home: Path) -> None:
    """The update goes on, and whoever gave it hears that nothing is noted."""
    heard: list[Text] = []
    attempt = Attempt(UpdateBook(settings(home.parent), Hands()), "olena", heard.append)
    with attempt.told():
        install(made(home.parent, 5), KEYS, kit(home), content, attempt.begin, lambda _: None)
    assert "1.0-5" == kit(home).current()
    assert 1 == len(heard)
    assert "no such database" in heard[0].en


def test_an_order_is_named_to_the_end() -> None:
    """Who signed it, and its number, go from its first line to the last."""
    first = AuditLine(COMMAND, "01J", "platform", "0123456789abcdef", "accepted", "installing", "1.1-7")
    line = following(first, Standing("1.1-7", Trial("1.1-7", "-", 7), None))
    assert AuditLine(COMMAND, "01J", "platform", first.key, "accepted", "on-trial", "1.1-7") == line
    line = following(line, Standing(None, None, "1.1-7 no acknowledgement within 15 minutes"))
    assert line is not None
    assert ("01J", "platform", first.key, "failed") == (line.req, line.by, line.key, line.status)
    assert following(line, Standing(None, None, "1.1-7 no acknowledgement within 15 minutes")) is None
