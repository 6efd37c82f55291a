"""The city's broker, as firmware-config/backbone has it: who gets in, what passes, what is kept.

Mosquitto grants subscriptions that it will not serve, so every "may not" is shown by what does not arrive
before something that was sent later.
"""

from __future__ import annotations

import datetime as dt
import os
import pwd
import shutil
import socket
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from backbone_samples import Here
from broker import wait_for
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.backbone import link as link_module
from agent.backbone.causes import Cause
from agent.backbone.envelope import PAYLOAD_MAX
from agent.backbone.link import Connected, Disconnected, Link, LinkEvent
from agent.backbone.papers import tls_context
from agent.backbone.topics import Topics
from pki import DAY, Authority
from reference import ACL, CONF, PLACE, PLATFORM, ReferenceBroker, placed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.config import Backbone

pytestmark = [
    pytest.mark.broker,
    # CPython leaves the socket of a failed TLS handshake to the garbage collector, which warns of it.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored.*<ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
    ),
]

A, B = "k7f3k2qx4m", "0000000000"
HERE = Topics("51", "odesa", "kyivskyi", A)
THERE = Topics("51", "odesa", "kyivskyi", B)
GROUP = "bm/v1/51/odesa/kyivskyi/_all/cmd/echo"
UP = ("st", "hb", "evt/person", "snap/e", "clip", "stat", "alm/a.b", "gap", "cfg/rep", "res/desk")
DOWN = ("cmd/echo", "cmd/clip/list", "cfg/des", "ack")
NOT_AUTHORISED, FIRST_REFUSAL = 0x87, 0x80
END = "bm/v1/51/odesa/kyivskyi/{}/evt/sentinel"


