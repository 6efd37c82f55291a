"""The link's troubles as alarms."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_app_vitals import Said

from agent.app import linkwatch
from agent.app.linkwatch import LinkWatch
from agent.backbone.causes import Cause
from agent.backbone.delivery import Delivery
from agent.doctor.registry import ALARMS

UP = Delivery(connected=True)
DOWN = Delivery(cause=Cause.REFUSED, detail="Connection refused")


def watch(said: Said) -> LinkWatch:
    return LinkWatch(said)  # type: ignore[arg-type]


def test_each_code_is_an_alarm() -> None:
    """With text and fix in both languages."""
    assert set(linkwatch.RAISE_S) <= set(ALARMS)


def test_a_restarted_broker_is_no_alarm() -> None:
    """Two minutes belong to it."""
    said = Said()
    watcher = watch(said)
    for now in range(0, 115, 5):
        watcher.judge(DOWN, "ntp", now)
    watcher.judge(UP, "ntp", 116)
    assert said.alarms == ()


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.TAKEN_OVER])
def test_each_cause_that_lasts_has_its_alarm(cause: Cause) -> None:
    """One, and it is over soon after the link is back."""
    said = Said()
    watcher = watch(said)
    for now in (0, 120):
        watcher.judge(Delivery(cause=cause, detail="x"), "ntp", now)
    assert len(said.alarms) == 1
    for now in (130, 140):
        watcher.judge(UP, "ntp", now)
    assert said.alarms == ()


def test_causes_are_told_apart() -> None:
    """Each by who has to mend it."""
    found = {}
    for cause in (Cause.DNS, Cause.REFUSED, Cause.TLS_EXPIRED, Cause.NOT_AUTHORISED):
        said = Said()
        watcher = watch(said)
        for now in (0, 120):
            watcher.judge(Delivery(cause=cause), "ntp", now)
        found[cause] = said.alarms
    assert found == {
        Cause.DNS: ("net.dns",),
        Cause.REFUSED: ("net.tcp",),
        Cause.TLS_EXPIRED: ("net.tls",),
        Cause.NOT_AUTHORISED: ("net.mqtt",),
    }


def test_a_copied_card_is_told_at_once_and_not_forgotten() -> None:
    """Both are connected now and then: the alarm outlasts that."""
    said = Said()
    watcher = watch(said)
    watcher.judge(Delivery(cause=Cause.TAKEN_OVER, detail="Session taken over"), "ntp", 0)
    assert said.alarms == ("identity.cloned",)
    for now in (10, 20, 600):
        watcher.judge(UP, "ntp", now)
    assert said.alarms == ("identity.cloned",)
    watcher.judge(UP, "ntp", 3700)
    assert said.alarms == ()


def test_a_broker_that_refuses_what_is_said() -> None:
    """Only a refusal for want of rights, and as long as it goes on."""
    said = Said()
    watcher = watch(said)
    watcher.judge(replace(UP, refused=1, refusal=0x97), "ntp", 0)
    assert said.alarms == ()
    watcher.judge(replace(UP, refused=2, refusal=0x87), "ntp", 1)
    assert said.alarms == ("mqtt.acl",)
    for now in (2, 602):
        watcher.judge(replace(UP, refused=2, refusal=0x87), "ntp", now)
    assert said.alarms == ()


def test_a_clock_that_stands_in_the_way_of_tls() -> None:
    """A certificate of tomorrow is the clock's fault, unless the clock is known to be right."""
    early = Delivery(cause=Cause.TLS_NOT_YET_VALID)
    for clk, expected in (("none", {"clock.untrusted", "net.tls"}), ("ntp", {"net.tls"})):
        said = Said()
        watcher = watch(said)
        for now in (0, 60, 120):
            watcher.judge(early, clk, now)  # type: ignore[arg-type]
        assert expected == set(said.alarms)
