"""What the doctor asks: its own checks of the machine, and those that need the rooms of the agent.

Nothing here changes the kit. Where the agent runs it is asked (`hatch`), so that nothing is disturbed;
without it the same is tried from here.
"""

from __future__ import annotations

import json
import socket
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.app import hatch, models
from agent.app.archive import Archive
from agent.app.status import Status
from agent.backbone.causes import of_error
from agent.backbone.papers import tls_context
from agent.capture.picamera import connected
from agent.capture.source import source_kind
from agent.clips import store
from agent.doctor import disk, machine, papers, wayout
from agent.doctor.check import Check, Verdict, alarmed, fail, ok, skip, warn
from agent.doctor.registry import ALARMS, NO_PICTURES, Text
from agent.errors import ConfigError, ModelError, SourceError, StorageError
from agent.vision.models import load_card

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import Settings
    from agent.device.clock import Clock

ROOT = Path("/")
REACH_S = 4.0  # for a name, a connection, a handshake; a slow LTE link needs two
OLD_S, DEAD_S = 2.0, 10.0  # of the last picture
LATE_S, STUCK_S = 300.0, 3600.0  # of the oldest message that waits
FULLER, FULL = 0.7, 0.9  # of the outbox
SLOW_SHARE = 0.5  # of the time between two pictures that one look of the detector may take

_START = Text(
    "Запустіть агента: systemctl start stairwell-agent; journalctl -u stairwell-agent скаже, чому стоїть",
    "Start the agent: systemctl start stairwell-agent; journalctl -u stairwell-agent tells why it stands",
)
_BROKER = Text(
    "Перевірте backbone.host і backbone.port та чи працює брокер міста",
    "Check backbone.host and backbone.port, and that the city's broker runs",
)
_TLS = {
    "tls-expired": Text(
        "Сертифікат брокера прострочений: оновіть його на брокері (або виправте годинник комплекту)",
        "The broker's certificate has expired: renew it at the broker (or mend the kit's clock)",
    ),
    "tls-not-yet-valid": Text(
        "Годинник комплекту відстає: дайте йому NTP",
        "The kit's clock is behind: let it reach NTP",
    ),
    "tls-hostname": Text(
        "backbone.host має бути іменем із сертифіката брокера",
        "backbone.host must be the name in the broker's certificate",
    ),
    "tls-untrusted": Text(
        "backbone.ca_file має містити центр, що підписав сертифікат брокера",
        "backbone.ca_file must hold the authority that signed the broker's certificate",
    ),
}


def examination(settings: Settings, clock: Clock, root: Path = ROOT) -> list[Check]:
    """Every check, in the order in which a technician reads them."""
    return [
        *machine.checks(root),
        *disk.checks(settings, root),
        *papers.checks(settings, clock),
        *wayout.checks(root),
        *_network(settings),
        *_agent(settings),
        *_store(settings, clock),
        *_eyes(settings),
    ]


def _network(settings: Settings) -> list[Check]:
    host, port = settings.backbone.host, settings.backbone.port
    local = host in {"localhost", "127.0.0.1", "::1"}
    dns = Check(
        "net.dns",
        Text("Ім'я брокера", "The broker's name"),
        lambda: _resolve(host, port),
        () if local else (wayout.ROUTE, wayout.SERVERS),
        box_s=REACH_S,
        online=True,
    )
    tcp = Check(
        "net.tcp",
        Text("Порт брокера", "The broker's port"),
        lambda: _connect(host, port),
        (dns.code,),
        box_s=REACH_S + 1,
        online=True,
    )
    tls = Check(
        "net.tls",
        Text("TLS з брокером", "TLS with the broker"),
        lambda: _handshake(settings),
        (tcp.code, "id.files", "id.key_matches"),
        box_s=REACH_S + 1,
        online=True,
    )
    return [dns, tcp, tls]


