"""The bench of power cuts can tell a loss: its drive loses what it may, its judge names what it may not."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyrage import x25519

import drive
from agent.backbone.consumer import Fresh
from device_powercut import unseen
from powercut_disk import ClipLeft, Left, OpenLeft, Reader
from powercut_judge import Heard, Judge

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE = Path(__file__).parent.parent / "agent" / "samples" / "demo_people.mp4"
SIZE = 1 << 16
STREAM = "5eed0001"


def fresh(
    seq: int, leaf: str = "evt/person", ranges: tuple[tuple[int, int], ...] = (), **message: str
) -> Fresh:
    topic = f"bm/v1/51/odesa/test/t3st00000v/{leaf}"
    return Fresh("t3st00000v", topic, STREAM, seq, {**message}, b"", None, ranges)


def heard(*numbers: int) -> Heard:
    """A platform that was told so many messages, the last two of a clip that came and one that went."""
    found = Heard()
    for seq in numbers:
        found.take(fresh(seq))
    found.take(fresh(9, "clip", clip="A", state="available"))
    found.take(fresh(10, "clip", clip="B", state="available"))
    found.take(fresh(11, "clip", clip="B", state="erased", why="retention"))
    return found


WHOLE = Left(
    stream=STREAM,
    next_seq=13,
    rows=((12, 12),),
    clips={"A": ClipLeft(ended=1000.0, truncated=False)},
    open={"C": OpenLeft(opened=1012.0, synced=1016.0)},
)
MENDED = replace(
    WHOLE, clips={**WHOLE.clips, "C": ClipLeft(ended=1017.0, truncated=True)}, open={}
)  # by the start after it


def judged(first: Left, second: Left, numbers: range = range(1, 9)) -> dict[str, list[str]]:
    """The complaints after a cut at 1018.0 and another one later."""
    judge = Judge(heard(*numbers))
    judge.cut(first, 1018.0)
    judge.cut(second, 1040.0)
    return {promise: texts for promise, texts in judge.complaints.items() if texts}


def test_a_cut_that_costs_nothing_but_the_end_of_a_clip() -> None:
    """No complaint; what the clip lost is measured, and what waited on the disk is counted."""
    judge = Judge(heard(*range(1, 9)))
    judge.cut(WHOLE, 1018.0)
    judge.cut(MENDED, 1040.0)
    assert {} == judge.complaints
    assert {"C": 1.0} == judge.losses
    assert [1, 1] == judge.waiting


@pytest.mark.parametrize(
    ("changes", "promise", "text"),
    [
        ({"stream": "5eed0002"}, "messages", ": a new stream, so the database was lost"),
        ({"next_seq": 11, "rows": ()}, "messages", "number 11 was sent, and is not on the disk"),
        ({"rows": ()}, "messages", "[(12, 12)] are neither delivered nor on the disk"),
        ({"clips": {}}, "clips", "A was announced and is not there"),
        ({"complaints": (("sealing", "MP4 at byte 7 of the disk"),)}, "sealing", "MP4 at byte 7"),
    ],
)
def test_what_a_cut_must_not_cost(changes: dict[str, Any], promise: str, text: str) -> None:
    """It is named with the cut after which it was seen."""
    found = judged(replace(WHOLE, **changes), MENDED)
    assert [promise] == list(found)
    assert found[promise][0].startswith("after cut 1: ")
    assert text in found[promise][0]


def test_a_number_that_nobody_has() -> None:
    """A hole before the watermark is a loss, too."""
    assert (
        "[(1, 4)] are neither delivered nor on the disk" in judged(WHOLE, MENDED, range(5, 9))["messages"][0]
    )


@pytest.mark.parametrize(
    ("opened", "synced", "ended", "text"),
    [
        (1012.0, 1016.0, 1015.5, "C ends 0.50 s before its last sync"),
        (1012.0, 1014.0, 1014.0, "C lost 4.00 s"),
        (1012.0, 1011.0, None, "C was synced, and is gone"),
        (1012.0, None, None, "C lost 6.00 s"),
    ],
)
def test_what_recovery_must_keep(opened: float, synced: float | None, ended: float | None, text: str) -> None:
    """A cut clip plays to its last sync, is not simply removed, and was synced in time."""
    first = replace(WHOLE, open={"C": OpenLeft(opened, synced)})
    mended = {} if ended is None else {"C": ClipLeft(ended, truncated=True)}
    found = judged(first, replace(MENDED, clips={**WHOLE.clips, **mended}))
    assert f"after cut 2: {text}" in found["clips"]


def test_a_clip_that_had_only_begun() -> None:
    """What came before its file was in memory: all of it may go with a cut a moment later."""
    judge = Judge(heard(*range(1, 9)))
    judge.cut(replace(WHOLE, open={"C": OpenLeft(opened=1017.5, synced=None)}), 1018.0)
    judge.cut(replace(WHOLE, open={}), 1040.0)
    assert ({}, {"C": 0.5}) == (judge.complaints, judge.losses)


def test_a_recovery_that_is_cut_itself() -> None:
    """What is under way still is judged once it is not, by its first cut."""
    judge = Judge(heard(*range(1, 9)))
    for left, at in ((WHOLE, 1018.0), (WHOLE, 1030.0), (MENDED, 1050.0)):
        judge.cut(left, at)
    assert ({}, {"C": 1.0}) == (judge.complaints, judge.losses)


def test_after_an_end_in_order_nothing_waits() -> None:
    """Then each number was delivered, and no clip is open."""
    judge = Judge(heard(*range(1, 9)))
    judge.orderly(WHOLE)
    assert ["clips", "messages"] == sorted(judge.complaints)
    judge = Judge(heard(*range(1, 9), 12))
    judge.orderly(MENDED)
    assert {} == judge.complaints


def test_a_promise_that_was_not_tried_is_not_kept() -> None:
    """Where no clip was announced none can have been broken: that is told, and no success."""
    tried = {"announced": 2, "went_by_retention": 0, "cut": 0, "loss_s": None, "loss_worst_s": None}
    assert [] == unseen("clips", tried)
    assert ["announced: none"] == unseen("clips", {**tried, "announced": 0})
    assert ["first_event_s: none"] == unseen("starts", {"cuts": 1, "first_event_s": None})


def test_a_gap_accounts_for_what_it_names() -> None:
    """And for nothing else."""
    found = heard(*range(1, 9))
    found.take(fresh(14, "gap", ((12, 12),)))
    judge = Judge(found)
    judge.cut(replace(WHOLE, next_seq=15, rows=()), 1018.0)
    assert ["after cut 1: [(13, 13)] are neither delivered nor on the disk"] == judge.complaints["messages"]


def test_what_the_platform_itself_can_tell() -> None:
    """One number for two messages, a clip twice, and one that went without a reason."""
    found = Heard()
    for text in ("a", "a", "b"):
        found.listen(json.dumps({"dev": "t3st00000v", "seq": 3, "id": text}).encode())
    found.listen(b"\xff\xd8\xff")
    for seq, state in ((4, "available"), (5, "available"), (6, "erased")):
        found.take(fresh(seq, "clip", clip="A", state=state, why="unreadable"))
    assert [
        "number 3 was given to two messages",
        "clip A was announced twice",
        "clip A is gone: unreadable",
    ] == found.complaints


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image full of zeros."""
    path = tmp_path / "image"
    path.write_bytes(bytes(SIZE))
    return path


