"""The link's troubles as alarms: one for each thing that a person has to mend, believed once it lasts.

They wait in the outbox while there is no link, and are cleared there too: what the city reads afterwards is
when the kit was cut off, and why. `stairwell status` shows it at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.backbone.causes import Cause
from agent.doctor.debounce import Debounce

if TYPE_CHECKING:
    from agent.app.announcer import Announcer
    from agent.backbone.delivery import Delivery
    from agent.types import ClockState

NOT_AUTHORISED = 0x87  # MQTT 5.0, 2.4: of a PUBACK, the broker's ACL

CLONED, ACL, UNTRUSTED = "identity.cloned", "mqtt.acl", "clock.untrusted"
DNS, TCP, TLS, MQTT = "net.dns", "net.tcp", "net.tls", "net.mqtt"

RAISE_S = {
    DNS: 120.0,  # a broker is restarted and a modem reconnects within two minutes
    TCP: 120.0,
    TLS: 120.0,
    MQTT: 120.0,
    CLONED: 0.0,
    ACL: 0.0,
    UNTRUSTED: 60.0,  # a kit that boots has its time within a minute, where there is any to have
}
CLEAR_S = {CLONED: 3600.0, ACL: 600.0}  # two that push each other out are both connected now and then
CALM_S = 10.0  # for the rest

_CODES = {
    Cause.DNS: DNS,
    Cause.REFUSED: TCP,
    Cause.UNREACHABLE: TCP,
    Cause.TIMEOUT: TCP,
    Cause.TLS: TLS,
    Cause.TLS_EXPIRED: TLS,
    Cause.TLS_HOSTNAME: TLS,
    Cause.TLS_NOT_YET_VALID: TLS,
    Cause.TLS_REJECTED: TLS,
    Cause.TLS_UNTRUSTED: TLS,
}


class LinkWatch:
    """Raises and clears the alarms of the link. One thread drives it."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        raised = announcer.alarms
        self._beliefs = {
            code: Debounce(raise_s, CLEAR_S.get(code, CALM_S), active=code in raised)
            for code, raise_s in RAISE_S.items()
        }
        self._refused = 0

    def judge(self, delivery: Delivery, clk: ClockState, now: float) -> None:
        """Take in how the link is at `now` (s), and where the kit's time comes from."""
        cause = delivery.cause
        down = None if delivery.connected or cause is None else _CODES.get(cause, MQTT)
        refused, self._refused = delivery.refused > self._refused, delivery.refused
        found = {
            down,
            CLONED if cause is Cause.TAKEN_OVER else None,
            ACL if refused and delivery.refusal == NOT_AUTHORISED else None,
            UNTRUSTED if cause is Cause.TLS_NOT_YET_VALID and clk != "ntp" else None,
        }
        detail = f"{cause or 'refused'}: {delivery.detail}"
        for code, belief in self._beliefs.items():
            self._announcer.alarm(code, active=belief.judge(code in found, now), detail=detail)
