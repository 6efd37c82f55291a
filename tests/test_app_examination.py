"""The doctor's checks that need the rooms of the agent: a real broker, a real store, a real hatch."""

from __future__ import annotations

import datetime as dt
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import KIT, PEOPLE, settings
from broker import Broker, free_port, tls_listener
from picamera_fake import Board
from standin import standin
from test_device_account import everything_open

from agent.app import examination, hatch, symptoms, uplink
from agent.app.hatch import Hatch
from agent.app.status import (
    CameraStatus,
    ClipsStatus,
    ClockStatus,
    DetectorStatus,
    LinkStatus,
    MachineStatus,
    OutboxStatus,
    Status,
)
from agent.backbone.causes import Cause
from agent.capture import videocore
from agent.device.clock import SystemClock
from agent.doctor import runner
from agent.doctor.registry import ALARMS
from pki import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config import Settings
    from agent.doctor.check import Check, Verdict
    from agent.words import Text

WELL = Status(
    kit=KIT,
    sw="0.1.0",
    pid=1,
    up=60.0,
    clock=ClockStatus(ts=None, clk="none", mono=1.0, boot="aaaaaaaa"),
    camera=CameraStatus(source="rtsp", age=0.1, frames=600, skipped=3, fps=10.0),
    detector=DetectorStatus(model="ssdlite", ms=[20.0, 30.0]),
    events_24h=4,
    link=LinkStatus(host="broker", connected=True, rtt_ms=20.0, taken=9, unheard=0, refused=0),
    outbox=OutboxStatus(waiting=0, bytes=100, max_bytes=1000, dropped=0, stream="9f2c1a7e", seq_next=10),
    clips=ClipsStatus(kept=3, mb=12.0),
    machine=MachineStatus(model="Pi", mem_mb=150.0),
    alarms=[],
)


def check(code: str, chosen: Settings, root: Path = examination.ROOT) -> Check:
    return next(one for one in examination.examination(chosen, SystemClock(), root) if one.code == code)


def ask(code: str, chosen: Settings) -> Verdict:
    return check(code, chosen).ask()


def changed(part: str, **values: Any) -> Status:  # noqa: ANN401 - fields of any type
    return WELL.model_copy(update={part: getattr(WELL, part).model_copy(update=values)})


@pytest.fixture
def told(tmp_path: Path) -> Iterator[list[Status]]:
    """What the agent of `tmp_path` answers: the first of the list."""
    said = [WELL]
    server = Hatch(tmp_path / hatch.NAME, {"status": lambda _: said[0].model_dump_json().encode()})
    server.start()
    yield said
    server.close(5)


LOST = {"down": "no such device", "age": None}
STATUSES = [
    ("cam.frames", WELL, "ok"),
    ("cam.frames", changed("camera", age=4.0), "warn"),
    ("cam.frames", changed("camera", age=40.0), "fail"),
    ("cam.frames", changed("camera", age=None), "fail"),
    ("cam.frames", changed("camera", **LOST), "fail"),
    ("cam.speed", WELL, "ok"),
    ("cam.speed", WELL.model_copy(update={"alarms": ["camera.slow"]}), "fail"),
    ("ai.latency", WELL, "ok"),
    ("ai.latency", changed("detector", ms=[400.0, 500.0]), "warn"),
    ("ai.latency", changed("detector", ms=None), "skip"),
    ("net.mqtt", WELL, "ok"),
    ("net.mqtt", changed("link", refused=3), "warn"),
    ("net.mqtt", changed("link", connected=False, cause="dns"), "fail"),
    ("net.mqtt", changed("link", connected=False), "fail"),
    ("net.rtt", WELL, "ok"),
    ("net.rtt", changed("link", rtt_ms=400.0), "warn"),
    ("net.rtt", changed("link", rtt_ms=2000.0), "fail"),
    ("net.rtt", changed("link", rtt_ms=None), "skip"),
    ("store.outbox", WELL, "ok"),
    ("store.outbox", changed("outbox", waiting=5, age=400.0), "warn"),
    ("store.outbox", changed("outbox", waiting=5, age=4000.0), "fail"),
    ("store.outbox", changed("outbox", bytes=750), "warn"),
    ("store.outbox", changed("outbox", bytes=950), "fail"),
    ("store.outbox", changed("outbox", waiting=750, max_rows=1000), "warn"),
    ("store.outbox", changed("outbox", waiting=950, max_rows=1000), "fail"),
    ("store.outbox", WELL.model_copy(update={"outbox": None}), "skip"),
    ("clips.recording", WELL, "ok"),
    ("clips.recording", changed("clips", refused="no space"), "fail"),
    ("svc.memory", WELL, "ok"),
    ("svc.memory", changed("machine", mem_mb=300.0), "warn"),
    ("svc.alarms", WELL, "ok"),
    ("svc.alarms", WELL.model_copy(update={"alarms": ["scene.dark"]}), "warn"),
    ("svc.alarms", WELL.model_copy(update={"alarms": ["scene.dark", "camera.lost"]}), "fail"),
    ("svc.running", WELL, "ok"),
    ("svc.version", WELL, "ok"),
    ("svc.version", WELL.model_copy(update={"sw": "0.0.1"}), "warn"),
]


