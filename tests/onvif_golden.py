"""The kit's messages in ONVIF's words, one file a case: `python tests/onvif_golden.py` writes them anew.

Compare the difference with the ONVIF specifications before it is committed: other people's programs read it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backbone_samples import BOOT, KIT, SITE, TOPICS, WORDS, at

from agent.backbone.contract.example import EXAMPLES
from agent.backbone.messages import (
    AlarmBody,
    AlarmClearedBody,
    EventBody,
    SiteRef,
    Stat,
    origin,
)
from agent.backbone.onvif import to_onvif_ej
from agent.types import Phase

if TYPE_CHECKING:
    from agent.backbone.messages import StatBody

GOLDEN = Path(__file__).parent / "data" / "golden" / "onvif"
T0, NOW = "2026-11-22T00:30:48.200Z", "2026-11-22T00:31:05.412Z"


def event(kind: str, phase: Phase, ts: str | None = NOW, **fields: Any) -> EventBody:  # noqa: ANN401
    """An event of 17.2 s; without `ts` the clock was never set."""
    end = {"t1": ts, "dur": 17.2} if phase is Phase.END else {}
    return EventBody(
        **origin(KIT, at(86412.337, BOOT, ts)),
        site=SiteRef.of(SITE),
        id="01KAMZ6T3QW8E2R5T7Y9V1J3P5",
        phase=phase,
        rev=1 if phase is Phase.NEW else 2,
        type=kind,  # type: ignore[arg-type]
        t0=T0 if ts else None,
        mono0=86395.125,
        **(end | fields),
    )


def raised(code: str) -> AlarmBody:
    """The alarm, raised."""
    return AlarmBody(
        **origin(KIT, at(86412.337, BOOT, NOW)),
        code=code,
        sev="critical",
        since=NOW,
        mono0=86402.1,
        text=WORDS,
        fix=WORDS,
    )


def cleared(code: str) -> AlarmClearedBody:
    """The alarm, over."""
    return AlarmClearedBody(**origin(KIT, at(86500.0, BOOT, NOW)), code=code)


CASES: dict[str, EventBody | AlarmBody | AlarmClearedBody | StatBody] = {
    **{
        f"{kind}.{phase}": event(kind, phase)
        for kind in ("person", "after-hours", "loitering", "motion", "tamper")
        for phase in (Phase.NEW, Phase.END)
    },
    "person.end.crossed": event("person", Phase.END, dir="up"),
    **{
        f"{code}.{state}": made(code)
        for code in (
            "scene.covered",
            "scene.blinded",
            "scene.blurred",
            "scene.moved",
            "camera.lost",
            "storage.failing",
        )
        for state, made in (("raised", raised), ("cleared", cleared))
    },
    "stat": Stat.model_validate(EXAMPLES["stat"]),
}
"""Every message that has a word in ONVIF."""

SILENT: dict[str, EventBody | AlarmBody] = {
    "gathering": event("gathering", Phase.NEW),
    "an update": event("person", Phase.UPDATE, dir="up"),
    "footage": event("person", Phase.NEW, replay=True),
    "no clock": event("person", Phase.NEW, ts=None),
    "a lamp": raised("scene.dark"),
    "a full disk": raised("storage.full"),
}
"""Messages that have none."""


def golden(case: str) -> list[dict[str, Any]]:
    """The notifications of a case, as its file holds them; the payload of a deleted property is null."""
    return [
        {"topic": one.topic, "retain": one.retain, "payload": json.loads(one.payload or b"null")}
        for one in to_onvif_ej(TOPICS, CASES[case])
    ]


if __name__ == "__main__":
    for name in CASES:
        text = json.dumps(golden(name), indent=2, ensure_ascii=False)
        (GOLDEN / f"{name}.json").write_text(text + "\n", encoding="utf-8")