def _resolve(host: str, port: int) -> Verdict:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return fail(
            f"{host}: ім'я не знайдено ({error.strerror})",
            f"{host}: no such name ({error.strerror})",
            Text(
                "Перевірте backbone.host і сервери імен (resolvectl status)",
                "Check backbone.host and the name servers (resolvectl status)",
            ),
        )
    addresses = ", ".join(sorted({str(item[4][0]) for item in found}))
    return ok(addresses, addresses)


def _connect(host: str, port: int) -> Verdict:
    try:
        socket.create_connection((host, port), REACH_S).close()
    except OSError as error:
        cause = of_error(error)
        return fail(f"{host}:{port}: {cause}", f"{host}:{port}: {cause} ({error})", _BROKER)
    return ok(f"{host}:{port}", f"{host}:{port}")


def _handshake(settings: Settings) -> Verdict:
    backbone = settings.backbone
    if not backbone.tls:
        return skip("TLS вимкнено", "TLS is off")
    try:
        context = tls_context(backbone)
    except ConfigError as error:
        return fail(error.problem, error.problem, Text(error.fix, error.fix))
    try:
        with (
            socket.create_connection((backbone.host, backbone.port), REACH_S) as plain,
            context.wrap_socket(plain, server_hostname=backbone.host) as secure,
        ):
            version = secure.version() or "TLS"
    except OSError as error:
        cause = of_error(error)
        return fail(str(cause), f"{cause}: {error}", _TLS.get(cause, _BROKER))
    return ok(version, version)


def _agent(settings: Settings) -> list[Check]:
    def told(judge: Callable[[Status], Verdict]) -> Callable[[], Verdict]:
        return lambda: judge(Status.model_validate_json(hatch.reach(settings.state.dir, "status")))

    running = "svc.running"
    return [
        Check(running, Text("Агент працює", "The agent runs"), lambda: _running(settings)),
        Check("svc.alarms", Text("Тривоги агента", "The agent's alarms"), told(_alarms), (running,)),
        Check("cam.frames", Text("Зображення камери", "The camera's pictures"), told(_pictures), (running,)),
        Check("cam.speed", Text("Аналіз встигає", "Analysis keeps up"), told(_speed), (running,)),
        Check("ai.latency", Text("Час детектора", "Time of the detector"), told(_latency), (running,)),
        Check("net.mqtt", Text("Зв'язок MQTT", "The MQTT link"), told(_link), (running,)),
        Check(
            "net.rtt", Text("Час відповіді брокера", "Time of the broker's answer"), told(_rtt), ("net.mqtt",)
        ),
        Check("store.outbox", Text("Черга повідомлень", "Messages that wait"), told(_outbox), (running,)),
        Check("clips.recording", Text("Запис іде", "Recording works"), told(_recording), (running,)),
        Check("svc.memory", Text("Пам'ять агента", "The agent's memory"), told(_resident), (running,)),
    ]


def _running(settings: Settings) -> Verdict:
    try:
        status = json.loads(hatch.reach(settings.state.dir, "status"))
    except (FileNotFoundError, ConnectionRefusedError):
        return fail("ні", "no", _START)
    except PermissionError:
        return skip(
            "спитати можуть лише root і група stairwell", "only root and the group stairwell may ask it"
        )
    return ok(f"{status['sw']}, {status['up']:.0f} с", f"{status['sw']}, for {status['up']:.0f} s")


def _alarms(status: Status) -> Verdict:
    if not status.alarms:
        return ok("жодної", "none")
    kinds = [ALARMS[code] for code in status.alarms if code in ALARMS]
    uk = "; ".join(f"{kind.code}: {kind.text.uk}" for kind in kinds)
    en = "; ".join(f"{kind.code}: {kind.text.en}" for kind in kinds)
    fix = Text("; ".join(kind.fix.uk for kind in kinds), "; ".join(kind.fix.en for kind in kinds))
    return warn(uk, en, fix) if all(kind.severity == "minor" for kind in kinds) else fail(uk, en, fix)


