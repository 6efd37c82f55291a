"""The recorder: any sequence of packets and events against its invariants, then real files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import count, pairwise
from typing import TYPE_CHECKING

import pytest
from clips_footage import TICKS, Footage, decoded, ffmpeg_plays, long_footage
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clips.fragment import Plaintext
from agent.clips.recorder import Recorder
from agent.clips.sink import Stored
from agent.clips.writer import Written
from agent.config import Clips
from agent.device.clock import Stamp, VideoClock
from agent.errors import ConfigError, StorageError
from agent.types import ClipRecord, Packet, StreamInfo
from agent.ulid import ulid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agent.clips.journal import OpenClip

INFO = StreamInfo("h264", 64, 48, Fraction(1, TICKS), b"")


def refuse() -> StorageError:
    return StorageError("card: full", fix="free space")


def shoot_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One packet that the disk does not take."""

    def broken(*_: object) -> None:
        raise refuse()

    with monkeypatch.context() as patch:
        patch.setattr(MemoryWriter, "packet", broken)
        bench.shoot(1)


@dataclass
class Ring:
    """The pre-roll: everything pushed, kept for so many seconds from a key frame on."""

    seconds: float = 1000.0
    packets: list[Packet] = field(default_factory=list)

    def push(self, packet: Packet) -> None:
        """Add; old GOPs leave."""
        self.packets.append(packet)
        keys = [i for i, p in enumerate(self.packets) if p.keyframe and p.t <= packet.t - self.seconds]
        if keys:
            del self.packets[: keys[-1]]

    def preroll(self, since: float) -> Sequence[Packet]:
        """From the last key frame at or before `since`, or the first there is."""
        keys = [i for i, p in enumerate(self.packets) if p.keyframe]
        before = [i for i in keys if self.packets[i].t <= since]
        return self.packets[before[-1] if before else keys[0] :] if keys else []


@dataclass
class MemoryWriter:
    """A writer that keeps the packets themselves."""

    path: Path
    packets: list[Packet] = field(default_factory=list)
    abandoned: bool = False
    told: OpenClip | None = None

    def about(self, clip: OpenClip) -> None:
        """Note."""
        self.told = clip

    def packet(self, packet: Packet) -> None:
        """Keep."""
        self.packets.append(packet)

    def close(self) -> Written:
        """Describe."""
        ts = [p.t for p in self.packets]
        plain = Plaintext(len(ts), ())
        return Written(Stored(len(ts), ""), plain, max(ts) - min(ts), min(ts), max(ts))

    def abandon(self) -> None:
        """Note."""
        self.abandoned = True


@dataclass
class Journal:
    """Keeps what it is told; refuses when told to."""

    opens: list[OpenClip] = field(default_factory=list)
    records: list[ClipRecord] = field(default_factory=list)
    broken: str = ""

    def opened(self, clip: OpenClip) -> None:
        """See ClipJournal."""
        if self.broken == "opened":
            raise refuse()
        self.opens.append(clip)

    def closed(self, clip: ClipRecord, plain: Plaintext) -> None:
        """See ClipJournal."""
        del plain
        if self.broken == "closed":
            raise refuse()
        self.records.append(clip)


