"""Events and alarms as a video management system reads them."""

from __future__ import annotations

import json
import re

import pytest
from backbone_samples import TOPICS
from onvif_golden import CASES, GOLDEN, NOW, SILENT, T0, event, golden

from agent.backbone.onvif import to_onvif_ej
from agent.doctor.registry import ALARMS
from agent.types import Phase

# ONVIF Core 25.12, "Topic Structure" and "JSON Event Payload".
TOPIC = re.compile(
    rf"{TOPICS.base}/onvif-ej/(?P<local>[A-Za-z]+(/[A-Za-z]+)+)/&(?P<source>[^/#+]+(/[^/#+]+)*)"
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.mark.parametrize("case", CASES)
def test_a_message_is_said_as_before(case: str) -> None:
    """Each golden file was compared with the words of the specification when it was made."""
    assert json.loads((GOLDEN / f"{case}.json").read_text(encoding="utf-8")) == golden(case)


def test_every_golden_file_has_its_case() -> None:
    """None is left over."""
    assert sorted(CASES) == sorted(path.stem for path in GOLDEN.iterdir())


@pytest.mark.parametrize("case", CASES)
def test_grammar(case: str) -> None:
    """Topic and payload are of the form that the specification writes down, sources in the topic's order."""
    found = to_onvif_ej(TOPICS, CASES[case])
    assert found
    for one in found:
        parts = TOPIC.fullmatch(one.topic)
        assert parts is not None
        if not one.payload:
            assert one.retain
            continue
        payload = json.loads(one.payload)
        assert ["UtcTime", "Source", "Data"] == list(payload)
        assert TIME.fullmatch(payload["UtcTime"])
        assert parts["source"].split("/") == list(payload["Source"].values())
        for name, value in payload["Data"].items():
            assert re.fullmatch(r"[A-Za-z]+", name)
            assert isinstance(value, str | bool | int)


@pytest.mark.parametrize("case", SILENT)
def test_what_has_no_word_is_not_said(case: str) -> None:
    """Better nothing than something else."""
    assert [] == to_onvif_ej(TOPICS, SILENT[case])


def test_one_property_is_one_thing() -> None:
    """Two alarms never speak of one property: the end of one would be taken for that of the other."""
    topics = [one["topic"] for case in CASES if case.endswith((".new", ".raised")) for one in golden(case)]
    assert len(set(topics)) == len(topics)


def test_what_begins_ends_on_the_same_topic() -> None:
    """The property that `new` or `raised` sets is the one that `end` or `cleared` takes back."""
    for begin, end in ((".new", ".end"), (".raised", ".cleared")):
        for case in CASES:
            if case.endswith(begin):
                [first], [last] = golden(case), golden(case.removesuffix(begin) + end)
                assert (first["topic"], True, True) == (last["topic"], first["retain"], last["retain"])
                assert first["payload"] != last["payload"]


def test_when_it_happened() -> None:
    """The beginning, the last evidence; for a kit without a clock, what the platform knows by now."""
    new, end = event("person", Phase.NEW), event("person", Phase.END)
    blind = event("loitering", Phase.NEW, ts=None)

    times = [
        json.loads(to_onvif_ej(TOPICS, message, at)[0].payload)["UtcTime"]
        for message, at in ((new, None), (end, None), (end, T0), (blind, T0))
    ]

    assert [T0, NOW, T0, T0] == times
    assert T0 == json.loads(to_onvif_ej(TOPICS, blind, T0)[0].payload)["Data"]["Since"]


def test_names_from_the_configuration_cannot_break_a_topic() -> None:
    """What MQTT gives a meaning to is left out of the topic, and stays in the payload."""
    found = to_onvif_ej(TOPICS, event("person", Phase.END, dir="#up/+"))[1]

    assert found.topic.endswith("/&camera/agent/up")
    assert "#up/+" == json.loads(found.payload)["Source"]["Rule"]


def test_alarms_that_are_translated_exist() -> None:
    """A code that is renamed is noticed here."""
    assert {case.removesuffix(".raised") for case in CASES if case.endswith(".raised")} <= ALARMS.keys()
