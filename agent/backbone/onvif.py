"""The kit's messages in ONVIF's words, for whoever feeds a video management system. Pure.

The form is `onvif-ej` of ONVIF Core 25.12, "Event Broker": the topic is
`{prefix}/onvif-ej/{ONVIF topic}/&{values of Source}`, the payload `{"UtcTime", "Source", "Data"}`. A property
is retained, and an empty payload deletes it. The prefix is the kit's own topic (`Topics.base`).

| message | ONVIF topic | source | data |
|---|---|---|---|
| `person`, `after-hours` | `RuleEngine/FieldDetector/ObjectsInside` | rule: the kind | `IsInside`, property |
| `person` that crossed a line, at its end | `RuleEngine/LineDetector/Crossed` | rule: `dir` | no property |
| `loitering` | `RuleEngine/LoiteringDetector/ObjectIsLoitering` | rule: the kind | `Since`, till the end |
| `motion` | `RuleEngine/CellMotionDetector/Motion` | rule: the kind | `IsMotion`, property |
| `tamper` | `VideoSource/GlobalSceneChange/AnalyticsService` | the camera | `State`, property |
| alarm `scene.covered` | `VideoSource/ImageTooDark/ImagingService` | the camera | `State`, property |
| alarm `scene.blinded` | `VideoSource/ImageTooBright/ImagingService` | the camera | `State`, property |
| alarm `scene.blurred` | `VideoSource/ImageTooBlurry/ImagingService` | the camera | `State`, property |
| alarm `scene.moved` | `VideoSource/GlobalSceneChange/ImagingService` | the camera | `State`, property |
| alarm `camera.lost` | `VideoSource/SignalLoss` | the camera | `State`, property |
| alarm `storage.failing` | `Device/HardwareFailure/StorageFailure` | the card | `Failed`, property |
| `stat`, each line and way | `RuleEngine/CountAggregation/Counter` | rule: line and way | `Count`, property |

Topics and items are those of ONVIF Analytics ("Specified Rules", "Cell motion detection"), Imaging ("Events")
and Core ("Mechanical failure"). A person is an object of class `Human`; its `ObjectId` is the event's id.

What has no word in ONVIF: `gathering`; how many persons, how sure, where in the picture, what zones; updates,
for they change none of the above; the rest of `stat`; snapshots; clips and their proof; presence, heartbeats
and gaps; all other alarms. `scene.dark` has none either: ImageTooDark accuses somebody of covering the lens,
and a lamp that went out is not that. Nor can ONVIF say that footage was replayed: such events are left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.backbone.messages import AlarmBody, AlarmClearedBody, EventBody, StatBody
from agent.types import Phase

if TYPE_CHECKING:
    from agent.backbone.topics import Topics

PREFIX = "onvif-ej"  # events with a JSON payload
HUMAN = "Human"  # of the ObjectType enumeration
CAMERA = "camera"
"""The token of the only video source of a kit, and of its configuration."""
ANALYTICS = "agent"
"""The token of the only analytics configuration."""
CARD = "card"
"""The token of the mass storage."""
_NOT_IN_A_TOPIC = str.maketrans("", "", "#+/")  # "special characters … shall be omitted from the topic"

_SCENES = {
    "scene.covered": "VideoSource/ImageTooDark/ImagingService",
    "scene.blinded": "VideoSource/ImageTooBright/ImagingService",
    "scene.blurred": "VideoSource/ImageTooBlurry/ImagingService",
    "scene.moved": "VideoSource/GlobalSceneChange/ImagingService",
    "camera.lost": "VideoSource/SignalLoss",
}
"""The alarms that speak of the picture. One alarm, one property: none of them can take back another's."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One publication in ONVIF's form; `retain` marks a property."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True, slots=True)
class _Said:
    """What ONVIF would say; `data` is None for a property that has ceased to be."""

    topic: str
    source: dict[str, str]
    data: dict[str, Any] | None
    is_property: bool = True


def to_onvif_ej(
    topics: Topics,
    message: EventBody | AlarmBody | AlarmClearedBody | StatBody,
    at: str | None = None,
) -> list[Notification]:
    """What the message says in ONVIF's words: nothing, or as many notifications as it takes.

    `at` is when it happened, for a message of a kit that did not know (`ts` null); without that it has no
    ONVIF form, which must carry a time.
    """
    match message:
        case EventBody():
            own = {Phase.NEW: message.t0, Phase.END: message.t1}.get(message.phase)
            said = _event(message, at or own)
        case StatBody():
            said, own = _counts(message), None
        case _:
            said, own = _alarm(message.code, isinstance(message, AlarmBody)), None
    moment = at or own or message.ts
    return [_notification(topics, one, moment) for one in said] if moment else []


def _event(event: EventBody, moment: str | None) -> list[_Said]:
    if event.replay or event.phase is Phase.UPDATE:
        return []
    begins = event.phase is Phase.NEW
    rule = {"VideoSource": CAMERA, "AnalyticsConfiguration": ANALYTICS, "Rule": event.type}
    human = {"ObjectId": event.id, "ClassTypes": HUMAN}
    match event.type:
        case "person" | "after-hours":
            inside = {"IsInside": begins, **(human if begins else {})}
            said = [_Said("RuleEngine/FieldDetector/ObjectsInside", rule, inside)]
            if event.dir is not None and not begins and event.type == "person":
                line = {**rule, "Rule": event.dir}
                said.append(_Said("RuleEngine/LineDetector/Crossed", line, human, is_property=False))
            return said
        case "loitering":
            since = {**human, "Since": moment} if begins else None
            return [_Said("RuleEngine/LoiteringDetector/ObjectIsLoitering", rule, since)]
        case "motion":
            cells = {
                "VideoSourceConfigurationToken": CAMERA,
                "VideoAnalyticsConfigurationToken": ANALYTICS,
                "Rule": event.type,
            }
            return [_Said("RuleEngine/CellMotionDetector/Motion", cells, {"IsMotion": begins})]
        case "tamper":
            changed = {"State": begins}
            return [_Said("VideoSource/GlobalSceneChange/AnalyticsService", {"Source": CAMERA}, changed)]
        case "gathering":
            return []


def _alarm(code: str, raised: bool) -> list[_Said]:  # noqa: FBT001 - it is the state itself
    if code in _SCENES:
        return [_Said(_SCENES[code], {"Source": CAMERA}, {"State": raised})]
    if code == "storage.failing":
        return [_Said("Device/HardwareFailure/StorageFailure", {"Token": CARD}, {"Failed": raised})]
    return []


def _counts(stat: StatBody) -> list[_Said]:
    """Crossings of the hour, which is ONVIF's count since the last reset."""
    rule = {"VideoSource": CAMERA, "AnalyticsConfiguration": ANALYTICS}
    return [
        _Said("RuleEngine/CountAggregation/Counter", {**rule, "Rule": f"{line} {way}"}, {"Count": count})
        for line, ways in stat.lines.items()
        for way, count in ways.items()
    ]


def _notification(topics: Topics, said: _Said, moment: str) -> Notification:
    values = "/".join(value.translate(_NOT_IN_A_TOPIC) for value in said.source.values())
    topic = f"{topics.base}/{PREFIX}/{said.topic}/&{values}"
    if said.data is None:
        return Notification(topic, b"", retain=True)
    whole = {"UtcTime": moment, "Source": said.source, "Data": said.data}
    payload = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
    return Notification(topic, payload, retain=said.is_property)