@pytest.mark.parametrize(("code", "status", "expected"), STATUSES)
def test_what_the_agent_tells(
    code: str, status: Status, expected: str, told: list[Status], tmp_path: Path
) -> None:
    """Each judgement, from what a running agent answers."""
    told[0] = status
    assert expected == ask(code, settings(tmp_path)).status


@pytest.mark.parametrize(
    ("link", "fix"),
    [
        ({}, symptoms.UNHEARD),
        ({"connected": False, "cause": "dns"}, ALARMS["net.dns"].fix),
        ({"connected": False}, uplink.BROKER),
    ],
)
def test_messages_that_wait_are_told_with_what_keeps_them(
    link: dict[str, Any], fix: Text, told: list[Status], tmp_path: Path
) -> None:
    """With a link it is not the broker's name."""
    late = changed("outbox", waiting=5, age=400.0)
    told[0] = late.model_copy(update={"link": WELL.link.model_copy(update=link)})
    assert ask("store.outbox", settings(tmp_path)).fix == fix


def test_a_disk_that_refuses_clips_is_told_with_its_own_fix(told: list[Status], tmp_path: Path) -> None:
    """A disk that is not mounted is no worn card; an earlier agent tells no fix."""
    own = {"refused_fix": "Mount it", "refused_fix_uk": "Змонтуйте його"}
    told[0] = changed("clips", refused="not mounted", **own)
    fix = ask("clips.recording", settings(tmp_path)).fix
    assert fix is not None
    assert ("Mount it", "Змонтуйте його") == (fix.told("en"), fix.told("uk"))
    told[0] = changed("clips", refused="not mounted")
    assert ask("clips.recording", settings(tmp_path)).fix == ALARMS["clips.failed"].fix


def test_alarms_are_told_with_their_fixes(told: list[Status], tmp_path: Path) -> None:
    """In the words of the registry."""
    told[0] = WELL.model_copy(update={"alarms": ["camera.lost"]})
    verdict = ask("svc.alarms", settings(tmp_path))
    assert "camera.lost" in verdict.text.uk
    assert verdict.fix is not None
    assert "cable" in verdict.fix.en


@pytest.mark.parametrize(("limit", "expected"), [(0, "ok"), (4096, "warn")])
def test_core_dumps(limit: int, expected: str, told: list[Status], tmp_path: Path) -> None:
    """What a crash may write is asked of the kernel, about the agent's own process."""
    stop = ["/bin/sh", "-c", f"ulimit -c {limit} && exec sleep 60"]
    with subprocess.Popen(stop) as process:
        told[0] = WELL.model_copy(update={"pid": process.pid})
        while Path(f"/proc/{process.pid}/comm").read_text().strip() != "sleep":
            time.sleep(0.01)
        status = ask("priv.core", settings(tmp_path)).status
        process.kill()
    assert expected == status


def test_no_agent(tmp_path: Path) -> None:
    """A failure, with the way to start it; what only it knows follows from that."""
    chosen = settings(tmp_path)
    assert ask("svc.running", chosen).status == "fail"
    wanted = [one for one in examination.examination(chosen, SystemClock()) if one.code.startswith("svc.")]
    found = {result.check.code: result.verdict.status.value for result in runner.run(wanted)}
    assert {"svc.running": "fail", "svc.alarms": "skip", "svc.memory": "skip"}.items() <= found.items()


