"""What the city may set from afar."""

from __future__ import annotations

from typing import Any

import pytest
from clips_keys import RECIPIENTS

from agent.config import Settings, keys, load
from agent.config_remote import ALLOWED, NOT_ALLOWED, effective, refusals

NEVER = [
    "kit.id",
    "state.dir",
    "clips.seal",
    "clips.dir",
    "capture.source",
    "camera.crop",
    "camera.rotation",
    "camera.mirror",
    "camera.tuning_file",
    "detector.model",
    *(
        f"backbone.{key}"
        for key in (
            *("host", "port", "tls", "ca_file", "cert_file", "key_file", "password_file", "platform_keys"),
            "enrol_url",
        )
    ),
]
"""What would cut the kit off, point it elsewhere or open it, if a platform's key were stolen."""


def test_the_list_names_keys_that_there_are() -> None:
    """No slip of the pen: each key of the list is one of the settings."""
    for section, allowed in ALLOWED.items():
        assert allowed <= set(keys()[section]), section


@pytest.mark.parametrize("key", NEVER)
def test_what_may_never_be_set_from_afar(key: str) -> None:
    """Whatever its value, and even if it is the one in force already."""
    section, name = key.split(".")
    default = Settings().model_dump(mode="json")[section][name]

    assert {key: NOT_ALLOWED} == refusals({section: {name: default}})


def test_what_the_city_sets_every_day_is_allowed() -> None:
    """A whole plausible configuration: place, masks, zones, rules, retention, thresholds, keys."""
    square = [[0, 0], [0.5, 0], [0.5, 0.5]]
    values: dict[str, dict[str, Any]] = {
        "site": {"oblast": "51", "city": "odesa", "district": "kyivskyi", "entrance": "3", "floor": 2},
        "privacy": {"masks": [{"name": "flat-12", "polygon": square}]},
        "view": {"zones": [{"name": "landing", "polygon": square, "persons": "include"}]},
        "loitering": {"enabled": True, "dwell_s": 300, "zones": ["landing"]},
        "after_hours": {"closed": ["22:00-06:00"], "timezone": "Europe/Kyiv"},
        "detector": {"threshold": 0.4},
        "clips": {"retention_h": 48, "pre_roll_s": 5, "recipients": list(RECIPIENTS)},
        "backbone": {"heartbeat_s": 60, "delivery": "watermark"},
    }

    assert {} == refusals(values)


@pytest.mark.parametrize(
    ("values", "key", "why"),
    [
        ({"clips": {"retention_h": "48"}}, "clips.retention_h", "'48': input should be a valid number"),
        ({"clips": {"retention_h": 200}}, "clips.retention_h", "200: input should be less than or equal to"),
        ({"clips": {"enabled": 1}}, "clips.enabled", "1: input should be a valid boolean"),
        ({"clips": {"retention_h": None}}, "clips.retention_h", "None: input should be a valid number"),
        ({"clips": {"recipients": []}}, "clips.recipients", "[]: names nobody"),
        ({"clips": {"recipients": ["age1x"]}}, "clips.recipients.0", "'age1x': "),
        ({"clips": {"retenshun": 1}}, "clips.retenshun", "unknown key"),
        ({"clips ": {"retention_h": 1}}, "clips ", "unknown section"),
        ({"site": {"city": "Одеса"}}, "site.city", "'Одеса': string should match pattern"),
        ({"privacy": {"masks": [{"name": "a"}]}}, "privacy.masks.0.polygon", "{'name': 'a'}: field required"),
    ],
)
def test_each_wrong_key_is_told_with_its_reason(values: dict[str, Any], key: str, why: str) -> None:
    """Unknown, of a wrong type (JSON's, strictly), out of range."""
    found = refusals(values)

    assert {key} == found.keys()
    assert found[key].startswith(why)


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Not the first only: the platform has one round to mend it."""
    found = refusals(
        {"clips": {"seal": "none", "max_s": -1, "max_mb": 10}, "kit": {"id": "x"}, "nothing": {"a": 1}}
    )

    assert {"clips.seal", "clips.max_s", "kit.id", "nothing"} == found.keys()


def test_a_zone_of_the_kits_own_file_may_be_named() -> None:
    """That it is there shows only together with the file."""
    assert {} == refusals({"loitering": {"zones": ["landing"]}})


def test_effective_tells_what_may_be_set_and_nothing_else() -> None:
    """For `cfg/rep`: the values in force, no path, no address, no key file."""
    told = effective(load(overrides={"clips": {"retention_h": 24, "dir": "/mnt"}}))

    assert 24.0 == told["clips"]["retention_h"]
    assert {section: set(allowed) for section, allowed in ALLOWED.items()} == {
        section: set(table) for section, table in told.items()
    }