def _pictures(status: Status) -> Verdict:
    kind = ALARMS[next((code for code in NO_PICTURES if code in status.alarms), "camera.lost")]
    if status.camera.down is not None:
        return fail(f"немає: {status.camera.down}", f"none: {status.camera.down}", kind.fix)
    if status.camera.age is None:
        return fail("ще жодного", "not one yet", kind.fix)
    uk, en = f"{status.camera.age:.1f} с тому", f"{status.camera.age:.1f} s ago"
    if status.camera.age >= DEAD_S:
        return fail(uk, en, kind.fix)
    return warn(uk, en, kind.fix) if status.camera.age >= OLD_S else ok(uk, en)


def _speed(status: Status) -> Verdict:
    if "camera.slow" in status.alarms:
        return alarmed("camera.slow")
    camera = status.camera
    return ok(
        f"{camera.skipped} з {camera.frames} пропущено", f"{camera.skipped} of {camera.frames} were skipped"
    )


def _latency(status: Status) -> Verdict:
    times = status.detector.ms
    if times is None:
        return skip("ще не дивився", "it has not looked yet")
    uk, en = f"{times[0]:.0f} мс, 95 %: {times[1]:.0f}", f"{times[0]:.0f} ms, 95 %: {times[1]:.0f}"
    budget_ms = 1000 / status.camera.fps
    return warn(uk, en, ALARMS["camera.slow"].fix) if times[0] > budget_ms * (1 + SLOW_SHARE) else ok(uk, en)


def _link(status: Status) -> Verdict:
    link = status.link
    if not link.connected:
        cause = link.cause or "ще не з'єднано"
        return fail(
            f"немає: {cause}", f"none: {link.cause or 'not yet'} {link.detail or ''}".strip(), _BROKER
        )
    if link.refused:
        return warn(
            f"брокер відмовив {link.refused} разів",
            f"the broker refused {link.refused} messages",
            Text("Перевірте права комплекту (ACL) на брокері", "Check the kit's rights (ACL) at the broker"),
        )
    return ok(f"{link.host}, прийнято {link.taken}", f"{link.host}, {link.taken} taken")


def _rtt(status: Status) -> Verdict:
    ms = status.link.rtt_ms
    if ms is None:
        return skip("ще нічого не надіслано", "nothing was sent yet")
    fix = Text("Перевірте сигнал і завантаження каналу", "Check the signal and the load of the uplink")
    uk, en = f"{ms:.0f} мс", f"{ms:.0f} ms"
    if ms >= 1500:  # noqa: PLR2004 - TLS over such a link takes half a minute
        return fail(uk, en, fix)
    return warn(uk, en, fix) if ms >= 300 else ok(uk, en)  # noqa: PLR2004 - a healthy LTE link has below 100


def _outbox(status: Status) -> Verdict:
    box = status.outbox
    if box is None:
        return skip("ще не відкрита", "not open yet")
    share, age = box.bytes / box.max_bytes, box.age or 0.0
    uk = f"{box.waiting} чекають, найстаріше {age:.0f} с, зайнято {share:.0%}"
    en = f"{box.waiting} wait, the oldest for {age:.0f} s, {share:.0%} full"
    if age >= STUCK_S or share >= FULL:
        return fail(uk, en, _BROKER)
    return warn(uk, en, _BROKER) if age >= LATE_S or share >= FULLER else ok(uk, en)


def _recording(status: Status) -> Verdict:
    clips = status.clips
    if clips.refused is not None:
        return fail(clips.refused, clips.refused, ALARMS["clips.failed"].fix)
    return ok(
        f"{clips.kept or 0} кліпів, {clips.mb or 0:.0f} МБ",
        f"{clips.kept or 0} clips, {clips.mb or 0:.0f} MB",
    )


