"""A platform that was built from the AsyncAPI document alone, against the agent's own outbox and courier."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from backbone_samples import KIT, TOPICS, cleared, clip, erased, event, raised, snapshot, stat
from broker import Broker, wait_for
from outsiders import command, environment
from test_backbone_courier import CLOCK, Kit

from agent.backbone import link as link_module
from agent.backbone import wire as wire_module
from agent.backbone.contract.example import EXAMPLES
from agent.backbone.contract.published import files
from agent.backbone.drafts import HEADER, heartbeat
from agent.backbone.presence import Heartbeat
from agent.backbone.publication import Publication
from agent.types import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.backbone.drafts import Draft

pytestmark = pytest.mark.broker

PATIENCE_S = 60.0


class Platform:
    """The outsider's program."""

    def __init__(self, directory: Path, port: int) -> None:
        document = directory / "asyncapi.yaml"
        document.write_text(files()["asyncapi.yaml"], encoding="utf-8")
        self._store = directory / "store.jsonl"
        self._process = subprocess.Popen(
            command("platform.cjs", document, f"mqtt://127.0.0.1:{port}", self._store),
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def stored(self) -> list[dict[str, Any]]:
        """What is safe on its disk, in the order of arrival."""
        return [json.loads(line) for line in self._store.read_text(encoding="utf-8").split("\n")[:-1]]

    def says(self, word: str) -> None:
        """Wait until it prints this."""
        assert self._process.stdout is not None
        while (line := self._process.stdout.readline()) != f"{word}\n":
            assert line, "the program has ended"

    def end(self) -> dict[str, Any]:
        """Stop it; what it has seen."""
        self._process.terminate()
        said, _ = self._process.communicate(timeout=PATIENCE_S)
        seen: dict[str, Any] = json.loads(said.splitlines()[-1])
        return seen

    def kill(self) -> None:
        """End it, if it was not ended."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def platform(tmp_path: Path, broker: Broker) -> Iterator[Platform]:
    made = Platform(tmp_path, broker.port)
    try:
        made.says("listening")
        yield made
    finally:
        made.kill()


@pytest.fixture
def kit(tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    """A kit that counts on the platform's word, and asks for it often."""
    monkeypatch.setattr(link_module, "BACKOFF_MIN_S", 0.05)
    monkeypatch.setattr(link_module, "BACKOFF_MAX_S", 0.2)
    monkeypatch.setattr(wire_module, "UNHEARD_RETRY_S", 0.2)
    monkeypatch.setattr(wire_module, "RESEND_MIN_S", 0.2)
    monkeypatch.setattr(wire_module, "RESEND_NEW_S", 0.2)
    monkeypatch.setattr(wire_module, "RESEND_MAX_S", 0.2)
    made = Kit(tmp_path / "agent.db", broker.port, delivery="watermark")
    yield made
    if not made.closed:
        made.close(timeout_s=0.5)


def day(first: int) -> list[Draft]:
    """One of everything that goes through the outbox, and more events."""
    visits = [event(first + n, phase) for n in range(8) for phase in (Phase.NEW, Phase.UPDATE, Phase.END)]
    return [*visits, raised(), snapshot(first), clip(first), erased(first), stat(), cleared()]


def open_stream(kit: Kit) -> str:
    return kit.database.submit(kit.outbox.open_stream).result()


def test_every_row_leaves_by_the_watermark_of_an_outsider(
    kit: Kit, broker: Broker, platform: Platform
) -> None:
    """Repeated, interrupted and with a gap: each number is stored once and whole or excused, then forgotten.

    The kit repeats what is not acknowledged within 0.2 s, the platform acknowledges once a second, and the
    broker is killed meanwhile; one row is said again on purpose. What breaks the contract is noticed.
    """
    sent = {kit.append(message): message for message in day(0)}
    dropped = [3, 4, 20]
    kit.database.submit(lambda tx: kit.outbox.drop(tx, dropped, "full", CLOCK.stamp())).result()
    kit.courier.start()
    wait_for(lambda: len(platform.stored) > len(sent) / 2, PATIENCE_S)
    broker.kill()
    sent |= {kit.append(message): message for message in day(100)}
    broker.start()
    wait_for(lambda: kit.waiting == 0, PATIENCE_S)
    repeated = sent[1].render(open_stream(kit), 1)
    wait_for(lambda: kit.courier.pass_on(repeated), PATIENCE_S)
    beat = heartbeat(TOPICS, Heartbeat.model_validate(EXAMPLES["hb"]), 30.0)
    wait_for(lambda: kit.courier.pass_on(beat), PATIENCE_S)
    wait_for(lambda: kit.courier.pass_on(Publication(TOPICS.hb, b'{"v":1}', qos=0)), PATIENCE_S)
    assert kit.close()
    platform.says("stopped")
    stored, seen = platform.stored, platform.end()
    [stream] = {row["body"]["stream"] for row in stored}
    numbers = sorted(row["body"]["seq"] for row in stored)

    assert [{"topic": TOPICS.hb, "why": "0 messages of the document fit"}] == seen["refused"]
    assert seen["duplicates"] > 0
    assert [number for number in range(1, numbers[-1] + 1) if number not in dropped] == numbers
    assert [{"stream": stream, "watermark": numbers[-1]}] == seen["watermarks"]
    assert ("stopped", stream) == (seen["presence"][KIT]["state"], seen["presence"][KIT]["stream"])
    for row in stored:
        if row["name"] != "gap":
            made = sent[row["body"]["seq"]].render(stream, row["body"]["seq"])
            assert (made.topic, hashlib.sha256(made.payload).hexdigest()) == (row["topic"], row["sha256"])
            assert json.loads(dict(made.user).get(HEADER) or made.payload) == row["body"]
    [gap] = [row["body"] for row in stored if row["name"] == "gap"]
    assert [[3, 4], [20, 20]] == gap["ranges"]
    assert {
        "st.birth", "st.stopped", "hb", "evt", "snap", "clip.available", "clip.erased", "alm", "alm.cleared",
        "stat", "gap",
    } == seen["names"].keys()  # fmt: skip
