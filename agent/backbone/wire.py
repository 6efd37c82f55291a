"""What is on the wire: which rows are in flight, which wait, how fast the backlog may go.

A pure state machine: it is told what happened and when (seconds of any monotonic clock), and says what may
happen next. Rows are known by their seq, publishes by the token of the link.

A row is in one of four states: free (may be sent), in flight (sent, no PUBACK), held (the broker refused it
or nobody listened; free again later), settled (the broker took it; until it is marked in the outbox, or
until the platform confirms it).
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass

NOBODY_LISTENS = 0x10  # MQTT 5.0, 3.4.2.1: accepted, but there are no matching subscribers
FIRST_REFUSAL = 0x80
UNHEARD_RETRY_S = 30.0  # the platform will be back as one; half a minute is the fan-in of a broker restart
UNHEARD_RETRY_MAX_S = 960.0  # the wait doubles up to this: nobody may ever want these, and the uplink is thin
REFUSED_RETRY_S = 300.0  # not authorised, quota …: a person has to change something first
HELD_MAX = 1000  # with so many rows held the backlog waits: asking for each of them in turn is no use
HELD_NEWS_MAX = 1000
"""Rows of the news that may be held beside them. A platform that has just come back hears at once what
happens now, while what it missed waits for its turn. News is held for a few minutes and then belongs to the
backlog, so a kit comes to this many only when something runs wild."""
STALLED_S = 60.0  # a broker that answers pings and acknowledges nothing for so long is given up
RESEND_MIN_S = 60.0
"""Without progress of the watermark; doubles with each resend. On a connection that stands only the platform
can be the reason. It is slow or away, and a fleet that says everything again makes it slower: with 10 s a
thousand kits said a burst of ten messages each five times over."""
RESEND_MAX_S = 600.0
RESEND_NEW_S = 10.0  # the first on a new connection: what the broker had taken may have died with the old one
UNCONFIRMED_MAX = 2000  # rows sent ahead of the watermark; bounds memory and what a resend repeats
BURST_S = 0.25  # the pace may be made up for this long, not longer
RTT_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What a PUBACK meant."""

    seq: int | None
    """The row, or None for a message that is no row."""
    delivered: bool


@dataclass(frozen=True, slots=True)
class _Flight:
    seq: int | None
    sent: float
    retained: bool


