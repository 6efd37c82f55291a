"""A kit whose clock is wrong, and is set while it watches: the whole agent, real TLS, the reference consumer.

The wall clock of the agent's process is faked by libfaketime (the monotonic one is the machine's), so that
OpenSSL, too, sees the wrong time. The broker and the platform have the right one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import KIT, kept, settings, toml, visit
from broker import wait_for

from agent.app.platform import Platform
from agent.device.clock import SystemClock
from agent.device.savedtime import NAME
from pki import Authority
from reference import HOST, PLATFORM, ReferenceBroker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.backbone.consumer import Fresh

pytestmark = [pytest.mark.broker, pytest.mark.slow]

UNSET, LONG_AGO = "@1970-01-01 00:10:00", "@2006-01-01 00:00:00"
OPEN_S = 60.0  # on a loaded machine the agent takes its time
HOUR = 3600.0


@dataclass
class Story:
    """What the platform heard."""

    births: list[dict[str, Any]] = field(default_factory=list)
    stored: list[Fresh] = field(default_factory=list)

    def ear(self, topic: str, payload: bytes) -> None:
        """Every message as it came."""
        if topic.endswith(f"/{KIT}/st"):
            message = json.loads(payload)
            if message["state"] == "online":
                self.births.append(message)

    def step(self, event: str, phase: str) -> Fresh | None:
        """A step of an event's life, once it is stored."""
        steps = [one for one in list(self.stored) if "/evt/person" in one.topic]
        return next((s for s in steps if (s.message["id"], s.message["phase"]) == (event, phase)), None)


def library() -> Path:
    """Debian's libfaketime for programs with threads."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("Debian's faketime is not installed")
    return found[0]


def seconds(ts: str | None) -> float:
    assert ts is not None
    return datetime.fromisoformat(ts).timestamp()


def really(mono: float) -> float:
    """When a moment of this boot really was."""
    return datetime.now(UTC).timestamp() - (SystemClock().mono() - mono)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ReferenceBroker]:
    made = ReferenceBroker(tmp_path, Authority(tmp_path / "pki"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def story(broker: ReferenceBroker) -> Iterator[Story]:
    told = Story()
    platform = Platform(broker.settings(PLATFORM), PLATFORM, told.stored.extend, ear=told.ear)
    platform.start()
    assert platform.listening(OPEN_S)
    yield told
    platform.close()


def test_a_clock_that_is_set_during_an_event(broker: ReferenceBroker, story: Story, tmp_path: Path) -> None:
    """Unset, in 2006, right, an hour ahead, and back: no event is lost, misdated or of a wrong length."""
    state, wall = tmp_path / "state", tmp_path / "wall"
    state.mkdir()
    broker.settings(KIT)  # makes its certificate
    pki = broker.authority
    footage = visit(tmp_path / "visit.mp4", seconds=6.5, nobody_s=3.5)
    chosen = settings(
        state,
        capture={"source": str(footage), "loop": True},
        events={"quiet_s": 2},
        clips={"enabled": False},
        backbone={
            "host": HOST,
            "port": broker.port,
            "tls": True,
            "ca_file": pki.ca,
            "cert_file": pki.directory / f"{KIT}.pem",
            "key_file": pki.directory / f"{KIT}.key",
            "delivery": "watermark",
        },
    )
    (tmp_path / "agent.toml").write_text(toml(chosen))
    wall.write_text(UNSET)
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(wall),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    log = (tmp_path / "agent.log").open("w")
    with (
        log,
        subprocess.Popen(
            [sys.executable, "-m", "agent", "run", "--config", tmp_path / "agent.toml"],
            env=environment,
            stderr=log,
            cwd=tmp_path,
        ) as agent,
    ):
        try:
            said = (tmp_path / "agent.log").read_text
            wait_for(lambda: "tls-not-yet-valid" in said(), OPEN_S)
            wall.write_text(LONG_AGO)
            # In the middle of an event: its beginning is stored, its end is not.
            wait_for(lambda: [m["phase"] for m in kept(state) if "phase" in m][-1:] == ["new"], OPEN_S)
            [*_, event] = [m["id"] for m in kept(state) if "phase" in m]
            assert [] == story.births
            wall.write_text("+0")
            wait_for(lambda: story.births and story.step(event, "end"), 2 * OPEN_S)
            for offset in (HOUR, 0.0):
                born = len(story.births)
                wall.write_text(f"+{offset:.0f}")
                wait_for(lambda born=born: len(story.births) > born, OPEN_S)
                birth = story.births[-1]
                assert offset == pytest.approx(seconds(birth["ts"]) - really(birth["mono"]), abs=2.0)
        finally:
            agent.send_signal(signal.SIGTERM)
            assert 0 == agent.wait(OPEN_S), said()

    first = story.births[0]
    assert 0 == pytest.approx(seconds(first["ts"]) - really(first["mono"]), abs=2.0)
    assert {birth["session"] for birth in story.births} == {1}  # said again, not connected again
    new, end = story.step(event, "new"), story.step(event, "end")
    assert new is not None
    assert end is not None
    assert (None, "none", None) == (new.message["ts"], new.message["clk"], new.message["t0"])
    # The platform dates what was said in 2006, and an event that began there has its true length.
    assert 0 == pytest.approx(seconds(new.at) - really(new.message["mono"]), abs=2.0)
    assert 0 == pytest.approx(seconds(end.at) - really(end.message["mono"]), abs=2.0)
    assert 1 < end.message["dur"] < 60
    # It is over before it is told; how long before is a matter of the machine, but no hour.
    assert 0 <= end.message["mono"] - end.message["mono0"] - end.message["dur"] < 60
    kept_time = state / NAME
    assert not kept_time.exists() or abs(kept_time.stat().st_mtime - datetime.now(UTC).timestamp()) < 60
