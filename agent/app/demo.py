"""The demonstration: a private broker, the real agent on shipped footage, and a subscriber that listens.

Nothing of it is staged: the agent is a process of its own with a configuration file, the broker is
Mosquitto on a free loopback port, and what is printed is what came over MQTT. The city's keys are made for
the occasion; the agent is told their public halves, and the clips are opened afterwards, as a city would.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from pyrage import x25519

from agent.app.platform import Platform
from agent.app.replay import Outputs, replay_video
from agent.backbone.consumer import Fresh, Odd
from agent.clips.journal import SEALED_SUFFIX
from agent.clips.unseal import read_keys, unseal
from agent.clips.verify import verify
from agent.config import Backbone, Settings
from agent.device.identity import KEYS, PUBLIC_NAME, SECRET_MODE, PublicKey
from agent.durable import write_whole
from agent.errors import BrokerError, StairwellError, StorageError
from agent.kitid import check_character
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.backbone.consumer import Consumer
    from agent.backbone.consumer import Outcome as Told

SAMPLES = Path(__file__).parent.parent / "samples"
PEOPLE = SAMPLES / "demo_people.mp4"
LAMPS = SAMPLES / "demo_light.mp4"

CITY_KEY, ESCROW_KEY = "city.key", "escrow.key"
MARK = ".stairwell-demo"  # in a directory whose state is ours to delete
KIT = "dem0k1t00" + check_character("dem0k1t00")
BROKER_START_S = 5.0  # Mosquitto listens within 0.1 s; a loaded board takes longer
LAST_MESSAGES_S = 1.0  # from the agent's exit to the last message's arrival over loopback
STOP_S = 30.0  # the agent finishes its clip within this
PRE_ROLL_S = 4  # the shipped person comes after five seconds: the ten of a kit are not there to be kept
HEARTBEAT_S = 10  # short enough to see two in a demonstration of half a minute


@dataclass(slots=True)
class Outcome:
    """What the subscriber saw, and where the results lie."""

    directory: Path
    messages: int = 0
    missing: int = 0
    """Numbers of the stream that neither came nor were named by a gap."""
    odd: list[str] = field(default_factory=list)
    """In what messages broke the contract."""
    events: dict[str, list[str]] = field(default_factory=dict)
    """Event id to the phases seen."""
    started: dict[str, float] = field(default_factory=dict)
    """Event id to its beginning, seconds of the kit's monotonic clock."""
    snapshots: list[Path] = field(default_factory=list)
    sealed: list[Path] = field(default_factory=list)
    """The clips as the kit keeps them."""
    clips: list[Path] = field(default_factory=list)
    """The clips as the city opened them."""
    authentic: int = 0
    """How many of them are what the kit signed."""
    keyed: int = 0
    """How many of them begin with a key frame."""
    clip_seconds: float = 0.0
    lead_s: float | None = None
    """How long before the first event the first clip starts."""
    lamp_switches: int = 0
    lamp_events: int = 0

    @property
    def convincing(self) -> bool:
        """Whether all was shown that should be: whole events, each clip sealed, signed, opened, playing.

        And whether every message came, each as the contract wants it.
        """
        events = bool(self.events) and all(phases[-1] == "end" for phases in self.events.values())
        whole = 0 < len(self.clips) == len(self.sealed) == self.authentic == self.keyed
        plays = self.clip_seconds > 0 and self.lead_s is not None and self.lead_s >= PRE_ROLL_S
        kept = self.missing == 0 and not self.odd
        return events and whole and plays and kept and bool(self.snapshots) and self.lamp_events == 0


def demonstrate(directory: Path, heard: Callable[[str, bytes], None]) -> Outcome:
    """Run the whole chain on the shipped sample; `heard(topic, payload)` for each message received.

    Raises:
        BrokerError: there is no Mosquitto, or it does not start.
        StorageError: `directory` cannot be written.
        StairwellError: the agent ended with an error.
    """
    directory = directory.resolve()  # the agent starts elsewhere
    _prepare(directory)
    outcome = Outcome(directory)
    recipients = [_make_key(directory / name) for name in (CITY_KEY, ESCROW_KEY)]
    with _broker(directory) as port, _subscriber(port, outcome, heard):
        _run_agent(directory, port, recipients)
        time.sleep(LAST_MESSAGES_S)
    _open_clips(outcome, directory)
    for clip in outcome.clips:
        with av.open(str(clip)) as container:
            outcome.clip_seconds += (container.duration or 0) / av.time_base
            outcome.keyed += next(container.demux(video=0)).is_keyframe
    summary = replay_video(LAMPS, Settings.model_construct(), Outputs())  # of nobody's environment
    outcome.lamp_events = summary.events
    outcome.lamp_switches = len(json.loads(LAMPS.with_suffix(".gt.json").read_text())["light_switches"])
    return outcome


def _prepare(directory: Path) -> None:
    try:
        if (directory / "state").exists():
            if not (directory / MARK).exists():
                raise StorageError(
                    say("{path}: was not made by a demonstration", path=directory / "state"),
                    fix=say("name another with --out"),
                )
            shutil.rmtree(directory / "state")
        directory.mkdir(parents=True, exist_ok=True)
        (directory / MARK).touch()
    except OSError as error:
        raise StorageError(
            say("{path}: cannot be written ({reason})", path=directory, reason=error),
            fix=say("name another with --out"),
        ) from None


def _make_key(path: Path) -> str:
    """A secret key of the city's at `path`, in the form of `age-keygen`; its recipient."""
    key = x25519.Identity.generate()
    recipient = str(key.to_public())
    write_whole(path, f"# public key: {recipient}\n{key}\n".encode(), SECRET_MODE)
    return recipient


