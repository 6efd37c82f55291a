"""The inventory: which kit hangs where, as a table that people keep (CSV) or programs write (TOML).

Each row is checked by itself and against the others, and all that is wrong is told at once: a list of a
thousand kits is corrected in one go. Nothing is taken in of a list in which one row is wrong.
"""

from __future__ import annotations

import csv
import difflib
import io
import tomllib
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from agent.city.kits import State
from agent.config import Clips, Kit, Site
from agent.config_fields import Section, Slug
from agent.errors import ConfigError
from agent.kitid import check_kit_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent.city.kits import Kit as Known

RETENTION_MAX_H = next(m.le for m in Clips.model_fields["retention_h"].metadata if hasattr(m, "le"))
MORE = "(more)"
"""In place of a column's name: what stands behind the last column."""


def _check_seen(text: str) -> str:
    hidden = next(
        (sign for sign in text if unicodedata.category(sign)[0] == "C" or sign in "\u2028\u2029"), None
    )
    if hidden is not None:
        raise ValueError(f"has a character that nobody sees (U+{ord(hidden):04X})")
    return text


Text200 = Annotated[str, Field(max_length=200), AfterValidator(_check_seen)]
Named = Annotated[Text200, Field(min_length=1)]


def _check_id(kit: str) -> str:
    if kit == Kit().id:
        raise ValueError("is no kit's id, but the one that an agent without a name has")
    return check_kit_id(kit.lower()) if kit else ""


class Row(Section):
    """One kit of the list. Without `kit` it is a new one, and gets an id."""

    model_config = ConfigDict(str_strip_whitespace=True, coerce_numbers_to_str=True)

    kit: Annotated[str, AfterValidator(_check_id)] = ""
    oblast: Annotated[str, Field(pattern=r"^[0-9]{2}$")]
    city: Slug
    district: Slug
    katotth: Annotated[str, Field(pattern=r"^(UA[0-9]{17})?$")] = ""
    precinct: Text200 = ""
    building: Named
    entrance: Named
    floor: Annotated[int | None, Field(ge=-9, le=99)] = None
    purpose: Named
    retention_h: Annotated[float, Field(gt=0, le=RETENTION_MAX_H)] = 72.0

    @property
    def site(self) -> Site:
        """Where it hangs, as kits say it."""
        return Site(**self.model_dump(include=set(Site.model_fields)))


COLUMNS = tuple(Row.model_fields)
REQUIRED = {name for name, of in Row.model_fields.items() if of.is_required()}
FIXES = {
    "kit": "read the label again, or leave it empty for a new kit",
    "oblast": "two digits of ISO 3166-2:UA, as 51 for Odesa; spreadsheets drop a leading zero",
    "city": "a short name of lower-case Latin letters, digits and dashes, as odesa",
    "district": "a short name of lower-case Latin letters, digits and dashes, as kyivskyi",
    "katotth": "UA and 17 digits, or nothing",
    "precinct": "200 characters at most",
    "building": "the building as the city's register names it, 200 characters at most",
    "entrance": "the entrance's number or name, 200 characters at most",
    "floor": "a whole number from -9 to 99, or nothing",
    "purpose": "what this camera is for, in one sentence: the law wants it",
    "retention_h": f"hours that clips are kept, {RETENTION_MAX_H:.0f} at most",
}
"""How each column is put right."""
PROBLEMS = {
    "string_pattern_mismatch": "has not the form that is wanted",
    "string_too_long": "is too long",
    "int_parsing": "is no whole number",
    "int_from_float": "is no whole number",
    "float_parsing": "is no number",
    "finite_number": "is no number",
}
"""What is wrong, for people who keep lists, by Pydantic's word for it."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with one field. `row` is the line of a CSV file, the number of a TOML table."""

    row: int
    column: str
    value: str
    problem: str
    fix: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """A list as it was read: the rows that are right by their number, and all that is wrong."""

    rows: dict[int, Row] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of the register by a list."""

    new: list[Row] = field(default_factory=list)
    changed: list[Row] = field(default_factory=list)
    same: list[Row] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)


def read(path: Path) -> Inventory:
    """A list in a file: `.toml` with `[[kit]]` tables, anything else as CSV with a comma or a semicolon.

    Raises:
        ConfigError: it cannot be read as such a list at all.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", fix="name the list of kits") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not in UTF-8", fix='save it as "CSV UTF-8"') from None
    found = Inventory()
    for number, fields in _tables(text, path) if path.suffix == ".toml" else _lines(text, path):
        try:
            found.rows[number] = Row(**fields)
        except ValidationError as error:
            found.flaws.extend(_flaws(number, error))
    found.flaws.extend(_alike(found.rows))
    found.flaws.sort(key=lambda flaw: flaw.row)
    return found


