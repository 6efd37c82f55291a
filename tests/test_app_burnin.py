"""The burn-in: what passes, what fails, and who is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from standin import standin

from agent.app import burnin
from agent.app.examination import examination
from agent.app.proof import NAME, Proof, passed, told
from agent.app.reporter import Reporter, topics
from agent.backbone.outbox import Numbers
from agent.config import Settings, load
from agent.device.clock import SystemClock
from agent.doctor.check import Status
from agent.doctor.runner import chosen, run

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 8 << 20


def settings(tmp_path: Path, source: str = "synthetic:") -> Settings:
    return load(None, {"capture": {"source": source}, "state": {"dir": str(tmp_path)}})


def answers(tmp_path: Path, source: str = "synthetic:", only: str = "burn.*") -> dict[str, Any]:
    checks = burnin.checks(settings(tmp_path, source), SystemClock(), SIZE)
    return {result.check.code: result.verdict for result in run(chosen(checks, only=(only,)))}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burnin, "WATCH_S", 1.0)
    monkeypatch.setattr(burnin, "FIRST_S", 3.0)
    monkeypatch.setattr(burnin, "PACE", 0.2)  # of a machine that does other things meanwhile


def test_a_kit_that_works(tmp_path: Path) -> None:
    """Pictures come and change, the card gives back what was written, and nothing is left of the trial."""
    found = answers(tmp_path)
    assert {"burn.camera": Status.OK} == {c: v.status for c, v in found.items() if c == "burn.camera"}
    assert found["burn.card"].status in {Status.OK, Status.WARN}
    assert "8 MB written and read back" in found["burn.card"].text.en
    assert [] == list(tmp_path.iterdir())


def test_a_camera_that_is_not_there(tmp_path: Path) -> None:
    """It is told with the fix of its alarm, in both languages."""
    verdict = answers(tmp_path, "/nonexistent.mp4")["burn.camera"]
    assert Status.FAIL is verdict.status
    assert "/nonexistent.mp4" in verdict.text.uk
    assert verdict.fix is not None


def test_a_camera_that_never_answers(tmp_path: Path) -> None:
    """A live source would wait for ever; the burn-in does not."""
    verdict = answers(tmp_path, "rtsp://127.0.0.1:9/none")["burn.camera"]
    assert (Status.FAIL, "no pictures within 3 s") == (verdict.status, verdict.text.en)


def test_a_frozen_camera(tmp_path: Path) -> None:
    """A sensor that repeats one picture to the last bit does not film."""
    video = tmp_path / "still.mp4"
    words = "-f lavfi -i color=gray:size=320x240:rate=10:duration=3 -c:v libx264 -pix_fmt yuv420p -v error"
    subprocess.run(["ffmpeg", *words.split(), video], check=True)
    verdict = answers(tmp_path, str(video))["burn.camera"]
    assert (Status.FAIL, "every picture is the same") == (verdict.status, verdict.text.en)


def test_a_card_that_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back different is a failure, whatever the write said."""

    def altered(fd: int, size: int) -> bytes:
        return os.read(fd, size)[:-1] + b"x" if size > 1 << 20 else os.read(fd, size)

    monkeypatch.setattr(burnin, "os", standin(os, read=altered))
    verdict = answers(tmp_path)["burn.card"]
    assert (Status.FAIL, "it gave back something else than was written") == (verdict.status, verdict.text.en)


def test_a_card_without_room(tmp_path: Path) -> None:
    """The trial must not fill the card it is to prove."""
    check = next(
        c for c in burnin.checks(settings(tmp_path), SystemClock(), 1 << 50) if c.code == "burn.card"
    )
    verdict = check.ask()
    assert Status.FAIL is verdict.status
    assert "MB free" in verdict.text.en


def test_a_slow_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below class 10 it is told, far below it fails."""
    for slow, too_slow, status in ((1e9, 0.0, Status.WARN), (1e9, 1e9, Status.FAIL)):
        monkeypatch.setattr(burnin, "SLOW_MB_S", slow)
        monkeypatch.setattr(burnin, "TOO_SLOW_MB_S", too_slow)
        check = (
            next(c for c in burnin.checks(settings(tmp_path), SystemClock(), SIZE) if c.code == "burn.card")
            if too_slow
            else None
        )
        verdict = check.ask() if check else burnin._card(tmp_path, SIZE)
        assert status is verdict.status


# --- the proof ------------------------------------------------------------------------------------------


def test_the_command_keeps_the_proof(tmp_path: Path) -> None:
    """`stairwell burnin` says each check and keeps what came of it; its exit code tells a failure."""
    config = tmp_path / "agent.toml"
    config.write_text(f"[capture]\nsource = '/nonexistent.mp4'\n[state]\ndir = '{tmp_path}'\n")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import agent.app.burnin as b; b.SIZE = {SIZE}\nfrom agent.cli import main; main()",
            "burnin",
            "-c",
            config,
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 2 == done.returncode, done.stderr
    said = json.loads(done.stdout)
    held = Proof.read(tmp_path)
    assert held is not None
    assert (False, "0000000000") == (held.ok, held.kit)
    assert {"cam.source"} <= set(held.failed)
    assert said["checks"] == list(held.checks)
    assert {"ai.selftest", "power.undervoltage", "boot.watchdog"} <= {check["code"] for check in held.checks}
    assert not any(check["code"].startswith("net.") for check in held.checks)


@pytest.mark.parametrize(
    ("kit", "status", "expected"),
    [("0000000000", "ok", Status.OK), ("0000000000", "fail", Status.FAIL), ("k7f3k2qx4m", "ok", Status.WARN)],
)
def test_the_doctor_tells_it(tmp_path: Path, kit: str, status: str, expected: Status) -> None:
    """Passed, failed, or another kit's card: each in its own words."""
    Proof.of(kit, "2026-11-27T10:00:00Z", [{"code": "burn.card", "status": status, "text": "x"}]).write(
        tmp_path
    )
    assert expected is told(settings(tmp_path)).status
    assert "kit.burnin" in {check.code for check in examination(settings(tmp_path), SystemClock())}


def test_every_birth_tells_it(tmp_path: Path) -> None:
    """The city sees from the birth whether a kit was proved; nothing where nobody tried or can tell."""
    chosen_settings = settings(tmp_path)
    reporter = Reporter(chosen_settings, topics(chosen_settings), SystemClock(), "0" * 8, "x")

    def said() -> object:
        return json.loads(reporter.birth(1, Numbers("0" * 8, 3, 10, 7, 2, 1.25, 4096, 0)).payload).get(
            "burnin"
        )

    assert said() is None
    for status, expected in (("ok", True), ("fail", False)):
        Proof.of("0000000000", None, [{"code": "x", "status": status, "text": "x"}]).write(tmp_path)
        assert expected is said()
    (tmp_path / NAME).write_bytes(b"damaged")
    assert said() is None
    assert passed(tmp_path) is None