def test_an_agent_that_may_not_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no right to ask cannot say that it is down."""

    def denied(_state: Path, _question: str) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(hatch, "reach", denied)
    assert ask("svc.running", settings(tmp_path)).status == "skip"


def broker_at(port: int, **tls: Any) -> dict[str, Any]:  # noqa: ANN401 - keys of [backbone]
    return {"host": "127.0.0.1", "port": port, **tls}


def test_names(tmp_path: Path) -> None:
    """The name service's own words, without a network: names under .invalid never are (RFC 6761)."""
    assert ask("net.dns", settings(tmp_path)).status == "ok"
    verdict = ask("net.dns", settings(tmp_path, backbone={"host": "broker.invalid"}))
    assert verdict.status == "fail"
    assert "broker.invalid" in verdict.text.en


def test_name_servers_that_are_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong server is told from a wrong name, as the resolver does."""

    def silent(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(uplink, "socket", standin(socket, getaddrinfo=silent))
    verdict = ask("net.dns", settings(tmp_path, backbone={"host": "broker.city"}))
    assert ("fail", "broker.city: no name server answers") == (verdict.status, verdict.text.en)


@pytest.mark.parametrize(
    ("sections", "word"),
    [
        ({}, None),
        ({"site": {"city": "city"}}, "site.city"),
        ({"backbone": {"password_file": "/nowhere/password"}}, "/nowhere/password"),
        (
            {
                "capture": {"source": str(PEOPLE)},
                "privacy": {"masks": [{"name": "door", "polygon": [[0, 0], [0.2, 0], [0.2, 0.5]]}]},
            },
            "privacy.masks",
        ),
    ],
)
def test_settings_that_the_agent_cannot_start_with(
    sections: dict[str, Any], word: str | None, tmp_path: Path
) -> None:
    """It would end at once, and nothing else that the doctor asks would tell why."""
    verdict = ask("cfg.usable", settings(tmp_path, **sections))
    assert ("ok" if word is None else "fail") == verdict.status
    assert word is None or word in verdict.text.uk


def test_ports(tmp_path: Path) -> None:
    """Somebody listens there, or nobody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ask("net.tcp", settings(tmp_path, backbone=broker_at(port))).status == "ok"
    verdict = ask("net.tcp", settings(tmp_path, backbone=broker_at(free_port())))
    assert verdict.status == "fail"
    assert "refused" in verdict.text.en


def test_two_addresses_that_drop_packets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are tried within the check's time, and the network is to be looked at: no reboot helps."""
    spent = []

    def dropped(_where: object, timeout: float) -> None:
        spent.append(2 * timeout)  # for each of the two
        raise TimeoutError

    two = [(0, 0, 0, "", (address, 8883)) for address in ("192.0.2.1", "2001:db8::1")]
    monkeypatch.setattr(
        uplink, "socket", standin(socket, getaddrinfo=lambda *_, **__: two, create_connection=dropped)
    )
    asked = check("net.tcp", settings(tmp_path, backbone=broker_at(8883)))
    assert asked.ask() == asked.late
    assert asked.late is not None
    assert asked.late.fix == ALARMS["net.tcp"].fix
    assert spent[0] < asked.box_s
    assert check("net.tls", settings(tmp_path, backbone=broker_at(8883))).late == asked.late


PASSING = {Cause.REFUSED, Cause.SHUTDOWN, Cause.CLOSED, Cause.RENEWED}


@pytest.mark.parametrize("cause", sorted(set(Cause) - PASSING))
def test_each_cause_has_its_own_fix(cause: Cause, told: list[Status], tmp_path: Path) -> None:
    """Who poses as this kit is not found by looking at the broker's name."""
    told[0] = changed("link", connected=False, cause=cause.value)
    verdict = ask("net.mqtt", settings(tmp_path))
    assert verdict.fix not in {None, uplink.BROKER}
    if cause is Cause.TAKEN_OVER:
        assert verdict.fix == ALARMS["identity.cloned"].fix


@pytest.mark.broker
def test_a_certificate_that_the_broker_refuses(tmp_path: Path) -> None:
    """In TLS 1.3 the handshake is over before the broker has looked at it."""
    city, other = Authority(tmp_path / "city"), Authority(tmp_path / "other")
    kit = other.issue(KIT)
    broker = Broker(tmp_path, listener=tls_listener(city, city.issue("broker", "127.0.0.1"), mutual=True))
    broker.start()
    tls = {"tls": True, "ca_file": city.ca, "cert_file": kit[0], "key_file": kit[1]}
    verdict = ask("net.tls", settings(tmp_path, backbone=broker_at(broker.port, **tls)))
    broker.stop()
    assert verdict.status == "fail"
    assert verdict.fix == uplink.FIXES[Cause.TLS_REJECTED]


