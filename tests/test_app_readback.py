"""The thread that reads clips back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands
from kits import Kit

from agent.app.readback import ReadBackStage
from agent.clips import readback, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Reader:
    """A kit with the thread."""

    def __init__(self, state: Path) -> None:
        self.kit = Kit(state, Hands())
        self.kit.housekeeping.recover()
        self.stage = ReadBackStage(
            self.kit.directory, self.kit.journal, self.kit.premises, self.kit.announcer
        )

    def outcomes(self) -> dict[str, str]:
        """What was found so far."""
        return dict(self.kit.journal.ask(readback.outcomes))

    def until(self, done: Callable[[], bool]) -> None:
        """Wake the thread and wait for what it does."""
        self.stage.wake()
        deadline = time.monotonic() + 60
        while not done():
            assert time.monotonic() < deadline, self.outcomes()
            time.sleep(0.01)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.stage.end()
    if reader.stage.running:
        reader.stage.join(5)
    reader.kit.end()


def test_each_clip_is_read_once(reader: Reader) -> None:
    """Those of an earlier run at the start, new ones when woken; then nothing is left."""
    first = reader.kit.clip(1)
    reader.stage.start()
    reader.until(lambda: reader.outcomes() == {first.id: "good"})

    second = reader.kit.clip(2)
    reader.until(lambda: reader.outcomes() == {first.id: "good", second.id: "good"})

    assert [] == reader.kit.journal.ask(readback.due)
    assert () == reader.kit.announcer.alarms
    assert reader.stage.refusal is None


def test_a_card_that_lies_is_an_alarm(reader: Reader) -> None:
    """One altered byte is enough; the alarm stands until the clip is gone."""
    clip = reader.kit.clip(1)
    path = reader.kit.directory / clip.path
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    reader.stage.start()
    reader.until(lambda: reader.kit.announcer.alarms == ("storage.mismatch",))
    assert {clip.id: "mismatch"} == reader.outcomes()

    reader.kit.journal.ask(lambda tx: store.mark_garbage(tx, [clip.id]))
    reader.until(lambda: reader.kit.announcer.alarms == ())


def test_a_reading_that_was_wrong_once_is_none(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bit that flips on the way differs the second time: the clip is sound."""
    clip = reader.kit.clip(1)
    readings = iter([(clip.bytes, "0" * 64), (clip.bytes, clip.sha256)])
    monkeypatch.setattr(readback, "card_sha256", lambda *_: next(readings))
    reader.stage.start()
    reader.until(lambda: reader.outcomes() == {clip.id: "good"})


def test_a_clip_that_cannot_be_read_is_told(reader: Reader) -> None:
    """The refusal stands until a clip could be read."""
    clip = reader.kit.clip(1)
    path = reader.kit.directory / clip.path
    path.unlink()
    path.mkdir()
    reader.stage.start()
    reader.until(lambda: reader.outcomes() == {clip.id: "unreadable"})
    assert "cannot be read back" in str(reader.stage.refusal)

    reader.kit.clip(2)
    reader.until(lambda: reader.stage.refusal is None)


def test_a_clip_that_was_erased_meanwhile(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no trouble, and leaves no trace."""
    clip = reader.kit.clip(1)
    card_sha256 = readback.card_sha256

    def erased(path: Path, *rest: object) -> tuple[int, str]:
        reader.kit.journal.ask(lambda tx: store.mark_garbage(tx, [clip.id]))
        path.unlink()
        return card_sha256(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(readback, "card_sha256", erased)
    reader.stage.start()
    reader.until(lambda: reader.kit.journal.ask(readback.due) == [])
    reader.until(lambda: not (reader.kit.directory / clip.path).exists())
    assert {} == reader.outcomes()
    assert reader.stage.refusal is None


def test_a_disk_that_is_away_is_waited_for(reader: Reader) -> None:
    """Nothing is unreadable because it is not mounted."""
    clip = reader.kit.clip(1)
    away = reader.kit.state / "away"
    reader.kit.directory.rename(away)
    reader.stage.start()
    reader.until(lambda: reader.stage.refusal is not None)
    assert {} == reader.outcomes()

    away.rename(reader.kit.directory)
    reader.until(lambda: reader.outcomes() == {clip.id: "good"})
    reader.until(lambda: reader.stage.refusal is None)


def test_it_ends_within_a_chunk(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop does not wait for a long clip; the clip stays due."""
    reader.kit.clip(1)
    monkeypatch.setattr(readback.card_sha256, "__defaults__", (1.0,))
    reader.stage.start()
    time.sleep(0.1)
    reader.stage.end()
    reader.stage.join(5)
    assert not reader.stage.running
    assert 1 == len(reader.kit.journal.ask(readback.due))
