"""The support bundle: what is in it, and above all what is not."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import KIT, PEOPLE, Hands, change, query, settings, toml
from clips_keys import CITY, RECIPIENTS
from journals import journal, record
from kits import Kit
from test_app_examination import WELL
from typer.testing import CliRunner
from ukrainian import english_in

from agent.app import bundle as bundles
from agent.app import evidence, hatch
from agent.app.bundle import MAX_BYTES, bundle
from agent.app.hatch import Hatch
from agent.backbone.docket import AuditLine
from agent.cli import app
from agent.errors import StairwellError
from agent.types import Phase

if TYPE_CHECKING:
    from pathlib import Path

    from agent.app.bundle import Bundle
    from agent.config import Settings

CANARIES = {
    "password of the broker": "correct clip frame",  # of words that are harmless each
    "password of the camera": "kanarok",
    "user of the camera": "viewer",
    "address of the camera": "192.168.77.5",
    "private key": "MC4CAQAwBQYDK2VwBCIEIKANAROK",
    "building": "будинок-канарка",
    "precinct": "Kanarkovskyi",
    "mask": "flat-87-kanarka",
    "zone": "landing-kanarka",
    "name of the broker": "kanarka.city.example",
    "access point": "KanarkaHome",
    "mac": "dc:a6:32:77:88:99",
    "address in the journal": "10.77.88.99",
    "address of the kernel": "fe80::77:88ff:fe99:1",
    "mail": "olena.kanarka@example.org",
    "telephone": "+380 77 889 90 01",
    "token": "kAn4rOk5SeCr3t",
    "requester": "officer-kanarka",
    "text of an order": "kanarochka",
    "environment": "KANAREIKA",
    "platform key": "a2FuYXJva2thbmFyb2trYW5hcm9ra2FuYXJvazEyMzQ=",
}


class Subject:
    """A kit with secrets everywhere, and programs around it that tell some more."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch, **sections: dict[str, Any]) -> None:
        state = directory / "state"
        state.mkdir()
        password, key = directory / "password", directory / "kit.key"
        password.write_text(CANARIES["password of the broker"] + "\n")
        key.write_text(f"-----BEGIN PRIVATE KEY-----\n{CANARIES['private key']}\n-----END PRIVATE KEY-----\n")
        user, secret, address = (
            CANARIES[f"{what} of the camera"] for what in ("user", "password", "address")
        )
        corners = [[0, 0], [0.5, 0], [0.5, 1]]
        values: dict[str, dict[str, Any]] = {
            "capture": {"source": f"rtsp://{user}:{secret}@{address}/stream?token={CANARIES['token']}"},
            "site": {"building": CANARIES["building"], "precinct": CANARIES["precinct"]},
            "privacy": {"masks": [{"name": CANARIES["mask"], "polygon": corners}]},
            "view": {"zones": [{"name": CANARIES["zone"], "polygon": corners}]},
            "backbone": {
                "host": CANARIES["name of the broker"],
                "password_file": str(password),
                "platform_keys": [CANARIES["platform key"]],
            },
            **sections,
        }
        self.settings: Settings = settings(state, **values)
        self.clock = Hands(ts="2026-11-27T12:00:00.000Z")
        self.kit = Kit(state, self.clock)
        (state / "keys" / "canary").write_text(CANARIES["private key"])
        event, step = "01M8EE0VG00000000000000000", change(Phase.NEW, 1)
        self.kit.journal.event(event, step, self.kit.reporter.event(event, step))
        requester, text = CANARIES["requester"], CANARIES["text of an order"]
        self.kit.journal.audit(AuditLine("reboot", None, requester, None, "rejected", "unsigned", text))
        self.kit.clip(1)
        said = " ".join(CANARIES[what] for what in CANARIES if "kernel" not in what)
        programs = journal(
            directory / "bin",
            [record(f"WARNING agent.backbone.link: the broker refused {said}", 0), record(said, 1)],
        )
        point, mac, there = (CANARIES[what] for what in ("access point", "mac", "address of the kernel"))
        kernel = f"wlan0: associated with {point} {mac} {there}"
        unit = f"ActiveState=active\nEnvironment=T={CANARIES['environment']}\nDropInPaths=/etc/{point}.conf"
        for name, output in {"dmesg": kernel, "systemctl": unit}.items():
            (programs / name).write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\n")
            (programs / name).chmod(0o755)
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        patch.setenv("KANAREIKA", CANARIES["environment"])

    def told(self) -> bytes:
        """What the agent says of itself."""
        camera = WELL.camera.model_copy(
            update={"down": f"no pictures from {CANARIES['address of the camera']}"}
        )
        link = WELL.link.model_copy(
            update={"host": CANARIES["name of the broker"], "detail": CANARIES["mail"]}
        )
        return WELL.model_copy(update={"camera": camera, "link": link}).model_dump_json().encode()

    def bundle(self) -> Bundle:
        """Made without the checks that wait for a network."""
        return bundle(self.settings, self.clock, quick=True)


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    return Subject(tmp_path, monkeypatch)


