"""Certificates that are renewed while the agent runs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from broker import Broker, tls_listener, wait_for
from test_backbone_link import KIT, Rig

from agent.backbone import papers as papers_module
from agent.backbone.causes import Cause
from agent.backbone.link import Connected, Disconnected
from agent.backbone.papers import Papers
from agent.config import Backbone
from agent.errors import ConfigError
from pki import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def installed(authority: Authority, directory: Path) -> Backbone:
    """The settings of a kit whose certificate and key lie in `directory`."""
    put(*authority.issue(KIT), directory)
    return Backbone(
        host="localhost",
        ca_file=authority.ca,
        cert_file=directory / "kit.pem",
        key_file=directory / "kit.key",
    )


def put(certificate: Path | None, key: Path | None, directory: Path) -> None:
    """Install them as a renewal does: written beside, then put in place."""
    for source, name in ((certificate, "kit.pem"), (key, "kit.key")):
        if source is not None:
            shutil.copy(source, directory / "new")
            (directory / "new").rename(directory / name)


def test_files_that_did_not_change_are_not_loaded_again(authority: Authority, tmp_path: Path) -> None:
    """Looking costs three stats."""
    papers = Papers(installed(authority, tmp_path))
    assert papers.load() is not None
    assert papers.renewed() is None
    assert not any(papers.due(now) for now in (0.0, 1000.0, 2000.0))


def test_a_renewed_pair_is_loaded_once(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is to be made anew within the spread, and the files are then loaded."""
    papers = Papers(installed(authority, tmp_path))
    papers.load()
    put(*authority.issue(KIT, file="second"), tmp_path)
    monkeypatch.setattr(papers_module, "SPREAD_S", 100.0)
    due = [now for now in range(0, 400, 10) if papers.due(float(now))]
    assert due
    assert due[0] <= 110
    assert papers.renewed() is not None
    assert papers.renewed() is None
    assert not papers.due(1000.0)


def test_half_a_pair_is_left_alone(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate without its key is not taken; once the key is there, both are."""
    papers = Papers(installed(authority, tmp_path))
    papers.load()
    monkeypatch.setattr(papers_module, "SPREAD_S", 0.0)
    certificate, key = authority.issue(KIT, file="second")
    put(certificate, None, tmp_path)
    assert papers.renewed() is None
    assert not papers.due(100.0)
    put(None, key, tmp_path)
    assert papers.due(200.0)
    assert papers.renewed() is not None


def test_files_that_are_of_no_use_at_the_start(authority: Authority, tmp_path: Path) -> None:
    """The file is named."""
    chosen = installed(authority, tmp_path)
    (tmp_path / "kit.key").write_text("no key")
    with pytest.raises(ConfigError, match=r"kit\.key"):
        Papers(chosen).load()


def test_without_tls_there_are_none() -> None:
    """A broker on this very machine."""
    papers = Papers(Backbone(tls=False))
    assert papers.load() is None
    assert papers.renewed() is None
    assert not papers.due(1000.0)


@pytest.fixture
def broker(authority: Authority, tmp_path: Path) -> Iterator[Broker]:
    server = authority.issue("localhost", "localhost")
    made = Broker(tmp_path, listener=tls_listener(authority, server, mutual=True))
    made.start()
    yield made
    made.stop()


@pytest.mark.broker
def test_a_running_link_takes_its_renewed_certificate(
    authority: Authority, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes back with it, soon and by itself."""
    monkeypatch.setattr(papers_module, "LOOK_S", 0.1)
    monkeypatch.setattr(papers_module, "SPREAD_S", 0.2)
    chosen = installed(authority, tmp_path)
    rig = Rig()
    link = rig.link(
        broker.port, tls=True, ca_file=chosen.ca_file, cert_file=chosen.cert_file, key_file=chosen.key_file
    )
    wait_for(lambda: rig.of(Connected), 20)
    before = link._client
    put(*authority.issue(KIT, file="second"), tmp_path)
    wait_for(lambda: len(rig.of(Connected)) == 2, 30)
    assert [Cause.RENEWED] == [loss.cause for loss in rig.of(Disconnected)]
    assert link._client is not before
    assert link.close(10.0)
