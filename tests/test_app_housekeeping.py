"""Housekeeping: clips that a power cut broke, clips that must go, files that went by themselves."""

from __future__ import annotations

import dataclasses
import errno
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, kept, query
from clips_footage import decoded, small_disk
from kits import EVENT, FOOTAGE, Kit, name

from agent.app import ballast, holding
from agent.app.deletion import erase
from agent.clips import hold, store
from agent.clips.journal import OpenClip
from agent.clips.premises import MARK
from agent.clips.writer import ClipWriter
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OPEN = OpenClip(
    "0" * 25 + "9", "0" * 25 + "9.mp4", (EVENT,), 900.0, "aaaaaaaa", None, "none", "h264", 320, 240, "none"
)


def test_a_clip_cut_by_power_is_announced_once(open_kit: Callable[..., Kit]) -> None:
    """It plays up to its last whole GOP, says that it is truncated, and is no news at the next start."""
    first = open_kit()
    first.cut(1)
    first.end()

    for boot in ("bbbbbbbb", "cccccccc"):
        later = open_kit(Hands(boot=boot))
        later.housekeeping.recover()
        said = later.said()
        later.end()

    assert [("available", name(1))] == said
    (message,) = kept(later.state)
    assert (True, [EVENT], "aaaaaaaa", 900.0) == tuple(
        message[key] for key in ("truncated", "events", "boot", "mono0")
    )
    pictures = decoded(later.directory / f"{name(1)}.mp4")
    assert 30 == len(pictures)
    assert pytest.approx(3.0, abs=0.05) == message["dur"]


def test_a_file_without_a_row_is_adopted(open_kit: Callable[..., Kit]) -> None:
    """A clip that plays is evidence even where the database was lost: it is entered and announced."""
    first = open_kit()
    first.cut(1)
    first.end()
    (first.state / "agent.db").unlink()

    later = open_kit()
    later.housekeeping.recover()

    assert [("available", name(1))] == later.said()
    assert [(name(1),)] == query(later.state, "SELECT id FROM clips")


def test_an_intent_without_a_file_is_dropped(open_kit: Callable[..., Kit]) -> None:
    """A clip that came to nothing says nothing."""
    kit = open_kit()
    kit.intent(1)

    kit.housekeeping.recover()

    assert [] == kit.said()
    assert [] == query(kit.state, "SELECT id FROM open_clips")


def test_a_file_that_went_by_itself_is_told(open_kit: Callable[..., Kit]) -> None:
    """Its clip is erased with a message, and an alarm says so until the next start finds all in place."""
    kit = open_kit()
    gone, stays = kit.clip(1), kit.clip(2)
    (kit.directory / gone.path).unlink()

    kit.housekeeping.recover()

    assert [
        ("available", gone.id),
        ("available", stays.id),
        ("erased", gone.id),
        ("raised", "clips.lost"),
    ] == kit.said()
    assert "missing" == kept(kit.state)[2]["why"]
    assert ("clips.lost",) == kit.announcer.alarms
    kit.end()

    later = open_kit()
    later.housekeeping.recover()
    assert ("cleared", "clips.lost") == later.said()[-1]
    assert [(stays.id,)] == query(later.state, "SELECT id FROM clips")


def test_a_file_that_cannot_be_read_stays(open_kit: Callable[..., Kit]) -> None:
    """A disk that refuses to read is no reason to delete: file and intent wait for the next start."""
    kit = open_kit()
    intent = kit.intent(1)
    (kit.directory / intent.path).mkdir()

    kit.housekeeping.recover()

    assert [] == kit.said()
    assert [(intent.id,)] == query(kit.state, "SELECT id FROM open_clips")
    assert [intent.path] == kit.files()