def _resident(status: Status) -> Verdict:
    mb = status.machine.mem_mb
    uk, en = f"{mb:.0f} МБ", f"{mb:.0f} MB"
    if mb > 256:  # noqa: PLR2004 - MemoryHigh= of the service
        return warn(
            uk,
            en,
            Text("Перезапустіть агента й повідомте розробників", "Restart the agent, and tell its makers"),
        )
    return ok(uk, en)


def _store(settings: Settings, clock: Clock) -> list[Check]:
    return [
        Check(
            "store.database",
            Text("База даних", "Database"),
            lambda: _database(settings, clock),
            ("disk.state",),
            box_s=30.0,
            quick=False,
        ),
        Check(
            "store.clips",
            Text("Кліпи на місці", "The clips are there"),
            lambda: _clips(settings, clock),
            ("disk.state",),
        ),
    ]


def _archive(settings: Settings, clock: Clock) -> Archive | None:
    try:
        return Archive(settings, clock)
    except StorageError:
        return None


def _database(settings: Settings, clock: Clock) -> Verdict:
    archive = _archive(settings, clock)
    if archive is None:
        return skip("її ще немає: агент не працював", "there is none yet: the agent never ran")
    try:
        found = archive.read(lambda tx: [str(row[0]) for row in tx.execute("PRAGMA quick_check(3)")])
    except (StorageError, sqlite3.Error) as error:
        found = [str(error)]
    if found != ["ok"]:
        return fail("; ".join(found), "; ".join(found), ALARMS["storage.corrupt"].fix)
    return ok("ціла", "sound")


def _clips(settings: Settings, clock: Clock) -> Verdict:
    archive = _archive(settings, clock)
    if archive is None:
        return skip("бази ще немає", "there is no database yet")
    rows = archive.read(store.clips)
    gone = [row.record.id for row in rows if not (archive.directory / row.record.path).is_file()]
    if gone:
        return fail(
            f"немає {len(gone)} з {len(rows)}",
            f"{len(gone)} of {len(rows)} are missing",
            ALARMS["clips.lost"].fix,
        )
    return ok(f"{len(rows)}", f"{len(rows)}")


def _eyes(settings: Settings) -> list[Check]:
    model = Check("ai.model", Text("Файл моделі", "The model's file"), lambda: _model(settings))
    return [
        Check("cam.source", Text("Камера на місці", "The camera is there"), lambda: _source(settings)),
        model,
        Check(
            "ai.selftest",
            Text("Детектор бачить людину", "The detector sees a person"),
            lambda: _selftest(settings),
            (model.code,),
            box_s=30.0,
            quick=False,
        ),
    ]


def _source(settings: Settings) -> Verdict:
    source = settings.capture.source
    try:
        kind = source_kind(source)
    except ConfigError as error:
        return fail(error.problem, error.problem, ALARMS["camera.lost"].fix)
    if kind in {"file", "v4l2"} and not Path(source).exists():
        return fail(f"{source}: немає", f"{source}: is not there", ALARMS["camera.lost"].fix)
    if kind == "picamera":
        try:
            model = connected(source)
        except SourceError as error:
            return fail(error.problem, error.problem, ALARMS[error.alarm].fix)
        return ok(model, model)
    return ok(kind, kind)


def _model(settings: Settings) -> Verdict:
    try:
        card = load_card(settings.detector.model)
    except ModelError as error:
        return fail(error.problem, error.problem, ALARMS["detector.unusable"].fix)
    return ok(card.label, card.label)


def _selftest(settings: Settings) -> Verdict:
    try:
        found: dict[str, Any] = models.check(settings.detector)
    except ModelError as error:
        return fail(error.problem, error.problem, ALARMS["detector.unusable"].fix)
    return ok(
        f"{found['score']:.2f} за {found['ms']:.0f} мс", f"{found['score']:.2f} in {found['ms']:.0f} ms"
    )
