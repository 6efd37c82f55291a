"""Messages on their way."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from backbone_samples import (
    TOPICS,
    at,
    cleared,
    clip,
    erased,
    event,
    raised,
    snapshot,
    stat,
    ulid_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.backbone.candidates import Wanted
from agent.backbone.gaps import RANGES_MAX
from agent.backbone.outbox import SCHEMA, Outbox, Row
from agent.backbone.stored import Cover
from agent.config import Outbox as OutboxSettings
from agent.database import PAGE_BYTES, Database
from agent.types import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.backbone.drafts import Draft

NOW = at(100.0)


@pytest.fixture
def tx() -> Iterator[sqlite3.Connection]:
    with closing(fresh()) as connection:
        yield connection


def fresh() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA)
    outbox().open_stream(connection)
    return connection


def outbox(rows: int = 1000, mb: float = 8.0, keep_h: float = 72.0) -> Outbox:
    return Outbox(OutboxSettings(max_rows=rows, max_mb=mb, keep_h=keep_h), TOPICS)


def candidates(tx: sqlite3.Connection, box: Outbox | None = None, **wish: object) -> list[Row]:
    """As the clerk does it: what cannot be sent is dropped, then it looks again."""
    wanted = Wanted(**{"mark": 1, "room": 1000, "replay_room": 1000, **wish})  # type: ignore[arg-type]
    box = box or outbox()
    while (pick := box.pick(tx, wanted)).corrupt or pick.gone:
        box.give_up(tx, pick, NOW)
    return pick.rows


def seqs(rows: list[Row]) -> list[int]:
    return [row.seq for row in rows]


def covered(rows: list[Row]) -> set[int]:
    """The numbers that waiting gaps name."""
    return {
        seq
        for row in rows
        if row.publication.topic == TOPICS.gap
        for first, last in json.loads(row.publication.payload)["ranges"]
        for seq in range(first, last + 1)
    }


def counters_hold(tx: sqlite3.Connection) -> bool:
    kept = tx.execute("SELECT total, waiting, bytes FROM outbox_state").fetchone()
    return (
        kept
        == tx.execute(
            "SELECT count(*), count(*) - count(done_boot), ifnull(sum(size), 0) FROM outbox"
        ).fetchone()
    )


def test_numbers_are_dense_and_the_stored_bytes_are_sent(tx: sqlite3.Connection) -> None:
    """Each row says its own (stream, seq), counted from 1, and topics and properties survive storage."""
    made = [event(1), snapshot(2), raised(), cleared(), clip(3)]
    given_out = [outbox().append(tx, message, NOW) for message in made]
    stream = outbox().numbers(tx, NOW).stream
    found = {row.seq: row.publication for row in candidates(tx, settled=(3,))}

    assert [1, 2, 3, 4, 5] == given_out
    assert {n: made[n - 1].render(stream, n) for n in (1, 2, 4, 5)} == found


def test_refused_message_uses_no_number(tx: sqlite3.Connection) -> None:
    """A draft that breaks the contract when numbered leaves no hole behind."""
    tx.execute("UPDATE outbox_state SET stream = 'no hex'")
    with pytest.raises(ValueError, match="stream"):
        outbox().append(tx, event(1), NOW)

    assert 1 == outbox().numbers(tx, NOW).seq_next


def test_stream_and_numbers_outlive_the_process_and_a_new_database_is_a_new_stream(tmp_path: Path) -> None:
    """Only a database created anew begins a new stream; numbers go on after a restart."""
    box, found = outbox(), []
    for name in ("a", "a", "b"):
        database = Database(tmp_path / name, [SCHEMA])
        stream = database.submit(box.open_stream).result()
        seq = database.submit(lambda tx: box.append(tx, event(1), NOW)).result()
        found.append((stream, seq))
        database.close()

    assert found[0][0] == found[1][0] != found[2][0]
    assert [1, 2, 1] == [seq for _, seq in found]


def test_sessions_only_rise(tx: sqlite3.Connection) -> None:
    """A will of an older session must be told from the present one, whatever the order of writes."""
    for session in (1, 3, 2):
        outbox().save_session(tx, session)

    assert 3 == outbox().numbers(tx, NOW).session


def test_urgent_first_then_news_by_rank_then_backlog(tx: sqlite3.Connection) -> None:
    """An alarm waits for nothing, and news does not wait behind what piled up during an outage."""
    backlog = [snapshot(1), event(2), raised()]
    news = [snapshot(3), event(4, Phase.UPDATE), clip(5), event(6)]
    for message in [*backlog, *news]:
        outbox().append(tx, message, NOW)

    assert [3, 7, 6, 5, 4, 2, 1] == seqs(candidates(tx, mark=4))
    assert [3, 7, 6, 5, 4, 2] == seqs(candidates(tx, mark=4, replay_room=1))
    assert [3, 7] == seqs(candidates(tx, mark=4, room=2))
    assert [4, 2, 1] == seqs(candidates(tx, mark=4, busy=(3, 7), settled=(5, 6)))


def test_alarm_is_not_cleared_before_it_was_raised(tx: sqlite3.Connection) -> None:
    """Of one alarm the later word waits until the earlier is settled; other alarms don't wait."""
    for message in (raised("a.b"), cleared("a.b"), raised("c.d")):
        outbox().append(tx, message, NOW)

    assert [1, 3] == seqs(candidates(tx))
    assert [3] == seqs(candidates(tx, busy=(1,)))
    assert [2, 3] == seqs(candidates(tx, settled=(1,)))


