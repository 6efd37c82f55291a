"""What the tests of the wiring share: settings, messages read back, a visit on video, a source by script."""

from __future__ import annotations

import json
import queue
import socket
import sqlite3
import threading
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from capture_videos import ffmpeg
from jsonschema import Draft202012Validator

from agent.app.analysis import Analysis
from agent.backbone.contract.schema import schema
from agent.backbone.drafts import HEADER
from agent.config import Settings, load
from agent.device.clock import Stamp
from agent.picture import Picture
from agent.types import Box, EventChange, Frame, Motion, Phase, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.backbone.publication import Publication
    from agent.capture.source import Source
    from agent.types import SourceItem

    Part = SourceItem | Source | Callable[[], object]

SAMPLES = Path(__file__).parent.parent / "agent" / "samples"
PEOPLE = SAMPLES / "demo_people.mp4"
LAMPS = SAMPLES / "demo_light.mp4"

KIT = "k7f3k2qx4m"
BASE = f"bm/v1/51/odesa/kyivskyi/{KIT}/"
SITE = {"oblast": "51", "city": "odesa", "district": "kyivskyi", "building": "b-17"}
NOBODY_S = 1.0  # of the visit, before somebody comes in


def settings(directory: Path, **sections: dict[str, Any]) -> Settings:
    """Settings of a kit whose state lies in `directory`; `sections` over them."""
    return load(None, own(directory, **sections))


def own(directory: Path, **sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the kit's own file says for them, before anything is judged."""
    values: dict[str, dict[str, Any]] = {
        "kit": {"id": KIT},
        "site": SITE,
        "capture": {"source": "synthetic:?seconds=0.5&width=64&height=48"},
        "clips": {"seal": "none", "reserve_mb": 0},
        "backbone": {"host": "127.0.0.1", "port": 1, "tls": False},
        "state": {"dir": directory},
    }
    for section, table in sections.items():
        values[section] = {**values.get(section, {}), **table}
    return values


def toml(chosen: Settings) -> str:
    """The settings as the file that gives them."""
    lines = []
    for section, values in chosen.model_dump(mode="json", exclude_unset=True).items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
    return "\n".join([*lines, ""])


def visit(path: Path, seconds: float = 7.0, nobody_s: float = NOBODY_S) -> Path:
    """The sample from a while before somebody comes in, key frames a second apart as a camera's are."""
    start = str(4.9 - nobody_s)
    ffmpeg("-ss", start, "-t", str(seconds), "-i", PEOPLE, "-c:v", "libx264", "-g", "10", "-bf", "0",
           "-sc_threshold", "0", "-preset", "veryfast", "-an", path)  # fmt: skip
    return path


@contextmanager
def service_manager(address: Path) -> Iterator[list[str]]:
    """Meanwhile this process and its children have a service manager with a watchdog; what it hears."""
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, pytest.MonkeyPatch.context() as patch:
        channel.bind(str(address))
        patch.setenv("NOTIFY_SOCKET", str(address))
        patch.setenv("WATCHDOG_USEC", "10000000")

        def hear() -> None:
            while (word := channel.recv(100).decode()) != "END":
                heard.append(word)

        thread = threading.Thread(target=hear)
        thread.start()
        yield heard
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"END", str(address))
        thread.join()


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self, mono: float = 1000.0, boot: str = "aaaaaaaa", ts: str | None = None) -> None:
        self.boot = boot
        self.t = mono
        self.ts = ts

    def mono(self) -> float:
        """See Clock."""
        return self.t

    def stamp(self, mono: float | None = None) -> Stamp:
        """See Clock."""
        t = round(self.t if mono is None else mono, 3)
        return Stamp(self.boot, t, self.ts, "ntp" if self.ts else "none")

    def unix_ms(self) -> int:
        """See Clock."""
        return round(1000 * self.t)


