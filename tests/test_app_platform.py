"""A platform in miniature, over a real broker, with a real kit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from backbone_samples import KIT, TOPICS, event, snapshot
from broker import Broker, Listener, wait_for
from test_backbone_courier import Kit

from agent.app.platform import Platform
from agent.backbone import link as link_module
from agent.backbone import wire as wire_module
from agent.backbone.consumer import Became, Consumer, Fresh, Outcome
from agent.backbone.publication import Publication
from agent.backbone.standing import Standing
from agent.config import Backbone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def kit(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    """One that waits for the platform's word, and not for long."""
    monkeypatch.setattr(link_module, "BACKOFF_MIN_S", 0.05)
    monkeypatch.setattr(wire_module, "RESEND_MIN_S", 0.3)
    monkeypatch.setattr(wire_module, "RESEND_NEW_S", 0.3)
    monkeypatch.setattr(wire_module, "UNHEARD_RETRY_S", 0.2)
    made = Kit(tmp_path / "agent.db", broker.port, delivery="watermark")
    yield made
    made.close(timeout_s=0.2)


def settings(broker: Broker) -> Backbone:
    return Backbone(host="localhost", port=broker.port, tls=False)


def test_a_kit_forgets_what_the_platform_has_kept(kit: Kit, broker: Broker) -> None:
    """Every message once, whole, and the kit's coming and going beside them."""
    kept: list[Fresh] = []
    notes: list[Outcome] = []
    ear: list[str] = []
    platform = Platform(
        settings(broker), "city", kept.extend, notes.append, ear=lambda topic, _: ear.append(topic)
    )
    platform.start()
    assert platform.listening(10)
    kit.courier.start()
    for number in range(40):
        kit.append(event(number) if number % 4 else snapshot(number))
    wait_for(lambda: kit.waiting == 0)
    wait_for(lambda: kit.courier.pass_on(Publication(TOPICS.hb, b"{}", qos=0)))
    kit.close("update")
    wait_for(lambda: platform.consumer.standing(KIT) is Standing.STOPPED)
    platform.close()

    assert list(range(1, 41)) == sorted(fresh.seq for fresh in kept)
    assert {""} == {fresh.trouble for fresh in kept}
    assert [Standing.ONLINE, Standing.STOPPED] == [n.standing for n in notes if isinstance(n, Became)]
    assert 40 <= sum("/evt/" in topic or "/snap/" in topic for topic in ear)
    assert platform.error is None


def test_what_was_not_kept_is_not_acknowledged(kit: Kit, broker: Broker) -> None:
    """A platform that dies between hearing and keeping costs no message, for the kit keeps it."""

    def fail(batch: list[Fresh]) -> None:
        raise OSError(f"no space for {len(batch)}")

    dying = Platform(settings(broker), "city", fail)
    dying.start()
    assert dying.listening(10)
    kit.courier.start()
    kit.append(event(1))
    wait_for(lambda: not dying.alive)
    kept: list[Fresh] = []
    platform = Platform(settings(broker), "city", kept.extend)
    assert isinstance(dying.error, OSError)
    assert 1 == kit.waiting
    platform.start()
    wait_for(lambda: kit.waiting == 0)
    platform.close()

    assert [1] == sorted({fresh.seq for fresh in kept})


def test_the_broker_gives_again_what_was_not_kept(broker: Broker) -> None:
    """Its own acknowledgement comes after the keeping too: so little is lost with kits that hear no acks."""

    def fail(batch: list[Fresh]) -> None:
        raise OSError(f"no space for {len(batch)}")

    dying = Platform(settings(broker), "city", fail)
    dying.start()
    assert dying.listening(10)
    speaker = Listener(broker.port, "kit", "nothing")
    said = event(1).render("9f2c1a7e", 1)
    speaker.publish(said.topic, said.payload)
    speaker.close()
    wait_for(lambda: not dying.alive)
    kept: list[Fresh] = []
    platform = Platform(settings(broker), "city", kept.extend)
    platform.start()
    wait_for(lambda: kept)
    platform.close()

    assert [1] == [fresh.seq for fresh in kept]


def test_it_comes_back_to_a_broker_that_was_killed(kit: Kit, broker: Broker) -> None:
    """And goes on with what it knows: nothing twice to its owner."""
    kept: list[Fresh] = []
    platform = Platform(settings(broker), "city", kept.extend)
    platform.start()
    kit.courier.start()
    kit.append(event(1))
    wait_for(lambda: kit.waiting == 0)
    broker.kill()
    kit.append(event(2))
    broker.start()
    wait_for(lambda: kit.waiting == 0, 30)
    platform.close()

    assert [1, 2] == [fresh.seq for fresh in kept]


def test_a_silent_platform_acknowledges_nothing(kit: Kit, broker: Broker) -> None:
    """It looks on beside the real one."""
    kept: list[Fresh] = []
    looker = Platform(settings(broker), "looker", kept.extend, consumer=Consumer(), acknowledge=False)
    looker.start()
    assert looker.listening(10)
    ear = Listener(broker.port, "ear", TOPICS.ack)
    kit.courier.start()
    kit.append(event(1))
    wait_for(lambda: kept)
    looker.close()
    ear.close()

    assert (1, []) == (kit.waiting, ear.heard)


def test_it_leaves_without_a_broker(broker: Broker) -> None:
    """Stopping waits for nobody, and who never began ends at once."""
    broker.stop()
    Platform(settings(broker), "idle", lambda _: None).close()
    platform = Platform(settings(broker), "city", lambda _: None)
    platform.start()
    assert not platform.listening(0.1)
    platform.close()

    assert not platform.alive
    assert platform.error is None
