"""The one database and its one writer."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from agent.database import (
    CACHE_KIB,
    CHECKPOINT_FRAMES,
    GROUP_MAX,
    MIGRATIONS,
    PAGE_BYTES,
    VERSION,
    WAL_LIMIT_BYTES,
    Database,
)
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

SCHEMA = "CREATE TABLE IF NOT EXISTS item (n INTEGER PRIMARY KEY, text TEXT NOT NULL)"


def insert(n: int, text: str = "x") -> Callable[[sqlite3.Connection], int]:
    def work(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO item VALUES (?, ?)", (n, text))
        return n

    return work


def numbers(path: Path) -> list[int]:
    """What another process would read."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [n for (n,) in connection.execute("SELECT n FROM item ORDER BY n")]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "agent.db", [SCHEMA])
    yield database
    database.close()


def hold(database: Database) -> threading.Event:
    """Keep the writer busy until the event is set, so that what follows waits together."""
    entered, release = threading.Event(), threading.Event()

    def work(_: sqlite3.Connection) -> None:
        entered.set()
        release.wait(10)

    database.submit(work)
    assert entered.wait(10)
    return release


def commits(database: Database) -> list[str]:
    """A list that grows by each COMMIT that the writer gives."""
    seen: list[str] = []

    def listen(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(lambda sql: seen.append(sql) if sql == "COMMIT" else None)

    database.submit(listen).result(10)
    return seen


def test_a_done_unit_is_on_disk(database: Database) -> None:
    """When the future is done another connection sees the row, and the value comes back."""
    assert 7 == database.submit(insert(7)).result(10)
    assert [7] == numbers(database.path)


def test_it_is_durable_by_configuration(database: Database) -> None:
    """WAL, FULL and the bounds of log and memory are really on: each is lost silently when misspelt."""

    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "journal_size_limit", "page_size", "secure_delete")
        more = ("wal_autocheckpoint", "cache_size")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in (*names, *more)]

    # Neither can be read back as text: synchronous 2 is FULL, secure_delete 2 is FAST.
    expected = ["wal", 2, WAL_LIMIT_BYTES, PAGE_BYTES, 2, CHECKPOINT_FRAMES, -CACHE_KIB]
    assert expected == database.submit(pragmas).result(10)


def test_waiting_units_commit_together(database: Database) -> None:
    """Units that wait share one sync, up to the group's bound; each gets its own answer."""
    seen = commits(database)
    release = hold(database)
    futures = [database.submit(insert(n)) for n in range(GROUP_MAX + 6)]
    seen.clear()
    release.set()
    assert list(range(GROUP_MAX + 6)) == [future.result(10) for future in futures]
    # The held unit's own, a full group, the rest.
    assert 3 == len(seen)


def test_what_can_wait_shares_a_sync(database: Database) -> None:
    """It is on disk with the next unit that cannot wait, before it, and not earlier."""
    seen = commits(database)
    seen.clear()
    patient = [database.submit(insert(n), within_s=60) for n in (1, 2)]
    assert [] == database.look(lambda c: c.execute("SELECT n FROM item").fetchall()).result(10)
    assert [False, False] == [future.done() for future in patient]
    assert 3 == database.submit(insert(3)).result(10)

    assert [1, 2] == [future.result(0) for future in patient]
    assert 2 == len(seen)  # the look and the group
    assert [1, 2, 3] == [
        n for (n,) in database.look(lambda c: c.execute("SELECT n FROM item").fetchall()).result(10)
    ]


def test_what_can_wait_does_not_wait_for_ever(database: Database) -> None:
    """Nobody else comes: it is on disk when its time is over; the shortest time counts."""
    long, short = (database.submit(insert(n), within_s=s) for n, s in ((1, 60.0), (2, 0.05)))

    assert (1, 2) == (long.result(10), short.result(10))


def test_a_full_group_waits_no_longer(database: Database) -> None:
    """Memory for what waits is bounded by the group."""
    futures = [database.submit(insert(n), within_s=60) for n in range(GROUP_MAX)]

    assert list(range(GROUP_MAX)) == [future.result(10) for future in futures]


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    """A wanted end loses nothing."""
    database = Database(tmp_path / "agent.db", [SCHEMA])
    database.submit(insert(1), within_s=60)
    database.close()

    assert [1] == numbers(database.path)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (lambda _: 1 // 0, ZeroDivisionError),
        (lambda c: c.execute("INSERT INTO item VALUES (60, NULL)"), sqlite3.IntegrityError),
        (lambda c: c.execute("SELECT ?", (1, 2)), sqlite3.ProgrammingError),
    ],
    ids=["own error", "constraint", "wrong call"],
)
def test_a_failing_unit_takes_nothing_with_it(
    database: Database, fault: Callable[[sqlite3.Connection], object], error: type[Exception]
) -> None:
    """A unit that raises undoes what it did itself; its neighbours of the same commit stay."""

    def unit(connection: sqlite3.Connection) -> None:
        insert(50)(connection)
        fault(connection)

    release = hold(database)
    before, broken, after = (database.submit(work) for work in (insert(1), unit, insert(2)))
    release.set()
    assert (1, 2) == (before.result(10), after.result(10))
    with pytest.raises(error):
        broken.result(10)
    assert [1, 2] == numbers(database.path)


