"""What a power cut cost is told: a kit's real database, clips and messages, before a cut and after it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import Hands
from kits import Kit, name
from statuses import BEGAN_S, status

from agent.app import powercut
from agent.app.status import ClipsStatus, ClockStatus
from agent.device.reset import Boot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.app.powercut import Point

RECORDED_S = 6.5  # of which the clip of a test keeps 3: 2 may wait for a sync, 2 lag
CUT = Boot("power", in_order=False, began=BEGAN_S)


@dataclass
class Board:
    """A kit that records, from the note before the cut to the judgement after it."""

    state: Path
    kit: Kit
    before: dict[str, Any]

    def restart(self) -> Kit:
        """The agent of the next boot, which has recovered what was cut."""
        self.kit.end()
        self.kit = Kit(self.state, Hands(mono=BEGAN_S, boot="bbbbbbbb"))
        self.kit.housekeeping.recover()
        self.kit.said()  # all of it is on disk
        return self.kit

    def judged(self, boot: Boot = CUT, **changes: Any) -> dict[Point, str]:  # noqa: ANN401 - as above
        """What is not well, in English."""
        told = status(self.kit, **changes)
        found = powercut.judge(self.kit.settings, self.kit.clock, told, boot, self.before)
        assert all((finding.fix is None) == finding.ok for finding in found)
        return {finding.point: finding.text.en for finding in found if not finding.ok}

    def execute(self, sql: str, *values: object) -> None:
        """What a card does to a database."""
        self.kit.journal.ask(lambda tx: tx.execute(sql, values))


def noted(kit: Kit) -> dict[str, Any] | None:
    """The note, as it is kept before the plug is pulled."""
    return powercut.begin(kit.settings, kit.clock, status(kit, clips=ClipsStatus(recording=name(2))))


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A kit with a clip that is complete, its message that waits, and one that it records."""
    kit = Kit(tmp_path, Hands(mono=900.0 + RECORDED_S))
    kit.clip(1)
    kit.cut(2)
    before = noted(kit)
    assert before is not None
    one = Board(tmp_path, kit, before)
    yield one
    one.kit.end()


def test_a_kit_that_comes_back_with_all_of_it(board: Board) -> None:
    """What it was doing is noted; each point is well, and says with what figure."""
    stream = status(board.kit).outbox
    assert stream is not None
    assert {
        "boot": "aaaaaaaa",
        "clip": name(2),
        "recorded_s": RECORDED_S,
        "stream": stream.stream,
        "next": 2,
        "waiting": [1],
        "clips": [name(1)],
    } == board.before

    kit = board.restart()
    found = powercut.judge(kit.settings, kit.clock, status(kit), CUT, board.before)

    assert [
        ("cut", True, "the power was cut while the kit worked"),
        ("back", True, "the agent started by itself, 12 s after the board"),
        ("pictures", True, "first picture 3 s after the agent's start"),
        ("clip", True, "the clip was recovered: 3.0 s of it"),
        ("messages", True, "no message is lost (1 waited)"),
        ("clips", True, "the clips before it are there (1)"),
    ] == [(finding.point, finding.ok, finding.text.en) for finding in found]
    assert {"first_picture_s": 3.0, "failed": []} == powercut.figures(status(kit), found)


def test_nothing_is_begun_while_nothing_is_recorded(board: Board) -> None:
    """There would be nothing to lose; nor before the agent knows its outbox."""
    kit = board.kit

    assert powercut.begin(kit.settings, kit.clock, status(kit)) is None
    recording = ClipsStatus(recording=name(2))
    assert powercut.begin(kit.settings, kit.clock, status(kit, clips=recording, outbox=None)) is None
    assert noted(kit) is not None


def test_what_goes_by_design_is_not_waited_for(board: Board) -> None:
    """A gap that waits is taken up into the next one: that is no loss."""
    kit = board.kit
    kit.journal.ask(lambda tx: kit.outbox.skip(tx, 3, "restart", kit.clock.stamp()))
    before = noted(kit)
    assert before is not None
    assert ([1], 6) == (before["waiting"], before["next"])


@pytest.mark.parametrize(
    ("same", "boot", "text"),
    [
        (True, CUT, "the power was not cut: this is the same start of the board"),
        (
            False,
            replace(CUT, in_order=True),
            "the kit was shut down in order: that proves nothing",
        ),
    ],
)
def test_what_is_no_cut(board: Board, same: bool, boot: Boot, text: str) -> None:
    """Then nothing else is judged."""
    if not same:
        board.restart()

    assert {"cut": text} == board.judged(boot)