def unpacked(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        return {
            member.name.split("/", 1)[1]: file.read()
            for member in tar.getmembers()
            if (file := tar.extractfile(member)) is not None
        }


def test_no_canary_gets_out(subject: Subject, tmp_path: Path) -> None:
    """Secrets were put into every source, each of them told by more than one: none is in the bundle."""
    server = Hatch(
        tmp_path / "state" / hatch.NAME, {"status": lambda _: subject.told(), "bundle": lambda _: b"7q2fk3m9"}
    )
    server.start()
    try:
        made = subject.bundle()
    finally:
        server.close(5)
    files = unpacked(made.data)
    assert {} == made.missing
    assert {name for name, _ in evidence.sources(subject.settings, subject.clock, None, quick=True)} | {
        "manifest.json"
    } == set(files)
    everything = b"\n".join(files.values()).decode()
    for what, canary in CANARIES.items():
        assert canary.casefold() not in everything.casefold(), what
        for part in canary.replace("@", " ").split():
            assert (
                len(part) < 5
                or what == "password of the broker"
                or part.casefold() not in everything.casefold()
            )
    assert str(tmp_path) not in everything


def test_what_support_needs_is_there(subject: Subject) -> None:
    """Counts, states, findings and the agent's own words."""
    files = {name: json.loads(data) for name, data in unpacked(subject.bundle().data).items()}
    assert "WARNING" == files["journal.json"][-1]["level"].upper()
    assert files["journal.json"][-1]["text"].startswith("the broker refused ")
    assert {"evt": 1, "clip": 1} == files["database.json"]["waiting"]
    assert 1 == files["database.json"]["counts"]["clips"][0][0]
    assert "reboot" == files["database.json"]["audit"][0]["cmd"]
    assert "rtsp" == files["settings.json"]["values"]["capture"]["source"]
    assert {"count": 1} == files["settings.json"]["values"]["privacy"]["masks"]
    assert "active" == files["units.json"]["stairwell-agent.service"]["ActiveState"]
    assert 1 == files["units.json"]["stairwell-agent.service"]["drop_ins"]
    assert {"ok", "fail"} <= {check["status"] for check in files["doctor.json"]}
    assert files["machine.json"]["memory_kb"]["MemTotal"] > 100_000


def test_manifest(subject: Subject) -> None:
    """It names the kit, each file with its hash, and what is missing and why."""
    made = subject.bundle()
    files = unpacked(made.data)
    manifest = json.loads(files.pop("manifest.json"))
    assert (made.id, KIT, True, []) == tuple(manifest[key] for key in ("id", "kit", "audited", "sealed_to"))
    assert {name: hashlib.sha256(data).hexdigest() for name, data in files.items()} == {
        file["name"]: file["sha256"] for file in manifest["files"]
    }
    assert ["status.json"] == list(manifest["missing"])  # no agent runs


def test_pseudonyms_last(subject: Subject) -> None:
    """In the next bundle the same thing has the same name: the kit keeps its secret for itself alone."""
    first, second = (unpacked(subject.bundle().data)["kernel.json"] for _ in range(2))
    assert first == second
    assert 0o600 == (subject.settings.state.dir / bundles.PSEUDONYMS).stat().st_mode & 0o777


def test_each_is_noted(subject: Subject) -> None:
    """By who took it, with the id that was printed."""
    made = subject.bundle()
    rows = query(subject.settings.state.dir, "SELECT cmd, status, text FROM audit ORDER BY n DESC LIMIT 1")
    assert [("bundle", "ok", made.id)] == rows


def test_a_dead_database_hides_nothing(subject: Subject) -> None:
    """When it is needed most it is made all the same, and says what it could not do."""
    subject.kit.end()
    (subject.settings.state.dir / "agent.db").write_bytes(b"torn" * 1000)
    made = subject.bundle()
    assert made.unnoted is not None
    assert "database.json" in made.missing
    assert "journal.json" in unpacked(made.data)


def test_an_agent_that_says_nothing(subject: Subject, tmp_path: Path) -> None:
    """Its state is missing, and why is said; the rest is there."""
    server = Hatch(
        tmp_path / "state" / hatch.NAME, {"status": lambda _: b"", "bundle": lambda _: b"7q2fk3m9"}
    )
    server.start()
    try:
        made = subject.bundle()
    finally:
        server.close(5)
    assert ["status.json"] == list(made.missing)


def test_nobody_takes_one_unseen(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not speak to the running agent gets none."""

    def refuse(*_: object) -> bytes:
        raise PermissionError

    monkeypatch.setattr(hatch, "reach", refuse)
    with pytest.raises(StairwellError, match="permission denied"):
        subject.bundle()


def test_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's age opens it with the support's key, and nothing of it can be read before."""
    subject = Subject(tmp_path, monkeypatch, support={"recipients": RECIPIENTS})
    made = subject.bundle()
    sealed, key = tmp_path / made.name, tmp_path / "support.key"
    sealed.write_bytes(made.data)
    key.write_text(f"{CITY}\n")
    assert made.name.endswith(".tar.gz.age")
    assert made.data.startswith(b"age-encryption.org/v1")
    opened = subprocess.run(["age", "-d", "-i", key, sealed], capture_output=True, check=True)
    assert 2 == len(json.loads(unpacked(opened.stdout)["manifest.json"])["sealed_to"])


def test_never_too_large() -> None:
    """A journal that compresses badly is cut from its old end."""
    noise = [
        {"ts": None, "level": "info", "logger": "x", "text": os.urandom(1500).hex()} for _ in range(4000)
    ]
    files = {"journal.json": noise, "doctor.json": [1]}
    data = bundles._packed(files, {"id": "x"})
    assert len(data) < MAX_BYTES
    kept = json.loads(unpacked(data)["journal.json"])
    assert noise[: len(kept)] == kept
    assert len(kept) == 2000


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file for its owner only, its id alone on the standard output; through a pipe, too."""
    subject = Subject(tmp_path, monkeypatch, capture={"source": str(PEOPLE)})
    (tmp_path / "agent.toml").write_text(toml(subject.settings), encoding="utf-8")
    words = ["bundle", "--quick", "-c", str(tmp_path / "agent.toml"), "--output"]
    result = CliRunner().invoke(app, [*words, str(tmp_path)])
    assert result.exit_code == 0, result.exception
    [path] = tmp_path.glob("stairwell-*.tar.gz")
    assert path.name == f"stairwell-{result.stdout.strip()}.tar.gz"
    assert 0o600 == path.stat().st_mode & 0o777
    assert "not sealed" in result.stderr
    piped = CliRunner().invoke(app, [*words, "-", "--json"])
    assert json.loads(piped.stderr)["id"] == json.loads(unpacked(piped.stdout_bytes)["manifest.json"])["id"]


def test_in_ukrainian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing and why, what it is not, and how large; the manifest and the JSON stay English."""
    subject = Subject(tmp_path, monkeypatch, capture={"source": str(PEOPLE)})
    subject.kit.end()
    (subject.settings.state.dir / "agent.db").write_bytes(b"torn" * 1000)
    (tmp_path / "agent.toml").write_text(toml(subject.settings), encoding="utf-8")
    words = ["bundle", "--quick", "-c", str(tmp_path / "agent.toml"), "--lang", "uk", "--output"]
    result = CliRunner().invoke(app, [*words, str(tmp_path)])
    assert result.exit_code == 0, result.exception
    for told in ("без status.json: агент тут не працює", "не запечатано", "Не занесено", "байт"):
        assert told in result.stderr
    assert [] == english_in(result.stderr)
    piped = CliRunner().invoke(app, [*words, "-", "--json"])
    said = json.loads(piped.stderr)["missing"]
    assert json.loads(unpacked(piped.stdout_bytes)["manifest.json"])["missing"] == said
    assert said["status.json"].startswith("no agent runs here. Fix: ")


def test_a_broken_configuration(tmp_path: Path) -> None:
    """Is told in the bundle, and does not stand in its way."""
    (tmp_path / "agent.toml").write_text('[clips]\nretention_h = "kanarok"\n', encoding="utf-8")
    words = ["bundle", "--quick", "-c", str(tmp_path / "agent.toml"), "--output", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.exception
    [path] = tmp_path.glob("stairwell-*.tar.gz")
    told = json.loads(unpacked(path.read_bytes())["settings.json"])["trouble"]
    assert "clips.retention_h" in told
    assert "kanarok" not in told


def test_a_broken_configuration_hides_the_place_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `[site]` says is not known then: the names of our own examples are not taken for harmless."""
    (tmp_path / "agent.toml").write_text(
        '[site]\ncity = "odesa"\ndistrict = "kyivskyi"\nbuilding = 7\n', encoding="utf-8"
    )
    programs = journal(
        tmp_path / "bin", [record("WARNING agent.backbone.link: bm/v1/51/odesa/kyivskyi/x refused", 0)]
    )
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    words = ["bundle", "--quick", "-c", str(tmp_path / "agent.toml"), "--output", str(tmp_path)]
    assert CliRunner().invoke(app, words).exit_code == 0
    [path] = tmp_path.glob("stairwell-*.tar.gz")
    files = unpacked(path.read_bytes())
    assert b"refused" in files["journal.json"]
    assert [] == [word for word in (b"odesa", b"kyivskyi") if word in b"".join(files.values())]
