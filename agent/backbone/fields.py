"""What a field of a message may hold: the patterns and bounds of the contract."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

KitId = Annotated[str, Field(pattern=r"^[0-9a-hjkmnp-tv-z]{10}$")]
Hex8 = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
Ulid = Annotated[str, Field(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Ts = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"),
]
"""UTC, RFC 3339, milliseconds."""
Seq = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Measure = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
NAME_MAX, TEXT_MAX = 200, 1000
Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX)]
Text = Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]
PublicKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
Signature = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")]
Seal = Annotated[
    Literal["age", "none", "refused"],
    Field(description="how clips are sealed; refused: nothing is recorded, for want of somebody to seal to"),
]
AlarmCode = Annotated[str, Field(pattern=r"^[a-z0-9]+(\.[a-z0-9_]+)+$", max_length=64)]
BoxList = Annotated[
    list[Share], Field(min_length=4, max_length=4, description="x, y, w, h in fractions of the picture")
]

Percentiles = Annotated[
    list[Measure], Field(min_length=3, max_length=3, description="5th, 50th and 95th percentile")
]
Grid = Annotated[
    list[Annotated[list[Share], Field(min_length=8, max_length=8)]], Field(min_length=8, max_length=8)
]
