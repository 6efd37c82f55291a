"""The whole agent obeys: real broker, real signatures, real uploads, and nothing else is disturbed."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from app_parts import KIT, check, settings
from broker import Broker, Listener, wait_for
from clips_keys import RECIPIENTS
from clips_store import make_store
from orders import CLIP, PLATFORM, PLATFORM_KEY, STRANGER, req
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from uploads import Step, Uploads

from agent.app import tries
from agent.app.live import Agent
from agent.app.reporter import topics
from agent.app.schemas import DATABASE, SCHEMAS
from agent.backbone.contract.schema import parse
from agent.backbone.orders import ORDERS
from agent.backbone.signed import Kind, sign
from agent.clips import store
from agent.database import Database
from agent.device.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.types import ClipRecord

pytestmark = [pytest.mark.broker, pytest.mark.slow]

CLOCK = SystemClock()
BLACK = {"name": "door", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}


def soon() -> str:
    """An end that is some minutes ahead."""
    later = CLOCK.stamp(CLOCK.mono() + 300).ts
    assert later is not None
    return later


class Kit:
    """An agent in threads of this process, with one sealed clip, and whoever commands it."""

    def __init__(self, state: Path, port: int, **sections: dict[str, Any]) -> None:
        self.state = state
        self.settings = settings(
            state,
            **{
                "capture": {"source": "synthetic:?width=64&height=48", "loop": True},
                "clips": {"seal": "age", "recipients": list(RECIPIENTS), "reserve_mb": 0},
                "backbone": {"port": port, "platform_keys": [PLATFORM_KEY], "will_delay_s": 0},
                "privacy": {"masks": [BLACK]},
                **sections,
            },
        )
        self.topics = topics(self.settings)
        self.stop = threading.Event()
        self.error: Exception | None = None
        self.agent = Agent(self.settings, CLOCK)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop it."""
        self.stop.set()
        self.join()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert self.error is None

    def _run(self) -> None:
        try:
            self.agent.run(self.stop)
        except Exception as error:  # noqa: BLE001 - handed to the test
            self.error = error