def test_steps_of_an_event_keep_their_order(tx: sqlite3.Connection) -> None:
    """An `end` does not overtake its `new`, nor a picture its event; in a backlog it may overtake updates."""
    for phase in (Phase.NEW, Phase.UPDATE, Phase.END):
        outbox().append(tx, event(1, phase), NOW)
    outbox().append(tx, snapshot(1), NOW)
    outbox().append(tx, event(2), NOW)

    assert [1, 5] == seqs(candidates(tx))
    assert [5] == seqs(candidates(tx, busy=(1,)))  # refused, maybe: the rest of its event waits
    assert [5, 2] == seqs(candidates(tx, settled=(1,)))
    assert [3, 5] == seqs(candidates(tx, settled=(1, 2)))
    assert [4] == seqs(candidates(tx, settled=(1, 2, 3, 5)))
    assert [1, 5] == seqs(candidates(tx, mark=6))
    assert [3, 5, 2] == seqs(candidates(tx, mark=6, settled=(1,)))


def test_event_that_goes_on_brings_its_beginning(tx: sqlite3.Connection) -> None:
    """It began while the link was down: with the first news of it its backlog is no backlog any more."""
    for number in range(1, 6):
        outbox().append(tx, event(number), NOW)
    outbox().append(tx, event(4, Phase.UPDATE), NOW)
    outbox().append(tx, event(6), NOW)

    assert [4, 7, 1, 2, 3, 5] == seqs(candidates(tx, mark=6))
    assert [4, 7, 1] == seqs(candidates(tx, mark=6, replay_room=1))
    assert [4, 7] == seqs(candidates(tx, mark=6, room=2))
    assert [7, 6, 1, 2, 3, 5] == seqs(candidates(tx, mark=6, settled=(4,)))


def test_backlog_goes_by_priority_the_oldest_first(tx: sqlite3.Connection) -> None:
    """A week in the dark is told in its order."""
    for number in (1, 2):
        for message in (event(number), event(number + 10, Phase.UPDATE), clip(number + 20)):
            outbox().append(tx, message, NOW)

    assert [1, 4, 3, 6, 2, 5] == seqs(candidates(tx, mark=7))


def test_taken_rows_are_kept_and_not_sent_again(tx: sqlite3.Connection) -> None:
    """With `puback` a delivered row stays for a resend until its time is over."""
    box = outbox(keep_h=1.0)
    for number in (1, 2, 3):
        box.append(tx, event(number), NOW)
    box.delivered(tx, [1, 2, 2, 9], at(200.0))
    box.delivered(tx, [2], at(250.0))

    assert [3] == seqs(candidates(tx))
    assert (1, 1) == (box.numbers(tx, NOW).waiting, box.numbers(tx, NOW).seq_oldest)
    assert 0 == box.purge(tx, at(200.0 + 3600))
    assert 2 == box.purge(tx, at(200.1 + 3600))
    assert 3 == box.numbers(tx, NOW).seq_oldest
    assert counters_hold(tx)