def plan(inventory: Inventory, register: list[Known]) -> Plan:
    """What a list means for the kits that are known: those with an id of theirs are changed, others added."""
    made = Plan(flaws=list(inventory.flaws))
    known = {kit.kit: kit for kit in register}
    places = {_place(kit.site): kit.kit for kit in register if kit.state is not State.RETIRED}
    for number, row in inventory.rows.items():
        there = places.get(_place(row.site))
        before = known.get(row.kit)
        if before is not None:
            same = (row.site, row.purpose, row.retention_h) == (
                before.site,
                before.purpose,
                before.retention_h,
            )
            (made.same if same else made.changed).append(row)
        elif there is not None and not row.kit:
            problem = f"{there} hangs there already"
            fix = f"write {there} here if it is that kit; a second one needs another floor"
            made.flaws.append(Flaw(number, "kit", "", problem, fix))
        else:
            made.new.append(row)
    made.flaws.sort(key=lambda flaw: flaw.row)
    return made


def text(kits: list[Known]) -> str:
    """The register as a list that `read` takes."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for kit in kits:
        site = kit.site.model_dump(exclude_none=True)
        writer.writerow(
            {**site, "kit": kit.kit, "purpose": kit.purpose, "retention_h": f"{kit.retention_h:g}"}
        )
    return out.getvalue()


def _lines(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    head = text.partition("\n")[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey=MORE, delimiter=delimiter, strict=True)
    try:
        _check_columns(reader.fieldnames or (), path)
        for line in reader:
            given = {key: value for key, value in line.items() if value and (key == MORE or value.strip())}
            if given:
                yield reader.line_num, given
    except csv.Error as error:
        begun = reader.line_num + 1  # of the row that could not be read to its end
        raise ConfigError(f"{path}: line {begun}: no CSV ({error})", fix="save it anew") from None


def _tables(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: no TOML ({error})", fix="correct the line") from None
    tables = values.get("kit")
    if set(values) != {"kit"} or not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise ConfigError(
            f"{path}: has other things than [[kit]] tables", fix="one [[kit]] table for each kit"
        )
    yield from enumerate(tables, 1)


def _check_columns(names: Sequence[str], path: Path) -> None:
    unknown = [str(name) for name in names if name not in COLUMNS]
    missing = sorted(REQUIRED - set(names))
    twice = sorted({str(name) for name in names if list(names).count(name) > 1})
    problems = [f"unknown column {name!r}" for name in unknown]
    problems += [f"no column {name!r}" for name in missing]
    problems += [f"column {name!r} twice" for name in twice]
    if problems:
        near = [m for name in unknown for m in difflib.get_close_matches(name, COLUMNS, 1)]
        hint = f"; did you mean {', '.join(near)}" if near else ""
        raise ConfigError(f"{path}: {', '.join(problems)}", fix=f"columns are {', '.join(COLUMNS)}{hint}")


def _flaws(number: int, error: ValidationError) -> Iterator[Flaw]:
    for item in error.errors():
        column = str(item["loc"][0]) if item["loc"] else ""
        problem = PROBLEMS.get(item["type"], item["msg"].removeprefix("Value error, "))
        if item["type"] == "missing":
            yield Flaw(number, column, "", "is empty", FIXES[column])
        elif item["type"] == "extra_forbidden":
            problem = "more fields than columns" if column == MORE else "unknown key"
            yield Flaw(number, column, str(item["input"])[:80], problem, f"columns are {', '.join(COLUMNS)}")
        else:
            yield Flaw(number, column, str(item["input"])[:80], problem, FIXES[column])


def _alike(rows: dict[int, Row]) -> Iterator[Flaw]:
    """Rows that say the same of two kits."""
    ids: dict[str, int] = {}
    places: dict[tuple[object, ...], int] = {}
    for number, row in rows.items():
        if row.kit and row.kit in ids:
            yield Flaw(number, "kit", row.kit, f"is row {ids[row.kit]}'s too", FIXES["kit"])
        elif not row.kit and _place(row.site) in places:
            problem = f"the same place as row {places[_place(row.site)]}"
            yield Flaw(number, "entrance", row.entrance, problem, "name the floor, or leave one of them out")
        ids.setdefault(row.kit, number)
        places.setdefault(_place(row.site), number)


def _place(site: Site) -> tuple[object, ...]:
    return site.oblast, site.city, site.district, site.building, site.entrance, site.floor