class Member:
    """A client that does as it likes, with the certificate of `name`; connected when made."""

    def __init__(
        self,
        broker: ReferenceBroker,
        name: str,
        *,
        client_id: str | None = None,
        will: str | None = None,
        clean: bool = True,
        keepalive_s: int = 30,
    ) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.answers: dict[int, int] = {}
        self.granted: list[int] = []
        self.accepted: Any = None
        self.lost = False
        self.client = Client(
            CallbackAPIVersion.VERSION2, client_id or name, protocol=MQTTProtocolVersion.MQTTv5
        )
        self.client.tls_set_context(tls_context(broker.settings(name)))
        self.client.max_inflight_messages_set(20)
        self.client.on_connect = lambda _c, _d, _f, _r, found: setattr(self, "accepted", found)
        self.client.on_disconnect = lambda *_: setattr(self, "lost", True)
        self.client.on_publish = lambda _c, _d, mid, reason, _p: self.answers.update({mid: reason.value})
        self.client.on_subscribe = lambda _c, _d, _m, reasons, _p: self.granted.extend(
            reason.value for reason in reasons
        )
        self.client.on_message = lambda _c, _d, m: self.heard.append((m.topic, bytes(m.payload), m.retain))
        if will is not None:
            self.client.will_set(will, b"gone", 1, retain=True)
        properties: Any = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0 if clean else 3600
        self.client.connect("localhost", broker.port, keepalive_s, clean_start=clean, properties=properties)
        self.client.loop_start()
        wait_for(lambda: self.accepted is not None)

    def say(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> int:
        """Publish (QoS 1); the broker's reason code."""
        mid = self.client.publish(topic, payload, 1, retain).mid
        wait_for(lambda: mid in self.answers)
        return self.answers[mid]

    def listen(self, *topics: str) -> list[int]:
        """Subscribe; the broker's answers."""
        self.granted.clear()
        self.client.subscribe([(topic, 1) for topic in topics])
        wait_for(lambda: len(self.granted) == len(topics))
        return list(self.granted)

    def hears(self, topic: str) -> list[str]:
        """What was heard before `topic`, which is waited for."""
        wait_for(lambda: topic in [heard for heard, _, _ in self.heard])
        names = [heard for heard, _, _ in self.heard]
        return names[: names.index(topic)]

    def drop(self) -> None:
        """Be gone without a word, as a kit without power."""
        self.client.loop_stop()
        connection = self.client.socket()
        assert connection is not None
        connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Leave."""
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ReferenceBroker]:
    made = ReferenceBroker(tmp_path, Authority(tmp_path / "pki"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def members(broker: ReferenceBroker) -> Iterator[Any]:
    made: list[Member] = []

    def member(name: str, **options: Any) -> Member:  # noqa: ANN401
        made.append(Member(broker, name, **options))
        return made[-1]

    yield member
    for one in made:
        one.close()


@pytest.fixture
def platform(members: Any) -> Member:  # noqa: ANN401
    made: Member = members(PLATFORM)
    made.listen("bm/#")
    return made


def test_kit_says_all_of_its_own(members: Any, platform: Member) -> None:  # noqa: ANN401
    """Each leaf of the contract passes, acknowledged and delivered."""
    kit = members(A)
    codes = [kit.say(f"{HERE.base}/{leaf}") for leaf in UP]
    wait_for(lambda: len(platform.heard) == len(UP))

    assert [0] * len(UP) == codes
    assert [f"{HERE.base}/{leaf}" for leaf in UP] == [topic for topic, _, _ in platform.heard]


FORBIDDEN = (
    *(f"{THERE.base}/{leaf}" for leaf in (*UP, *DOWN)),
    *(f"{HERE.base}/{leaf}" for leaf in (*DOWN, "evt", "evt/person/more", "other", "cfg/rep/more")),
    GROUP,
    f"bm/v2/51/odesa/kyivskyi/{A}/st",
    f"bm/v1/51/odesa/{A}/st",
    "bm/v1",
    "anything",
)


def test_kit_cannot_speak_as_another(members: Any, platform: Member) -> None:  # noqa: ANN401
    """Not as another kit, not as the platform, not beside the contract: refused, and nobody hears it."""
    kit = members(A)
    codes = {topic: kit.say(topic, b"forged", retain=True) for topic in FORBIDDEN}

    assert dict.fromkeys(FORBIDDEN, NOT_AUTHORISED) == codes
    assert 0 == kit.say(END.format(A))
    assert [] == platform.hears(END.format(A))


def test_kit_hears_what_is_meant_for_it(members: Any, platform: Member) -> None:  # noqa: ANN401
    """Commands to it and to its district, its configuration, the platform's watermark."""
    kit = members(A)
    topics = [*(f"{HERE.base}/{leaf}" for leaf in DOWN), GROUP]
    kit.listen(HERE.cmd("#"), HERE.base + "/cfg/des", HERE.ack, HERE.group_cmd("#"))
    codes = [platform.say(topic) for topic in topics]
    wait_for(lambda: len(kit.heard) == len(topics))

    assert [0] * len(topics) == codes
    assert topics == [topic for topic, _, _ in kit.heard]


def test_kit_cannot_listen_to_another(members: Any, platform: Member) -> None:  # noqa: ANN401
    """Whatever it subscribes to, retained or fresh: it hears its own and nothing else, not even `$SYS`."""
    other, kit = members(B), members(A)
    other.say(f"{THERE.base}/st", b"born", retain=True)
    granted = kit.listen("#", "bm/#", f"{THERE.base}/#", THERE.cmd("#"), THERE.ack, "$SYS/#")
    for leaf in UP:
        other.say(f"{THERE.base}/{leaf}")
    for leaf in DOWN:
        platform.say(f"{THERE.base}/{leaf}", retain=leaf == "cfg/des")
    platform.say(f"{HERE.base}/cmd/last")

    assert all(code < FIRST_REFUSAL for code in granted)  # the broker says yes to all of it
    assert [] == [topic for topic in kit.hears(f"{HERE.base}/cmd/last") if A not in topic]


def test_kit_cannot_leave_a_will_for_another(members: Any, platform: Member) -> None:  # noqa: ANN401
    """The will of a kit that is cut off is published on its own `st` only."""
    members(A, will=f"{THERE.base}/st").drop()
    members(A, will=f"{HERE.base}/st").drop()

    assert [] == platform.hears(f"{HERE.base}/st")


def test_kit_cannot_take_over_another(members: Any, platform: Member) -> None:  # noqa: ANN401
    """Under another's client id it is connected as itself: the other neither falls nor loses messages."""
    other = members(B, clean=False)
    other.listen(THERE.cmd("#"))
    thief = members(A, client_id=B, clean=False)
    thief.listen(THERE.cmd("#"), HERE.cmd("#"))
    platform.say(f"{THERE.base}/cmd/echo")
    platform.say(f"{HERE.base}/cmd/last")

    assert [] == thief.hears(f"{HERE.base}/cmd/last")
    wait_for(lambda: other.heard)
    assert not other.lost
    assert 0 == thief.say(f"{HERE.base}/hb")
    assert NOT_AUTHORISED == thief.say(f"{THERE.base}/hb")


def test_platform_cannot_speak_as_a_kit(members: Any, platform: Member) -> None:  # noqa: ANN401
    """Who breaks into the platform's account forges no event."""
    assert [NOT_AUTHORISED] * len(UP) == [platform.say(f"{HERE.base}/{leaf}", b"forged") for leaf in UP]
    members(A).say(END.format(A))
    assert [] == platform.hears(END.format(A))


def test_platform_sees_the_brokers_figures(platform: Member) -> None:
    """Messages that the broker dropped can be watched."""
    platform.listen("$SYS/broker/publish/messages/dropped")
    wait_for(lambda: [p for t, p, _ in platform.heard if t.endswith("/dropped")], 20.0)

    assert [b"0"] == [p for t, p, _ in platform.heard if t.endswith("/dropped")]


def link_events(settings: Backbone, name: str = A) -> tuple[Link, list[LinkEvent]]:
    events: list[LinkEvent] = []
    link = Link(settings, name, Here().will, events.append)
    link.start(1)
    return link, events


def first_cause(settings: Backbone) -> Cause | None:
    """Why the kit's own link does not come up; None if it does."""
    link, events = link_events(settings)
    wait_for(lambda: events)
    link.close(5.0)
    first = events[0]
    return first.cause if isinstance(first, Disconnected) else None


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "BACKOFF_MIN_S", 0.02)
    monkeypatch.setattr(link_module, "BACKOFF_MAX_S", 0.2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", ["expired", "not yet valid", "a stranger's", "none"])
def test_certificate_that_is_no_good(broker: ReferenceBroker, kind: str, tmp_path: Path) -> None:
    """The broker lets nobody in without a certificate that counts today; the kit says that it was refused."""
    now = dt.datetime.now(dt.UTC)
    settings, authority = broker.settings(A), broker.authority
    match kind:
        case "expired":
            pair = authority.issue(A, file="old", start=now - 9 * DAY, end=now - DAY)
        case "not yet valid":
            pair = authority.issue(A, file="young", start=now + DAY)
        case "a stranger's":
            pair = Authority(tmp_path / "stranger").issue(A)
        case _:
            pair = (None, None)
    changed = settings.model_copy(update={"cert_file": pair[0], "key_file": pair[1]})

    assert Cause.TLS_REJECTED == first_cause(changed)
    assert first_cause(settings) is None


@pytest.mark.usefixtures("impatient")
def test_revoked_certificate(broker: ReferenceBroker) -> None:
    """A kit whose certificate was taken back is thrown out by the restart that makes it so."""
    before = broker.settings(A)
    assert before.cert_file is not None
    link, events = link_events(before)
    wait_for(lambda: link.online)
    broker.authority.revoke(before.cert_file)
    broker.authority.crl()
    broker.stop()
    broker.start()
    wait_for(lambda: Cause.TLS_REJECTED in [e.cause for e in events if isinstance(e, Disconnected)])
    link.close(5.0)
    pem, key = broker.authority.issue(A, file="renewed")
    after = before.model_copy(update={"cert_file": pem, "key_file": key})

    assert 1 == sum(isinstance(event, Connected) for event in events)
    assert first_cause(after) is None
    assert first_cause(broker.settings(B)) is None


@pytest.mark.usefixtures("impatient")
def test_expired_list_locks_everybody_out(tmp_path: Path) -> None:
    """The comment at `crlfile` is true: it has to be renewed in time."""
    authority = Authority(tmp_path / "pki")
    broker = ReferenceBroker(tmp_path, authority)
    authority.crl(end=dt.datetime.now(dt.UTC) - DAY)
    broker.start()
    cause = first_cause(broker.settings(A))
    authority.crl()
    broker.stop()
    broker.start()
    later = first_cause(broker.settings(A))
    broker.stop()

    assert (Cause.TLS_REJECTED, None) == (cause, later)


def test_queue_of_an_absent_platform(members: Any) -> None:  # noqa: ANN401
    """11,000 messages for a session that is away: all of them arrive. By default 6,755 would."""
    away = members(PLATFORM, clean=False)
    away.listen("bm/#")
    away.close()
    kit = members(A)
    mids = [kit.client.publish(HERE.evt("person"), str(number).encode(), 1).mid for number in range(11_000)]
    wait_for(lambda: len(kit.answers) == len(mids), 60.0)
    kit.client.publish(HERE.hb, b"beat", 0)
    back = members(PLATFORM, clean=False)
    wait_for(lambda: len(back.heard) >= len(mids), 60.0)

    assert {0} == set(kit.answers.values())
    assert list(range(11_000)) == [int(payload) for _, payload, _ in back.heard]  # and no old heartbeat


def test_sizes(members: Any, platform: Member) -> None:  # noqa: ANN401
    """The largest configuration passes; a clip's worth ends the connection."""
    kit = members(A)
    kit.listen(f"{HERE.base}/cfg/des")
    platform.say(f"{HERE.base}/cfg/des", b"x" * PAYLOAD_MAX)
    wait_for(lambda: kit.heard)
    offered = kit.accepted.MaximumPacketSize
    kit.client.publish(HERE.clip, b"x" * 200_000, 1)
    wait_for(lambda: kit.lost)

    assert PAYLOAD_MAX == len(kit.heard[0][1])
    assert 131072 == offered


def test_window_and_keepalive_that_are_offered(members: Any) -> None:  # noqa: ANN401
    """A kit may use its whole window; a client that wants to be missed only after ten minutes may not."""
    kit = members(A, keepalive_s=600)

    assert (100, 120) == (kit.accepted.ReceiveMaximum, kit.accepted.ServerKeepAlive)


def test_place_is_all_that_is_replaced() -> None:
    """What differs from server to server stands under PLACE; all other lines are used as they are."""
    text = CONF.read_text("utf-8")
    section = text.split("# --- PLACE")[1].split("# --- Who gets in")[0]
    keys = [line.split(" ")[0] for line in section.splitlines()[1:] if line and not line.startswith("#")]
    changed = placed(text, dict.fromkeys(PLACE, "elsewhere"))
    different = [
        (one, two) for one, two in zip(text.splitlines(), changed.splitlines(), strict=True) if one != two
    ]

    assert list(PLACE) == keys
    assert [f"{key} elsewhere" for key in PLACE] == [after for _, after in different]
    with pytest.raises(ValueError, match="crlfile stands 0 times"):
        placed("listener 1\n", {"crlfile": "x"})


def test_every_setting_says_why() -> None:
    """A comment stands before each setting, or before the group that it belongs to."""
    for file in (CONF, ACL):
        blocks = file.read_text("utf-8").split("\n\n")
        for block in blocks:
            lines = block.splitlines()
            assert not lines or lines[0].startswith("#") or lines[0].split(" ")[0] in PLACE, block


LOOPBACK = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 1))"
AS_IT_IS = """
    set -e
    mount --bind "$1/etc" /etc/mosquitto
    mount --bind "$1/lib" /var/lib/mosquitto
    "$2" -c "$4"
    mosquitto -c /etc/mosquitto/mosquitto.conf 2>"$1/log" &
    trap 'kill $!' EXIT
    tls="--cafile $1/etc/certs/ca.pem -h localhost -p 8883 -V 5"
    for _ in $(seq 100); do
      mosquitto_pub $tls --cert $1/kit.pem --key $1/kit.key -q 1 -r -t "$3" -m born 2>"$1/pub" && break
      sleep 0.1
    done
    mosquitto_sub $tls --cert $1/platform.pem --key $1/platform.key -i platform -q 1 -t 'bm/#' -C 1 -W 10
"""