def test_keeping_starts_again_with_the_boot(tx: sqlite3.Connection) -> None:
    """How long the power was off nobody knows: a row is kept too long rather than too short."""
    box = outbox(keep_h=1.0)
    box.append(tx, event(1), NOW)
    box.delivered(tx, [1], at(9000.0))

    assert 0 == box.purge(tx, at(50.0, boot="ffffffff"))
    assert 0 == box.purge(tx, at(3650.0, boot="ffffffff"))
    assert 1 == box.purge(tx, at(3651.0, boot="ffffffff"))


def test_watermark_forgets_what_the_platform_has(tx: sqlite3.Connection) -> None:
    """All up to the watermark go; another stream's watermark, or one from the future, moves nothing."""
    box = outbox()
    for number in (1, 2, 3):
        box.append(tx, event(number), NOW)
    stream = box.numbers(tx, NOW).stream

    assert not box.watermark(tx, "00000000" if stream != "00000000" else "11111111", 2)
    assert not box.watermark(tx, stream, 4)
    assert [1, 2, 3] == seqs(candidates(tx))
    assert box.watermark(tx, stream, 2)
    assert [3] == seqs(candidates(tx))
    assert counters_hold(tx)


def test_age_is_measured_or_absent(tx: sqlite3.Connection) -> None:
    """Within a boot by its clock, across boots by the wall clock if both moments had one, else not at all."""
    box = outbox()
    assert box.numbers(tx, NOW).age_s is None

    box.append(tx, event(1), at(100.0, ts="2026-11-22T00:00:00.000Z"))
    assert 20.5 == box.numbers(tx, at(120.5)).age_s
    assert 60.0 == box.numbers(tx, at(5.0, boot="ffffffff", ts="2026-11-22T00:01:00.000Z")).age_s
    assert box.numbers(tx, at(5.0, boot="ffffffff")).age_s is None


def test_full_outbox_drops_by_rank_and_says_what(tx: sqlite3.Connection) -> None:
    """Delivered rows go first and without a gap, then rank by rank; tamper and alarms' last words never."""
    box = outbox(rows=100)
    kinds: list[list[Draft]] = [
        [event(n) for n in range(6)],
        [event(n, Phase.UPDATE) for n in range(6)],
        [snapshot(n) for n in range(6)],
        [event(n, kind="motion") for n in range(6)],
        [made for n in range(3) for made in (clip(n), erased(n))],
        [event(n) for n in range(6)],
        [clip(n) for n in range(10, 16)],
        [event(n, kind="tamper") for n in range(6)],
        [raised(f"a.b{n}") for n in range(6)],
    ]
    ranks = [{box.append(tx, message, NOW) for message in kind} for kind in kinds]
    box.delivered(tx, ranks[0], NOW)
    for number in range(200):
        box.append(tx, raised(f"x.y{number}"), NOW)
        left = {seq for (seq,) in tx.execute("SELECT seq FROM outbox")}
        for sooner, later in pairwise(ranks):
            assert later <= left or not sooner & left

    assert [0, 0, 0, 0, 0, 0, 0, 6, 6] == [len(rank & left) for rank in ranks]
    assert set.union(*ranks[1:7]) == covered(candidates(tx)) & set.union(*ranks)
    assert 36 == box.numbers(tx, NOW).dropped
    assert counters_hold(tx)


def test_an_alarm_that_flaps_takes_nobodys_place(tx: sqlite3.Connection) -> None:
    """A week of flapping in an outage: its last two words are kept, a gap names the rest, events stay."""
    box = outbox(rows=100)
    events = {box.append(tx, event(n), NOW) for n in range(60)}
    other = {box.append(tx, raised("camera.lost"), NOW)}
    flaps = [box.append(tx, (raised if n % 2 == 0 else cleared)("scene.dark"), NOW) for n in range(5000)]
    left = {seq for (seq,) in tx.execute("SELECT seq FROM outbox")}

    assert events | other | set(flaps[-2:]) <= left
    assert box.numbers(tx, NOW).bytes < 100 * 1024
    assert len(left) <= 100
    assert set(flaps) - left <= covered(candidates(tx))
    assert counters_hold(tx)