class Bench:
    """A recorder with ring, journal and writers in memory, and a camera of 10 pictures a second."""

    def __init__(self, directory: Path, ring: Ring | None = None, **keys: float) -> None:
        values = {"pre_roll_s": 2.0, "post_roll_s": 3.0, "max_s": 10.0} | keys
        self.ring = ring or Ring()
        self.journal = Journal()
        self.writers: list[MemoryWriter] = []
        self.index = 0
        self.base = 0
        numbers = count(1)
        self.recorder = Recorder(
            Clips(seal="none", **values),
            directory,
            self.ring.preroll,
            lambda: ulid(next(numbers), bytes(10)),
            self.journal,
            VideoClock().stamp,
            open_writer=self.open_writer,
        )
        self.recorder.stream(INFO)

    def open_writer(self, path: Path, info: StreamInfo, sync_s: float) -> MemoryWriter:
        """In place of ClipWriter."""
        assert (INFO, 2.0) == (info, sync_s)
        self.writers.append(MemoryWriter(path))
        return self.writers[-1]

    @property
    def now(self) -> float:
        """Time of the next packet."""
        return self.index / 10

    def shoot(self, pictures: int = 1, *, gop: int = 10, between: Callable[[], None] | None = None) -> None:
        """So many pictures through ring and recorder; `between` happens after the last reached the ring."""
        for i in range(pictures):
            dts = (self.index - self.base) * TICKS // 10
            key = not self.ring.packets or self.index % gop == 0
            packet = Packet(b"", dts, dts, TICKS // 10, key, self.now)
            self.index += 1
            self.ring.push(packet)
            if between and i == pictures - 1:
                between()
            self.recorder.packet(packet)

    def cut(self) -> None:
        """A new StreamInfo: the time stamps begin anew, the clock goes on."""
        self.base = self.index
        self.ring.packets.clear()
        self.recorder.stream(INFO)

    def times(self) -> list[tuple[float, float, int]]:
        """(first t, last t, part) of each clip that was completed."""
        clips = {w.path.stem: w for w in self.writers}
        return [(clips[r.id].packets[0].t, clips[r.id].packets[-1].t, r.part) for r in self.journal.records]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_records_from_pre_roll_to_post_roll(bench: Bench) -> None:
    """From the key frame before t - 2 s to the one after evidence + 3 s; the record says all about it."""
    bench.shoot(105)
    bench.recorder.event_opened("a", 10.2)
    assert bench.writers[0].path.stem == bench.recorder.current
    bench.shoot(40)
    bench.recorder.event_closed("a", 12.1)
    bench.shoot(40)
    assert bench.recorder.current is None
    assert [(8.0, 15.9, 1)] == bench.times()
    record = bench.journal.records[0]
    expected = (("a",), 8.0, "00000000", None, "none", "h264", "none", False)
    assert expected == (
        record.events,
        record.started,
        record.boot,
        record.ts,
        record.clk,
        record.codec,
        record.sealed,
        record.truncated,
    )
    assert record.path == bench.writers[0].path.name


def test_an_overlapping_event_shares_the_clip(bench: Bench) -> None:
    """One file, both events, until the later post-roll; the journal hears of the second at once."""
    bench.shoot(50)
    bench.recorder.event_opened("a", 4.0)
    bench.shoot(10)
    bench.recorder.event_opened("b", 5.5)
    assert ("a", "b") == bench.journal.opens[-1].events
    assert bench.journal.opens[0].id == bench.journal.opens[-1].id
    assert bench.journal.opens[-1] == bench.writers[-1].told
    bench.recorder.event_closed("b", 8.0)
    bench.recorder.event_closed("a", 6.0)
    bench.shoot(60)
    assert [(2.0, 10.9, 1)] == bench.times()
    assert ("a", "b") == bench.journal.records[0].events


def test_an_event_in_the_post_roll_extends_it(bench: Bench) -> None:
    """No second clip for someone who comes back."""
    bench.shoot(50)
    bench.recorder.event_opened("a", 5.0)
    bench.recorder.event_closed("a", 5.0)
    bench.shoot(20)
    bench.recorder.event_opened("b", 6.8)
    bench.recorder.event_closed("b", 6.9)
    bench.shoot(60)
    assert [(3.0, 9.9, 1)] == bench.times()
    assert ("a", "b") == bench.journal.records[0].events


def test_an_event_right_after_repeats_nothing(bench: Bench) -> None:
    """Its pre-roll begins where the last clip ended."""
    bench.shoot(50)
    bench.recorder.event_opened("a", 5.0)
    bench.recorder.event_closed("a", 5.0)
    bench.shoot(45)
    bench.recorder.event_opened("b", 9.4)
    bench.recorder.event_closed("b", 9.4)
    bench.shoot(60)
    assert [(3.0, 7.9, 1), (8.0, 12.9, 1)] == bench.times()


def test_a_long_event_goes_on_in_parts(bench: Bench) -> None:
    """Parts of 10 s join without a gap; a post-roll that rolls over belongs to the event that ended last."""
    bench.shoot(20)
    bench.recorder.event_opened("a", 2.0)
    bench.recorder.event_opened("b", 2.0)
    bench.shoot(190)
    bench.recorder.event_closed("a", 19.0)
    bench.recorder.event_closed("b", 18.0)
    bench.recorder.event_opened("c", 18.0)
    bench.recorder.event_closed("c", 28.0)
    bench.shoot(200)
    assert [(0.0, 9.9, 1), (10.0, 19.9, 2), (20.0, 29.9, 3), (30.0, 30.9, 4)] == bench.times()
    expected = [("a", "b"), ("a", "b"), ("a", "b", "c"), ("c",)]
    assert expected == [r.events for r in bench.journal.records]


def test_a_new_stream_goes_on_in_a_next_part(bench: Bench) -> None:
    """The clip is completed and a part follows from the first key frame of the new stream."""
    bench.shoot(30)
    bench.recorder.event_opened("a", 3.0)
    bench.shoot(5)
    bench.cut()
    bench.shoot(25)
    bench.recorder.event_closed("a", 5.0)
    bench.shoot(50)
    assert [(1.0, 3.4, 1), (3.5, 7.9, 2)] == bench.times()


def test_time_stamps_that_go_back_begin_a_part(bench: Bench) -> None:
    """A source that starts its time stamps anew without a word loses no more than the rest of a GOP."""
    bench.shoot(30)
    bench.recorder.event_opened("a", 3.0)
    bench.shoot(10)
    bench.base = bench.index
    bench.shoot(10)
    bench.recorder.close()
    assert [(1.0, 3.9, 1), (4.0, 4.9, 2)] == bench.times()


def test_an_outage_completes_the_clip(bench: Bench) -> None:
    """What there is becomes a clip at once, and is not held back until the camera returns."""
    bench.shoot(30)
    bench.recorder.event_opened("a", 3.0)
    bench.recorder.interrupted()
    assert [(1.0, 2.9, 1)] == bench.times()
    bench.recorder.event_closed("a", 3.0)
    bench.cut()
    bench.index += 600
    bench.shoot(30)
    assert 1 == len(bench.writers)
    assert bench.recorder.current is None


def test_an_event_before_the_first_key_frame_waits(tmp_path: Path) -> None:
    """Nothing to begin with yet: the clip begins with the first key frame."""
    bench = Bench(tmp_path)
    bench.recorder.event_opened("a", 0.0)
    bench.recorder.event_opened("b", 0.0)
    assert bench.recorder.current is None
    bench.shoot(20)
    bench.recorder.close()
    assert [(0.0, 1.9, 1)] == bench.times()
    assert ("a", "b") == bench.journal.records[0].events


def test_nothing_is_recorded_that_nobody_could_open(tmp_path: Path) -> None:
    """No default ever leaves open clips on a card, or clips sealed to nobody."""
    with pytest.raises(ConfigError, match=r"clips\.recipients"):
        Recorder(Clips(), tmp_path, Ring().preroll, str, Journal(), VideoClock().stamp)


def test_a_packet_needs_its_stream(tmp_path: Path) -> None:
    """A packet without StreamInfo is a bug of the caller, by either way."""
    packet = Packet(b"", 0, 0, 1, keyframe=True, t=0.0)
    ring = Ring(packets=[packet])
    recorder = Recorder(Clips(seal="none"), tmp_path, ring.preroll, str, Journal(), VideoClock().stamp)
    with pytest.raises(ValueError, match="StreamInfo"):
        recorder.packet(packet)
    with pytest.raises(ValueError, match="StreamInfo"):
        recorder.event_opened("a", 0.0)


def test_an_unknown_event_cannot_close(bench: Bench) -> None:
    """Each event closes once."""
    with pytest.raises(KeyError):
        bench.recorder.event_closed("a", 0.0)


@pytest.mark.parametrize("broken", ["opened", "closed"])
def test_a_journal_that_refuses_ends_the_recording(bench: Bench, broken: str) -> None:
    """The app is told; the next event tries again, and success clears it."""
    bench.journal.broken = broken
    bench.shoot(30)
    bench.recorder.event_opened("a", 3.0)
    bench.recorder.event_closed("a", 3.0)
    bench.shoot(100)
    assert isinstance(bench.recorder.failed, StorageError)
    bench.journal.broken = ""
    bench.recorder.event_opened("b", 13.0)
    bench.shoot(10)
    bench.recorder.close()
    assert bench.recorder.failed is None
    assert [(11.0, 13.9, 1)] == bench.times()


def test_a_journal_that_refuses_a_joining_event_ends_the_recording(bench: Bench) -> None:
    """The file stays for recovery; both events are in the next clip."""
    bench.shoot(30)
    bench.recorder.event_opened("a", 3.0)
    bench.journal.broken = "opened"
    bench.recorder.event_opened("b", 3.0)
    assert bench.writers[0].abandoned
    bench.journal.broken = ""
    bench.recorder.event_opened("c", 3.0)
    bench.recorder.close()
    assert ("a", "b", "c") == bench.journal.records[0].events


@pytest.mark.parametrize("step", ["packet", "close"])
def test_a_disk_that_refuses_ends_the_recording(
    bench: Bench, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file stays as it stands; nothing is said of a clip; the next event begins a new one."""
    bench.shoot(30)
    with monkeypatch.context() as patch:

        def broken(*_: object) -> None:
            raise refuse()

        patch.setattr(MemoryWriter, step, broken)
        bench.recorder.event_opened("a", 3.0)
        bench.recorder.event_closed("a", 3.0)
        bench.shoot(70)
    assert isinstance(bench.recorder.failed, StorageError)
    assert bench.writers[0].abandoned
    assert [] == bench.journal.records
    bench.recorder.event_opened("b", 10.0)
    bench.recorder.close()
    assert [(8.0, 9.9, 1)] == bench.times()


def test_an_event_under_way_is_recorded_once_the_disk_takes_it(bench: Bench) -> None:
    """Refused in the middle of a long event: tried again every few seconds, with what the ring still has."""
    bench.shoot(30)
    bench.journal.broken = "opened"
    bench.recorder.event_opened("a", 3.0)
    bench.shoot(40)
    assert [] == bench.writers
    bench.journal.broken = ""
    bench.shoot(60)
    bench.recorder.event_closed("a", 12.0)
    bench.shoot(60)
    assert bench.recorder.failed is None
    assert [(1.0, 10.9, 1), (11.0, 14.9, 2)] == bench.times()


@pytest.mark.parametrize("pre_roll_s", [0.0, 2.0, 10.0])
@pytest.mark.parametrize("another", [False, True])
def test_the_ring_bridges_a_write_that_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pre_roll_s: float, another: bool
) -> None:
    """Whatever the pre-roll: from the last sync on the next clip has all, a try's or another event's."""
    bench = Bench(tmp_path, Ring(pre_roll_s + 11.0), pre_roll_s=pre_roll_s, max_s=100.0)
    bench.shoot(200)
    bench.recorder.event_opened("a", 20.0)
    bench.shoot(100)
    shoot_refused(bench, monkeypatch)
    bench.shoot(40)
    if another:
        bench.recorder.event_opened("b", 34.1)
    bench.shoot(40)
    bench.recorder.close()
    [(begun, ended, _)] = bench.times()
    assert (24.0 if another and pre_roll_s == 10.0 else 28.0, 38.0) == (begun, ended)


def test_a_refusal_brings_back_nothing_of_before_the_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asked for more than the pre-roll."""
    bench = Bench(tmp_path, pre_roll_s=0.0)
    bench.shoot(30)
    bench.recorder.event_opened("a", 3.0)
    shoot_refused(bench, monkeypatch)
    bench.shoot(60)
    bench.recorder.close()
    assert 3.0 == bench.writers[-1].packets[0].t


def test_a_source_that_breaks_off_meanwhile_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the disk refused before is bridged all the same, while the ring has it."""
    bench = Bench(tmp_path, max_s=100.0)
    bench.shoot(30)
    bench.recorder.event_opened("a", 3.0)
    bench.shoot(50)
    shoot_refused(bench, monkeypatch)
    bench.recorder.interrupted()
    bench.shoot(60)
    bench.recorder.close()
    assert [(6.0, 14.0)] == [(begun, ended) for begun, ended, _ in bench.times()]


def test_what_ended_with_its_source_is_not_recorded_again(tmp_path: Path) -> None:
    """A disk that refuses after the pictures came back is bridged from there on."""
    bench = Bench(tmp_path, max_s=100.0)
    bench.shoot(30)
    bench.recorder.event_opened("a", 3.0)
    bench.shoot(50)
    bench.recorder.interrupted()
    bench.journal.broken = "opened"
    bench.shoot(20)
    bench.journal.broken = ""
    bench.shoot(60)
    bench.recorder.close()
    assert [(1.0, 7.9), (7.0, 15.9)] == [(begun, ended) for begun, ended, _ in bench.times()]


def test_a_clip_that_was_refused_is_a_part_and_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The abandoned file is part 1, the one after it part 2; a disk that goes on refusing is asked seldom."""
    bench.shoot(30)
    bench.recorder.event_opened("a", 3.0)
    first = bench.recorder.current
    tries: list[str] = []
    with monkeypatch.context() as patch:

        def broken(clip: OpenClip) -> None:
            tries.append(clip.id)
            raise refuse()

        patch.setattr(MemoryWriter, "packet", lambda *_: broken(bench.journal.opens[0]))
        bench.shoot(1)
        patch.setattr(bench.journal, "opened", broken)
        tries.clear()
        bench.shoot(160)
    assert 3 == len(tries)
    assert [first, *tries] == list(bench.recorder.abandoned)
    bench.shoot(60)
    bench.recorder.close()
    assert [2] == [part for _, _, part in bench.times()][:1]


def test_a_disk_that_recovers_after_the_event_records_nothing_of_it(bench: Bench) -> None:
    """Past the post-roll there is nothing more to record."""
    bench.shoot(30)
    bench.journal.broken = "opened"
    bench.recorder.event_opened("a", 3.0)
    bench.recorder.event_closed("a", 3.0)
    bench.shoot(30)
    bench.journal.broken = ""
    bench.shoot(60)
    assert [] == bench.writers


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file where the directory should be: path and reason, no crash."""
    (tmp_path / "clips").write_text("")
    bench = Bench(tmp_path / "clips" / "deep")
    bench.shoot(10)
    bench.recorder.event_opened("a", 1.0)
    assert bench.recorder.failed is not None
    assert "clips/deep: cannot be created" in bench.recorder.failed.problem


def test_a_clock_set_meanwhile_labels_the_clip(tmp_path: Path) -> None:
    """The intent knew no time; the record does."""
    stamps = iter([Stamp("b", 0.0, None, "none"), Stamp("b", 0.0, "2026-05-01T10:00:00.000Z", "ntp")])
    bench = Bench(tmp_path)
    bench.recorder._stamp = lambda _: next(stamps)
    bench.shoot(10)
    bench.recorder.event_opened("a", 1.0)
    bench.recorder.close()
    assert (None, "2026-05-01T10:00:00.000Z") == (bench.journal.opens[0].ts, bench.journal.records[0].ts)


def test_a_recorder_behind_its_ring_loses_and_doubles_nothing(bench: Bench) -> None:
    """Packets that the ring has before the recorder was given them count once."""
    bench.shoot(28)
    late = [
        Packet(b"", i * TICKS // 10, i * TICKS // 10, TICKS // 10, i % 10 == 0, i / 10) for i in range(28, 45)
    ]
    for packet in late:
        bench.ring.push(packet)
    bench.recorder.event_opened("a", 4.4)
    for packet in late:
        bench.recorder.packet(packet)
    bench.index = 45
    bench.shoot(5)
    bench.recorder.close()
    assert list(range(20, 50)) == [round(p.t * 10) for p in bench.writers[0].packets]


def test_packets_that_only_the_ring_ever_had(bench: Bench) -> None:
    """A recorder that joins late takes them from the ring and goes on with what it is given."""
    for i in range(20):
        bench.ring.push(Packet(b"", i * 9000, i * 9000, 9000, i % 10 == 0, i / 10))
    bench.recorder.event_opened("a", 1.9)
    bench.index = 20
    bench.shoot(10)
    bench.recorder.close()
    assert list(range(30)) == [round(p.t * 10) for p in bench.writers[0].packets]


def test_an_event_after_an_outage_begins_a_clip_of_its_own(bench: Bench) -> None:
    """What the source's end left unfinished is not gone on with when it returns much later."""
    bench.shoot(10)
    bench.recorder.event_opened("a", 0.9)
    bench.recorder.event_closed("a", 0.9)
    bench.recorder.interrupted()
    bench.index += 600
    bench.cut()
    bench.shoot(5)
    bench.recorder.event_opened("b", bench.now)
    bench.shoot(10)
    bench.recorder.close()
    assert [(("a",), 1), (("b",), 1)] == [(r.events, r.part) for r in bench.journal.records]


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, int, float]]:
    """What happens, in turn: (what, how many, seconds back)."""
    step = st.tuples(
        st.sampled_from(
            ["shoot", "shoot", "shoot", "open", "open", "close", "close", "close", "cut", "down"]
        ),
        st.integers(1, 60),
        st.floats(0, 3),
    )
    return draw(st.lists(step, min_size=5, max_size=40))