class Scripted:
    """A source that goes through a script and ends when it is closed.

    A part of the script is an item, another source (played to its end), or something to call. `hold` is
    called before each frame.
    """

    corrupt = 0
    unseen = 0
    unrecorded = 0

    def __init__(self, *script: Part, hold: Callable[[], object] = lambda: None) -> None:
        self._parts: queue.Queue[Any] = queue.Queue()
        self._hold = hold
        self._closed = threading.Event()
        self.go_on(*script)

    def go_on(self, *script: Part) -> None:
        """Add to the script."""
        for part in script:
            self._parts.put(part)

    def items(self) -> Iterator[SourceItem]:
        """See Source."""
        while not self._closed.is_set():
            try:
                part = self._parts.get(timeout=0.02)
            except queue.Empty:
                continue
            if hasattr(part, "items"):
                yield from self._play(part)
            elif callable(part):
                part()
            else:
                yield from self._held(part)

    def close(self) -> None:
        """See Source."""
        self._closed.set()

    def _play(self, source: Source) -> Iterator[SourceItem]:
        for item in source.items():
            if self._closed.is_set():
                return
            yield from self._held(item)

    def _held(self, item: SourceItem) -> Iterator[SourceItem]:
        if isinstance(item, Frame):
            self._hold()
        yield item


def picture(width: int = 64, height: int = 48, level: int = 90) -> Picture:
    """A flat grey picture."""
    half = ((height + 1) // 2, (width + 1) // 2)
    neutral = np.full(half, 128, np.uint8)
    return Picture(np.full((height, width), level, np.uint8), neutral, neutral)


def frame(index: int, t: float, shown: Picture | None = None) -> Frame:
    """A frame of a flat picture."""
    shown = shown or picture()
    return Frame(index, t, shown.y, shown)


def analysis(shown: Frame, **found: Any) -> Analysis:  # noqa: ANN401 - any field of an Analysis
    """An analysis that found only what is given."""
    empty: dict[str, Any] = {
        "motion": Motion(),
        "scene": Scene(90.0, 20.0, 5.0),
        "looked": (),
        "detections": (),
        "tracks": (),
        "changes": (),
        "best": None,
        "seconds": {},
    }
    return Analysis(frame=shown, **{**empty, **found})


def change(phase: Phase, rev: int = 1, t: float = 1000.0, *, event: int = 1) -> EventChange:
    """A step of the life of a person event that began at 999."""
    ended = t if phase is Phase.END else None
    return EventChange(event, "person", phase, rev, t, 999.0, ended, 0.7, 0.9, 2, Box(0.1, 0.2, 0.3, 0.4))


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({**schema(strict=True), "$ref": f"#/$defs/{name}"})


def check(message: dict[str, Any]) -> str:
    """The name in the contract of what this message is; fails unless it is valid."""
    name = _name(message)
    _validator(name).validate(message)
    return name


def _name(message: dict[str, Any]) -> str:
    by_state = {
        "online": "Birth",
        "stopped": "Stopped",
        "offline": "Will",
        "available": "Clip",
        "uploaded": "ClipUploaded",
        "erased": "ClipErased",
        "raised": "Alarm",
        "cleared": "AlarmCleared",
        **dict.fromkeys(("applied", "pending", "refused", "rolled-back"), "Reported"),
    }
    by_field = {
        "phase": "Event",
        "content_type": "Snapshot",
        "ranges": "Gap",
        "q": "Heartbeat",
        "grid": "Stat",
        "steps": "Accept",
    }
    if "state" in message:
        return by_state[message["state"]]
    return next(name for field, name in by_field.items() if field in message)


def body(publication: Publication) -> dict[str, Any]:
    """The message of a publication, out of its payload or its header."""
    header = dict(publication.user).get(HEADER)
    message: dict[str, Any] = json.loads(publication.payload if header is None else header)
    return message


def kept(state: Path) -> list[dict[str, Any]]:
    """Every message in the outbox of the kit whose state this is, in the order of numbers, each valid."""
    connection = sqlite3.connect(state / "agent.db")
    try:
        rows = connection.execute("SELECT seq, head, payload FROM outbox ORDER BY seq").fetchall()
    finally:
        connection.close()
    messages = []
    for seq, head, payload in rows:
        header = dict(json.loads(head)["user"]).get(HEADER)
        message = json.loads(payload if header is None else header)
        check(message)
        assert seq == message["seq"]
        messages.append(message)
    return messages


def query(state: Path, statement: str) -> list[tuple[Any, ...]]:
    """Rows of the kit's database, read beside the agent."""
    connection = sqlite3.connect(state / "agent.db")
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()
