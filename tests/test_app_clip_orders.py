"""Orders about clips, over a real store."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import settings
from kits import EVENT, Kit, name
from uploads import Uploads

from agent.app import clip_orders
from agent.app.clip_orders import ClipOrders
from agent.app.trust import https_context
from agent.backbone.commands import Job
from agent.backbone.orders import ORDERS
from agent.clips import store
from agent.errors import ConfigError, StorageError
from pki import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.backbone.docket import Outcome

REQ = "01KAMZ8B4Z9S7R5QW3E1T2Y6V8"
SEALED = {"seal": "age", "recipients": ["age1rxcvpff33pyg3dpagwskzkjme93gzv6ga332t08zlahkv7msuyxsmwzlxh"]}


class Obeying:
    """A store's kit that obeys."""

    def __init__(self, directory: Path, **clips: Any) -> None:  # noqa: ANN401 - any key
        self.kit = Kit(directory, **{**SEALED, **clips})
        self.stopping = threading.Event()

    def ask(self, order: str, **args: Any) -> Outcome:  # noqa: ANN401 - as the contract says
        """Do it."""
        kit = self.kit
        context = https_context(kit.settings.backbone)
        orders = ClipOrders(kit.settings, kit.journal, kit.reporter, kit.premises, kit.clock, context)
        given = ORDERS[order].args.model_validate(args)
        return orders.executors[order](Job(REQ, given, lambda _: None, self.stopping))


@pytest.fixture
def obeying(tmp_path: Path) -> Iterator[Obeying]:
    made = Obeying(tmp_path)
    yield made
    made.kit.end()


def test_a_long_list_comes_in_pages(obeying: Obeying) -> None:
    """The newest first; each page tells where the next one begins, and the last one does not."""
    for number in range(1, 6):
        obeying.kit.clip(number)
    pages, before = [], {}
    while before is not None:
        out = obeying.ask("clip/list", limit=2, **before).out
        assert out is not None
        assert 5 == out["total"]
        pages.append([clip["clip"] for clip in out["clips"]])
        before = {"before": out["next"]} if "next" in out else None
    assert [[name(5), name(4)], [name(3), name(2)], [name(1)]] == pages
    assert [] == (obeying.ask("clip/list", before=1).out or {})["clips"]


def test_what_is_listed_is_what_the_message_said(obeying: Obeying) -> None:
    """A time that nobody knew is absent."""
    record = obeying.kit.clip(1)
    (listed,) = (obeying.ask("clip/list", event=EVENT).out or {})["clips"]
    assert {
        "clip": record.id,
        "events": [EVENT],
        "dur": round(record.duration, 3),
        "bytes": record.bytes,
        "sha256": record.sha256,
        "part": 1,
        "truncated": False,
        "held": False,
    } == listed


def test_a_held_clip_stays(obeying: Obeying) -> None:
    """Until it is released, whoever else asks for its room."""
    record = obeying.kit.clip(1)
    assert obeying.ask("clip/hold", clip=record.id).ok
    told = json.loads((obeying.kit.directory / f"{record.id}.hold").read_text())
    assert ("city", f"order {REQ}") == (told["by"], told["why"])
    assert [] == obeying.kit.journal.ask(lambda tx: store.mark_garbage(tx, [record.id]))
    assert obeying.ask("clip/release", clip=record.id).ok
    assert [record.id] == obeying.kit.journal.ask(lambda tx: store.mark_garbage(tx, [record.id]))
    assert "no-such-clip" == obeying.ask("clip/release", clip=record.id).code
    assert "no-such-clip" == obeying.ask("clip/hold", clip=record.id).code


def test_footage_leaves_sealed_only(tmp_path: Path) -> None:
    """What a kit of a developer records stays there."""
    obeying = Obeying(tmp_path, seal="none")
    record = obeying.kit.clip(1)
    server = Uploads()
    outcome = obeying.ask("clip/upload", clip=record.id, url=server.url)
    server.close()
    obeying.kit.end()
    assert ("not-sealed", []) == (outcome.code, server.requests)


def test_the_citys_own_authority_is_trusted(obeying: Obeying, tmp_path: Path) -> None:
    """The one that signs its broker may sign its store of evidence; anybody else's may not."""
    authority = Authority(tmp_path / "ca")
    record = obeying.kit.clip(1)
    server = Uploads(certificate=authority.issue("store", "127.0.0.1"))
    stranger = obeying.ask("clip/upload", clip=record.id, url=server.url)
    assert ("certificate", []) == (stranger.code, server.requests)

    backbone = obeying.kit.settings.backbone.model_copy(update={"ca_file": authority.ca})
    obeying.kit.settings = obeying.kit.settings.model_copy(update={"backbone": backbone})
    outcome = obeying.ask("clip/upload", clip=record.id, url=server.url)
    server.close()
    assert outcome.ok
    assert (obeying.kit.directory / record.path).read_bytes() == server.requests[-1].body
    assert ("uploaded", record.id) == obeying.kit.said()[-1]


def test_an_authority_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """At the start, with the key and the file."""
    backbone = settings(tmp_path).backbone.model_copy(update={"ca_file": tmp_path / "absent.pem"})
    with pytest.raises(ConfigError, match=r"backbone.ca_file = .*absent.pem"):
        https_context(backbone)


def test_a_file_that_is_not_there_is_said(obeying: Obeying, tmp_path: Path) -> None:
    """By its name; and nothing of another disk in place of the clips' is sent."""
    record = obeying.kit.clip(1)
    obeying.ask("clip/upload", clip=name(9), url="https://store.example/")
    (obeying.kit.directory / record.path).unlink()
    outcome = obeying.ask("clip/upload", clip=record.id, url="https://store.example/")
    assert ("unreadable", True) == (outcome.code, record.path in (outcome.text or ""))
    obeying.kit.directory.rename(tmp_path / "elsewhere")
    obeying.kit.directory.mkdir()
    with pytest.raises(StorageError):
        obeying.ask("clip/upload", clip=record.id, url="https://store.example/")


def test_a_stop_ends_it_before_it_began(obeying: Obeying, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long file is not read to its end for nothing, and its clip is not called altered."""
    record = obeying.kit.clip(1)
    monkeypatch.setattr(clip_orders, "CHUNK", 1)
    obeying.stopping.set()
    assert "interrupted" == obeying.ask("clip/upload", clip=record.id, url="https://store.example/").code
