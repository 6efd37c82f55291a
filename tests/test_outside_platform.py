"""A platform that was built from the AsyncAPI document alone, against the agent's own outbox and courier."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import settings, toml, visit
from backbone_samples import KIT, TOPICS, cleared, clip, erased, event, raised, snapshot, stat
from broker import Broker, wait_for
from outsiders import command, environment
from test_backbone_courier import CLOCK, Kit

from agent.app.schemas import DATABASE
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


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_stairwell_run_says_what_the_contract_says(
    broker: Broker, platform: Platform, tmp_path: Path
) -> None:
    """The whole agent and a visit, beside `mosquitto_sub -v`: only topics of the document, only its messages.

    Each payload is validated by ajv against the schema that the document gives for its topic.
    """
    chosen = settings(
        tmp_path / "state",
        capture={"source": str(visit(tmp_path / "visit.mp4", seconds=9.0))},
        clips={"seal": "none", "reserve_mb": 0, "pre_roll_s": 1, "post_roll_s": 1},
        backbone={
            "host": "127.0.0.1",
            "port": broker.port,
            "tls": False,
            "heartbeat_s": 1,
            "delivery": "watermark",
        },
    )
    (tmp_path / "agent.toml").write_text(toml(chosen))
    program = shutil.which("mosquitto_sub")
    if program is None:
        pytest.skip("Debian's mosquitto-clients is not installed")
    listen = [program, "-V", "5", "-h", "127.0.0.1", "-p", str(broker.port), "-t", "#", "-v"]
    with (tmp_path / "heard").open("wb") as heard, subprocess.Popen(listen, stdout=heard) as listener:
        try:
            run = [sys.executable, "-m", "agent", "run", "--config", str(tmp_path / "agent.toml")]
            done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
            assert 0 == done.returncode, done.stderr
            platform.says("stopped")
        finally:
            listener.terminate()
    seen, stored = platform.end(), platform.stored
    # A picture may hold anything, also what looks like a line.
    lines = (tmp_path / "heard").read_bytes().split(b"\n")
    topics = {line.split(b" ")[0].decode() for line in lines if line.startswith(TOPICS.base.encode())}

    assert [] == seen["refused"]
    # A slow machine may clear an alarm, too.
    names = seen["names"].keys() - {"alm.cleared"}
    assert {"st.birth", "st.stopped", "hb", "evt", "snap", "clip.available", "alm", "cfg.rep"} == names
    assert {"st", "hb", "evt", "snap", "clip", "alm", "ack", "cfg"} == {
        topic.removeprefix(f"{TOPICS.base}/").split("/")[0] for topic in topics
    }
    [account] = seen["watermarks"]
    with closing(sqlite3.connect(tmp_path / "state" / DATABASE)) as database:
        [(following,)] = database.execute("SELECT next_seq FROM outbox_state")
        waiting = {
            seq for (seq,) in database.execute("SELECT seq FROM outbox WHERE seq > ?", [account["watermark"]])
        }
    numbered = {row["body"]["seq"] for row in stored if "seq" in row["body"]}
    # A slow machine may have had no time left for the last of them; those still wait. None before is missing.
    assert account["watermark"] > 0
    assert numbered == set(range(1, account["watermark"] + 1))
    assert waiting == set(range(account["watermark"] + 1, following))