@settings(max_examples=300, deadline=None)
@given(
    story=stories(),
    gop=st.sampled_from([1, 4, 10, 25]),
    ring_s=st.sampled_from([3.0, 1000.0]),
    post=st.sampled_from([0.0, 3.0]),
)
def test_any_story(  # noqa: C901, PLR0912, PLR0915 - the story's steps, then each invariant
    tmp_path_factory: pytest.TempPathFactory,
    story: list[tuple[str, int, float]],
    gop: int,
    ring_s: float,
    post: float,
) -> None:
    """Each packet between an event's pre-roll and post-roll once, from a key frame, in gapless parts."""
    bench = Bench(tmp_path_factory.getbasetemp() / "story", Ring(ring_s), post_roll_s=post)
    shot: list[list[Packet]] = [[]]  # by stream
    numbers = count(1)
    under_way: dict[str, float] = {}
    wanted: list[tuple[str, float, float]] = []  # event, from, to

    def remember() -> None:
        shot[-1].append(bench.ring.packets[-1])

    def begin(back: float) -> None:
        event = f"e{next(numbers)}"
        t = max(0.0, bench.now - back)
        reach = bench.ring.preroll(t - 2.0)
        # An event that joins a clip takes its beginning as it finds it.
        bench.recorder.event_opened(event, t)
        joined = bench.recorder._part > 1 or bench.recorder._tail != event
        # Nor does one go back behind the clip before it, found late though it may be.
        before = bench.journal.records[-1].started if bench.journal.records else 0.0
        under_way[event] = max(t - 2.0, reach[0].t, before) if reach and not joined else bench.now

    def finish(back: float) -> None:
        event = next(iter(under_way))
        evidence = max(under_way[event], bench.now - back)
        bench.recorder.event_closed(event, evidence)
        wanted.append((event, under_way.pop(event), max(evidence + post, bench.now - 0.1)))

    for what, pictures, back in story:
        if what == "shoot":
            for _ in range(pictures):
                bench.shoot(gop=gop, between=remember)
        elif what == "open":
            # While the newest packet is in the ring and not yet in the recorder.
            bench.shoot(gop=gop, between=lambda back=back: (remember(), begin(back)))  # type: ignore[misc]
        elif what == "close" and under_way:
            finish(back)
        elif what == "cut":
            bench.cut()
            shot.append([])
        elif what == "down":
            bench.recorder.interrupted()
            bench.index += pictures
            bench.cut()
            shot.append([])
    while under_way:
        finish(0.0)
    bench.recorder.close()

    assert bench.recorder.failed is None
    assert [w.path.stem for w in bench.writers] == [r.id for r in bench.journal.records]
    streams = {id(p): number for number, stream in enumerate(shot) for p in stream}
    recorded = [id(p) for w in bench.writers for p in w.packets]
    assert len(recorded) == len(set(recorded))
    for writer in bench.writers:
        assert writer.packets[0].keyframe
        numbers_of = {streams[id(p)] for p in writer.packets}
        assert 1 == len(numbers_of)
        stream = [id(p) for p in shot[numbers_of.pop()]]
        mine = [id(p) for p in writer.packets]
        begin_at = stream.index(mine[0])
        assert stream[begin_at : begin_at + len(mine)] == mine
    for (former, earlier), (later, record) in pairwise(
        zip(bench.writers, bench.journal.records, strict=True)
    ):
        if record.part > 1:
            assert earlier.part + 1 == record.part
            number = streams[id(former.packets[-1])]
            if streams[id(later.packets[0])] == number:
                stream = [id(p) for p in shot[number]]
                assert stream.index(id(former.packets[-1])) + 1 == stream.index(id(later.packets[0]))
    kept = set(recorded)
    for event, begins, ends in wanted:
        due = [p for s in shot for p in s if begins <= p.t < ends]
        missing = [p for p in due if id(p) not in kept]
        assert not missing, f"{event} misses {[p.t for p in missing]}"
    gop_s = gop / 10
    for record, writer in zip(bench.journal.records, bench.writers, strict=True):
        assert writer.packets[-1].t - record.started <= 10.0 + gop_s
        # Nothing is recorded that no event asked for, but for what whole GOPs bring with them.
        span = (record.started, writer.packets[-1].t)
        assert any(b - gop_s <= span[1] and span[0] <= e + gop_s for _, b, e in wanted)
        assert set(record.events) <= {event for event, _, _ in wanted}
        assert record.events