def test_outbox_is_bounded_by_bytes_too(tx: sqlite3.Connection) -> None:
    """Pictures fill it long before a thousand rows do."""
    box = outbox(mb=0.1)
    for number in range(200):
        box.append(tx, snapshot(number, bytes(2000)), NOW)

    assert box.numbers(tx, NOW).bytes <= 0.1 * 1024 * 1024
    assert counters_hold(tx)


def test_gaps_of_a_long_outage_stay_few(tx: sqlite3.Connection) -> None:
    """A week of dropping leaves a handful of gaps, not an outbox full of them, and covers every number."""
    box = outbox(rows=100)
    for number in range(3000):
        box.append(tx, event(number, Phase.NEW if number % 3 else Phase.UPDATE), NOW)
    rows = candidates(tx, settled=())
    gaps = [seq for (seq,) in tx.execute("SELECT seq FROM outbox WHERE subject = 'full'")]

    assert len(gaps) <= 2
    assert set(range(1, box.numbers(tx, NOW).seq_next)) == covered(rows) | set(seqs(rows)) | set(gaps)


def test_gap_does_not_grow_without_end(tx: sqlite3.Connection) -> None:
    """Where the dropped numbers lie far apart, a gap is closed at its limit and another begun."""
    box = outbox(rows=5000)
    for number in range(1, 2 * RANGES_MAX + 21):
        box.append(tx, event(number), NOW)
    odd = range(1, 2 * RANGES_MAX + 20, 2)
    box.drop(tx, odd, "too-large", NOW)
    box.drop(tx, [2 * RANGES_MAX + 20], "too-large", NOW)
    gaps = [
        json.loads(row[0])["ranges"]
        for row in tx.execute("SELECT payload FROM outbox WHERE subject = 'too-large' ORDER BY seq")
    ]

    # The second drop took up the shorter of the two gaps, whose own number is thereby covered as well.
    assert len(odd) + 1 + 1 == sum(last - first + 1 for ranges in gaps for first, last in ranges)
    assert [RANGES_MAX, 11] == [len(ranges) for ranges in gaps]


def test_altered_row_is_not_sent_but_told(tx: sqlite3.Connection) -> None:
    """A bit that flipped on the card is caught by the row's checksum: gap instead of nonsense."""
    box = outbox()
    for number in (1, 2, 3, 4):
        box.append(tx, event(number), NOW)
    tx.execute("UPDATE outbox SET payload = CAST(replace(payload, '0.8', '0.9') AS BLOB) WHERE seq = 2")
    tx.execute("UPDATE outbox SET head = CAST(X'FF' || substr(head, 2) AS BLOB) WHERE seq = 3")

    assert [5, 1, 4] == seqs(candidates(tx))
    assert [5, 1, 4] == seqs(candidates(tx))
    gap = json.loads(candidates(tx)[0].publication.payload)
    assert ("corrupt", [[2, 3]], 2) == (gap["why"], gap["ranges"], gap["count"])
    assert counters_hold(tx)


def test_altered_gap_still_excuses_what_it_named(tx: sqlite3.Connection) -> None:
    """Nobody can read its ranges any more: a platform would wait for them for ever."""
    box = outbox()
    for number in range(1, 8):
        box.append(tx, event(number), NOW)
    box.drop(tx, [2, 5], "too-large", NOW)
    tx.execute("UPDATE outbox SET payload = X'00' WHERE seq = 8")

    assert [9, 1, 3, 4, 6, 7] == seqs(candidates(tx))
    assert [9, 1, 3, 4, 6, 7] == seqs(candidates(tx))
    assert {2, 5, 8} == covered(candidates(tx))
    assert counters_hold(tx)