class Desk:
    """Gives orders over the broker and reads the answers."""

    def __init__(self, listener: Listener, kit: Kit) -> None:
        self.listener = listener
        self.topics = kit.topics

    def give(self, name: str, args: dict[str, Any] | None = None, **changes: Any) -> str:  # noqa: ANN401
        """Publish an order; its `req`."""
        number = req()
        group = changes.pop("group", False)
        topic = self.topics.group_cmd(name) if group else self.topics.cmd(name)
        key = changes.pop("key", PLATFORM)
        fields = {"v": 1, "cmd": name, "args": args or {}, "req": number, "by": "desk", "exp": soon()}
        fields["target"] = topic
        order = sign(Kind.COMMAND, {**fields, **changes}, key) if key else {**fields, **changes}
        parse("cmd", json.dumps(order).encode())
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = self.topics.res("desk")
        properties.CorrelationData = number.encode()
        if group:
            del properties.ResponseTopic
        self.listener.client.publish(topic, json.dumps(order), 1, properties=properties).wait_for_publish(5)
        return str(order["req"])

    def answers(self, number: str) -> list[dict[str, Any]]:
        """What was answered so far to one request, each valid, in order."""
        found = []
        for heard in list(self.listener.heard):
            if "/res/" in heard.topic and heard.properties.CorrelationData == number.encode():
                parse("res", heard.payload)
                found.append(json.loads(heard.payload))
        return found

    def last(self, number: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """The answer that ends a request."""

        def end() -> dict[str, Any] | None:
            answers = [a for a in self.answers(number) if a["status"] not in {"accepted", "progress"}]
            return answers[-1] if answers else None

        wait_for(end, timeout_s)
        found = end()
        assert found is not None
        return found

    def ask(self, name: str, args: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        """Give an order and wait for its end."""
        return self.last(self.give(name, args, **changes))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    one = Broker(tmp_path_factory.mktemp("broker"))
    one.start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def listener(broker: Broker) -> Iterator[Listener]:
    one = Listener(broker.port)
    yield one
    one.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ClipRecord]:
    """A state directory with one clip, as an earlier run left it."""
    state = tmp_path_factory.mktemp("state")
    (state / "clips").mkdir()
    (record,) = make_store(state / "clips", 1)
    record = replace(record, ts=CLOCK.stamp().ts, boot=CLOCK.boot, started=CLOCK.mono())
    database = Database(state / DATABASE, SCHEMAS)
    database.submit(lambda tx: store.finish_clip(tx, record)).result()
    database.close()
    return state, record


@pytest.fixture(scope="module")
def kit(clip: tuple[Path, ClipRecord], broker: Broker, listener: Listener) -> Iterator[Kit]:
    one = Kit(clip[0], broker.port)
    wait_for(lambda: listener.of(one.topics.st), 30)
    wait_for(lambda: one.agent._camera.latest, 30)
    yield one
    one.end()


@pytest.fixture(scope="module")
def desk(listener: Listener, kit: Kit) -> Desk:
    return Desk(listener, kit)


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> Iterator[partial[Uploads]]:
    monkeypatch.setattr(tries, "BACKOFF_MIN_S", 0.01)
    servers: list[Uploads] = []

    def make(*script: Step) -> Uploads:
        servers.append(Uploads(*script))
        return servers[-1]

    yield partial(make)
    for server in servers:
        server.close()


def test_an_update_of_a_kit_that_trusts_no_release(desk: Desk) -> None:
    """Refused by the agent itself, before a byte is fetched."""
    args = {"url": "https://127.0.0.1:1/release", "sha256": "0" * 64, "version": "1.0"}
    answer = desk.ask("update", args)
    assert ("failed", "no-release-key") == (answer["status"], answer["code"])
    plain = desk.ask("update", {**args, "url": "http://127.0.0.1:1/release"})
    assert ("rejected", "bad-arguments") == (plain["status"], plain["code"])


def test_birth_names_the_commands(kit: Kit, listener: Listener) -> None:
    """A platform sees what it may ask of this version."""
    birth = json.loads(listener.of(kit.topics.st)[0].payload)
    assert "Birth" == check(birth)
    assert {f"cmd/{name}" for name in ORDERS} <= set(birth["caps"])


def test_it_echoes(desk: Desk) -> None:
    """The way there and back, unsigned."""
    answer = desk.ask("echo", {"text": "під'їзд"}, key=None)
    assert ("ok", {"text": "під'їзд"}) == (answer["status"], answer["out"])
    assert ["accepted", "ok"] == [a["status"] for a in desk.answers(answer["req"])]


def test_a_picture_of_now(desk: Desk, kit: Kit) -> None:
    """Small, masked, and nowhere on the card."""
    answer = desk.ask("snapshot")
    out = answer["out"]
    image = base64.b64decode(out["jpeg"])
    shown = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_GRAYSCALE)

    assert "ok" == answer["status"]
    assert (len(image), hashlib.sha256(image).hexdigest()) == (out["bytes"], out["sha256"])
    assert (out["height"], out["width"]) == np.asarray(shown).shape == (48, 64)
    assert len(image) <= 20_000
    assert out["age"] < 10
    assert np.asarray(shown)[:, :28].max() < 20 < np.asarray(shown)[:, 36:].mean()
    wal = [path.read_bytes() for path in kit.state.glob("agent.db*")]
    assert not any(out["jpeg"][:60].encode() in data for data in wal)


@pytest.mark.parametrize("key", [None, STRANGER])
def test_it_reveals_nothing_to_whoever_has_the_broker(desk: Desk, key: object) -> None:
    """Without the platform's signature there is one rejection, and no picture."""
    answer = desk.ask("snapshot", key=key)
    assert ("rejected", None) == (answer["status"], answer.get("out"))
    assert [answer] == desk.answers(answer["req"])