def test_real_clips_play_and_join(tmp_path: Path) -> None:
    """Through the real writer: parts decode, and together give each picture of the stream once."""
    footage = long_footage(40)
    ring, journal, numbers = Ring(), Journal(), count(1)
    recorder = Recorder(
        Clips(seal="none", pre_roll_s=3, post_roll_s=4, max_s=10),
        tmp_path / "new" / "clips",
        ring.preroll,
        lambda: ulid(next(numbers), bytes(10)),
        journal,
        VideoClock().stamp,
    )
    recorder.stream(footage.info)
    for index, packet in enumerate(footage.packets):
        ring.push(packet)
        if index == 75:
            recorder.event_opened("a", 7.3)
        recorder.packet(packet)
        if index == 250:
            recorder.event_closed("a", 24.2)
    assert [(4.0, 1), (14.0, 2), (24.0, 3)] == [(r.started, r.part) for r in journal.records]
    seen = []
    for record in journal.records:
        path = tmp_path / "new" / "clips" / record.path
        ffmpeg_plays(path)
        assert pytest.approx(record.duration, abs=0.001) == len(decoded(path)) / 10
        seen += [(t + Fraction(record.started), picture) for t, picture in decoded(path)]
    part = Footage(replace(footage.info), footage.packets[40:290])
    assert [(t + 4, picture) for t, picture in part.pictures()] == seen
