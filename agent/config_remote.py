"""Which keys the city may set from afar, by its signed configuration, and which only hands on the kit may.

What is allowed serves the daily work of a fleet: what is watched for, how long things are kept, where the kit
hangs. What is not on the list is refused, for one of these reasons:

- it names the broker or its certificates, the platform's keys or the kit: a wrong word would cut the kit off
  from whoever could take it back, and a stolen platform key must not be able to appoint its successor;
- it is a path or an address on the kit: files and cameras are the business of whoever stands before it;
- it gives up protection (`clips.seal`), or moves the picture under its masks (`camera.crop`, `rotation`);
- it is sized for the board (memory, disk, pictures, detector).

Masks may be taken away from afar, and recipients changed: both reveal, so both need the signature, are told
in `cfg/rep` and stand in the kit's log. But clips are always sealed to somebody: the list of recipients can
be changed and not emptied.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError, create_model

from agent.config import Settings, keys
from agent.config_layers import Layers

Tables = dict[str, dict[str, Any]]
"""Sections by name, each a table of keys."""

ALLOWED: dict[str, frozenset[str]] = {
    "site": frozenset({"oblast", "city", "district", "katotth", "precinct", "building", "entrance", "floor"}),
    "capture": frozenset({"fps", "reencode", "bitrate_kbps", "stall_after_s"}),
    "camera": frozenset({"exposure", "brightness_ev", "mains_hz", "white_balance", "noise_reduction"}),
    "privacy": frozenset({"masks"}),
    "motion": frozenset({"sensitivity", "min_area"}),
    "detector": frozenset({"threshold", "max_per_s", "scan_s"}),
    "tracker": frozenset({"lost_s", "person_score", "min_hits"}),
    "events": frozenset({"quiet_s", "update_s"}),
    "view": frozenset({"zones", "lines"}),
    "loitering": frozenset({"enabled", "dwell_s", "zones"}),
    "gathering": frozenset({"enabled", "persons", "hold_s", "zones"}),
    "after_hours": frozenset({"closed", "timezone", "zones"}),
    "scene": frozenset({"hold_s"}),
    "clips": frozenset(
        {
            "enabled",
            "recipients",
            "pre_roll_s",
            "post_roll_s",
            "max_s",
            "sync_s",
            "retention_h",
            "max_mb",
            "reserve_mb",
        }
    ),
    "backbone": frozenset({"keepalive_s", "heartbeat_s", "will_delay_s", "delivery"}),
    "log": frozenset({"level"}),
}
"""By section, the keys that may be set from afar."""

NOT_ALLOWED = "may be set on the kit only"

_FIELDS: dict[str, Any] = {
    name: (found.annotation, found.default) for name, found in Settings.model_fields.items()
}
# The sections alone: what holds between them shows only with the kit's own file.
_STRICT = create_model("_STRICT", **_FIELDS)


def refusals(values: Tables) -> dict[str, str]:
    """What is wrong with each key of the city's values by themselves; empty when nothing is.

    Types are taken strictly, as JSON has them: in a variable of the environment "5" has to do for a number,
    in a message it is a mistake. What shows only together with the kit's own file, `settled` finds.
    """
    known = keys()
    found = {}
    for section, table in values.items():
        if section not in known:
            found[section] = "unknown section"
        for key in table if section in known else ():
            if key not in known[section]:
                found[f"{section}.{key}"] = "unknown key"
            elif key not in ALLOWED.get(section, ()):
                found[f"{section}.{key}"] = NOT_ALLOWED
    wanted = {
        section: {key: value for key, value in table.items() if f"{section}.{key}" not in found}
        for section, table in values.items()
        if section in known
    }
    found |= _ill_typed(wanted)
    if wanted.get("clips", {}).get("recipients") == []:
        found["clips.recipients"] = "[]: names nobody, and clips must be sealed to somebody"
    return found


def _ill_typed(values: Tables) -> dict[str, str]:
    try:
        _STRICT.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        return Layers(None, {}, {}, values).explain(error, keys()).keys
    return {}


def effective(settings: Settings) -> Tables:
    """The values in force of all keys that may be set from afar, as JSON has them."""
    values = settings.model_dump(mode="json")
    return {
        section: {key: value for key, value in values[section].items() if key in allowed}
        for section, allowed in ALLOWED.items()
    }