def test_gap_that_was_taken_up_is_not_sent(tx: sqlite3.Connection) -> None:
    """What goes out has a row: a gap that went into a new one meanwhile has none."""
    box = outbox()
    for number in (1, 2, 3):
        box.append(tx, event(number), NOW)
    box.drop(tx, [1], "corrupt", NOW)
    tx.execute("UPDATE outbox SET payload = X'00' WHERE seq = 2")

    assert [5, 3] == seqs(candidates(tx))
    assert [5, 3] == seqs(candidates(tx))
    assert {1, 2, 4} == covered(candidates(tx))


def test_dropping_what_is_gone_says_nothing(tx: sqlite3.Connection) -> None:
    """No gap without a loss."""
    outbox().append(tx, event(1), NOW)
    outbox().drop(tx, [7], "too-large", NOW)

    assert [1] == seqs(candidates(tx))


STEP = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(["new", "update", "motion", "alarm", "snap", "clip"])),
    st.tuples(st.just("deliver"), st.integers(0, 30)),
    st.tuples(st.just("watermark"), st.integers(0, 40)),
    st.tuples(st.just("corrupt"), st.integers(0, 40)),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(STEP, min_size=50, max_size=150))
def test_every_number_is_delivered_waiting_or_covered(steps: list[tuple[str, object]]) -> None:
    """Whatever happens in whatever order, no number disappears."""
    makers = {
        "new": event,
        "update": lambda n: event(n, Phase.UPDATE),
        "motion": lambda n: event(n, kind="motion"),
        "alarm": lambda n: raised(f"a.b{n % 3}"),
        "snap": snapshot,
        "clip": clip,
    }
    box = Outbox(OutboxSettings.model_construct(max_rows=40, max_mb=1.0, keep_h=1.0), TOPICS)
    told: set[int] = set()
    received: set[int] = set()
    with closing(fresh()) as tx:

        def receive(limit: int) -> list[int]:
            rows = candidates(tx, box, room=limit)
            told.update(covered(rows))
            received.update(seqs(rows))
            return seqs(rows)

        for number, (step, detail) in enumerate(steps):
            if step == "append":
                box.append(tx, makers[str(detail)](number), NOW)
            elif step == "deliver":
                box.delivered(tx, receive(int(str(detail))), NOW)
            elif step == "watermark":
                receive(1000)
                stored = received | told
                mark = next(n for n in range(1, 10_000) if n not in stored) - 1
                box.watermark(tx, box.numbers(tx, NOW).stream, min(mark, int(str(detail)) + 1))
            else:
                tx.execute(
                    "UPDATE outbox SET payload = CAST(payload || 'x' AS BLOB) "
                    "WHERE seq = ? AND drop_order < 7 AND done_boot IS NULL",
                    (detail,),
                )
            assert counters_hold(tx)
        while box.numbers(tx, NOW).waiting:  # a look that finds only a corrupt row gives none, but a gap
            box.delivered(tx, receive(1000), NOW)
        assert set(range(1, box.numbers(tx, NOW).seq_next)) == received | told


WRITER = """
    import os, signal, sys, time
    from pathlib import Path
    from backbone_samples import TOPICS, at, event
    from agent.backbone.candidates import Wanted
    from agent.backbone.outbox import SCHEMA, Outbox
    from agent.config import Outbox as Settings
    from agent.database import PAGE_BYTES, Database

    def work(first):
        box = Outbox(Settings(), TOPICS)
        database = Database(Path(sys.argv[1]), [SCHEMA])
        database.submit(box.open_stream).result()
        for number in range(first, 10**9):
            seq = database.submit(lambda tx: box.append(tx, event(number), at(1.0))).result()
            os.write(1, f"appended {seq}\\n".encode())
            if number % 5 == 0:
                wanted = Wanted(room=3, replay_room=3, mark=1)
                seqs = [row.seq for row in database.look(lambda tx: box.pick(tx, wanted)).result().rows]
                os.write(1, f"sent {' '.join(map(str, seqs))}\\n".encode())
                database.submit(lambda tx: box.delivered(tx, seqs, at(1.0))).result()

    for kill in range(10):
        if not (child := os.fork()):
            work(10**6 * kill)
        time.sleep(0.1 + 0.02 * kill)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
"""