def test_a_port_with_tls_and_no_mqtt(tmp_path: Path) -> None:
    """A web server's, say: the handshake alone would pass."""
    city = Authority(tmp_path)
    certificate, key = city.issue("web", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with context.wrap_socket(server.accept()[0], server_side=True) as peer:
                peer.recv(100)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        backbone = broker_at(server.getsockname()[1], tls=True, ca_file=city.ca)
        verdict = ask("net.tls", settings(tmp_path, backbone=backbone))
        thread.join(10)
    assert verdict.status == "fail"
    assert "no MQTT" in verdict.text.en


@pytest.mark.broker
@pytest.mark.parametrize(
    ("host", "years", "foreign", "expected", "word"),
    [
        ("127.0.0.1", None, False, "ok", "TLS"),
        ("other.city", None, False, "fail", "is for other.city"),
        ("127.0.0.1", (2020, 2021), False, "fail", "expired on 2021-01-01"),
        ("127.0.0.1", (2045, 2046), False, "fail", "valid only from 2045-01-01"),
        ("127.0.0.1", None, True, "fail", "signed by CN=city"),
    ],
)
def test_handshakes(
    host: str, years: tuple[int, int] | None, foreign: bool, expected: str, word: str, tmp_path: Path
) -> None:
    """Against a real broker: each fault of a certificate has its name and its fix."""
    start, end = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in years) if years else (None, None)
    city = Authority(tmp_path / "city")
    server = city.issue("broker", host, start=start, end=end)
    kit = city.issue(KIT)
    trusted = Authority(tmp_path / "other").ca if foreign else city.ca
    broker = Broker(tmp_path, listener=tls_listener(city, server, mutual=True))
    broker.start()
    tls = {"tls": True, "ca_file": trusted, "cert_file": kit[0], "key_file": kit[1]}
    verdict = ask("net.tls", settings(tmp_path, backbone=broker_at(broker.port, **tls)))
    broker.stop()
    assert expected == verdict.status
    assert word in verdict.text.en
    assert (verdict.fix is not None) == (expected == "fail")


def test_without_tls_there_is_no_handshake(tmp_path: Path) -> None:
    """Said elsewhere; nothing to ask here."""
    assert ask("net.tls", settings(tmp_path)).status == "skip"


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    """The configuration's own error, with its fix."""
    backbone = {"tls": True, "ca_file": tmp_path / "missing.pem"}
    verdict = ask("net.tls", settings(tmp_path, backbone=backbone))
    assert verdict.status == "fail"
    assert "missing.pem" in verdict.text.en


def test_a_broker_on_this_machine_needs_no_way_out(tmp_path: Path) -> None:
    """Without a network card the loopback is asked all the same."""
    assert check("net.dns", settings(tmp_path)).depends_on == ()
    far = settings(tmp_path, backbone={"host": "broker.city"})
    assert set(check("net.dns", far).depends_on) == {"net.route", "net.servers"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (str(PEOPLE), "ok"),
        ("/dev/video99", "fail"),
        ("/nowhere/clip.mp4", "fail"),
        ("rtsp://127.0.0.1/x", "ok"),
        ("gopher://x", "fail"),
    ],
)
def test_source(source: str, expected: str, tmp_path: Path) -> None:
    """What is named is there, as far as it can be seen from here."""
    assert expected == ask("cam.source", settings(tmp_path, capture={"source": source})).status


def test_a_camera_that_is_closed_to_the_agent(tmp_path: Path) -> None:
    """The group that is missing is how such a camera fails; a stream's address is nobody's to close."""
    state = tmp_path / "state"
    state.mkdir()
    if os.geteuid() == 0:
        os.chown(state, 65_534, 65_534)
        everything_open(tmp_path)
    device = tmp_path / "dev" / "media0"
    device.parent.mkdir(mode=0o755)
    device.touch()
    csi = settings(state, capture={"source": "picamera:"})
    for mode, expected in ((0o666, "ok"), (0o060, "fail")):
        device.chmod(mode)
        verdict = check("cam.access", csi, tmp_path).ask()
        assert (expected, "media0" in verdict.text.uk) == (verdict.status, expected == "fail")
    assert "skip" == check("cam.access", settings(state, capture={"source": "rtsp://a/b"})).ask().status


