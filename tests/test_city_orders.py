"""What the city's register tells kits and broker: signed configurations, the ACL, who is locked out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from broker import wait_for
from commandline import stairwell
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from town import Town

from agent.app import city_acl, city_desired
from agent.backbone import desired
from agent.backbone.link import Received
from agent.backbone.papers import Papers, tls_context
from agent.backbone.signed import Keyring
from agent.city import fleet, issued
from agent.city.kits import State
from agent.config import Backbone
from agent.config_remote import refusals
from agent.device.enrolment import join, renew
from agent.errors import ConfigError
from reference import ACL, ReferenceBroker

if TYPE_CHECKING:
    from pathlib import Path

    from agent.device.wallet import Wallet

pytestmark = pytest.mark.filterwarnings(
    # CPython leaves the socket of a failed TLS handshake to the garbage collector, which warns of it.
    "ignore:Exception ignored.*<ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def signed(town: Town, kits: list[str], over: dict[str, Any] | None = None) -> list[city_desired.Wanted]:
    known = [town.office.registry.kit(kit) for kit in kits]
    return list(city_desired.desired(town.office, known, over or {}, "test", town.clock.now))


def judged(town: Town, wanted: city_desired.Wanted) -> desired.Wanted | desired.Refused:
    """What a kit makes of the message."""
    received = Received(wanted.topic, wanted.payload.encode(), True, None, None)
    keyring = Keyring([town.office.platform_public()])
    return desired.judge(received, wanted.topic, keyring, town.clock.stamp())


def test_kits_take_what_the_city_signs(town: Town) -> None:
    """With the kit's own judgement: signature, target and every key; a higher revision each time."""
    kit = town.kit()
    over = {"clips": {"post_roll_s": 20.0}, "privacy": {"masks": []}}
    first, second = (signed(town, [kit], over) for _ in range(2))
    assert [f"bm/v1/51/odesa/kyivskyi/{kit}/cfg/des"] == [one.topic for one in first]
    taken = [judged(town, one) for one in (*first, *second)]
    for number, one in enumerate(taken, 1):
        assert isinstance(one, desired.Wanted)
        assert number == one.rev
        assert {} == refusals(one.values)
        assert "kyivskyi" == one.values["site"]["district"]
        assert {"retention_h": 72.0, "post_roll_s": 20.0} == one.values["clips"]
    assert ["configured", "configured"] == town.acts(kit)[1:]


def test_a_moved_kit_is_told_at_both_places(town: Town) -> None:
    """Where it listens still and where it will, with one revision; a new card knows its place itself."""
    card = town.card()
    site = town.office.registry.kit(card.kit).site.model_copy(update={"district": "prymorskyi"})
    town.office.registry.change(card.kit, site, "p", 72, "test", town.clock.now)
    messages = signed(town, [card.kit])
    assert [f"bm/v1/51/odesa/{place}/{card.kit}/cfg/des" for place in ("prymorskyi", "kyivskyi")] == [
        one.topic for one in messages
    ]
    taken = [judged(town, one) for one in messages]
    assert taken[0] == taken[1]
    with town.serving():
        join(town.card(card.kit), town.wallet(), town.clock)
    assert () == town.office.registry.kit(card.kit).former


