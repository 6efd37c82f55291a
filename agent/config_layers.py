"""Where each setting comes from: defaults, file, what was drawn on the spot, environment, the city over all.

A variable is `STAIRWELL_` + section + `__` + key, e.g. `STAIRWELL_BACKBONE__HOST=broker.local`.
Lists and tables in a variable are JSON. A layer replaces whole keys of the one below: two lists of zones are
not mixed.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from agent import viewpoint
from agent.config_words import unfit
from agent.errors import ConfigError
from agent.reasons import reason
from agent.words import joined, say, verbatim

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic import ValidationError

    from agent.words import Text

ENV_PREFIX = "STAIRWELL_"
NO_ZONE = "no_zone"
"""The type of the error that a zone is named which is not there; its context has `loc`, `name`, `known`."""
CITY = "cfg/des"
"""The place that an error names when the city's configuration is to blame: the topic on which it came."""

Values = dict[str, Any]
"""Sections by name, each a table of keys; what a file holds may be anything."""


class Origin(StrEnum):
    """The layer that a value is from."""

    DEFAULT = "default"
    FILE = "file"
    DRAWN = "drawn"
    ENVIRONMENT = "environment"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers over the defaults, unchecked. `path` is the file's, None when there is none."""

    path: Path | None
    file: Values
    environment: Values
    remote: Values = field(default_factory=dict)
    drawn: Values = field(default_factory=dict)
    """What a technician drew on the picture (`viewpoint`)."""
    state: Path | None = None
    """The directory that this lies in."""

    @classmethod
    def read(cls, kind: type[BaseModel], path: Path | None, overrides: Values | None = None) -> Layers:
        """The file with `overrides` over it, what was drawn, and the environment.

        `kind` says what a variable may set. What was drawn lies in the state directory that the others name.

        Raises:
            ConfigError: the file cannot be read or is no TOML; a variable sets nothing or is no valid JSON.
        """
        file, environment = _over(_read(path) if path else {}, overrides or {}), _environment(kind)
        state = _state(kind, _over(file, environment))
        return cls(path, file, environment, drawn=viewpoint.read(state) if state else {}, state=state)

    def with_remote(self, values: Values) -> Layers:
        """The same under the city's `values`."""
        return replace(self, remote=values)

    def with_drawn(self, values: Values) -> Layers:
        """The same with `values` in place of what was drawn before."""
        return replace(self, drawn=values)

    @property
    def lost(self) -> bool:
        """Whether something was drawn that cannot be read."""
        return self.drawn == viewpoint.LOST

    @property
    def merged(self) -> Values:
        """What counts of all of them."""
        merged: Values = {}
        for _, layer in self._ranked:
            merged = _over(merged, layer)
        return merged

    def origin(self, section: str, key: str) -> Origin:
        """Where the value of a key is from."""
        for origin, layer in reversed(self._ranked):
            if _sets(layer, section, key):
                return origin
        return Origin.DEFAULT

    @property
    def _ranked(self) -> list[tuple[Origin, Values]]:
        """The lowest first. What stands in for a lost drawing must not keep the agent from beginning."""
        above = [(Origin.ENVIRONMENT, self.environment), (Origin.REMOTE, self.remote)]
        if not self.lost:
            return [(Origin.FILE, self.file), (Origin.DRAWN, self.drawn), *above]
        zones = viewpoint.stand_ins(_over(_over(self.file, self.environment), self.remote))
        drawn = _over(self.drawn, {"view": {"zones": zones}} if zones else {})
        ranked = [(Origin.FILE, self.file), (Origin.DRAWN, drawn), *above]
        if not any(_sets(layer, "privacy", "masks") for _, layer in above):
            # Or nothing would be masked, nor seen.
            ranked.append((Origin.DRAWN, {"capture": drawn["capture"]}))
        return ranked

    def explain(self, error: ValidationError, known: Mapping[str, Collection[str]]) -> ConfigError:
        """What is wrong, one sentence per key, all at once; `known` are the sections with their keys."""
        problems: list[Text] = []
        fixes: dict[str, Text] = {}
        keys: dict[str, str] = {}
        for item in error.errors():
            ctx = item.get("ctx", {})
            loc = [str(part) for part in ctx.get("loc", item["loc"])]
            key = ".".join(loc)
            place = self._place(loc)
            if item["type"] == "extra_forbidden":
                problem = say("unknown key")
                problems.append(say("{place}: {problem}", place=place, problem=problem))
                near = known.get(loc[0], ()) if len(loc) > 1 else known
                fix = _nearest(loc[-1], near) if len(loc) <= 2 else say("remove {key}", key=loc[-1])  # noqa: PLR2004
            elif item["type"] == NO_ZONE:
                problem = say("{name!r}: no such zone", name=ctx["name"])
                problems.append(say("{place} = {problem}", place=place, problem=problem))
                zones = ctx["known"]
                fix = _nearest(ctx["name"], zones) if zones else say("describe it under [[view.zones]]")
            else:
                value = repr(item["input"])
                shown = say("(a secret)") if "AGE-SECRET-KEY" in value.upper() else verbatim(value[:80])
                problem = say("{value}: {why}", value=shown, why=unfit(item["type"], item["msg"], ctx))
                problems.append(say("{place} = {problem}", place=place, problem=problem))
                fix = say("`stairwell config schema` tells what each key takes")
            fixes[fix.en] = fix
            keys.setdefault(key, problem.en)
        return ConfigError(joined("; ", problems), fix=joined("; ", fixes.values()), keys=keys)

    def _place(self, loc: list[str]) -> Text:
        """Where whoever set the key at `loc` finds it."""
        key = ".".join(loc)
        section, *rest = loc
        names = {Origin.REMOTE: CITY, Origin.ENVIRONMENT: "", Origin.DRAWN: viewpoint.NAME}
        for origin, layer in reversed(self._ranked[1:]):
            name, table = names[origin], layer.get(section)
            if section in layer and (not rest or not isinstance(table, dict) or rest[0] in table):
                return verbatim(f"{name}: {key}") if name else _variable(loc)
        return verbatim(f"{self.path or 'settings'}: {key}")


