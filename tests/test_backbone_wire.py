"""What is on the wire."""

from __future__ import annotations

import pytest

from agent.backbone.wire import (
    HELD_MAX,
    HELD_NEWS_MAX,
    NOBODY_LISTENS,
    REFUSED_RETRY_S,
    RESEND_MAX_S,
    RESEND_MIN_S,
    RESEND_NEW_S,
    STALLED_S,
    UNCONFIRMED_MAX,
    UNHEARD_RETRY_S,
    Answer,
    Wire,
)


def wire(*, watermark: bool = False, window: int = 20, seq_next: int = 1) -> Wire:
    made = Wire(watermark=watermark, replay_per_s=20.0)
    made.connected(window, seq_next, 0.0)
    return made


def test_window_is_kept_with_a_place_for_the_farewell() -> None:
    """Rows never take the last place, unless there is only one."""
    some = wire(window=5)
    for token in range(4):
        assert 4 - token == some.room(0.0)
        some.sent(token, token + 1, 0.0)

    assert 0 == some.room(0.0)
    assert 1 == wire(window=1).room(0.0)
    assert 0 == Wire(watermark=False, replay_per_s=20.0).room(0.0)


def test_delivered_row_is_settled_until_marked() -> None:
    """Between the PUBACK and the disk it is neither sent again nor forgotten."""
    some = wire()
    some.sent(7, 1, 0.0)
    assert {1} == some.busy(0.0)
    assert some.in_flight(7)

    assert Answer(1, delivered=True) == some.acked(7, 0, 0.25)
    assert ([1], set(), 0.5) == (some.settled, some.busy(0.5), some.settled_for(0.75))
    some.marked([1])
    assert ([], 0.0) == (some.settled, some.settled_for(9.0))


@pytest.mark.parametrize(("reason", "wait"), [(0x10, UNHEARD_RETRY_S), (0x87, REFUSED_RETRY_S)])
def test_a_puback_that_is_no_delivery(reason: int, wait: float) -> None:
    """Nobody subscribed, or refused: the row stays, and is tried again after a while."""
    some = wire()
    some.sent(1, 5, 0.0)

    assert Answer(5, delivered=False) == some.acked(1, reason, 1.0)
    assert ([], {5}, set()) == (some.settled, some.busy(wait), some.busy(1.0 + wait))


def test_lost_connection_frees_what_was_in_flight() -> None:
    """The next connection sends it again; the answer of the old one means nothing any more."""
    some = wire()
    some.sent(1, 5, 0.0)
    some.disconnected()

    assert (set(), 0, True) == (some.busy(0.0), some.room(0.0), some.idle)
    assert some.acked(1, 0, 1.0) is None


def test_birth_is_counted_and_is_no_row() -> None:
    """A birth takes a place of the window and settles nothing."""
    some = wire(window=3)
    some.sent(1, None, 0.0)

    assert (1, set()) == (some.room(0.0), some.busy(0.0))
    assert Answer(None, delivered=True) == some.acked(1, 0, 0.1)
    assert [] == some.settled


def test_round_trip_is_the_median_of_this_connection() -> None:
    """None until measured, and forgotten with the connection."""
    some = wire()
    assert some.rtt_ms is None
    for token, took in enumerate((0.01, 0.02, 5.0)):
        some.sent(token, None, 0.0)
        some.acked(token, 0, took)
    assert 20.0 == some.rtt_ms
    some.connected(20, 1, 9.0)
    assert some.rtt_ms is None


def test_backlog_is_paced_and_news_is_not() -> None:
    """Twenty a second of what lay in the outbox when the connection began."""
    some = wire(seq_next=1000)
    now, sent = 0.0, 0
    while now < 10.0:
        for _ in range(some.replay_room(now)):
            some.sent(sent, sent + 1, now)
            some.acked(sent, 0, now)
            sent += 1
        now += 0.01
    assert 200 <= sent <= 206
    some.sent(-1, 2000, now)
    before = some.replay_room(now)
    some.sent(-2, 2001, now)
    assert before == some.replay_room(now)


def test_unanswered_publish_is_noticed() -> None:
    """A broker that keeps the connection and acknowledges nothing is given up."""
    some = wire()
    some.sent(1, 1, 10.0)

    assert not some.stalled(10.0 + STALLED_S)
    assert some.stalled(10.1 + STALLED_S)


def test_silent_platform_gets_it_again_ever_more_slowly() -> None:
    """Without progress of the watermark all is sent again, after twice the wait each time."""
    some = wire(watermark=True)
    now, waits = 0.0, []
    for round_ in range(6):
        some.sent(round_, 1, now)
        some.acked(round_, 0, now)
        began = now
        while not some.resend(50, now):
            now += 1.0
        waits.append(now - began)
    assert [RESEND_MIN_S, 120, 240, 480, RESEND_MAX_S, RESEND_MAX_S] == waits
    assert ([], 50) == (some.settled, some.mark)

    some.sent(99, 2, now)
    some.acked(99, 0, now)
    some.progressed(1, now)
    assert not some.resend(50, now + RESEND_MIN_S - 1)
    assert 1 == some.resend(50, now + RESEND_MIN_S)


