"""Which clips go: worked examples, then any store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clips.retention import MEGABYTE, UNKNOWN_BOOT, clip_ages, plan_retention
from agent.clips.store import StoredClip
from agent.config import Clips
from agent.device.clock import Stamp
from agent.types import ClipRecord

HOUR = 3600.0
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOW = Stamp("now", 10 * HOUR, NOON.isoformat(), "ntp")
PLENTY = 10**12
LIMITS = Clips(retention_h=72, max_mb=1000, reserve_mb=100)


def row(
    seq: int,
    *,
    boot: str = "now",
    hour: float = 0.0,
    clk: str = "none",
    ago: float | None = None,
    mb: float = 1,
    held: bool = False,
    announced: bool = True,
) -> StoredClip:
    """A clip that ended `hour` hours after its boot; `ago` is how many hours ago its label says it began."""
    record = ClipRecord(
        id=f"c{seq}",
        path=f"c{seq}.mp4",
        events=(),
        started=hour * HOUR - 10,
        duration=10.0,
        boot=boot,
        ts=None if ago is None else (NOON - timedelta(hours=ago)).isoformat(),
        clk=clk,
        bytes=int(mb * MEGABYTE),
        sha256="",
        codec="h264",
        width=1,
        height=1,
        sealed="none",
    )
    return StoredClip(seq, record, held, announced)


def hours(rows: list[StoredClip], now: Stamp = NOW) -> list[float]:
    ages = clip_ages(rows, now)
    return [round(ages[r.record.id] / HOUR, 2) for r in rows]


def planned(
    rows: list[StoredClip], free: float = PLENTY, limits: Clips = LIMITS, **keys: object
) -> list[str]:
    plan = plan_retention(rows, now=NOW, free_bytes=int(free), settings=limits, **keys)
    return [record.id for record in plan]


def test_this_boot_is_measured_by_its_own_clock() -> None:
    """Whatever the label says: a clock set in between cannot make a clip old."""
    assert [9.0, 1.0] == hours([row(1, hour=1, clk="ntp", ago=5000), row(2, hour=9)])


def test_an_earlier_boot_is_as_old_as_its_label_when_that_knew_the_time() -> None:
    """And all clips of that boot with it, by their distance."""
    rows = [row(1, boot="a", hour=2), row(2, boot="a", hour=5, clk="ntp", ago=30), row(3, hour=1)]
    assert [33.0, 30.0, 9.0] == [round(h, 1) for h in hours(rows)]


@pytest.mark.parametrize(("clk", "now"), [("saved", NOW), ("ntp", replace(NOW, ts=None, clk="none"))])
def test_a_label_that_proves_nothing_is_not_believed(clk: str, now: Stamp) -> None:
    """A saved clock runs late; a kit without time cannot compare: the order of boots alone counts."""
    rows = [row(1, boot="a", hour=2, clk=clk, ago=500), row(2, boot="a", hour=5, clk=clk, ago=497)]
    assert [13.0, 10.0] == hours(rows, now)


def test_boots_without_a_clock_add_up() -> None:
    """Each earlier boot lasted at least to its last clip."""
    rows = [row(1, boot="a", hour=3), row(2, boot="b", hour=20), row(3, hour=4)]
    assert [30.0, 10.0, 6.0] == hours(rows)


def test_an_older_boot_is_older_than_a_known_one() -> None:
    """A clip without a clock is at least as old as any of a later boot."""
    rows = [row(1, boot="a", hour=3), row(2, boot="b", hour=20, clk="rtc", ago=100)]
    first, second = hours(rows)
    assert second == pytest.approx(100, abs=0.01)
    assert first == pytest.approx(120, abs=0.01)


def test_an_adopted_clip_was_there_before_this_boot() -> None:
    """Nothing more can be proved, and it adds nothing to the age of others."""
    rows = [row(1, boot="a", hour=3), row(2, boot=UNKNOWN_BOOT, hour=0.1), row(3, hour=4)]
    assert [10.0, 10.0, 6.0] == hours(rows)


def test_age_takes_all_but_held_and_used() -> None:
    """Past the limit a clip goes, announced or not."""
    rows = [
        row(1, boot="a", hour=1, clk="ntp", ago=80),
        row(2, boot="a", hour=2, clk="ntp", ago=79, announced=False),
        row(3, boot="a", hour=3, clk="ntp", ago=78, held=True),
        row(4, boot="a", hour=4, clk="ntp", ago=77),
        row(5, boot="a", hour=40, clk="ntp", ago=41),
    ]
    assert ["c1", "c2"] == planned(rows, in_use={"c4"})


def test_bytes_take_the_oldest_first() -> None:
    """Until the rest fits, and no more."""
    rows = [row(n, hour=n, mb=300) for n in range(1, 6)]
    assert ["c1", "c2"] == planned(rows)


def test_what_is_on_hold_takes_no_room_from_others() -> None:
    """However much of it there is: else each new clip would go for its sake, which never goes itself."""
    rows = [row(n, hour=n, mb=600, held=True) for n in (1, 2, 3)] + [row(n, hour=n, mb=300) for n in (4, 5)]
    assert [] == planned(rows)
    assert ["c4"] == planned([*rows, row(6, hour=6, mb=300), row(7, hour=7, mb=300)])


def test_free_space_takes_the_oldest_first() -> None:
    """Until the reserve is there again."""
    rows = [row(n, hour=n, mb=30) for n in range(1, 6)]
    assert ["c1", "c2"] == planned(rows, free=50 * MEGABYTE)


def test_clips_not_yet_announced_go_last() -> None:
    """The city has not heard of them: newer ones that it knows go before."""
    rows = [row(n, hour=n, mb=300, announced=n > 2) for n in range(1, 6)]
    assert ["c3", "c4"] == planned(rows)
    assert ["c3", "c4", "c5", "c1"] == planned(rows, limits=LIMITS.model_copy(update={"max_mb": 300}))


def test_an_empty_store_has_nothing_to_give() -> None:
    """Even on a full disk."""
    assert [] == planned([], free=0)


@st.composite
def stores(draw: st.DrawFn) -> list[StoredClip]:
    rows = []
    seq = 0
    for boot in [*draw(st.lists(st.sampled_from("abcd"), unique=True, max_size=4)), UNKNOWN_BOOT, "now"]:
        hour = 0.0
        for _ in range(draw(st.integers(0, 4))):
            seq += 1
            hour += draw(st.floats(0.1, 2.4))
            rows.append(
                row(
                    seq,
                    boot=boot,
                    hour=hour,
                    clk=draw(st.sampled_from(["none", "saved", "rtc", "ntp"])),
                    ago=draw(st.none() | st.floats(-1000, 1000)),
                    mb=draw(st.integers(1, 50)),
                    held=draw(st.booleans()),
                    announced=draw(st.booleans()),
                )
            )
    return rows


@given(
    rows=stores(),
    free=st.integers(0, 300),
    limits=st.builds(
        Clips,
        retention_h=st.integers(1, 168),
        max_mb=st.integers(1, 500),
        reserve_mb=st.integers(0, 300),
    ),
    in_use=st.sets(st.integers(1, 24)),
    wanted=st.just(0) | st.integers(0, 500),
)
def test_any_store(rows: list[StoredClip], free: int, limits: Clips, in_use: set[int], wanted: int) -> None:
    """Held and used ones stay; all that must go goes; nothing goes that need not; order is kept."""
    using = {f"c{n}" for n in in_use}
    by_id = {r.record.id: r for r in rows}
    plan = [
        by_id[i] for i in planned(rows, free * MEGABYTE, limits, in_use=using, wanted_bytes=wanted * MEGABYTE)
    ]
    ages = clip_ages(rows, NOW)
    assert len(plan) == len({r.record.id for r in plan})
    assert not [r for r in plan if r.held or r.record.id in using]
    stays = [r for r in rows if r not in plan and not r.held and r.record.id not in using]
    limit = limits.retention_h * HOUR
    assert not [r for r in stays if ages[r.record.id] > limit]

    def pressed(gone: list[StoredClip]) -> bool:
        size = sum(r.record.bytes for r in gone)
        total = sum(r.record.bytes for r in rows if not r.held)
        reserve = max(limits.reserve_mb, wanted) * MEGABYTE
        return total - size > limits.max_mb * MEGABYTE or free * MEGABYTE + size < reserve

    assert not pressed(plan) or not stays
    for_space = [r for r in plan if ages[r.record.id] <= limit]
    if for_space:
        assert pressed([r for r in plan if r is not for_space[-1]])
        if [r for r in for_space if not r.announced]:
            assert not [r for r in stays if r.announced]
    for announced in (True, False):
        gone = [ages[r.record.id] for r in for_space if r.announced is announced]
        assert gone == sorted(gone, reverse=True)
    assert all(ages[r.record.id] >= 0 for r in rows)


@given(rows=stores())
def test_ages_fall_in_the_order_of_recording(rows: list[StoredClip]) -> None:
    """Whatever the labels: of two clips whose boots are known the later is never the older."""
    ages = clip_ages(rows, NOW)
    known = [ages[r.record.id] for r in rows if r.record.boot != UNKNOWN_BOOT]
    assert all(earlier >= later - 1e-6 for earlier, later in pairwise(known))
