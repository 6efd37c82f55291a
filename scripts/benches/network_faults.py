"""What the network does to a kit, what the kit has to make of it, and within which time.

Times of causes follow from the agent's own limits: a connection on which nothing is acknowledged is given up
after 60 s at the latest, a try to connect after 20 s; an alarm speaks once its cause has stood for 120 s. The
way back takes a wait between two tries (120 s at most) and a try.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.backbone.causes import Cause
from findings import Finding

GIVEN_UP_S = 70.0  # a dead connection, with ten seconds for a busy machine
TRY_S = 25.0  # of a try that is not answered; two of the resolver's are 10 s
BELIEVED_S = 135.0  # an alarm, after its cause
BACK_S = 150.0
AFTER_S = 60.0  # until what has waited is delivered and the alarm is over, once the link is back
DELAY_MS = 600.0  # each way: a satellite, or a full queue at a mast
DEAD = frozenset({Cause.STALLED, Cause.KEEPALIVE})
CUT = frozenset({Cause.LOST, Cause.TLS_REJECTED})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. While it lasts `line` are fields of the kit's Line, and nftables' `sets` hold its address.

    `causes`: one of them has to be named within `cause_s`; `alarm` is raised within BELIEVED_S of it. With
    `stands` the connection must not end, with `heals` a new one works at once. `down`: its interface is down
    for so long (0: throughout), and up for as long, again and again. `quick`: so many seconds, and as many
    more as it takes until it is told, show all but the alarm.
    """

    name: str
    promise: str
    seconds: float
    causes: frozenset[Cause] = frozenset()
    cause_s: float = TRY_S
    alarm: str | None = None
    quick: float = 0.0
    line: dict[str, float | str] = field(default_factory=dict)
    sets: tuple[str, ...] = ()
    forgets: bool = False
    heals: bool = False
    stands: bool = False
    down: float | None = None


FAULTS = (
    Fault(
        "loss",
        "a fifth of all packets is lost each way: messages go on arriving, no alarm",
        120,
        quick=6,
        line={"loss": 0.2},
    ),
    Fault(
        "delay",
        "600 ms each way, give or take 300: the connection stands, and the heartbeat tells the delay",
        60,
        quick=6,
        line={"delay_s": DELAY_MS / 1000, "jitter_s": DELAY_MS / 2000},
        stands=True,
    ),
    Fault(
        "half-open",
        "all of TCP vanishes after the connection was made: given up, told as a time-out, net.tcp",
        270,
        frozenset({Cause.TIMEOUT}),
        GIVEN_UP_S + TRY_S,
        "net.tcp",
        line={"drops": "tcp"},
    ),
    Fault(
        "uplink",
        "all packets vanish behind the modem: given up, told as a name server that is silent, net.dns",
        250,
        frozenset({Cause.DNS}),
        GIVEN_UP_S + TRY_S,
        "net.dns",
        line={"drops": "all"},
    ),
    Fault(
        "nat",
        "a router forgets the connection and says nothing: given up, and made anew at once, no alarm",
        GIVEN_UP_S + 20,
        DEAD,
        GIVEN_UP_S,
        forgets=True,
        heals=True,
    ),
    Fault(
        "dns",
        "the connection breaks and the name server is silent: told as dns, net.dns",
        190,
        frozenset({Cause.DNS}),
        TRY_S,
        "net.dns",
        sets=("cut", "mute"),
    ),
    Fault(
        "portal-tls",
        "a captive portal answers every name, with a certificate of its own: nothing is said to it, net.tls",
        170,
        frozenset({Cause.TLS_UNTRUSTED, Cause.TLS_HOSTNAME}),
        TRY_S,
        "net.tls",
        5,
        sets=("cut", "portal_tls"),
    ),
    Fault(
        "portal-http",
        "a captive portal answers every name in plain HTTP: nothing is said to it, net.tls",
        170,
        frozenset({Cause.TLS}),
        TRY_S,
        "net.tls",
        5,
        sets=("cut", "portal_http"),
    ),
    Fault(
        "mtu",
        "the way takes packets of 1000 bytes and says nothing of larger ones: told as a time-out, net.tcp",
        200,
        frozenset({Cause.TIMEOUT}),
        GIVEN_UP_S + TRY_S,
        "net.tcp",
        line={"largest": 1000},
        forgets=True,
    ),
    Fault(
        "flap",
        "the interface goes down and up every three seconds: no alarm, no storm of connections",
        90,
        quick=9,
        down=3,
    ),
    Fault(
        "unplugged",
        "the interface is down: told as unreachable, net.tcp",
        230,
        frozenset({Cause.UNREACHABLE}),
        GIVEN_UP_S + TRY_S,
        "net.tcp",
        down=0,
    ),
)
"""All of them at once, each on a kit of its own."""


@dataclass(slots=True)
class Told:
    """What a kit and the platform told of a fault, in seconds since it began or (`back`, `delivered`) ended.

    None: never. `missing`: messages on the kit's disk that the platform does not have in the end.
    """

    causes: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    connections: int = 0
    cause_s: float | None = None
    alarm_s: float | None = None
    back_s: float | None = None
    delivered_s: float | None = None
    said: int = 0
    missing: int | None = None
    during: int = 0
    """Messages that arrived while the fault lasted."""
    rtt_ms: float = 0.0
    portal: int = 0
    """Bytes that the portal could read, beyond the greeting of TLS."""
    raised: list[str] = field(default_factory=list)
    """Alarms that the platform has heard raised and cleared, in the end."""


def judge(fault: Fault, told: Told, *, quick: bool, took: float) -> Finding:
    """What came of a fault beside what is promised of it."""
    alarm = None if quick else fault.alarm
    late = None if told.cause_s is None or told.alarm_s is None else told.alarm_s - told.cause_s
    broken = [
        what
        for what, holds in {
            "the cause is not told in time": not fault.causes or _within(told.cause_s, fault.cause_s),
            "the alarm is not raised in time": alarm is None or _within(late, BELIEVED_S),
            "the platform has not heard the alarm come and go": alarm is None or alarm in told.raised,
            "an alarm that nothing speaks for": set(told.alarms) <= {fault.alarm, "net.mqtt"},
            "the connection ended": not fault.stands or told.connections == 0,
            "nothing arrived meanwhile": fault.name not in ("loss", "delay", "flap") or told.during > 0,
            "the delay is not told": fault.name != "delay" or told.rtt_ms >= DELAY_MS,
            "a storm of connections": told.connections <= 2 + fault.seconds / 10,
            "something was said to the portal": told.portal == 0,
            "the link is not back in time": _within(
                told.back_s, GIVEN_UP_S + TRY_S if fault.heals else BACK_S
            ),
            "what has waited is not delivered in time": _within(told.delivered_s, BACK_S + AFTER_S),
            "messages are lost": told.said > 0 and told.missing == 0,
        }.items()
        if not holds
    ]
    found: dict[str, object] = {
        "causes": " ".join(told.causes) or "none",
        "alarms": " ".join(told.alarms) or "none",
        "cause_s": told.cause_s,
        "alarm_s": told.alarm_s,
        "back_s": told.back_s,
        "delivered_s": told.delivered_s,
        "connections": told.connections,
        "rtt_ms": told.rtt_ms,
        "said": told.said,
        "arrived_meanwhile": told.during,
        "lost": told.missing,
    }
    if broken:
        found["error"] = "; ".join(broken)
    return Finding("network", "netns", fault.name, fault.promise, not broken, took, found)


def _within(seconds: float | None, limit: float) -> bool:
    return seconds is not None and seconds <= limit