@pytest.mark.parametrize(
    ("encoder", "model", "there", "status", "words"),
    [
        ("auto", "Raspberry Pi Zero 2 W Rev 1.0", True, "ok", "video11"),
        ("auto", "Raspberry Pi Zero 2 W Rev 1.0", False, "warn", "the processor takes its place"),
        ("auto", "Raspberry Pi 5 Model B Rev 1.0", False, "ok", "the processor"),
        ("software", "Raspberry Pi Zero 2 W Rev 1.0", False, "ok", "the processor"),
        ("hardware", "Raspberry Pi 5 Model B Rev 1.0", False, "fail", "is no H.264 encoder"),
    ],
)
def test_what_makes_the_video(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoder: str,
    model: str,
    there: bool,
    status: str,
    words: str,
) -> None:
    """A board whose encoder is missing would make it by its processor, and nobody would know."""
    path = tmp_path / "proc" / "device-tree" / "model"
    path.parent.mkdir(parents=True)
    path.write_text(model)
    monkeypatch.setattr(videocore, "probe", lambda _: there)
    chosen = settings(tmp_path / "state", capture={"source": "picamera:"}, camera={"encoder": encoder})
    verdict = check("cam.encoder", chosen, tmp_path).ask()
    assert status == verdict.status
    assert words in verdict.text.en
    assert "skip" == ask("cam.encoder", settings(tmp_path / "state")).status


def test_an_encoder_that_is_closed_to_who_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no missing one."""
    device = tmp_path / "dev" / "video11"
    device.parent.mkdir()
    device.touch()
    monkeypatch.setattr(examination, "os", standin(os, access=lambda *_: False))
    chosen = settings(tmp_path, capture={"source": "picamera:"}, camera={"encoder": "hardware"})
    assert check("cam.encoder", chosen, tmp_path).ask().denied


def test_a_camera_on_the_ribbon_cable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for and not opened, for the agent may hold it; what is wrong has the alarm's own fix."""
    board = Board(models=("imx219", "imx708"))
    board.busy = True
    board.install(monkeypatch)

    def verdict(source: str) -> Verdict:
        return ask("cam.source", settings(tmp_path, capture={"source": source}))

    assert ("ok", "imx708") == (verdict("picamera:1").status, verdict("picamera:1").text.en)
    assert ("fail", ALARMS["camera.missing"].fix) == (verdict("picamera:7").status, verdict("picamera:7").fix)
    monkeypatch.setitem(sys.modules, "picamera2", None)
    assert ("fail", ALARMS["camera.driver"].fix) == (verdict("picamera:").status, verdict("picamera:").fix)
    assert 0 == board.attempts


def test_an_agent_that_runs_is_asked_for_its_camera(
    told: list[Status], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its camera's software, which takes seconds to load, is left alone, if the agent has it open."""
    monkeypatch.setitem(sys.modules, "picamera2", None)
    chosen = settings(tmp_path, capture={"source": "picamera:"})
    told[0] = changed("camera", source="picamera")
    assert ("ok", "the agent has it open") == ((found := ask("cam.source", chosen)).status, found.text.en)
    told[0] = changed("camera", source="picamera", **LOST).model_copy(update={"alarms": ["camera.timeout"]})
    found = ask("cam.source", chosen)
    assert ("fail", "none: no such device", ALARMS["camera.timeout"].fix) == (
        found.status,
        found.text.en,
        found.fix,
    )
    for other in (WELL, changed("camera", source="picamera", age=None)):
        told[0] = other
        assert ALARMS["camera.driver"].fix == ask("cam.source", chosen).fix


def test_no_pictures_are_mended_by_their_cause(told: list[Status], tmp_path: Path) -> None:
    """A loose cable is not a wrong address."""
    told[0] = changed("camera", **LOST).model_copy(update={"alarms": ["camera.timeout", "scene.dark"]})
    assert ALARMS["camera.timeout"].fix == ask("cam.frames", settings(tmp_path)).fix


def test_model(tmp_path: Path) -> None:
    """The shipped one is there and sees; one that is missing is named."""
    assert ask("ai.model", settings(tmp_path)).status == "ok"
    assert ask("ai.selftest", settings(tmp_path)).status == "ok"
    wrong = settings(tmp_path, detector={"model": "/nowhere/card.toml"})
    assert ask("ai.model", wrong).status == "fail"
    assert ask("ai.selftest", wrong).status == "fail"
