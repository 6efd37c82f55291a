"""Whether a kit is there, and what its clock was worth: what a consumer concludes from `st` and `hb`. Pure.

Presence. Each connection of a kit has a session number, one higher than the last. The broker holds the will
of a session and may publish it late, when the next session has long begun; the number tells. So:
- a birth counts if its session is newer than every one known, or says something newer of the same session;
- `stopped` and a will end their own session and all before it, never a later one;
- a kit that was not heard for three heartbeats and some jitter is silent, whatever was said last;
- a heartbeat of later than the last birth revives a silent kit: it is QoS 0 and is never stored for later.
While a kit is not ONLINE, all that it said of itself (alarms, rates, open events) is stale: it was true once.

Time. A kit without a clock battery begins with no time at all, and says so by `ts: null`. Its `mono` counts
from its boot, so one later birth with `mono` and `ts` both set dates everything of that boot, before and
after. When the clock is set again by more than two seconds the kit says a new birth, and its earlier words
are dated anew by that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.backbone.heard import Beat, Status

SILENT_S = 100.0
"""Without a word: three heartbeats of 30 s, and some jitter. The broker's will comes earlier, after 1.5 times
the keepalive and the will delay; this is for the will that never comes."""
BEATS_MISSED = 3.3  # the same for a kit whose heartbeats are further apart (60 s on LTE)
STEP_S = 2.0  # a clock that moved by less was disciplined, not set
BOOTS_MAX = 16  # of which the time is remembered: what waited longer than so many boots is rare
PAST_MAX = 8  # streams remembered as over; a kit begins a new one when its database broke


class Standing(StrEnum):
    """Whether a kit is there."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    STOPPED = "stopped"
    """It went on purpose, and said so."""
    LOST = "lost"
    """The broker lost it, and published its will."""
    SILENT = "silent"
    """Nobody said that it went, and it was not heard for too long."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A moment of one boot of which the time is known."""

    mono: float
    ts: str

    def date(self, mono: float) -> str:
        """The time at `mono` of the same boot; RFC 3339 in UTC."""
        moment = datetime.fromisoformat(self.ts) + timedelta(seconds=mono - self.mono)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def shift(self, other: Anchor) -> float:
        """Seconds by which the other one dates the same moment later."""
        ours = datetime.fromisoformat(self.date(other.mono))
        return (datetime.fromisoformat(other.ts) - ours).total_seconds()


class Presence:
    """What is known of one kit's presence and of its time."""

    def __init__(self, saved: dict[str, Any] | None = None) -> None:
        saved = saved or {}
        self.standing = Standing(saved.get("standing", Standing.UNKNOWN))
        self.stream: str | None = saved.get("stream")
        """The stream of the last birth."""
        self._past: list[str] = list(saved.get("past", ()))
        self._session: int = saved.get("session", 0)
        self._ended: int = saved.get("ended", 0)
        self._last: tuple[str, float] = tuple(saved.get("last", ("", 0.0)))
        self._beat: tuple[str, int, float] | None = None
        self._period_s = 0.0
        self._heard: float | None = None  # on the clock of whoever restores this: counted from then
        self._anchors = {boot: Anchor(**anchor) for boot, anchor in saved.get("anchors", {}).items()}

    def save(self) -> dict[str, Any]:
        """All that must outlive the consumer, as JSON can carry it."""
        return {
            "standing": str(self.standing),
            "stream": self.stream,
            "past": self._past,
            "session": self._session,
            "ended": self._ended,
            "last": list(self._last),
            "anchors": {boot: asdict(anchor) for boot, anchor in self._anchors.items()},
        }

    def heard(self, now: float) -> None:
        """There was a sign of life."""
        self._heard = now

    def told(self, status: Status) -> bool:
        """Take a birth, `stopped` or will; whether it is news."""
        if status.state == "online":
            return self._born(status)
        if status.stream in self._past:
            return False
        ours = status.stream is None or status.stream == self.stream
        if ours and status.session < max(self._session, self._ended + 1):
            return False
        self._ended = status.session
        self.standing = Standing.STOPPED if status.state == "stopped" else Standing.LOST
        return True

    def beat(self, beat: Beat) -> bool:
        """Take a heartbeat; whether the kit is back by it."""
        if self._beat is not None and self._beat[0] == beat.boot and beat.n > self._beat[1]:
            self._period_s = (beat.mono - self._beat[2]) / (beat.n - self._beat[1])
        self._beat = (beat.boot, beat.n, beat.mono)
        boot, mono = self._last
        if boot == beat.boot and beat.mono <= mono:
            return False
        self._last = (beat.boot, beat.mono)
        if self.standing in {Standing.ONLINE, Standing.STOPPED}:
            return False
        self.standing = Standing.ONLINE
        return True

    def wait(self, now: float) -> bool:
        """Let time pass; whether the kit fell silent."""
        if self._heard is None:
            self._heard = now
        limit = max(SILENT_S, BEATS_MISSED * self._period_s)
        if self.standing is not Standing.ONLINE or now - self._heard < limit:
            return False
        self.standing = Standing.SILENT
        return True

    def anchor(self, boot: str, new: Anchor) -> bool:
        """A birth said what time it was; whether that dates anything anew."""
        known = self._anchors.get(boot)
        if known is not None and known.mono >= new.mono:
            return False
        self._anchors[boot] = new
        while len(self._anchors) > BOOTS_MAX:
            del self._anchors[next(iter(self._anchors))]
        return known is None or abs(known.shift(new)) > STEP_S

    def date(self, boot: str, mono: float, ts: str | None) -> str | None:
        """When `mono` of `boot` was, by the best that is known; None while nothing is.

        What the kit said itself (`ts`) counts unless its clock was set afterwards.
        """
        anchor = self._anchors.get(boot)
        if anchor is None or (ts is not None and mono >= anchor.mono):
            return ts
        return anchor.date(mono)

    def _born(self, birth: Status) -> bool:
        moment = (birth.boot, birth.mono or 0.0)
        if birth.stream == self.stream:
            newer = birth.session > max(self._session, self._ended)
            again = birth.session == self._session > self._ended and moment[1] > self._last[1]
            if not (newer or again):
                return False
        else:
            before = moment[0] == self._last[0] and moment[1] <= self._last[1]
            if before or birth.stream in self._past:
                return False
            self._past = [*self._past, *filter(None, [self.stream])][-PAST_MAX:]
            self._ended = 0  # a new stream counts its sessions anew
        self.stream, self._session, self._last = birth.stream, birth.session, moment
        self.standing = Standing.ONLINE
        return True
