"""The way of a configuration into force, step by step, by a clock that is moved by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import Hands, check, settings
from backbone_samples import TOPICS
from desired import arriving, desired
from orders import PLATFORM_KEY, STRANGER

from agent.app import reconfiguration
from agent.app.reconfiguration import CONNECT_S, HEALTHY_S, QUIET_WAIT_S, Reconfiguration, Terms
from agent.backbone.revisions import STATE, Revisions
from agent.config import settled
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.backbone.docket import AuditLine
    from agent.backbone.publication import Publication
    from agent.config_remote import Tables

DAY: Tables = {"clips": {"retention_h": 24}}


class Alarms:
    """Who raises alarms."""

    def __init__(self) -> None:
        self.raised: set[str] = set()

    def alarm(self, code: str, *, active: bool, detail: str = "") -> None:
        """See Announcer."""
        del detail
        (self.raised.add if active else self.raised.discard)(code)


class Account:
    """Who keeps the account."""

    def __init__(self) -> None:
        self.lines: list[AuditLine] = []

    def audit(self, line: AuditLine) -> None:
        """See Journal."""
        self.lines.append(line)


class Kit:
    """A kit at a start: its revisions, and all that it says."""

    def __init__(self, directory: Path, *, file: Path | None = None, **terms: Any) -> None:  # noqa: ANN401 - of Terms
        self.clock = Hands(ts="2026-11-22T00:30:00.000Z")
        self.alarms, self.account = Alarms(), Account()
        self.said: list[Publication] = []
        self.broker_takes = True
        own = Terms.own(settings(directory, backbone={"platform_keys": [PLATFORM_KEY]}))
        own = replace(own, layers=replace(own.layers, path=file))
        running = own.revisions.begin()
        chosen = settled(own.layers.with_remote(running.values))
        self.terms = replace(own, settings=chosen, running=running, **terms)
        self.revisions = self.terms.revisions
        self.it = Reconfiguration(self.terms, TOPICS, self.clock, self.account, self.alarms, self._publish)  # type: ignore[arg-type]

    def _publish(self, publication: Publication, taken: Callable[[], None]) -> None:
        self.said.append(publication)
        if self.broker_takes:
            taken()

    def hear(self, rev: int, values: Tables, **changes: Any) -> None:  # noqa: ANN401 - of the document
        """A configuration arrives."""
        self.it.hear(arriving(desired(rev, values, **changes)))

    @property
    def report(self) -> dict[str, Any]:
        """The last report, proved valid."""
        found: dict[str, Any] = json.loads(self.said[-1].payload)
        assert "Reported" == check(found)
        return found

    def due(self, *, ready: bool = True, quiet: bool = True, after_s: float = 0.0) -> bool:
        """The supervisor looks."""
        self.clock.t += after_s
        return self.it.due(ready=ready, quiet=quiet)


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path)


def trial(directory: Path, values: Tables = DAY) -> Kit:
    """A kit that runs with revision 5 on trial."""
    Kit(directory).hear(5, values)
    return Kit(directory)


def test_nothing_wanted_nothing_due(kit: Kit) -> None:
    """A kit without a word from the city goes on for ever."""
    kit.it.greet()

    assert not kit.due(after_s=1e6)
    assert ("applied", 0) == (kit.report["state"], kit.report["rev"])
    assert set() == kit.alarms.raised


def test_what_is_taken_waits_for_a_quiet_moment(kit: Kit) -> None:
    """While an event or a clip is under way the agent goes on."""
    kit.hear(5, DAY)

    assert ("pending", 5, 0) == (kit.report["state"], kit.report["seen"], kit.report["rev"])
    assert not kit.due(quiet=False)
    assert not kit.due(quiet=False, after_s=QUIET_WAIT_S - 1)
    assert kit.due(quiet=True)


def test_the_wait_is_bounded(kit: Kit) -> None:
    """A stairwell that is never quiet gets its mask all the same."""
    kit.hear(5, DAY)

    assert not kit.due(quiet=False)
    assert kit.due(quiet=False, after_s=QUIET_WAIT_S)


def test_a_broken_file_is_waited_for(tmp_path: Path) -> None:
    """Somebody is editing it: an agent that ended now would not start again."""
    file = tmp_path / "agent.toml"
    file.write_text("[capture]\nfps = 5\n", encoding="utf-8")
    kit = Kit(tmp_path, file=file)
    kit.hear(5, DAY)
    file.write_text("[capture]\nfps = fi", encoding="utf-8")

    assert not kit.due()
    assert not kit.due(after_s=60)
    file.write_text("[capture]\nfps = 6\n", encoding="utf-8")
    assert kit.due(after_s=60)


def test_a_revision_proves_itself(tmp_path: Path) -> None:
    """By a time of work, and a report that the broker took."""
    kit = trial(tmp_path)
    kit.it.greet()
    assert ("pending", 5, 24.0) == (
        kit.report["state"],
        kit.report["rev"],
        kit.report["values"]["clips"]["retention_h"],
    )
    assert not kit.due(ready=False, after_s=HEALTHY_S)
    assert not kit.due()
    assert not kit.due(after_s=HEALTHY_S - 1)
    assert "pending" == kit.report["state"]

    assert not kit.due(after_s=1)
    assert ("applied", 5) == (kit.report["state"], kit.report["rev"])
    assert 5 == Revisions(tmp_path).good.rev


def test_a_patient_camera_needs_a_longer_proof(tmp_path: Path) -> None:
    """It must have had the time to be found hanging."""
    kit = trial(tmp_path, {"capture": {"stall_after_s": 100}})
    kit.it.greet()
    assert not kit.due()
    assert not kit.due(after_s=399)
    assert "pending" == kit.report["state"]
    assert not kit.due(after_s=1)
    assert "applied" == kit.report["state"]


@pytest.mark.parametrize("greeted", [False, True])
def test_one_with_which_nobody_can_be_reached_is_rolled_back(tmp_path: Path, *, greeted: bool) -> None:
    """No connection, or a broker that refuses what the kit says at its place: back to the last good."""
    kit = trial(tmp_path)
    kit.broker_takes = False
    if greeted:
        kit.it.greet()
    assert not kit.due()
    assert not kit.due(after_s=CONNECT_S - 1)

    assert kit.due(quiet=False, after_s=1)
    again = Kit(tmp_path)
    again.it.greet()
    assert ("rolled-back", 5, 0) == (again.report["state"], again.report["seen"], again.report["rev"])
    assert "within 15 minutes" in again.report["detail"]
    assert {"config.rolled_back"} == again.alarms.raised


def test_one_that_was_rolled_back_is_not_tried_again(tmp_path: Path) -> None:
    """The broker delivers it with each connection; a higher one is."""
    kit = trial(tmp_path)
    kit.revisions.roll_back(kit.terms.running, "…")
    kit = Kit(tmp_path)
    said = len(kit.said)
    kit.hear(5, DAY)
    assert not kit.due(after_s=1e6)
    assert said == len(kit.said)

    kit.hear(6, DAY)
    assert kit.due()
    assert set() == kit.alarms.raised


def test_the_same_one_again_is_no_news(tmp_path: Path) -> None:
    """Neither when it is in force nor while it waits or is on trial."""
    kit = trial(tmp_path)
    kit.it.greet()
    kit.hear(5, DAY)
    kit.due()
    kit.due(after_s=HEALTHY_S)
    said = len(kit.said)
    kit.hear(5, DAY, nonce="BBBBBBBBBBBBBBBBBBBBBB")

    assert said == len(kit.said)
    assert not kit.due(after_s=1e6)


def test_an_empty_message_takes_nothing_back(tmp_path: Path) -> None:
    """Who clears what the broker retains has not said anything."""
    kit = trial(tmp_path)
    said = len(kit.said)
    kit.it.hear(arriving(b""))

    assert said == len(kit.said)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"loitering": {"zones": ["hall"]}}, "loitering.zones"),
        ({"site": {"city": "city"}}, "site.city"),
        ({"state": {"dir": "/tmp"}}, "state.dir"),  # noqa: S108 - a value that is refused
    ],
)
def test_what_does_not_fit_is_refused_with_its_key(kit: Kit, values: Tables, key: str) -> None:
    """Wrong together with the kit's own file, a place that is none, not allowed."""
    kit.hear(5, {**DAY, **values})

    report = kit.report
    assert ("refused", "wrong-keys", 5) == (report["state"], report["why"], report["seen"])
    assert [key] == [wrong["key"] for wrong in report["errors"]]
    assert {"config.refused"} == kit.alarms.raised
    assert not kit.due(after_s=1e6)