def test_retention_erases_row_message_and_file(open_kit: Callable[..., Kit]) -> None:
    """The oldest goes: out of the index with a message, then the file, then its last trace."""
    clock = Hands()
    kit = open_kit(clock, retention_h=1)
    old, young = kit.clip(1, 900.0), kit.clip(2, 4000.0)
    clock.t = 900.0 + 3600 + 60

    kit.housekeeping.run(None)

    assert ("erased", old.id) == kit.said()[-1]
    assert [young.path] == kit.files()
    assert [(young.id,)] == query(kit.state, "SELECT id FROM clips")
    assert [] == query(kit.state, "SELECT path FROM garbage")
    assert kit.housekeeping.stock is not None
    assert (1, young.bytes) == (kit.housekeeping.stock.clips, kit.housekeeping.stock.bytes)


def test_nothing_goes_while_there_is_room(open_kit: Callable[..., Kit]) -> None:
    """Young clips on a large disk stay, and are counted."""
    kit = open_kit()
    records = [kit.clip(1), kit.clip(2)]

    kit.housekeeping.run(None)

    assert ["available", "available"] == [what for what, _ in kit.said()]
    assert kit.housekeeping.stock is not None
    assert (2, sum(r.bytes for r in records)) == (
        kit.housekeeping.stock.clips,
        kit.housekeeping.stock.bytes,
    )


def test_the_clip_under_way_never_goes(open_kit: Callable[..., Kit]) -> None:
    """However crowded it is, what is being written is left alone."""
    kit = open_kit(max_mb=0.0001)
    one, two = kit.clip(1), kit.clip(2)

    kit.housekeeping.run(two.id)

    assert [two.path] == kit.files()
    assert ("erased", one.id) == kit.said()[-1]


@pytest.mark.parametrize("unlinked", [False, True], ids=["before the unlink", "after the unlink"])
def test_a_deletion_that_was_cut_is_finished(open_kit: Callable[..., Kit], unlinked: bool) -> None:
    """Killed between two of its steps, it goes on at the next start, without a second message."""
    kit = open_kit()
    clip = kit.clip(1)
    erase(kit.journal, kit.reporter, [clip], "retention")
    if unlinked:
        store.unlink_garbage(kit.directory, [clip.path])
    kit.end()
    assert [(clip.path,)] == query(kit.state, "SELECT path FROM garbage")

    later = open_kit()
    later.housekeeping.recover()

    assert [("available", clip.id), ("erased", clip.id)] == later.said()
    assert [] == later.files()
    assert [] == query(later.state, "SELECT path FROM garbage")
    assert () == later.announcer.alarms


def test_a_disk_that_refuses_is_told_to_the_caller(tmp_path: Path) -> None:
    """The error goes up, and nothing is half done: the clip is there, or its deletion is on its way."""
    with small_disk(tmp_path / "card", 2000) as card:
        kit = Kit(card, max_mb=0.0001)
        try:
            kit.clip(1)
            kit.database._connection.execute("PRAGMA query_only=1")
            with pytest.raises(StorageError, match=r"agent\.db: cannot be written"):
                kit.housekeeping.run(None)
            kit.database._connection.execute("PRAGMA query_only=0")
            assert [f"{name(1)}.mp4"] == kit.files()
        finally:
            kit.end()


def test_a_disk_that_does_not_answer_is_no_reason_to_delete(open_kit: Callable[..., Kit]) -> None:
    """A card that was unmounted is told, and its clips stay in the index."""
    kit = open_kit(reserve_mb=512)
    clip = kit.clip(1)
    kit.housekeeping.recover()
    kit.directory.rename(kit.state / "elsewhere")

    with pytest.raises(StorageError, match="clips: its file system does not answer"):
        kit.housekeeping.run(None)

    assert [(clip.id,)] == query(kit.state, "SELECT id FROM clips")
    assert ["available"] == [what for what, _ in kit.said()]


def test_without_clips_the_directory_need_not_exist(open_kit: Callable[..., Kit]) -> None:
    """A kit that never recorded has nothing to keep house in."""
    kit = open_kit()
    kit.directory.rmdir()

    kit.housekeeping.recover()
    kit.housekeeping.run(None)

    assert [] == kit.said()
    assert kit.housekeeping.stock is not None
    assert 0 == kit.housekeeping.stock.clips


