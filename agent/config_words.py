"""Why a value does not fit its key, in the technician's words: pydantic's own are English only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.words import say, verbatim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.words import Text

# Each kind of pydantic's errors that a setting, or a drawing, can meet; its context fills the places.
_WORDS = {
    "bool_parsing": say("input should be a valid boolean, unable to interpret input"),
    "bool_type": say("input should be a valid boolean"),
    "extra_forbidden": say("unknown key"),
    "finite_number": say("input should be a finite number"),
    "float_parsing": say("input should be a valid number, unable to parse string as a number"),
    "float_type": say("input should be a valid number"),
    "greater_than": say("input should be greater than {gt}"),
    "greater_than_equal": say("input should be greater than or equal to {ge}"),
    "int_from_float": say("input should be a valid integer, got a number with a fractional part"),
    "int_parsing": say("input should be a valid integer, unable to parse string as an integer"),
    "int_type": say("input should be a valid integer"),
    "less_than": say("input should be less than {lt}"),
    "less_than_equal": say("input should be less than or equal to {le}"),
    "json_invalid": say("no valid JSON"),
    "literal_error": say("input should be {expected}"),
    "missing": say("field required"),
    "model_type": say("input should be a valid dictionary"),
    "path_type": say("input is not a valid path"),
    "string_pattern_mismatch": say("string should match pattern '{pattern}'"),
    "string_type": say("input should be a valid string"),
    "too_long": say("there should be at most {max_length}, not {actual_length}"),
    "too_short": say("there should be at least {min_length}, not {actual_length}"),
    "tuple_type": say("input should be a valid tuple"),
}


class UnfitError(ValueError):
    """A value that a key's own rule refuses; `text` says why."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.en)
        self.text = text


def unfit(kind: str, message: str, ctx: Mapping[str, Any]) -> Text:
    """Why: by the key's own rule, or by pydantic, which is told in its `message` where no sentence has it."""
    if isinstance(refusal := ctx.get("error"), UnfitError):
        return refusal.text
    text = message.removeprefix("Value error, ")
    found = _WORDS.get(kind)
    if found is None:
        return verbatim(f"{text[0].lower()}{text[1:]}")
    return replace(found, values=tuple((name, _plain(value)) for name, value in ctx.items()))


def _plain(value: object) -> object:
    """A bound as pydantic writes it: 1.0 without its point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