def test_clips_are_listed_held_and_released(desk: Desk, clip: tuple[Path, ClipRecord]) -> None:
    """As the index has them; one that is not there is said so."""
    record = clip[1]

    def listed(**args: Any) -> list[tuple[str, bool]]:  # noqa: ANN401
        out = desk.ask("clip/list", args, key=None)["out"]
        return [(one["clip"], one["held"]) for one in out["clips"]]

    assert (record.id, False) in listed(limit=50)
    assert [(record.id, False)] == listed(event=record.events[0])
    assert {"clip": record.id, "held": True} == desk.ask("clip/hold", {"clip": record.id})["out"]
    assert [(record.id, True)] == listed(event=record.events[0])
    assert {"clip": record.id, "held": False} == desk.ask("clip/release", {"clip": record.id})["out"]
    assert [(record.id, False)] == listed(event=record.events[0])
    absent = desk.ask("clip/hold", {"clip": CLIP})
    assert ("failed", "no-such-clip") == (absent["status"], absent["code"])


def test_a_clip_is_uploaded(
    desk: Desk, kit: Kit, listener: Listener, clip: tuple[Path, ClipRecord], uploads: partial[Uploads]
) -> None:
    """Sealed as it lies there, over a link that breaks; told on the way, and on `clip` when it is done."""
    state, record = clip
    server = uploads(Step(None, read=1000), Step(503))
    number = desk.give("clip/upload", {"clip": record.id, "url": server.url})
    answer = desk.last(number, 60)

    assert {"clip": record.id, "bytes": record.bytes, "sha256": record.sha256} == answer["out"]
    assert (state / "clips" / record.path).read_bytes() == server.requests[-1].body
    assert "progress" in {a["status"] for a in desk.answers(number)}
    said = partial(filter, lambda m: m["state"] == "uploaded")
    wait_for(lambda: list(said(json.loads(m.payload) for m in listener.of(kit.topics.clip))))
    (message,) = said(json.loads(m.payload) for m in listener.of(kit.topics.clip))
    assert "ClipUploaded" == check(message)
    assert (record.id, number, "127.0.0.1", record.sha256) == tuple(
        message[name] for name in ("clip", "req", "host", "sha256")
    )


def test_an_upload_that_fails_says_why(
    desk: Desk, clip: tuple[Path, ClipRecord], uploads: partial[Uploads]
) -> None:
    """Nobody takes it, or there is no such clip; the address is not repeated."""
    server = uploads(Step(403))
    refused = desk.ask("clip/upload", {"clip": clip[1].id, "url": server.url})
    absent = desk.ask("clip/upload", {"clip": CLIP, "url": server.url})
    assert ("failed", "http-403") == (refused["status"], refused["code"])
    assert "X-Signature" not in json.dumps(refused)
    assert ("failed", "no-such-clip") == (absent["status"], absent["code"])
    assert 1 == len(server.requests)


def test_an_altered_clip_does_not_leave(
    desk: Desk, clip: tuple[Path, ClipRecord], uploads: partial[Uploads]
) -> None:
    """What is not what was recorded would be taken for it."""
    state, record = clip
    path = state / "clips" / record.path
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    server = uploads()
    answer = desk.ask("clip/upload", {"clip": record.id, "url": server.url})
    path.write_bytes(whole)
    assert ("failed", "altered", []) == (answer["status"], answer["code"], server.requests)


def test_the_birth_is_said_again(desk: Desk, kit: Kit, listener: Listener) -> None:
    """For a platform that lost what it knew."""
    before = len(listener.of(kit.topics.st))
    assert "ok" == desk.ask("rebirth", key=None)["status"]
    wait_for(lambda: len(listener.of(kit.topics.st)) > before)