def test_a_disk_that_is_not_mounted_loses_nothing(open_kit: Callable[..., Kit]) -> None:
    """An empty directory in its place: nothing is missing, and all is put in order once it is back."""
    first = open_kit()
    clip = first.clip(1)
    first.housekeeping.recover()
    first.cut(2)
    first.end()
    away = first.state / "away"
    first.directory.rename(away)

    later = open_kit(Hands(boot="bbbbbbbb"))
    later.housekeeping.recover()
    with pytest.raises(StorageError, match="its disk is not mounted") as refusal:
        later.housekeeping.run(None)
    assert errno.ENODEV == refusal.value.errno
    with pytest.raises(StorageError, match="its disk is not mounted"):
        later.premises.opened(dataclasses.replace(OPEN, boot="bbbbbbbb"))
    assert [] == later.files()
    assert [("available", clip.id)] == later.said()

    later.directory.rmdir()
    away.rename(later.directory)
    later.housekeeping.run(None)
    assert [("available", clip.id), ("available", name(2))] == later.said()
    assert () == later.announcer.alarms


def test_another_disk_is_not_the_one(open_kit: Callable[..., Kit]) -> None:
    """The mark of another kit's clips is not ours: nothing is adopted, nothing is missing."""
    kit = open_kit()
    kit.clip(1)
    kit.housekeeping.recover()
    (kit.directory / MARK).write_text("0123456789abcdef")

    with pytest.raises(StorageError, match="is not the directory that the clip index knows"):
        kit.housekeeping.run(None)


def test_a_clip_held_after_the_plan_stays_and_is_not_called_erased(open_kit: Callable[..., Kit]) -> None:
    """Only what really went is told."""
    kit = open_kit()
    one, two = kit.clip(1), kit.clip(2)
    kit.journal.ask(lambda tx: store.hold(tx, one.id, held=True))

    assert [two.id] == list(erase(kit.journal, kit.reporter, [one, two], "retention"))
    assert {} == erase(kit.journal, kit.reporter, [one, two], "retention")

    assert [("available", one.id), ("available", two.id), ("erased", two.id)] == kit.said()


def test_a_held_clip_whose_file_has_gone_is_told(open_kit: Callable[..., Kit]) -> None:
    """A hold keeps what is there; it does not keep silent about what isn't."""
    kit = open_kit()
    clip = kit.clip(1)
    kit.journal.ask(lambda tx: store.hold(tx, clip.id, held=True))
    (kit.directory / clip.path).unlink()

    kit.housekeeping.recover()

    assert ("erased", clip.id) in kit.said()
    assert [] == kit.journal.ask(store.clips)


def refuse(_: Path) -> None:
    """A disk that does not give a file back."""
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize("intent", ["known", "lost"])
def test_what_cannot_be_read_is_not_kept_for_ever(
    open_kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch, intent: str
) -> None:
    """A file that the disk will not give back has no row; it goes all the same once it is past retention."""
    clock = Hands()
    kit = open_kit(clock, retention_h=2)
    cut = kit.cut(1)
    if intent == "lost":
        kit.journal.ask(lambda tx: store.drop_intent(tx, cut.id))
    monkeypatch.setattr("agent.clips.recovery.cut_plain", refuse)
    kit.housekeeping.recover()
    clock.t = 1.9 * 3600
    kit.housekeeping.run(None)
    assert [cut.path] == kit.files()

    clock.t = 2 * 3600 + 1000
    kit.housekeeping.run(None)
    assert [] == kit.files()
    assert [] == query(kit.state, "SELECT id FROM open_clips UNION SELECT path FROM garbage")
    assert [] == kit.said()