def test_a_report_stays_small(kit: Kit) -> None:
    """A thousand wrong keys, and names without end: the report tells the first."""
    kit.hear(5, {"clips": {f"{number:04d}" + "x" * 40: 1 for number in range(1000)}})

    assert 32 == len(kit.report["errors"])
    assert len(kit.said[-1].payload) < 16_384


def test_what_nobody_signed_is_answered_a_few_times(kit: Kit) -> None:
    """A flood is passed over: it must not wear the card out with alarms."""
    for number in range(100):
        kit.hear(number + 1, DAY, key=STRANGER)
        kit.it.hear(arriving(b"%d" % number))
    assert 5 >= len(kit.said) > 0
    assert "refused" == kit.report["state"]
    assert [] == kit.account.lines

    kit.hear(1, DAY)
    assert "pending" == kit.report["state"]
    assert ["accepted"] == [line.status for line in kit.account.lines]


def test_a_refused_one_is_accounted_for_once(kit: Kit) -> None:
    """However often the broker delivers it."""
    for _ in range(3):
        kit.hear(5, {"clips": {"seal": "none"}})

    assert [("rejected", "wrong-keys")] == [(line.status, line.code) for line in kit.account.lines]
    assert 1 == len(kit.said)


def test_one_that_was_refused_is_taken_once_it_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent was updated, or the file was mended: the very same document is judged anew."""

    def unfit(*_: object) -> None:
        raise ConfigError("not by this agent", fix="…")

    kit = Kit(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(reconfiguration, "fitted", unfit)
        kit.hear(5, DAY)
    assert ("refused", "unusable") == (kit.report["state"], kit.report["why"])

    kit = Kit(tmp_path)
    kit.hear(5, DAY)
    assert "pending" == kit.report["state"]


def test_a_disk_that_refuses_is_said_and_tried_again(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is half taken; the next delivery tries again."""

    def refuse(*_: object) -> None:
        raise StorageError("the disk is full", fix="…")

    with monkeypatch.context() as patch:
        patch.setattr(kit.revisions, "_write", refuse)
        kit.hear(5, DAY)
        assert ("refused", "not-stored") == (kit.report["state"], kit.report["why"])
        assert not kit.due(after_s=1e6)

    kit.hear(5, DAY)
    assert "pending" == kit.report["state"]