def test_what_was_not_flushed_may_be_lost(image: Path) -> None:
    """Over many cuts an unflushed write is now kept, now lost, now torn; a flushed one is there."""
    cache = drive.Cache(image)
    kept = set()
    chance = random.Random(1)  # noqa: S311 - no keys
    for _ in range(200):
        cache.write(0, b"\1" * 1024)
        cache.flush()
        cache.write(1024, b"\1" * 1024, through=True)
        cache.write(4096, b"\2" * 1024)
        assert b"\2" * 1024 == cache.read(4096, 1024)
        cut = cache.cut(chance)
        found = image.read_bytes()
        assert cache.read(0, SIZE) == found
        assert b"\1" * 2048 == found[:2048]
        assert 1 == cut.waiting
        kept.add((found[4096:5120].count(2), cut.lost, cut.torn))
        cache.write(4096, bytes(1024))
        cache.flush()
    assert {(0, 1, 0), (1024, 0, 0), (512, 0, 1)} == kept


def test_an_older_write_does_not_undo_one_that_went_through(image: Path) -> None:
    """What a guest was told to be there stays there, whatever had waited for its place."""
    cache = drive.Cache(image)
    cache.write(512, b"\1" * 1024)
    cache.write(8192, b"\1" * 512)
    cache.write(1024, b"\2" * 512, through=True)
    assert b"\1" * 512 + b"\2" * 512 == image.read_bytes()[512:1536]
    assert bytes(512) == image.read_bytes()[8192:8704]
    cache.flush()
    assert b"\1" * 512 + b"\2" * 512 == image.read_bytes()[512:1536]
    assert b"\1" * 512 == image.read_bytes()[8192:8704]