@pytest.mark.parametrize(
    ("boot", "process", "text"),
    [
        (
            replace(CUT, began=400.0),
            BEGAN_S,
            "the agent started 400 s after the board: late, or not by itself",
        ),
        (CUT, 999.0, "the agent started by itself, 12 s after the board"),
        (replace(CUT, began=None), 40.0, "the agent started by itself, 40 s after the board"),
        (replace(CUT, began=None), 999.0, "the agent started 999 s after the board: late, or not by itself"),
    ],
)
def test_its_first_start_of_the_boot_counts(board: Board, boot: Boot, process: float, text: str) -> None:
    """Not that of the process, which began anew with a drawing; a card that kept no mark knows no other."""
    kit = board.restart()
    told = status(kit, up=5.0, clock=ClockStatus(ts=None, clk="none", mono=process + 5, boot="bbbbbbbb"))
    found = powercut.judge(kit.settings, kit.clock, told, boot, board.before)

    assert [(text, "late" not in text)] == [
        (finding.text.en, finding.ok) for finding in found if finding.point == "back"
    ]


@pytest.mark.parametrize("changes", [{"first": None}, {"down": "no camera"}])
def test_a_camera_that_is_not_back(board: Board, changes: dict[str, Any]) -> None:
    """Also one that gave pictures, and gives none now."""
    camera = status(board.restart()).camera.model_copy(update=changes)

    assert {"pictures": "the camera gives no pictures"} == board.judged(camera=camera)


def test_a_clip_that_is_gone(board: Board) -> None:
    """Its row was dropped with its file."""
    (board.kit.directory / f"{name(2)}.mp4").unlink()
    board.restart()

    assert {"clip": "the clip that was being recorded is gone"} == board.judged()


def test_a_clip_of_which_more_was_synced(board: Board) -> None:
    """The card did not keep what it said was written."""
    board.before["recorded_s"] = 20.0
    board.restart()

    due = 20.0 - board.kit.settings.clips.sync_s - powercut.LAG_S
    assert {"clip": f"the clip has 3.0 s, {due:.1f} were synced"} == board.judged()


def test_a_recording_that_had_ended(board: Board) -> None:
    """It proves nothing: what was to be cut was whole when the plug was pulled."""
    record = board.kit.clip(3)
    board.before["clip"] = record.id
    board.restart()

    assert {"clip": "the recording had ended before the plug was pulled"} == board.judged()


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\0"),
            "the clip's file is not what was signed",
        ),
        (lambda path: path.unlink(), f"{name(2)}.mp4: there is no such file"),
    ],
)
def test_a_clip_whose_file_is_another(board: Board, damage: Callable[[Path], object], text: str) -> None:
    """It is read as a whole."""
    board.restart()
    path = board.kit.directory / f"{name(2)}.mp4"
    damage(path)

    assert {"clip": text} == board.judged()


def test_a_database_that_was_begun_anew(board: Board) -> None:
    """Or an outbox that cannot be asked: nobody knows what waited."""
    board.restart()
    board.before["stream"] = "00000000"
    anew = "the database was begun anew: what it held is lost"

    assert {"messages": anew} == board.judged()
    assert {"messages": anew} == board.judged(outbox=None)


def test_a_message_that_is_named_in_a_gap(board: Board) -> None:
    """What had waited will never come; what had not may."""
    kit = board.restart()
    kit.journal.ask(lambda tx: kit.outbox.drop(tx, [1], "corrupt", kit.clock.stamp()))

    assert {"messages": "messages are lost: 1"} == board.judged()


def test_an_outbox_that_is_back_at_where_it_was(board: Board) -> None:
    """Its next numbers are those of messages that were written before: by now free, or given twice."""
    board.before |= {"next": 9, "waiting": [1, 6]}
    kit = board.restart()
    free = status(kit).outbox
    assert free is not None
    assert 3 == free.seq_next  # the recovered clip's message has number 2

    assert {"messages": "messages are lost: 2–8"} == board.judged()

    kit.journal.ask(lambda tx: kit.outbox.skip(tx, 20, "refused", kit.clock.stamp()))
    assert {"messages": "messages are lost: 2, 6"} == board.judged()


def test_what_the_platform_took_is_no_loss(board: Board) -> None:
    """Its row went by the watermark, before the cut or after it."""
    kit = board.restart()
    kit.journal.ask(lambda tx: kit.outbox.watermark(tx, board.before["stream"], 1))

    assert {} == board.judged()


def test_the_oldest_clips_may_go(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """By retention, while the test runs: the newest alone are looked for."""
    monkeypatch.setattr("agent.app.powercut.NEWEST", 1)
    board.kit.clip(3)
    before = noted(board.kit)
    assert before is not None
    assert [name(3)] == before["clips"]


def test_clips_that_are_gone(board: Board) -> None:
    """They are named."""
    board.restart()
    board.execute("DELETE FROM clips WHERE id = ?", name(1))

    assert {"clips": f"clips are gone: {name(1)}"} == board.judged()