def _sets(layer: Values, section: str, key: str) -> bool:
    table = layer.get(section)
    return isinstance(table, dict) and key in table


def _over(below: Values, above: Values) -> Values:
    """The keys of `above` over those of `below`. What is no table is an error, and is not hidden by one."""
    merged = dict(below)
    for section, table in above.items():
        under = below.get(section, {})
        if not isinstance(table, dict):
            merged[section] = table
        elif isinstance(under, dict):
            merged[section] = {**under, **table}
    return merged


def _read(path: Path) -> Values:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            say("{path}: no such file", path=path), fix=say("name the file with --config, or create it")
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            say("{path}: cannot be read ({reason})", path=path, reason=reason(error)),
            fix=say("check its permissions and content"),
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            say("{path}: no valid TOML ({reason})", path=path, reason=error),
            fix=say("correct the line that is named"),
        ) from None


def _state(kind: type[BaseModel], values: Values) -> Path | None:
    """The state directory that `values` name, or the default one; None where they say what is none."""
    table = values.get("state", {})
    state = table.get("dir") if isinstance(table, dict) else None
    if state is None:
        state = kind.model_fields["state"].default.dir
    return Path(state) if isinstance(state, str | Path) else None


def _environment(kind: type[BaseModel]) -> Values:
    """What the variables say: a table for a whole section, or a value for one key, which counts more."""
    known = _variables(kind)
    values: Values = {}
    # A section's own name sorts before those of its keys.
    for name in sorted(os.environ, key=str.upper):
        if not name.upper().startswith(ENV_PREFIX):
            continue
        if name.upper() not in known:
            raise ConfigError(
                say("environment variable {name}: sets nothing", name=name), fix=_nearest(name.upper(), known)
            )
        section, key, annotation = known[name.upper()]
        value = _parsed(name) if _structured(annotation) else os.environ[name]
        values = _over(values, {section: value if key is None else {key: value}})
    return values


def _variables(kind: type[BaseModel]) -> dict[str, tuple[str, str | None, object]]:
    """The name of each variable that sets something: a section or a key of it, and its type."""
    known: dict[str, tuple[str, str | None, object]] = {}
    for section, about in kind.model_fields.items():
        name = f"{ENV_PREFIX}{section}".upper()
        known[name] = (section, None, about.annotation)
        for key, inner in getattr(about.annotation, "model_fields", {}).items():
            known[f"{name}__{key}".upper()] = (section, key, inner.annotation)
    return known


def _parsed(name: str) -> object:
    try:
        return json.loads(os.environ[name])
    except ValueError:
        raise ConfigError(
            say("environment variable {name}: no valid JSON", name=name),
            fix=say("write lists and tables in a variable as JSON"),
        ) from None


def _structured(kind: object) -> bool:
    """Whether values of this type are lists or tables, and in a variable JSON therefore."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _structured(get_args(kind)[0])
    if origin in (Union, UnionType):
        return any(map(_structured, get_args(kind)))
    plain = origin or kind
    return isinstance(plain, type) and issubclass(plain, (list, tuple, dict, set, frozenset, BaseModel))


def _nearest(word: str, known: Collection[str]) -> Text:
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    if close:
        return say("did you mean {word}?", word=close[0])
    return say("known are {names}", names=", ".join(sorted(known)))


def _variable(loc: list[str]) -> Text:
    """The environment variable that sets the key at `loc`, named as it is written."""
    for length, what in ((2, ""), (1, f": {'.'.join(loc)}")):
        wanted = ENV_PREFIX + "__".join(loc[:length]).upper()
        for name in os.environ:
            if name.upper() == wanted:
                return joined("", (say("environment variable {name}", name=name), verbatim(what)))
    raise LookupError(f"no variable sets {'.'.join(loc)}")