def test_a_disk_that_refuses_takes_the_group_with_it(database: Database) -> None:
    """Without room SQLite undoes the whole transaction, and every unit of it learns that; the next one works.

    A unit that had failed by itself before keeps its own error.
    """

    def no_room(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")
        connection.execute("INSERT INTO item VALUES (2, ?)", ("x" * 100_000,))

    release = hold(database)
    before, wrong, refused, after = (
        database.submit(work) for work in (insert(1), lambda _: 1 // 0, no_room, insert(3))
    )
    release.set()
    for future in (before, refused, after):
        with pytest.raises(StorageError, match=r"agent\.db: cannot be written \(database or disk is full\)"):
            future.result(10)
    with pytest.raises(ZeroDivisionError):
        wrong.result(10)
    database.submit(lambda c: c.execute("PRAGMA max_page_count=1000000")).result(10)
    assert 4 == database.submit(insert(4)).result(10)
    assert [4] == numbers(database.path)


def test_a_cancelled_unit_is_not_run(database: Database) -> None:
    """Whoever gives up in time gets no row, and the writer goes on."""
    release = hold(database)
    cancelled, kept = database.submit(insert(1)), database.submit(insert(2))
    assert cancelled.cancel()
    release.set()
    assert 2 == kept.result(10)
    assert [2] == numbers(database.path)
    assert database.alive


def test_close_finishes_what_was_submitted(tmp_path: Path) -> None:
    """Nothing submitted before close is lost; a second close is harmless; later work is refused."""
    database = Database(tmp_path / "agent.db", [SCHEMA])
    futures = [database.submit(insert(n)) for n in range(200)]
    database.close()
    database.close()
    assert all(future.done() for future in futures)
    assert list(range(200)) == numbers(database.path)
    assert not database.alive
    with pytest.raises(StorageError, match=r"agent\.db: written after it was closed"):
        database.submit(insert(1000))


def test_a_disk_that_hangs_is_told(database: Database) -> None:
    """Nobody waits for ever, and what was not begun is not done later behind the caller's back."""
    release = hold(database)
    with pytest.raises(StorageError, match=r"agent\.db: the disk did not answer for 0\.1 s") as refused:
        database.ask(insert(1), 0.1)
    assert errno.EIO == refused.value.errno
    with pytest.raises(StorageError, match="did not answer"):
        database.close(0.1)

    release.set()
    database.close(10)
    assert [] == numbers(database.path)


def test_an_answer_in_time_is_handed_over(database: Database) -> None:
    """The value, or the error of the work itself, were it one of time."""
    assert 7 == database.ask(insert(7), 10)

    def late(_: sqlite3.Connection) -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        database.ask(late, 10)


def test_writers_of_many_threads(database: Database) -> None:
    """Every thread's units commit, in the order in which that thread gave them."""
    done: list[Future[int]] = []

    def write(base: int) -> None:
        done.extend([database.submit(insert(base + n)) for n in range(50)])

    threads = [threading.Thread(target=write, args=(base,)) for base in range(0, 400, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(future.result(10) for future in done) == numbers(database.path)
    assert 200 == len(done)


def test_it_is_found_again(tmp_path: Path) -> None:
    """Opening a sound file keeps its rows and sets nothing aside."""
    path = tmp_path / "deep" / "agent.db"
    first = Database(path, [SCHEMA])
    first.submit(insert(3)).result(10)
    first.close()
    second = Database(path, [SCHEMA, "CREATE TABLE IF NOT EXISTS later (n)"])
    second.submit(insert(4)).result(10)
    second.close()
    assert [3, 4] == numbers(path)
    assert second.set_aside is None


def test_an_unsound_file_is_set_aside(tmp_path: Path) -> None:
    """Garbage in the database's place is kept under another name, twice too, and a new one works."""
    path = tmp_path / "agent.db"
    for number in (1, 2):
        path.write_bytes(b"no database " * 1000)
        database = Database(path, [SCHEMA])
        database.submit(insert(number)).result(10)
        database.close()
        assert path.with_name(f"agent.db.corrupt-{number}") == database.set_aside
        assert path.with_name(f"agent.db.corrupt-{number}").read_bytes().startswith(b"no database")
        assert [number] == numbers(path)


def test_a_damaged_page_is_found_at_start(tmp_path: Path) -> None:
    """A file with a good header and rotten pages is set aside too: quick_check reads it all."""
    path = tmp_path / "agent.db"
    first = Database(path, [SCHEMA])
    for future in [first.submit(insert(n, "y" * 500)) for n in range(500)]:
        future.result(10)
    first.close()
    content = bytearray(path.read_bytes())
    content[8 * 4096 : 12 * 4096] = b"\xa5" * (4 * 4096)
    path.write_bytes(content)
    second = Database(path, [SCHEMA])
    second.close()
    assert second.set_aside is not None
    assert bytes(content) == second.set_aside.read_bytes()
    assert [] == numbers(path)


def test_damage_while_it_runs_is_told_and_set_aside_with_its_log(tmp_path: Path) -> None:
    """No write goes through any more, so the process must end; the next start keeps the log for inquiry."""
    path = tmp_path / "agent.db"
    database = Database(path, [SCHEMA])
    for n in range(1000):
        database.submit(insert(n, "x" * 100))
    database.submit(lambda _: None).result(10)
    assert database.unsound is None
    database.close()
    database = Database(path, [SCHEMA])
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    database._connection.execute("PRAGMA shrink_memory")  # it reads from the file again

    with pytest.raises(StorageError, match="malformed"):
        database.ask(insert(5000), 10)
    assert database.unsound is not None
    database.close()

    path.with_name("agent.db-wal").write_bytes(b"what was not checkpointed")
    later = Database(path, [SCHEMA])
    later.close()
    assert tmp_path / "agent.db.corrupt-1" == later.set_aside
    assert (tmp_path / "agent.db.corrupt-1-wal").read_bytes() == b"what was not checkpointed"
    assert [] == numbers(path)


def test_what_a_newer_agent_wrote_is_left_alone(tmp_path: Path) -> None:
    """It is told, and neither changed nor set aside."""
    path = tmp_path / "agent.db"
    Database(path, [SCHEMA]).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert VERSION == connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version={VERSION + 1}")

    with pytest.raises(StorageError, match=f"newer agent .version {VERSION + 1}"):
        Database(path, [SCHEMA])
    assert not path.with_name("agent.db.corrupt-1").exists()


def test_an_older_one_is_brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step once, in order; what it holds is kept."""
    path = tmp_path / "agent.db"
    first = Database(path, [SCHEMA])
    first.ask(insert(1), 10)
    first.close()
    monkeypatch.setattr("agent.database.VERSION", VERSION + 1)
    monkeypatch.setitem(MIGRATIONS, VERSION, "UPDATE item SET n = n + 100")
    for _ in range(2):
        Database(path, [SCHEMA]).close()

    assert [101] == numbers(path)


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """The error names the file and what to look at."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"file/state/agent\.db: the database cannot be opened") as caught:
        Database(tmp_path / "file" / "state" / "agent.db", [SCHEMA])
    assert "read-only or full" in caught.value.fix


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    """What SQLite itself cannot open is the same error, and nothing is moved away."""
    (tmp_path / "agent.db").mkdir()
    with pytest.raises(StorageError, match="cannot be opened"):
        Database(tmp_path / "agent.db", [SCHEMA])
    assert (tmp_path / "agent.db").is_dir()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting needs root")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    """A full disk refuses units with StorageError, loses no done one, and works again once there is room."""
    (small_disk / "ballast").write_bytes(bytes(400_000))
    database = Database(small_disk / "agent.db", [SCHEMA])
    futures = [database.submit(insert(n, "z" * 4000)) for n in range(4 * GROUP_MAX)]
    refused = [future.exception(10) for future in futures]
    done = [n for n, error in enumerate(refused) if error is None]
    assert GROUP_MAX <= len(done) < len(futures)
    assert {StorageError, type(None)} == {type(error) for error in refused}
    assert all("agent.db: cannot be written (" in str(error) for error in refused if error)
    assert database.alive
    (small_disk / "ballast").unlink()
    assert 5000 == database.submit(insert(5000)).result(10)
    database.close()
    assert [*done, 5000] == numbers(database.path)


def test_a_read_only_file_system(small_disk: Path) -> None:
    """A card that the kernel mounted read-only is refused at start, and nothing is set aside."""
    database = Database(small_disk / "agent.db", [SCHEMA])
    database.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageError, match="cannot be opened"):
        Database(small_disk / "agent.db", [SCHEMA])
    assert ["agent.db"] == [p.name for p in small_disk.iterdir()]


WRITER = """
    import sys
    from pathlib import Path
    from agent.database import Database

    database = Database(Path(sys.argv[1]), [sys.argv[2]])
    for base in range(0, 10**6, 8):
        units = [
            database.submit(lambda c, n=base + i: c.execute("INSERT INTO item VALUES (?, 'x')", (n,)) and n)
            for i in range(8)
        ]
        for unit in units:
            print(unit.result(), flush=True)
"""


def test_done_units_survive_a_kill(tmp_path: Path) -> None:
    """Whatever was reported done before SIGKILL is there afterwards, and the file is sound."""
    path = tmp_path / "agent.db"
    for _ in range(3):
        path.unlink(missing_ok=True)
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), SCHEMA]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            reported = [int(next(process.stdout)) for _ in range(100)]
            process.send_signal(signal.SIGKILL)
            reported += [int(line) for line in process.stdout if line.endswith("\n")]
        database = Database(path, [SCHEMA])
        database.close()
        assert database.set_aside is None
        kept = numbers(path)
        assert reported == kept[: len(reported)]
        assert list(range(len(kept))) == kept