def test_nothing_that_was_appended_is_lost_by_kills(tmp_path: Path) -> None:
    """Ten times killed in the middle of its work, the writer leaves every number it returned."""
    program, path = tmp_path / "writer.py", tmp_path / "agent.db"
    program.write_text(textwrap.dedent(WRITER))
    told = subprocess.run(
        [sys.executable, str(program), str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    appended, sent = (
        {int(seq) for line in told.splitlines() if line.startswith(word) for seq in line.split()[1:]}
        for word in ("appended", "sent")
    )
    box = outbox()
    database = Database(path, [SCHEMA])
    there = database.submit(lambda tx: {seq for (seq,) in tx.execute("SELECT seq FROM outbox")}).result()
    waiting = database.submit(lambda tx: set(seqs(candidates(tx, box, room=10**6)))).result()
    holds = database.submit(counters_hold).result()
    database.close()

    assert database.set_aside is None
    assert len(appended) > 20
    assert appended <= there
    assert set(range(1, max(there) + 1)) == there
    assert appended - sent <= waiting
    assert holds


def test_pictures_are_covered_on_disk(tmp_path: Path) -> None:
    """What is sent is the picture; what lies in the database's files is not."""
    path = tmp_path / "agent.db"
    box = Outbox(OutboxSettings(), TOPICS, cover=Cover(bytes(32)))
    jpeg = b"\xff\xd8\xff\xe0 a face in the stairwell"
    database = Database(path, [SCHEMA])
    database.submit(box.open_stream).result()
    database.submit(lambda tx: box.append(tx, snapshot(1, jpeg), NOW)).result()
    [row] = database.submit(lambda tx: candidates(tx, box)).result()
    on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    database.close()

    assert jpeg == row.publication.payload
    assert b"a face" not in on_disk


def test_a_picture_is_written_once(tmp_path: Path) -> None:
    """That the broker took it is noted in its row without writing the picture again: cards wear out."""
    path, pages = tmp_path / "agent.db", 40
    now = at(100.25, ts="2026-07-01T12:00:00.250Z")
    database = Database(path, [SCHEMA])
    log = path.with_name("agent.db-wal")
    database.submit(outbox().open_stream).result()
    sizes = []
    for work in (
        lambda tx: outbox().append(tx, snapshot(1, os.urandom(pages * PAGE_BYTES)), now),
        lambda tx: outbox().delivered(tx, [1], at(101.75)),
    ):
        before = log.stat().st_size
        database.submit(work).result()
        sizes.append((log.stat().st_size - before) // PAGE_BYTES)
    database.close()

    assert sizes[0] > pages
    assert sizes[1] < 6


def test_a_picture_whose_key_is_gone_is_told(tx: sqlite3.Connection) -> None:
    """After a power cut the kit cannot show it: a gap says so, and everything else is sent."""
    before = Outbox(OutboxSettings(), TOPICS, cover=Cover(bytes(32)))
    before.append(tx, event(1), NOW)
    before.append(tx, snapshot(2), NOW)

    for cover in (Cover(b"\1" * 32), None):
        later = Outbox(OutboxSettings(), TOPICS, cover=cover)
        rows = candidates(tx, later)
        assert [3, 1] == seqs(rows)
        assert {2} == covered(rows)
        assert "restart" == json.loads(rows[0].publication.payload)["why"]
    assert counters_hold(tx)


@pytest.mark.parametrize("how", ["puback", "watermark"])
def test_what_was_delivered_is_told_with_its_subject(tx: sqlite3.Connection, how: str) -> None:
    """Once per message, in the unit of work that marks it: a clip's flag cannot miss its delivery."""
    told: list[list[str]] = []
    box = Outbox(OutboxSettings(), TOPICS, delivered_hook=lambda _, subjects: told.append(subjects))
    first, second = box.append(tx, clip(1), NOW), box.append(tx, clip(2), NOW)
    box.append(tx, stat(), NOW)
    stream = box.numbers(tx, NOW).stream

    if how == "puback":
        box.delivered(tx, [first], NOW)
        box.delivered(tx, [first, second], NOW)
    else:
        box.watermark(tx, stream, first)
        box.watermark(tx, stream, second + 1)
    box.watermark(tx, stream, second + 1)
    assert [[ulid_of(1)], [ulid_of(2)], []] == told
