"""Model cards: what the agent must know of a detector model, beside its weights.

A card is a TOML file next to the model file; another model is another card, not more code.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from agent.errors import ModelError
from agent.reasons import reason
from agent.words import say

SHIPPED = Path(__file__).parent.parent / "models"
"""Where the cards and models lie that come with the agent."""

Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class ModelCard:
    """One detector model. The file's keys are these fields, all of them, but `name` and `path`."""

    name: str
    path: Path
    """The model file: `file` of the card, beside the card."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    side: Annotated[int, Field(ge=32, le=2048, multiple_of=2)]
    """The input is side x side x RGB."""
    fit: Literal["stretch", "letterbox"]
    """How a crop that is not square becomes square; a letterboxed one lies top left on black."""
    dtype: Literal["uint8", "float32"]
    """Of the input; values are 0..255 either way."""
    decode: Literal["ssd", "nanodet"]
    threshold: Share
    """Score from which a detection counts."""
    nms_iou: Share
    """Boxes of one crop that overlap more are one person."""
    licence: str
    source: str
    purpose: str

    @property
    def label(self) -> str:
        """Name and short hash: what a message says of its detector."""
        return f"{self.name}@{self.sha256[:8]}"


def load_card(name: str) -> ModelCard:
    """The card of a shipped model (`ssdlite`), or of any model by the path of its card (`/…/mine.toml`).

    Raises:
        ModelError: there is no such card, or it does not say what it must.
    """
    path = Path(name) if name.endswith(".toml") else SHIPPED / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        shipped = ", ".join(sorted(card.stem for card in SHIPPED.glob("*.toml")))
        raise ModelError(
            say("detector model {name!r}: there is no {path}", name=name, path=path),
            fix=say(
                "set detector.model to one of {shipped}, or to the path of a card (.toml)", shipped=shipped
            ),
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(
            say("model card {path}: cannot be read ({error})", path=path, error=error),
            fix=say("correct the card"),
        ) from None
    file = values.pop("file", None)
    if not isinstance(file, str) or not file:
        raise ModelError(
            say("model card {path}: file = {file!r}", path=path, file=file),
            fix=say("name the .tflite file that lies beside it"),
        )
    try:
        return _CARD.validate_python({**values, "name": path.stem, "path": path.parent / file})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ModelError(
            say("model card {path}: {key}: {why}", path=path, key=key, why=first["msg"]),
            fix=say("correct it after the example of {example}", example=SHIPPED / "ssdlite.toml"),
        ) from None


def verify(card: ModelCard) -> bytes:
    """The model file's content, proved to be what the card was written for.

    Raises:
        ModelError: the file is missing, unreadable or altered.
    """
    try:
        content = card.path.read_bytes()
    except OSError as error:
        raise ModelError(
            say(
                "model {label}: {path} cannot be read ({reason})",
                label=card.label,
                path=card.path,
                reason=reason(error),
            ),
            fix=say("install the agent's package again, or put the file back"),
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise ModelError(
            say(
                "model {label}: {path} is altered (sha256 {digest}…, {size} bytes)",
                label=card.label,
                path=card.path,
                digest=found[:8],
                size=len(content),
            ),
            fix=say("install the agent's package again; for a model of your own, correct sha256 in its card"),
        )
    return content


_CARD = TypeAdapter(ModelCard)