def test_an_ack_that_says_nothing_new_is_no_progress() -> None:
    """A platform that repeats its watermark each second gets the row that it misses all the same."""
    some = wire(watermark=True)
    for seq in (4, 5):
        some.sent(seq, seq, 0.0)
        some.acked(seq, 0, 0.0)
    some.progressed(4, 0.0)
    some.confirmed(4)
    again = []
    for second in range(1, 100):
        some.progressed(4, float(second))
        if some.resend(50, float(second)):
            again.append(second)
    assert [RESEND_MIN_S] == again


def test_answers_go_while_rows_are_held_up() -> None:
    """A kit whose platform is away must obey still."""
    some = wire()
    for seq in range(1, HELD_MAX + HELD_NEWS_MAX + 1):
        some.sent(seq, seq, 0.0)
        some.acked(seq, NOBODY_LISTENS, 0.0)
    assert 0 == some.room(1.0)
    assert some.answer_room > 0


def test_news_goes_while_the_backlog_is_held() -> None:
    """What a platform missed does not keep from it what happens now; the backlog waits for its turn."""
    some = Wire(watermark=False, replay_per_s=1e6)
    some.connected(20, HELD_MAX + 1, 0.0)
    for seq in range(1, HELD_MAX + 1):
        assert some.replay_room(0.0) > 0
        some.sent(seq, seq, 0.0)
        some.acked(seq, NOBODY_LISTENS, 0.0)
    assert (0, True) == (some.replay_room(29.0), some.room(29.0) > 0)
    some.sent(0, HELD_MAX + 1, 29.0)
    assert Answer(HELD_MAX + 1, delivered=True) == some.acked(0, 0, 29.0)
    assert some.room(30.0) > 0
    assert not some.backlog_held
    assert some.replay_room(30.0) > 0


def test_what_a_broker_took_is_soon_sent_again_on_the_next_connection() -> None:
    """It may have died with the old one; once the platform speaks, the usual wait counts again."""
    some = wire(watermark=True)
    some.sent(1, 1, 0.0)
    some.acked(1, 0, 0.0)
    some.disconnected()
    some.connected(20, 2, 50.0)
    assert not some.resend(2, 49.9 + RESEND_NEW_S)
    assert 1 == some.resend(2, 50.0 + RESEND_NEW_S)

    some.sent(2, 1, 60.0)
    some.acked(2, 0, 60.0)
    some.progressed(1, 61.0)
    assert not some.resend(2, 60.9 + RESEND_MIN_S)
    assert 1 == some.resend(2, 61.0 + RESEND_MIN_S)


def test_watermark_settles_all_below() -> None:
    """Rows above it still wait for the platform."""
    some = wire(watermark=True)
    for seq in (1, 2, 3):
        some.sent(seq, seq, 0.0)
        some.acked(seq, 0, 0.0)
    some.confirmed(2)

    assert [3] == some.settled


def test_without_watermark_nothing_is_sent_twice() -> None:
    """The broker's word is enough there, however long marking takes."""
    some = wire()
    some.sent(1, 1, 0.0)
    some.acked(1, 0, 0.0)

    assert 0 == some.resend(50, 1e6)


def test_memory_is_bounded() -> None:
    """Rows that wait in memory, refused or unconfirmed, stop the sending at a limit."""
    refused, unconfirmed = wire(), wire(watermark=True)
    for seq in range(HELD_MAX + HELD_NEWS_MAX):
        refused.sent(seq, seq, 0.0)
        refused.acked(seq, 0x97, 0.0)
    for seq in range(UNCONFIRMED_MAX):
        unconfirmed.sent(seq, seq, 0.0)
        unconfirmed.acked(seq, 0, 0.0)

    assert (0, 0) == (refused.room(0.0), unconfirmed.room(0.0))
    assert refused.room(REFUSED_RETRY_S) > 0


def test_what_nobody_heard_waits_longer_each_time_and_is_paced() -> None:
    """A platform that never subscribes to pictures does not get them sent at full speed for ever."""
    some = wire()
    now, waits = 0.0, []
    for attempt in range(8):
        some.sent(attempt, 5, now)
        some.acked(attempt, NOBODY_LISTENS, now)
        begun = now
        while some.busy(now):
            now += 1.0
        waits.append(now - begun)

    assert [30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 960.0, 960.0] == waits
    assert some.mark > 5


def test_nobody_listening_is_no_failure_for_what_is_retained() -> None:
    """The broker keeps an alarm for whoever comes later: its clear must not wait behind it."""
    some = wire()
    some.sent(1, 7, 0.0, retained=True)

    answer = some.acked(1, NOBODY_LISTENS, 0.1)

    assert answer is not None
    assert answer.delivered
    assert set() == some.busy(0.2)


def test_a_new_connection_tries_what_was_held() -> None:
    """Who was deaf before may hear now."""
    some = wire()
    some.sent(1, 7, 0.0)
    some.acked(1, NOBODY_LISTENS, 0.1)
    some.disconnected()

    assert set() == some.busy(0.2)