def test_files_run_as_they_are(tmp_path: Path) -> None:
    """At their own paths, on their own port, as the user that Debian made: in namespaces of their own."""
    if os.geteuid() or subprocess.run(["unshare", "-mn", "true"], check=False).returncode:
        pytest.skip("needs root, and a kernel that gives namespaces")
    home = tmp_path / "home"
    certificates = home / "etc" / "certs"
    (home / "lib").mkdir(parents=True)
    authority = Authority(certificates)
    authority.issue("broker", "localhost")
    authority.crl()
    for name, file in ((A, "kit"), (PLATFORM, PLATFORM)):
        for made, suffix in zip(authority.issue(name), (".pem", ".key"), strict=True):
            made.rename(home / (file + suffix))
    for file in (CONF, ACL):
        shutil.copy(file, home / "etc")
    owner = pwd.getpwnam("mosquitto")
    for path in (*home.rglob("etc/**"), *home.rglob("etc/**/*"), home / "lib"):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    done = subprocess.run(
        [
            "unshare",
            "-mn",
            "sh",
            "-c",
            textwrap.dedent(AS_IT_IS),
            "sh",
            home,
            sys.executable,
            HERE.st,
            LOOPBACK,
        ],
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "born\n" == done.stdout, done.stderr + (home / "log").read_text()