def test_what_is_on_hold_and_cannot_be_read_stays(
    open_kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past retention, too: others may read from a card what a kit cannot."""
    clock = Hands()
    kit = open_kit(clock, retention_h=2)
    cut = kit.cut(1)
    kit.journal.ask(lambda tx: store.drop_intent(tx, cut.id))
    hold.put(kit.directory, cut.id, "olena", "case 12", clock.stamp())
    monkeypatch.setattr("agent.clips.recovery.cut_plain", refuse)
    clock.t = 100 * 3600
    kit.housekeeping.recover()
    kit.housekeeping.run(None)
    assert [f"{cut.id}.hold", cut.path] == kit.files()


def test_a_hold_outlives_every_bound(open_kit: Callable[..., Kit]) -> None:
    """Neither age nor bytes take a held clip, until it is released."""
    clock = Hands()
    kit = open_kit(clock, retention_h=1, max_mb=0.0001)
    clip = kit.clip(1)
    holding.hold(kit.journal, kit.directory, [clip.id], by="olena", why="case 12", now=clock.stamp())
    clock.t += 100 * 3600

    kit.housekeeping.run(None)
    assert [f"{clip.id}.hold", clip.path] == kit.files()

    holding.release(kit.journal, kit.directory, [clip.id])
    kit.housekeeping.run(None)
    assert [] == kit.files()


def test_a_full_disk_is_given_room(open_kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused for want of room, the oldest goes even within all bounds: enough for another clip, no more."""
    kit = open_kit()
    old, young = kit.clip(1), kit.clip(2)
    monkeypatch.setattr("agent.app.housekeeping.health.free_bytes", lambda _: ballast.ROOM + 100)

    kit.housekeeping.run(None)
    assert [old.path, young.path] == kit.files()
    kit.housekeeping.run(None, full=True)
    assert [young.path] == kit.files()


def test_room_for_what_is_no_clip(open_kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as somebody asks for it the oldest make it, beside the reserve."""
    kit = open_kit()
    old, young = kit.clip(1), kit.clip(2)
    monkeypatch.setattr("agent.app.housekeeping.health.free_bytes", lambda _: ballast.ROOM + 100)
    with kit.premises.kept_free(ballast.ROOM + 101) as wanted:
        assert ballast.ROOM + 101 == wanted
        kit.housekeeping.run(None)
        assert [young.path] == kit.files()
        kit.clip(3)
    kit.housekeeping.run(None)
    assert 2 == len(kit.files())
    assert not (kit.directory / old.path).exists()


def test_a_clip_that_the_recorder_gave_up_is_taken_up_while_it_runs(open_kit: Callable[..., Kit]) -> None:
    """What a disk refused is announced as far as it plays; the clip under way is left alone."""
    kit = open_kit()
    kit.housekeeping.recover()
    footage = FOOTAGE.packets
    running, given_up = (dataclasses.replace(OPEN, id=name(n), path=f"{name(n)}.mp4") for n in (8, 9))
    for clip in (running, given_up):
        kit.premises.opened(clip)
        writer = ClipWriter(kit.directory / clip.path, FOOTAGE.info, 1.0)
        for packet in footage[:35]:
            writer.packet(packet)
        writer.abandon()

    kit.housekeeping.run(running.id)
    assert [] == kit.said()
    kit.housekeeping.run(running.id, left=[given_up.id])

    assert [("available", given_up.id)] == kit.said()
    assert [(running.id,)] == query(kit.state, "SELECT id FROM open_clips")


@pytest.mark.parametrize("mode", ["puback", "watermark"])
def test_what_the_city_has_heard_of_goes_first(open_kit: Callable[..., Kit], mode: str) -> None:
    """The delivery of a clip's message is noted with it; for space the older, unheard clip outlives it."""
    kit = open_kit()
    unheard, heard = kit.clip(1), kit.clip(2)
    [_, (seq,)] = query(kit.state, "SELECT seq FROM outbox ORDER BY seq")
    now, stream = kit.clock.stamp(), kept(kit.state)[0]["stream"]
    if mode == "puback":
        kit.journal.ask(lambda tx: kit.outbox.delivered(tx, [seq], now))
    else:
        kit.journal.ask(lambda tx: kit.outbox.drop(tx, [1], "too-large", now))
        kit.journal.ask(lambda tx: kit.outbox.watermark(tx, stream, seq))
    assert [(unheard.id, 0), (heard.id, 1)] == query(
        kit.state, "SELECT id, announced FROM clips ORDER BY seq"
    )

    kit.housekeeping = kit.another_housekeeping(max_mb=1.5 * heard.bytes / 1e6)
    kit.housekeeping.run(None)
    assert [unheard.path] == kit.files()