@pytest.fixture
def served(image: Path) -> Iterator[drive.Drive]:
    """A drive with that image."""
    server = drive.Drive(image, "127.0.0.1")
    yield server
    server.close()


class Asked:
    """A guest of it, as far as its wire shows."""

    def __init__(self, port: int) -> None:
        self._link = socket.create_connection(("127.0.0.1", port), 30)
        self._answers = self._link.makefile("rb")

    def ask(self, command: drive.Command, offset: int = 0, data: bytes = b"", size: int = 0) -> None:
        """Send a request."""
        request = drive.REQUEST.pack(drive.REQUEST_MAGIC, 0, command, 1, offset, size or len(data))
        self._link.sendall(request + data)

    def told(self, size: int = 0) -> bytes:
        """The answer to one, with `size` bytes of data."""
        head = self._answers.read(drive.REPLY.size)
        assert (drive.REPLY_MAGIC, 0, 1) == drive.REPLY.unpack(head)
        return self._answers.read(size)

    def close(self) -> None:
        """Hang up."""
        self._answers.close()
        self._link.close()


def test_a_drive_in_the_midst_of_writes(served: drive.Drive, image: Path) -> None:
    """Armed it answers no more from that very request on; the cut drops it, and the next guest is served."""
    with closing(Asked(served.port)) as guest:
        guest.ask(drive.Command.WRITE, 0, b"\1" * 512)
        guest.ask(drive.Command.FLUSH)
        guest.ask(drive.Command.READ, 0, size=512)
        assert [b"", b"", b"\1" * 512] == [guest.told(), guest.told(), guest.told(512)]
        assert not served.arm(2, 0)
        guest.ask(drive.Command.WRITE, 1024, b"\3" * 512)
        guest.told()
        guest.ask(drive.Command.FLUSH)
        assert served.stands_still(30)
    cut = served.cut(1)
    assert (1, 1) == (cut.waiting, cut.flushes)
    assert b"\1" * 512 == image.read_bytes()[:512]
    with closing(Asked(served.port)) as guest:
        guest.ask(drive.Command.READ, 0, size=SIZE)
        assert image.read_bytes() == guest.told(SIZE)


def run(*command: object) -> None:
    """Run a program of e2fsprogs."""
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    subprocess.run([*map(str, command)], check=True, capture_output=True, env=environment)


def disk(tmp_path: Path, tree: Path) -> Path:
    """An image of a file system with the files of `tree`."""
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    run("mkfs.ext4", "-q", "-d", tree, image)
    return image


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """A reader that knows a piece of a clip."""
    (tmp_path / "work").mkdir()
    found = Reader(tmp_path / "work", x25519.Identity.generate())
    found.samples["A"] = [b"a piece of the clip that was opened"]
    return found


def test_a_disk_on_which_nothing_is_wrong(tmp_path: Path, reader: Reader) -> None:
    """And nothing is on it yet."""
    (tmp_path / "tree").mkdir()
    assert Left() == reader.read(disk(tmp_path, tmp_path / "tree"), orderly=True)
    assert reader.scanned > 0


def test_what_lies_open_on_a_disk(tmp_path: Path, reader: Reader) -> None:
    """A video is found as a file and on the disk itself, a piece of a clip wherever it lies."""
    tree = tmp_path / "tree"
    tree.mkdir()
    shutil.copy(SAMPLE, tree / "clip")
    (tree / "swap").write_bytes(bytes(5000) + reader.samples["A"][0])
    complaints = reader.read(disk(tmp_path, tree)).complaints
    assert {"sealing"} == {promise for promise, _ in complaints}
    texts = [text for _, text in complaints]
    assert any("clip: MP4 lies open at byte 0" in text for text in texts)
    assert any(text.startswith("MP4 at byte ") for text in texts)
    assert "a piece of clip A lies open on the disk" in texts


def test_a_file_system_that_is_not_clean(tmp_path: Path, reader: Reader) -> None:
    """What e2fsck finds beyond a journal is told."""
    (tmp_path / "tree").mkdir()
    image = disk(tmp_path, tmp_path / "tree")
    run("debugfs", "-w", "-R", "set_inode_field <2> links_count 77", image)
    assert {"filesystem"} == {promise for promise, _ in reader.read(image).complaints}
