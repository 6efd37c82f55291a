"""Things that break a kit, one by one: the doctor's first line names the cause, and its fix mends it.

A sound kit is built each time, with a real broker behind mutual TLS, and the doctor finds it well. Then one
thing is broken for real (a process killed, a wrong certificate issued, a card filled), the doctor is asked in
both languages, what it says is done, and it finds the kit well again.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import KIT, PEOPLE, settings, toml
from broker import Broker, tls_listener
from cards import Card
from test_clock_matrix import library
from test_device_account import everything_open
from typer.testing import CliRunner

import agent
from agent.cli import app
from agent.device.account import Account
from agent.device.identity import Identity
from agent.vision.models import load_card
from pki import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65_534
LANGUAGES = ("en", "uk")
MODELS = Path(agent.__file__).parent / "models"

ASKED = (
    "disk.*",
    "time.set",
    "id.*",
    "sec.secrets",
    "net.dns",
    "net.tcp",
    "net.tls",
    "store.*",
    "cam.source",
    "ai.*",
)
"""What this test's machine can be well in: it is no kit, has no service, and its own disk may be full."""
SPARED = ("disk.free", "disk.write_ms", "disk.kernel", "disk.errors")


class Kit:
    """A kit in a directory, and its city's broker."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.state.mkdir(mode=0o700)
        self.camera = Path(shutil.copy(PEOPLE, directory / "camera.mp4"))
        self.model = directory / "models"
        self.model.mkdir()
        for path in (MODELS / "ssdlite.toml", load_card("ssdlite").path):
            shutil.copy(path, self.model)
        self.city = Authority(directory / "city")
        self.certificate, self.key = self.city.issue(KIT)
        self.host = "localhost"
        self.spared = list(SPARED)
        self.environment: dict[str, str] = {}
        self.broker: Broker | None = None
        self.serve("localhost", "broker.city")

    def serve(self, *hosts: str, **validity: dt.datetime) -> None:
        """(Re)start the broker with a certificate for these hosts; it keeps its port."""
        server = self.city.issue("broker", *hosts, **validity)
        port = None if self.broker is None else self.broker.port
        self.stop()
        self.broker = Broker(self.directory, listener=tls_listener(self.city, server, mutual=True))
        if port is not None:
            text = self.broker.config.read_text().replace(f"listener {self.broker.port}", f"listener {port}")
            self.broker.config.write_text(text)
            self.broker.port = port
        self.broker.start()

    def stop(self) -> None:
        """No broker from now on."""
        if self.broker is not None:
            self.broker.stop()

    def doctor(self, language: str = "en") -> list[str]:
        """What it prints, a finding or a fix in each line."""
        assert self.broker is not None
        tls = {"tls": True, "ca_file": self.city.ca, "cert_file": self.certificate, "key_file": self.key}
        chosen = settings(
            self.state,
            capture={"source": str(self.camera)},
            detector={"model": str(self.model / "ssdlite.toml")},
            backbone={"host": self.host, "port": self.broker.port, **tls},
        )
        path = self.directory / "agent.toml"
        path.write_text(toml(chosen), encoding="utf-8")
        words = ["doctor", "--quick", "-c", str(path), "--lang", language]
        words += [word for code in ASKED for word in ("--only", code)]
        words += [word for code in self.spared for word in ("--skip", code)]
        if self.environment:
            environment = {**os.environ, "COLUMNS": "400", **self.environment}
            done = subprocess.run(
                [sys.executable, "-m", "agent", *words],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            return [line.strip() for line in done.stdout.splitlines()]
        result = CliRunner().invoke(app, words, env={"COLUMNS": "400"})
        return [line.strip() for line in result.output.splitlines()]

    def is_well(self) -> None:
        """Nothing to complain of."""
        (line,) = self.doctor()
        assert line.startswith("All is well")

    def carry_out(self, fix: str) -> None:
        """The command that a fix begins with, as root types it."""
        command = re.split(";", fix.removeprefix("→ "))[0].replace("sudo ", "")
        for words in command.split(" && "):
            subprocess.run(shlex.split(words), check=True)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    made = Kit(tmp_path)
    Identity.open(made.state / "keys")
    yield made
    made.stop()


@dataclass(frozen=True)
class Fault:
    """What is broken, what the first line says of it in each language, and what mends it, given the fix."""

    code: str
    says: dict[str, str]
    fix: dict[str, str]
    break_it: Callable[[Kit], Any]
    mend: Callable[[Kit, str], Any]


def year(number: int) -> dt.datetime:
    return dt.datetime(number, 1, 1, tzinfo=dt.UTC)


def break_certificate(kit: Kit) -> None:
    kit.certificate, kit.key = kit.city.issue(KIT, start=year(2024), end=year(2025), file="old")


def renew(kit: Kit, _fix: str) -> None:
    kit.certificate, kit.key = kit.city.issue(KIT, file="new")


def host_of(kit: Kit, name: str) -> None:
    kit.host = name


def close_key(kit: Kit) -> None:
    """As `sudo cp` leaves it: root's, and closed to the agent's user."""
    if os.geteuid() == 0:
        everything_open(kit.directory)
        for path in (kit.state, kit.state / "keys"):
            os.chown(path, NOBODY, -1)
        assert Account.owner(kit.state).uid == NOBODY
        for path in (kit.city.ca, kit.certificate):
            path.chmod(0o644)
        kit.key.chmod(0o600)
    else:
        kit.key.chmod(0)


def out_of_sight(path: Callable[[Kit], Path]) -> Callable[[Kit], None]:
    return lambda kit: path(kit).rename(path(kit).with_suffix(".gone")) and None


def back(path: Callable[[Kit], Path]) -> Callable[[Kit, str], None]:
    return lambda kit, _fix: path(kit).with_suffix(".gone").rename(path(kit)) and None


def fake_clock(kit: Kit) -> None:
    kit.environment = {
        "LD_PRELOAD": str(library()),
        "FAKETIME": "@2006-11-27 12:00:00",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def camera(kit: Kit) -> Path:
    return kit.camera


def weights(kit: Kit) -> Path:
    return kit.model / load_card("ssdlite").path.name


FAULTS = {
    "broker down": Fault(
        "net.tcp",
        {"en": "nobody listens there (connection refused)", "uk": "там ніхто не слухає"},
        {"en": "that the city's broker runs", "uk": "чи працює брокер міста"},
        lambda kit: kit.stop(),
        lambda kit, _fix: kit.broker is not None and kit.broker.start(),
    ),
    "wrong host name in certificate": Fault(
        "net.tls",
        {
            "en": "its certificate is for localhost, broker.city",
            "uk": "його сертифікат виданий на localhost, broker.city",
        },
        {
            "en": "set backbone.host to that name: localhost",
            "uk": "впишіть це ім'я в backbone.host: localhost",
        },
        lambda kit: host_of(kit, "127.0.0.1"),
        lambda kit, fix: host_of(kit, fix.rpartition(": ")[2]),
    ),
    "expired certificate of the broker": Fault(
        "net.tls",
        {"en": "its certificate has expired on 2025-01-01", "uk": "його сертифікат скінчився 2025-01-01"},
        {"en": "Renew the broker's certificate at the broker", "uk": "Оновіть сертифікат брокера на брокері"},
        lambda kit: kit.serve("localhost", start=year(2024), end=year(2025)),
        lambda kit, _fix: kit.serve("localhost"),
    ),
    "expired certificate of the kit": Fault(
        "id.cert_expiry",
        {"en": "expired on 2025-01-01", "uk": "скінчився 2025-01-01"},
        {"en": "Issue the kit a new certificate", "uk": "Видайте комплекту новий сертифікат"},
        break_certificate,
        renew,
    ),
    "wrong DNS": Fault(
        "net.dns",
        {"en": "broker.invalid: no such name", "uk": "broker.invalid: ім'я не знайдено"},
        {"en": "Check backbone.host and the name servers", "uk": "Перевірте backbone.host і сервери імен"},
        lambda kit: host_of(kit, "broker.invalid"),
        lambda kit, _fix: host_of(kit, "localhost"),
    ),
    "missing model": Fault(
        "ai.model",
        {"en": ".tflite cannot be read", "uk": ".tflite не читається"},
        {"en": "put the file back", "uk": "поверніть файл"},
        out_of_sight(weights),
        back(weights),
    ),
    "unreadable key": Fault(
        "id.files",
        {"en": f"{KIT}.key: the agent's user", "uk": f"{KIT}.key: користувач агента"},
        {"en": "sudo chown", "uk": "sudo chown"},
        close_key,
        Kit.carry_out,
    ),
    "camera gone": Fault(
        "cam.source",
        {"en": "camera.mp4: is not there", "uk": "camera.mp4: немає"},
        {"en": "Check the camera's cable", "uk": "Перевірте кабель"},
        out_of_sight(camera),
        back(camera),
    ),
    "clock 20 years back": Fault(
        "time.set",
        {"en": "the clock was never set", "uk": "годинник не виставлено"},
        {"en": "Let the kit reach NTP", "uk": "Відкрийте комплекту доступ до NTP"},
        fake_clock,
        lambda kit, _fix: kit.environment.clear(),
    ),
}


def found(kit: Kit, fault: Fault) -> str:
    """The fix in English, after the first line was as it should be in both languages."""
    fixes = {}
    for language in LANGUAGES:
        first, fix, *_ = kit.doctor(language)
        assert first.startswith("\N{BALLOT X} ")
        assert f"({fault.code})" in first
        assert fault.says[language] in first
        assert fault.fix[language] in fix
        fixes[language] = fix
    return fixes["en"]


@pytest.mark.broker
@pytest.mark.parametrize("name", FAULTS)
def test_first_line_and_fix(name: str, kit: Kit) -> None:
    """Well; broken and named, in both languages; mended by what was said, and well."""
    fault = FAULTS[name]
    kit.is_well()
    fault.break_it(kit)
    fix = found(kit, fault)
    fault.mend(kit, fix)
    kit.is_well()


@pytest.fixture
def card(kit: Kit) -> Iterator[Card]:
    """A card of its own for the kit's state."""
    made = Card(kit.directory)
    kit.state = made.place / "state"
    kit.state.mkdir(mode=0o700)
    Identity.open(kit.state / "keys")
    yield made
    made.pull()


@pytest.mark.broker
def test_a_full_disk(kit: Kit, card: Card) -> None:
    """A real one, filled to the last byte; the fix is to free space."""
    kit.spared.remove("disk.free")
    kit.is_well()
    card.fill()
    found(
        kit,
        Fault(
            "disk.free",
            {"en": "0.0 GB free (0%)", "uk": "0.0 ГБ вільно (0%)"},
            {"en": "Free space", "uk": "Звільніть місце"},
            print,
            print,
        ),
    )
    card.free()
    kit.is_well()


@pytest.mark.broker
def test_a_read_only_state_directory(kit: Kit, card: Card) -> None:
    """As the kernel leaves a card whose file system is damaged; the command that is named mends it."""
    kit.is_well()
    subprocess.run(["mount", "-o", "remount,ro", card.place], check=True)
    fix = found(
        kit,
        Fault(
            "disk.writable",
            {"en": "the file system is read-only", "uk": "файлова система лише для читання"},
            {"en": f"sudo mount -o remount,rw {card.place}", "uk": f"sudo mount -o remount,rw {card.place}"},
            print,
            print,
        ),
    )
    kit.carry_out(fix)
    kit.is_well()