class Wire:
    """The state of one courier. `watermark`: a row that the broker took still waits for the platform."""

    def __init__(self, *, watermark: bool, replay_per_s: float) -> None:
        self._watermark = watermark
        self._rate = replay_per_s
        self._window = 0
        self._mark = 0
        self._flights: dict[int, _Flight] = {}
        self._held: dict[int, float] = {}
        self._unheard: dict[int, float] = {}  # how long each row was held last, for want of a subscriber
        self._settled: dict[int, float] = {}
        self._allowance = 0.0
        self._allowed_at = 0.0
        self._progress = 0.0
        self._watermarked = 0
        self._resend_s = RESEND_MIN_S
        self._rtt: deque[float] = deque(maxlen=RTT_SAMPLES)

    @property
    def mark(self) -> int:
        """Rows below this number are backlog."""
        return self._mark

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight."""
        return not self._flights

    @property
    def settled(self) -> list[int]:
        """Rows that the broker took, oldest answer first."""
        return list(self._settled)

    @property
    def rtt_ms(self) -> float | None:
        """Median time from a publish to its PUBACK on this connection."""
        return round(1000 * statistics.median(self._rtt), 1) if self._rtt else None

    def connected(self, window: int, seq_next: int, now: float) -> None:
        """A connection began. What is in the outbox already (below `seq_next`) is backlog."""
        self._window = window
        self._mark = seq_next
        self._allowance, self._allowed_at = BURST_S * self._rate, now
        self._rtt.clear()
        if self._settled:
            self._progress, self._resend_s = now, RESEND_NEW_S

    def disconnected(self) -> None:
        """The connection ended: what was in flight or held is free again, as backlog of the next one."""
        self._window = 0
        self._flights.clear()
        self._held.clear()
        self._unheard.clear()

    def sent(self, token: int, seq: int | None, now: float, *, retained: bool = False) -> None:
        """A publish went out; `seq` is its row, None if it is no row."""
        self._flights[token] = _Flight(seq, now, retained)
        if seq is not None and seq < self._mark:
            self._allowance -= 1

    def in_flight(self, token: int | None) -> bool:
        """Whether this publish still waits for its PUBACK."""
        return token in self._flights

    def acked(self, token: int, reason: int, now: float) -> Answer | None:
        """The broker answered. None if the publish is not of this connection, or was of QoS 0."""
        flight = self._flights.pop(token, None)
        if flight is None:
            return None
        self._rtt.append(now - flight.sent)
        # What the broker retains it keeps for whoever comes: there nobody's listening is no failure.
        unheard = reason == NOBODY_LISTENS and not flight.retained
        delivered = not unheard and reason < FIRST_REFUSAL
        if flight.seq is not None:
            if delivered:
                self._unheard.pop(flight.seq, None)
                if not self._settled:
                    self._progress = now
                self._settled[flight.seq] = now
            else:
                self._held[flight.seq] = now + self._wait(flight.seq, unheard=unheard)
        return Answer(flight.seq, delivered)

    def marked(self, seqs: list[int]) -> None:
        """The outbox knows now that these rows were delivered."""
        for seq in seqs:
            self._settled.pop(seq, None)

    def progressed(self, watermark: int, now: float) -> None:
        """The platform says that it has stored all up to `watermark`. One that is not new is no progress."""
        if watermark > self._watermarked:
            self._watermarked = watermark
            self._progress = now
            self._resend_s = RESEND_MIN_S

    def confirmed(self, watermark: int) -> None:
        """The outbox has forgotten the rows up to `watermark`."""
        for seq in [seq for seq in self._settled if seq <= watermark]:
            del self._settled[seq]

    def free(self, first: int, last: int, seq_next: int) -> None:
        """The rows from `first` to `last` go again, behind the news and at the pace of the backlog."""
        for seq in [seq for seq in self._settled if first <= seq <= last]:
            del self._settled[seq]
        self._mark = max(self._mark, min(last + 1, seq_next))

    def settled_for(self, now: float) -> float:
        """Seconds since the oldest answer in `settled`; 0 when there is none."""
        return now - next(iter(self._settled.values())) if self._settled else 0.0

    def resend(self, seq_next: int, now: float) -> int:
        """Free the unconfirmed rows if the platform has been silent for too long; how many it were."""
        if not self._watermark or not self._settled or now - self._progress < self._resend_s:
            return 0
        count = len(self._settled)
        self._settled.clear()
        self._mark = seq_next
        self._progress = now
        self._resend_s = min(RESEND_MAX_S, max(RESEND_MIN_S, 2 * self._resend_s))
        return count

    def stalled(self, now: float) -> bool:
        """Whether the broker has left a publish unacknowledged for too long."""
        return any(now - flight.sent > STALLED_S for flight in self._flights.values())

    def busy(self, now: float) -> set[int]:
        """Rows that are in flight or held."""
        self._release(now)
        in_flight = {flight.seq for flight in self._flights.values() if flight.seq is not None}
        return in_flight | self._held.keys()

    def room(self, now: float) -> int:
        """How many rows may go out now. One place of the window is kept for birth and farewell."""
        self._release(now)
        full = len(self._held) >= HELD_MAX + HELD_NEWS_MAX
        if full or (self._watermark and len(self._settled) >= UNCONFIRMED_MAX):
            return 0
        return self.answer_room

    @property
    def answer_room(self) -> int:
        """How many answers may go out now, whatever holds the rows up: a kit in trouble must obey still."""
        return max(0, min(self._window, max(1, self._window - 1)) - len(self._flights))

    @property
    def backlog_held(self) -> bool:
        """Whether so many rows are held that the backlog waits until one of them is free again."""
        return len(self._held) >= HELD_MAX

    def replay_room(self, now: float) -> int:
        """How many of the backlog may go out now."""
        earned = (now - self._allowed_at) * self._rate
        self._allowance = min(self._allowance + earned, max(1.0, BURST_S * self._rate))
        self._allowed_at = now
        return 0 if self.backlog_held else max(0, int(self._allowance))

    def _release(self, now: float) -> None:
        """Free the rows that were held for long enough; they are backlog now, and go at its pace."""
        free = [seq for seq, until in self._held.items() if until <= now]
        for seq in free:
            del self._held[seq]
        if free:
            self._mark = max(self._mark, max(free) + 1)

    def _wait(self, seq: int, *, unheard: bool) -> float:
        if not unheard:
            return REFUSED_RETRY_S
        wait = min(UNHEARD_RETRY_MAX_S, 2 * self._unheard.get(seq, UNHEARD_RETRY_S / 2))
        self._unheard[seq] = wait
        while len(self._unheard) > HELD_MAX + HELD_NEWS_MAX:
            del self._unheard[next(iter(self._unheard))]
        return wait
