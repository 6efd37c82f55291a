"""A release on trial, as its own agent sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, settings
from kits import Kit
from test_app_update import Between, made
from test_app_update import home as kit

from agent.app.ontrial import FAILED, MARK, TRIAL, OnTrial
from agent.app.updatebook import UpdateBook
from agent.backbone import docket
from agent.backbone.delivery import Delivery
from agent.backbone.docket import AuditLine
from agent.device.releases import Releases, Trial

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["kit"]
OWN = "1.0-6"


class Said:
    """What was raised and cleared last."""

    def __init__(self) -> None:
        self.now: dict[str, tuple[bool, str]] = {}

    def alarm(self, code: str, *, active: bool, detail: str = "") -> None:
        """See Announcer."""
        self.now[code] = active, detail


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "releases" / OWN).mkdir(parents=True)
    (home / "current").symlink_to(f"releases/{OWN}")
    (home / "trial").write_text(Trial(OWN, "-", 6).line())
    return home


def judge(home: Path, said: Said, delivered: int, own: str = OWN) -> bool:
    """Let it judge; whether there is a mark."""
    book = UpdateBook(settings(home.parent), Hands())
    watch = OnTrial(said, book, home.parent, Releases(home, home), own)  # type: ignore[arg-type]
    watch.judge(Delivery(connected=True, taken=9, delivered=delivered))
    return (home.parent / MARK).exists()


def test_acknowledged(home: Path) -> None:
    """The mark comes with the first message that counts as delivered, not with one that was taken."""
    said = Said()
    assert not judge(home, said, 0)
    assert (True, OWN) == said.now[TRIAL]
    assert judge(home, said, 1)
    assert OWN == (home.parent / MARK).read_text()


@pytest.mark.parametrize("own", ["1.0-5", "lib"])
def test_another_release_acknowledges_nothing(home: Path, own: str) -> None:
    """What still runs from before the switch cannot end the trial of the next."""
    assert not judge(home, Said(), 5, own)


def test_no_trial(home: Path) -> None:
    """Without a trial nothing is left, and the alarm is cleared."""
    (home / "trial").unlink()
    said = Said()
    assert not judge(home, said, 5)
    assert not said.now[TRIAL][0]
    assert not said.now[FAILED][0]


def test_a_trial_that_cannot_be_read(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is not over: what was raised stays so, nothing is acknowledged, and the journal says it once."""
    said = Said()
    assert not judge(home, said, 0)
    (home / "trial").unlink()
    (home / "trial").mkdir()
    watch = OnTrial(
        said,  # type: ignore[arg-type]
        UpdateBook(settings(home.parent), Hands()),
        home.parent,
        Releases(home, home),
        OWN,
    )
    for _ in range(2):
        watch.judge(Delivery(connected=True, taken=9, delivered=9))
    assert (True, OWN) == said.now[TRIAL]
    assert not (home.parent / MARK).exists()
    assert 1 == len([line for line in caplog.messages if f"{home / 'trial'}: it is a directory" in line])


def test_what_was_taken_back_is_told(home: Path) -> None:
    """The city hears which release failed, and why."""
    (home / "failed").write_text("1.0-7 started 2 times without an acknowledgement\n")
    said = Said()
    judge(home, said, 0)
    assert (True, "1.0-7 started 2 times without an acknowledgement") == said.now[FAILED]


def test_a_look_while_root_switches(kit: Path) -> None:
    """The audit does not call confirmed what has only been put on trial."""
    journal, hands = Kit(kit.parent).journal, Hands()
    begun = AuditLine("update", None, "desk", None, "accepted", "installing", "1.0-5")
    journal.ask(lambda tx: docket.audit(tx, begun, hands.stamp()))
    book = UpdateBook(settings(kit.parent), hands)
    watch = OnTrial(Said(), book, kit.parent, Between(kit, made(kit.parent, 5)), "package")  # type: ignore[arg-type]
    watch.judge(Delivery(connected=True, taken=9, delivered=9))
    codes = journal.ask(lambda tx: tx.execute("SELECT code FROM audit ORDER BY n").fetchall())
    assert [("installing",), ("on-trial",)] == codes
