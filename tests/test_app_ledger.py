"""The ledger: counters that every thread stamps and the heartbeat reads."""

from __future__ import annotations

import threading

from agent.app.ledger import LATENCIES, Ledger


def test_nothing_moved_yet() -> None:
    """Before the first picture every count is zero, and no time or latency is made up."""
    progress = Ledger().read()

    assert (0, 0, 0, 0, 0) == (
        progress.frames,
        progress.analysed,
        progress.skipped,
        progress.packets,
        progress.packets_dropped,
    )
    assert (None, None, None, None) == (
        progress.last_frame,
        progress.last_analysed,
        progress.last_packet,
        progress.inference_ms,
    )


def test_each_stage_has_its_own_count_and_time() -> None:
    """A stamp moves its own counter and its own time, and no other."""
    ledger = Ledger()

    ledger.frame(1.0)
    ledger.frame(2.0)
    ledger.packet(3.0)
    ledger.skip()
    ledger.drop_packet()
    ledger.analyse(4.0, None)
    progress = ledger.read()

    assert (2, 1, 1, 1, 1) == (
        progress.frames,
        progress.analysed,
        progress.skipped,
        progress.packets,
        progress.packets_dropped,
    )
    assert (2.0, 4.0, 3.0) == (progress.last_frame, progress.last_analysed, progress.last_packet)
    assert progress.inference_ms is None


def test_latencies_are_median_and_95th_percentile_in_ms() -> None:
    """Of 1..100 ms the median is 51 and the 95th percentile 96, whatever their order."""
    ledger = Ledger()

    for ms in reversed(range(1, 101)):
        ledger.analyse(0.0, ms / 1000)

    assert (51.0, 96.0) == tuple(round(v, 6) for v in ledger.read().inference_ms or ())


def test_only_recent_latencies_count() -> None:
    """A slow start is forgotten: only the last runs are kept."""
    ledger = Ledger()

    for seconds in [9.0] * 50 + [0.05] * LATENCIES:
        ledger.analyse(0.0, seconds)

    assert (50.0, 50.0) == ledger.read().inference_ms


def test_a_reading_does_not_change_afterwards() -> None:
    """What was read is a moment: later stamps do not reach it."""
    ledger = Ledger()
    before = ledger.read()

    ledger.frame(1.0)

    assert 0 == before.frames


def test_threads_lose_no_count() -> None:
    """Four threads that stamp at once are all counted."""
    ledger = Ledger()

    def stamp() -> None:
        for _ in range(2000):
            ledger.frame(1.0)
            ledger.skip()

    threads = [threading.Thread(target=stamp) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (8000, 8000) == (ledger.read().frames, ledger.read().skipped)
