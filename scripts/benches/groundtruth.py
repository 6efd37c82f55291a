"""Ground truth of footage: NAME.mp4 with NAME.gt.json beside it (format stairwell-gt/1)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "stairwell-gt/1"
LAMP = frozenset({"on", "off", "rise"})
INFRARED = frozenset({"ir", "day"})

# What a tampering is called in words, and the states of the view that tell it; the first word that fits.
TAMPERINGS = (
    ("turned", frozenset({"moved"})),
    ("defocus", frozenset({"blurred"})),
    ("spray", frozenset({"covered", "blurred"})),
    ("frozen", frozenset({"frozen"})),
    ("over the lens", frozenset({"covered"})),
)


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` to `end`, seconds of video."""

    start: float
    end: float

    def meets(self, start: float, end: float) -> bool:
        """Whether they share a moment."""
        return self.start <= end and start <= self.end


@dataclass(frozen=True, slots=True)
class Tampering:
    """A camera that somebody made useless; any of `states` tells it."""

    span: Span
    states: frozenset[str]


@dataclass(frozen=True, slots=True)
class Truth:
    """What happens in one clip."""

    clip: str
    video: Path
    duration: float
    visits: tuple[Span, ...]
    lamps: tuple[float, ...]
    infrared: tuple[float, ...]
    shakes: tuple[float, ...]
    tamperings: tuple[Tampering, ...]

    def empty(self, start: float, end: float) -> bool:
        """Whether nobody is in view between."""
        return not any(visit.meets(start, end) for visit in self.visits)


def read(folder: Path) -> list[Truth]:
    """Every clip of a folder (and below) that has ground truth.

    Raises:
        SourceError: there is none.
    """
    truths = [_truth(path) for path in sorted(folder.rglob("*.gt.json"))]
    if not truths:
        raise SourceError(
            f"{folder}: no clip with ground truth",
            fix="give a folder of NAME.mp4 with NAME.gt.json beside it",
        )
    return truths


def _truth(path: Path) -> Truth:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if data.get("format") != FORMAT:
        raise SourceError(f"{path}: format {data.get('format')!r}", fix=f"write it as {FORMAT}")
    switches = [(item["t"], item["to"]) for item in data["light_switches"]]
    return Truth(
        clip=data["clip"],
        video=path.with_name(path.name.removesuffix(".gt.json") + ".mp4"),
        duration=data["duration_s"],
        visits=tuple(Span(item["start"], item["end"]) for item in data["person_present"]),
        lamps=tuple(t for t, to in switches if to in LAMP),
        infrared=tuple(t for t, to in switches if to in INFRARED),
        shakes=tuple(item["start"] for item in data["other_motion"] if "shake" in item["what"]),
        tamperings=tuple(_tampering(item) for item in data["tamper"]),
    )


def _tampering(item: dict[str, Any]) -> Tampering:
    states = next((states for word, states in TAMPERINGS if word in item["what"]), None)
    if states is None:
        raise SourceError(f"tampering {item['what']!r}: not known", fix="use the words of the other clips")
    return Tampering(Span(item["start"], item["end"]), states)