def test_a_proof_that_cannot_be_kept_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On trial until it is on disk."""
    kit = trial(tmp_path)
    kit.it.greet()
    kit.due()

    def refuse(*_: object) -> None:
        raise StorageError("the disk is full", fix="…")

    with monkeypatch.context() as patch:
        patch.setattr(kit.revisions, "_write", refuse)
        assert not kit.due(after_s=HEALTHY_S)
    assert not kit.due(after_s=1)
    assert "pending" == kit.report["state"]
    assert not kit.due(after_s=5)
    assert "applied" == kit.report["state"]


def test_one_that_fits_no_more_is_said(tmp_path: Path) -> None:
    """It was good, and the kit's own file has changed: the file counts, and the report tells why."""
    kit = trial(tmp_path)
    kit.revisions.prove(kit.terms.running)
    own = Terms.own(kit.terms.settings)
    misfit = ConfigError("…", fix="…", keys={"loitering.zones": "'hall': no such zone"})
    kit = Kit(tmp_path, misfit=misfit)
    kit.terms = replace(kit.terms, running=own.running)
    kit.it = Reconfiguration(kit.terms, TOPICS, kit.clock, kit.account, kit.alarms, kit._publish)  # type: ignore[arg-type]
    kit.it.greet()
    kit.hear(5, DAY)

    assert ("refused", 5, 0) == (kit.report["state"], kit.report["seen"], kit.report["rev"])
    assert "loitering.zones" == kit.report["errors"][0]["key"]
    assert not kit.due(after_s=1e6)


def test_a_damaged_file_is_an_alarm(tmp_path: Path) -> None:
    """Until the next start."""
    trial(tmp_path)
    (tmp_path / STATE).write_bytes(b"damaged")

    assert {"config.corrupt"} == Kit(tmp_path).alarms.raised
    assert set() == Kit(tmp_path).alarms.raised
