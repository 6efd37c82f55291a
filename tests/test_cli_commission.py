"""A commissioning from the walk to the signature: a real agent and broker, a platform that acknowledges."""

from __future__ import annotations

import json
import subprocess
import sys
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

AGENT = "import sys, pathlib; from agent.device import clock; clock.BOOT_ID = pathlib.Path(sys.argv.pop(1))\n"
AGENT += "from agent.cli import main; sys.argv[0] = 'stairwell'; main()"
"""The agent on a board whose boot is told by a file: another text is another boot, killing it a power cut."""


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

    @contextmanager
    def agent(self, boot: str) -> Iterator[subprocess.Popen[bytes]]:
        """The agent at work, from its first picture until it is killed."""
        self.boot.write_text(f"{boot}-0000-4000-8000-000000000000\n", encoding="ascii")
        command = [sys.executable, "-c", AGENT, str(self.boot), "run", "--config", str(self.config)]
        with (self.directory / "agent.log").open("a") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.directory)
        try:
            wait_for(self._sees, 60)
            yield process
        finally:
            process.kill()
            process.wait()

    def _sees(self) -> bool:
        with suppress(OSError):
            told = json.loads(hatch.ask(self.directory / hatch.NAME, "status"))
            return told["camera"].get("first") is not None and told["link"]["connected"]
        return False


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Footage over and over: two seconds of nobody, then somebody for four."""
    broker = Broker(tmp_path)
    broker.start()
    chosen = settings(
        tmp_path,
        capture={"source": str(visit(tmp_path / "visit.mp4", 6, 2)), "loop": True},
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
def test_a_kit_is_walked_cut_and_signed_for(site: Site) -> None:
    """A walk acknowledged within ten seconds; a power cut that loses nothing; a signature that the city has.

    One story, for an agent takes seconds to start: each step stands on those before it.
    """
    with city(site), site.agent("aaaaaaaa"):
        code, aimed = site.command("aim", "--yes")
        assert (0, True) == (code, aimed["passed"]), aimed
        # Somebody comes and goes all the time here.
        assert site.command("reference", "--seconds", 0)[1]["refused"] in {None, "not-empty"}
        code, walked = site.command("walk")
        assert (0, True) == (code, walked["passed"]), walked
        assert 0 < walked["seconds"] <= 10
        code, begun = site.command("power")
        assert (0, {"v": 1, "passed": False, "begun": True}) == (code, begun)
        code, early = site.command("power")
        assert (2, ["cut"]) == (code, [point["point"] for point in early["points"]])
    with city(site), site.agent("bbbbbbbb"):
        code, judged = site.command("power")
        points = {point["point"]: point["ok"] for point in judged["points"]}
        # The agent of this test began long after its machine did.
        assert {"cut": True, "back": points["back"], "pictures": True, "clip": True, "messages": True,
                "clips": True} == points, judged  # fmt: skip

        refused = stairwell("commission", "sign", "--by", "О. Коваленко", "-c", site.config)
        assert 1 == refused.returncode
        assert "Masks and zones" in refused.stderr
        for step in ("view", "reference", "power"):
            words = ("commission", "waive", step, "--why", f"no {step} here", "-c", site.config)
            assert 0 == stairwell(*words).returncode
        sign = ("sign", "--by", "О. Коваленко", "--despite", "a bench, not a wall")
        code, signed = site.command(*sign)
        assert (0, True) == (code, signed["acknowledged"])
        assert (0, signed) == site.command(*sign)

    (accepted,) = [fresh for fresh in site.kept if fresh.topic.endswith(f"/{KIT}/accept")]
    told = accepted.message
    assert "Accept" == check(told)
    assert ("О. Коваленко", signed["seq"]) == (told["by"], told["seq"])
    assert {"walk": "passed", "power": "waived"} == {
        step["step"]: step["state"] for step in told["steps"] if step["step"] in {"walk", "power"}
    }
    assert PublicKey.read(site.directory / KEYS / PUBLIC_NAME).text == told["key"]
    code, status = site.command("status")
    assert (0, []) == (code, status["missing"])