def _open_clips(outcome: Outcome, directory: Path) -> None:
    """What the city does: open each clip, and see that it is what the kit signed."""
    keys = read_keys(directory / CITY_KEY)
    for sealed in outcome.sealed:
        opened = directory / f"clip-{sealed.name.removesuffix(SEALED_SUFFIX)}.mp4"
        with sealed.open("rb") as file, opened.open("wb") as out:
            if unseal(file, out, keys) == "whole":
                outcome.clips.append(opened)
    public = PublicKey.read(directory / "state" / KEYS / PUBLIC_NAME)
    verdicts = verify(outcome.sealed, public, keys)
    outcome.authentic = sum(verdict.kind == "authentic" for verdict in verdicts)


@contextmanager
def _broker(directory: Path) -> Iterator[int]:
    """A Mosquitto of our own on a free loopback port; its log lies in `directory`."""
    # Debian puts it where a user's PATH does not always look.
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise BrokerError(
            say("mosquitto: not installed"), fix=say("run scripts/setup, or: sudo apt install mosquitto")
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    configuration = directory / "mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    with (directory / "mosquitto.log").open("w") as output:
        process = subprocess.Popen([program, "-c", str(configuration)], stdout=output, stderr=output)
        try:
            _await_port(port, process, directory)
            yield port
        finally:
            process.terminate()
            process.wait()


def _await_port(port: int, process: subprocess.Popen[bytes], directory: Path) -> None:
    deadline = time.monotonic() + BROKER_START_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise BrokerError(
        say("mosquitto: did not start"), fix=say("read {path}", path=directory / "mosquitto.log")
    )


@contextmanager
def _subscriber(port: int, outcome: Outcome, heard: Callable[[str, bytes], None]) -> Iterator[None]:
    """A platform that keeps the snapshots, notes events and clips, and counts."""

    def ear(topic: str, payload: bytes) -> None:
        outcome.messages += 1
        heard(topic, payload)

    def keep(batch: list[Fresh]) -> None:
        for fresh in batch:
            _note(outcome, fresh)

    def note(told: Told) -> None:
        if isinstance(told, Odd):
            outcome.odd.append(f"{told.topic}: {told.why}")

    settings = Backbone(host="127.0.0.1", port=port, tls=False)
    platform = Platform(settings, "demo-platform", keep, note, ear=ear)
    platform.start()
    try:
        if not platform.listening(BROKER_START_S):
            raise BrokerError(
                say("mosquitto: takes no subscription"), fix=say("read its log in the same directory")
            )
        yield
    finally:
        platform.close()
    outcome.missing = _missing(platform.consumer)
    if platform.error is not None:
        raise platform.error


def _missing(consumer: Consumer) -> int:
    return sum(
        last - first + 1
        for kit in consumer.kits
        for stream in consumer.streams(kit)
        for first, last in consumer.account(kit, stream).missing()
    )


def _note(outcome: Outcome, fresh: Fresh) -> None:
    kind, _, detail = fresh.topic.split("/", 6)[-1].partition("/")
    message = fresh.message
    if fresh.trouble:
        outcome.odd.append(f"{fresh.topic}: {fresh.trouble}")
    if kind == "snap":
        path = outcome.directory / f"snapshot-{detail}.jpg"
        path.write_bytes(fresh.payload)
        if path not in outcome.snapshots:
            outcome.snapshots.append(path)
    elif kind == "evt":
        outcome.events.setdefault(message["id"], []).append(message["phase"])
        outcome.started.setdefault(message["id"], message["mono0"])
    elif kind == "clip":
        _note_clip(outcome, message)


def _note_clip(outcome: Outcome, message: dict[str, Any]) -> None:
    outcome.sealed.append(outcome.directory / "state" / "clips" / (message["clip"] + SEALED_SUFFIX))
    leads = [outcome.started[event] - message["mono0"] for event in message["events"]]
    if outcome.lead_s is None and leads:
        outcome.lead_s = min(leads)


def _run_agent(directory: Path, port: int, recipients: list[str]) -> None:
    configuration = directory / "agent.toml"
    configuration.write_text(_configuration(directory, port, recipients), encoding="utf-8")
    command = [sys.executable, "-m", "agent", "run", "--config", str(configuration)]
    with (directory / "agent.log").open("w") as output, tempfile.TemporaryDirectory() as elsewhere:
        # From elsewhere: the agent must find everything inside its package.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STAIRWELL_")}
        environment["PYTHONPATH"] = str(SAMPLES.parents[1])  # the Debian package lies off the path
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=elsewhere, env=environment)
        try:
            code = process.wait()
        finally:
            if process.poll() is None:  # Ctrl-C
                process.send_signal(signal.SIGTERM)
                process.wait(STOP_S)
    if code != 0:
        raise StairwellError(
            say("the agent ended with exit code {code}", code=code),
            fix=say("read {path}", path=directory / "agent.log"),
        )


def _configuration(directory: Path, port: int, recipients: list[str]) -> str:
    return f"""# Written by `stairwell demo`.
[kit]
id = "{KIT}"

[site]
oblast = "51"
city = "odesa"
district = "kyivskyi"
building = "demo"
entrance = "1"

[capture]
source = {json.dumps(str(PEOPLE))}

[clips]
recipients = {json.dumps(recipients)}
pre_roll_s = {PRE_ROLL_S}

[backbone]
host = "127.0.0.1"
port = {port}
tls = false
heartbeat_s = {HEARTBEAT_S}

[state]
dir = {json.dumps(str(directory / "state"))}
"""
