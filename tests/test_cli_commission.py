"""A commissioning from the walk to the signature: a real agent and broker, a platform that acknowledges."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import KIT, check, settings, toml, visit
from broker import Broker, wait_for
from commandline import stairwell

from agent.app import hatch
from agent.app.platform import Platform
from agent.config import Backbone
from agent.device import clock
from agent.device.identity import KEYS, PUBLIC_NAME, PublicKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.backbone.consumer import Fresh
    from agent.config import Settings

AGENT = """
import pathlib, sys
from agent.cli import main
from agent.device import clock

_, boot, ago, *words = sys.argv
clock.BOOT_ID, own = pathlib.Path(boot), clock.SystemClock.mono
start = own(None) - float(ago) if float(ago) else 0.0
clock.SystemClock.mono = lambda self: own(self) - start
sys.argv = ["stairwell", *words]
main()
"""
"""The agent on a board whose boot is told by a file: another text is another boot, killing it a power cut.

It began `ago` seconds before its agent; with 0 when this machine did.
"""
TRIES = 3
BOARD_S = 12.0  # from a board's start to its agent's


@dataclass
class Site:
    """A kit on its wall, and the city behind its broker."""

    directory: Path
    broker: Broker
    settings: Settings
    kept: list[Fresh] = field(default_factory=list)

    @property
    def boot(self) -> Path:
        """What tells the boot."""
        return self.directory / "boot_id"

    @property
    def config(self) -> Path:
        """The kit's own settings."""
        return self.directory / "agent.toml"

    def command(self, *words: object) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of a step."""
        ended = stairwell("commission", *words, "--config", self.config, "--json")
        assert ended.stdout, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    def walked(self) -> tuple[int, dict[str, Any]]:
        """The walk, again where this machine is too busy for the ten seconds: a kit has no tests to run."""
        for _ in range(TRIES):
            code, told = self.command("walk")
            if told.get("fault") not in {"late", "platform"}:
                break
        return code, told

    @contextmanager
    def agent(self, boot: str, ago: float = 0) -> Iterator[subprocess.Popen[bytes]]:
        """The agent at work, from its first picture until it is killed."""
        self.boot.write_text(f"{boot}-0000-4000-8000-000000000000\n", encoding="ascii")
        words = (self.boot, ago, "run", "--config", self.config)
        command = [sys.executable, "-c", AGENT, *map(str, words)]
        with (self.directory / "agent.log").open("a") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.directory)
        try:
            wait_for(self._sees, 60)
            yield process
        finally:
            process.kill()
            process.wait()

    def _sees(self) -> bool:
        time.sleep(0.1)  # it starts on the cores that ask
        with suppress(OSError):
            told = json.loads(hatch.ask(self.directory / hatch.NAME, "status"))
            return told["camera"].get("first") is not None and told["link"]["connected"]
        return False


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, footage: tuple[float, float]) -> Iterator[Site]:
    """Footage over and over: so many seconds, of so many nobody."""
    broker = Broker(tmp_path)
    broker.start()
    chosen = settings(
        tmp_path,
        capture={"source": str(visit(tmp_path / "visit.mp4", *footage)), "loop": True},
        backbone={"port": broker.port, "delivery": "watermark"},
        events={"quiet_s": 1},
        clips={"sync_s": 0.5},
    )
    one = Site(tmp_path, broker, chosen)
    one.config.write_text(toml(chosen), encoding="utf-8")
    monkeypatch.setattr(clock, "BOOT_ID", one.boot)
    yield one
    broker.stop()


@contextmanager
def city(site: Site) -> Iterator[Platform]:
    """The reference consumer, which acknowledges what it has kept."""
    where = Backbone(host="127.0.0.1", port=site.broker.port, tls=False)
    platform = Platform(where, "city", site.kept.extend)
    platform.start()
    assert platform.listening(10)
    yield platform
    platform.close()


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(300)  # what it waits for has limits of its own, 60 s each
@pytest.mark.parametrize("footage", [(6.0, 2.0)])
def test_a_kit_is_walked_cut_and_signed_for(site: Site) -> None:
    """A walk that the city acknowledges; a power cut that loses nothing; a signature that the city has.

    One story, for an agent takes seconds to start: each step stands on those before it.
    """
    with city(site), site.agent("aaaaaaaa"):
        code, aimed = site.command("aim", "--yes")
        assert (0, True) == (code, aimed["passed"]), aimed
        code, drawn = site.command("view", "--none")
        assert (0, 0) == (code, drawn["masks"]), drawn
        refused = stairwell("commission", "sign", "--by", "О. Коваленко", "-c", site.config)
        assert 1 == refused.returncode
        assert "not signed: Reference picture, Walk test, Power-cut test." in refused.stderr
        words = ("commission", "waive", "reference", "--why", "people all the time", "-c", site.config)
        assert 0 == stairwell(*words).returncode
        code, walked = site.walked()
        assert (0, True) == (code, walked["passed"]), walked
        code, begun = site.command("power")
        assert (0, {"v": 1, "passed": False, "begun": True}) == (code, begun)
        code, early = site.command("power")
        assert (2, ["cut"]) == (code, [point["point"] for point in early["points"]])
    with city(site), site.agent("bbbbbbbb", BOARD_S):
        code, judged = site.command("power")
        points = {point["point"]: point["ok"] for point in judged["points"]}
        assert dict.fromkeys(("cut", "back", "pictures", "clip", "messages", "clips"), True) == points, judged
        assert 0 == code

        sign = ("sign", "--by", "О. Коваленко", "--despite", "a bench, not a wall")
        code, signed = site.command(*sign)
        assert (0, True) == (code, signed["acknowledged"])
        assert (0, signed) == site.command(*sign)

    (accepted,) = [fresh for fresh in site.kept if fresh.topic.endswith(f"/{KIT}/accept")]
    told = accepted.message
    assert "Accept" == check(told)
    assert ("О. Коваленко", signed["seq"]) == (told["by"], told["seq"])
    assert {
        "aim": "passed", "view": "passed", "reference": "waived", "walk": "passed", "power": "passed"
    } == {step["step"]: step["state"] for step in told["steps"]}  # fmt: skip
    assert PublicKey.read(site.directory / KEYS / PUBLIC_NAME).text == told["key"]
    code, status = site.command("status")
    assert (0, []) == (code, status["missing"])


@pytest.mark.broker
@pytest.mark.parametrize("footage", [(4.0, 4.0)])
def test_an_empty_stairwell_is_known_by_its_reference(site: Site) -> None:
    """The agent takes it of itself once nothing moves any more, and judges by it from then on."""
    with city(site), site.agent("aaaaaaaa"):
        assert (0, {"v": 1, "passed": True, "refused": None}) == site.command("reference")
        code, status = site.command("status")

    assert (2, "passed") == (code, status["steps"]["reference"]["state"])
    assert [30, 40] == status["steps"]["reference"]["found"]["shape"]  # of a picture of 4:3