def test_what_may_not_be_set_from_afar(tmp_path: Path) -> None:
    """The city's own tool refuses what each kit would refuse."""
    path = tmp_path / "values.toml"
    for text, said in (
        ('[clips]\nseal = "none"', "clips.seal: may be set on the kit only"),
        ("[clips]\nretention_h = 900", "clips.retention_h"),
        ("retention_h = 9", "retention_h: stands in no section"),
        ("[clips", "no TOML"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=re.escape(said)):
            city_desired.read_values(path)
    path.write_text("[clips]\nretention_h = 24\n")
    assert {"clips": {"retention_h": 24}} == city_desired.read_values(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        city_desired.read_values(tmp_path / "none.toml")


def test_at_the_command_line(town: Town) -> None:
    """All kits that are not gone, a message a line; the ACL has those that are let in."""
    kits = {town.kit() for _ in range(3)}
    gone = kits.pop()
    town.office.registry.move(gone, State.RETIRED, "test", "gone", town.clock.now)
    directory = town.office.directory
    done = stairwell("fleet", "desired", "--city", directory)
    topics = [json.loads(line)["topic"] for line in done.stdout.splitlines()]
    assert kits == {topic.split("/")[5] for topic in topics}
    assert "2 kits, 2 messages\n" == done.stderr
    out = directory / "acl"
    assert 0 == stairwell("fleet", "acl", "--out", out, "--city", directory).returncode
    assert ["user platform"] == [line for line in out.read_text().splitlines() if line.startswith("user ")]


def test_the_acl_says_what_the_reference_says(town: Town) -> None:
    """For each kit that is let in the very lines of the reference, with its place in them."""
    kit = town.kit()
    town.office.registry.move(kit, State.CLAIMED, "test", "x", town.clock.now)
    text = city_acl.acl(town.office.registry.kits())
    reference = ACL.read_text(encoding="utf-8")
    patterns = re.findall(r"^pattern (.*)$", reference, re.MULTILINE)
    own, _, platform = text.partition("\nuser platform\n")
    expected = [line.replace("+/+/+", "51/odesa/kyivskyi").replace("%u", kit) for line in patterns]
    assert sorted(f"topic {line}" for line in expected) == sorted(
        re.findall(r"^topic .*$", own, re.MULTILINE)
    )
    assert re.findall(r"^topic .*$", reference, re.MULTILINE) == platform.splitlines()


class CityKeys:
    """The town's authority, as the reference broker wants one."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.directory = town.directory / "keys"
        self.ca = town.office.directory / "root.pem"

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """See Authority."""
        return self.town.office.issue(name, hosts, self.directory, "test", self.town.clock.now)

    def crl(self) -> Path:
        """See Authority."""
        return self.town.office.directory / "crl.pem"


def settings(wallet: Wallet) -> Backbone:
    """How a kit with these papers is set up."""
    papers = wallet.directory / "kit"
    return Backbone(
        ca_file=papers / "ca.pem",
        cert_file=papers / "kit.pem",
        key_file=papers / "kit.key",
    )


def let_in(broker: ReferenceBroker, wallet: Wallet, kit: str, *topics: str) -> list[int] | None:
    """The broker's reason codes for what the kit says on `topics`; None when it is not let in at all."""
    codes: dict[int, int] = {}
    accepted: list[object] = []
    lost: list[object] = []
    client = Client(CallbackAPIVersion.VERSION2, kit, protocol=MQTTProtocolVersion.MQTTv5)
    client.tls_set_context(tls_context(settings(wallet)))
    client.on_connect = lambda *_: accepted.append(True)
    client.on_disconnect = lambda *_: lost.append(True)
    client.on_publish = lambda _c, _d, mid, reason, _p: codes.update({mid: reason.value})
    try:
        client.connect("localhost", broker.port)
    except OSError:
        return None
    client.loop_start()
    try:
        wait_for(lambda: accepted or lost, 30)
        if lost:
            return None
        said = [client.publish(topic, b"{}", 1).mid for topic in topics]
        wait_for(lambda: len(codes) == len(said), 30)
        return [codes[mid] for mid in said]
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.broker
def test_the_reference_broker_takes_enrolled_kits(town: Town, tmp_path: Path) -> None:
    """Mosquitto with the city's files lets an enrolled kit speak at its place, and a revoked one no more."""
    card, wallet = town.card(), town.wallet()
    with town.serving():
        join(card, wallet, town.clock)
        papers = Papers(settings(wallet))
        papers.load()
        renew(card.kit, card.url, wallet, town.clock, force=True)
    # The running link sees through the kit's link that its papers are others.
    assert papers.renewed() is not None
    acl = tmp_path / "acl"
    acl.write_text(city_acl.acl(town.office.registry.kits()))
    acl.chmod(0o600)
    broker = ReferenceBroker(tmp_path, CityKeys(town))  # type: ignore[arg-type]
    config = tmp_path / "mosquitto.conf"
    config.write_text(config.read_text().replace(f"acl_file {ACL}", f"acl_file {acl}"))
    broker.start()
    here, elsewhere = (f"bm/v1/51/odesa/{place}/{card.kit}/st" for place in ("kyivskyi", "prymorskyi"))
    try:
        # 0x10: nobody listens; 0x87: not authorised.
        assert [0x10, 0x87] == let_in(broker, wallet, card.kit, here, elsewhere)
        fleet.lock_out(
            *(town.office, card.kit, State.QUARANTINED, issued.COMPROMISED),
            *("test", "stolen", town.clock.now),
        )
        broker.stop()
        broker.start()
        assert None is let_in(broker, wallet, card.kit, here)
    finally:
        broker.stop()