def test_messages_are_sent_again(desk: Desk, kit: Kit, listener: Listener) -> None:
    """Those that are kept, with the numbers that they had."""
    wait_for(lambda: kit.agent._courier.numbers and kit.agent._courier.numbers.seq_next > 1)
    wait_for(lambda: kit.agent._courier.numbers and kit.agent._courier.numbers.waiting == 0, 30)

    def first() -> int:
        return sum(json.loads(m.payload).get("seq") == 1 for m in listener.heard if m.payload[:1] == b"{")

    before = first()
    answer = desk.ask("resend", {"from": 1, "to": 1})
    assert {"due": 1, "waiting": 0, "gone": 0} == answer["out"]
    wait_for(lambda: first() == before + 1)
    beyond = desk.ask("resend", {"from": 100_000, "to": 2**53 - 1})
    assert {"due": 0, "waiting": 0, "gone": 0} == beyond["out"]
    assert "empty-range" == desk.ask("resend", {"from": 2, "to": 1})["code"]


def test_the_doctor_is_asked(desk: Desk) -> None:
    """What is well by its code, what is not with its fix in both languages, and the agent's own figures."""
    answer = desk.ask("diagnose")
    out = answer["out"]
    assert "ok" == answer["status"]
    assert KIT == out["status"]["kit"]
    assert out["status"]["camera"]["frames"] > 0
    assert out["well"]
    for found in out["checks"]:
        assert found["status"] in {"warn", "fail", "skip"}
        assert {"uk", "en"} == set(found["text"])


def test_settings_are_told_without_secrets(desk: Desk) -> None:
    """What is in force, by section."""
    told = desk.ask("config/get")["out"]["settings"]
    assert (KIT, "door", [PLATFORM_KEY]) == (
        told["kit"]["id"],
        told["privacy"]["masks"][0]["name"],
        told["backbone"]["platform_keys"],
    )


def test_it_shows_itself(desk: Desk, kit: Kit, tmp_path: Path) -> None:
    """By its LED, for as long as asked; where there is none a technician looks for the label."""
    kit.agent._control._leds = tmp_path
    absent = desk.ask("identify", {"seconds": 1}, key=None)
    assert ("failed", "refused") == (absent["status"], absent["code"])
    (tmp_path / "ACT").mkdir()
    for file, text in (("trigger", "[mmc0]"), ("brightness", "0")):
        (tmp_path / "ACT" / file).write_text(text)
    assert {"led": "ACT"} == desk.ask("identify", {"seconds": 1}, key=None)["out"]
    assert "mmc0" == (tmp_path / "ACT" / "trigger").read_text()


def test_a_picture_of_long_ago_is_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for now must not take an old one for it."""
    monkeypatch.setattr("agent.app.control.FRESH_S", -1.0)
    answer = desk.ask("snapshot")
    assert ("failed", "no-picture") == (answer["status"], answer["code"])


def test_an_order_for_the_district_is_obeyed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered on the kit's own topic, for a response topic would be one for all."""
    monkeypatch.setattr("agent.backbone.commands.GROUP_S", 0.5)
    assert "ok" == desk.ask("echo", group=True)["status"]


def test_a_reboot_is_asked_for(desk: Desk, kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whoever may; where nobody is there who could, that is the answer."""
    nobody = desk.ask("reboot")
    assert ("failed", "refused") == (nobody["status"], nobody["code"])
    asked = threading.Event()
    monkeypatch.setattr(kit.agent._control, "_reboot", asked.set)
    number = desk.give("reboot")
    assert asked.wait(10)
    wait_for(lambda: desk.answers(number))
    assert ["accepted"] == [a["status"] for a in desk.answers(number)]


def test_a_restart_ends_the_process_and_the_next_one_answers(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    """In order, with a word on `st`; the order is not obeyed twice."""
    kit = Kit(tmp_path, broker.port, kit={"id": "restart00k"})
    desk = Desk(listener, kit)
    wait_for(lambda: listener.of(kit.topics.st), 30)
    number = desk.give("restart")
    kit.join()
    wait_for(lambda: json.loads(listener.of(kit.topics.st)[-1].payload)["state"] == "stopped")
    stopped = json.loads(listener.of(kit.topics.st)[-1].payload)
    assert ("restart", ["accepted"]) == (stopped["why"], [a["status"] for a in desk.answers(number)])

    again = Kit(tmp_path, broker.port, kit={"id": kit.settings.kit.id})
    assert "ok" == desk.last(number)["status"]
    again.end()
