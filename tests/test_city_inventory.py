"""The list of kits: what is taken, and that all that is wrong with it is told at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from agent.city import fleet, inventory
from agent.city.inventory import Flaw
from agent.city.kits import State
from agent.city.registry import Registry
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 27, 10, tzinfo=UTC)
HEAD = "kit,oblast,city,district,building,entrance,floor,purpose,retention_h\n"
RIGHT = ",51,odesa,kyivskyi,вул. Левітана 12,2,1,безпека під'їзду,48\n"


def listed(folder: Path, text: str | bytes, name: str = "kits.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "city", create=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kits.csv", HEAD + RIGHT),
        ("kits.csv", "\N{BOM}" + (HEAD + RIGHT).replace(",", ";").replace("\n", "\r\n")),
        ("kits.csv", HEAD + ",,,,,,,,\n" + RIGHT.replace("odesa", "  odesa ") + "\n"),
        (
            "kits.toml",
            (
                '[[kit]]\noblast = "51"\ncity = "odesa"\ndistrict = "kyivskyi"\n'
                'building = "вул. Левітана 12"\nentrance = 2\nfloor = 1\n'
                'purpose = "безпека під\'їзду"\nretention_h = 48\n'
            ),
        ),
    ],
    ids=["commas", "a spreadsheet's", "with blanks", "TOML"],
)
def test_lists_as_people_have_them(tmp_path: Path, name: str, text: str) -> None:
    """Commas or semicolons, a byte order mark, empty lines, spaces, TOML: all say the same."""
    found = inventory.read(listed(tmp_path, text, name))
    assert [] == found.flaws
    [row] = found.rows.values()
    assert ("51", "odesa", "kyivskyi") == (row.oblast, row.city, row.district)
    assert ("вул. Левітана 12", "2", 1, 48.0) == (row.building, row.entrance, row.floor, row.retention_h)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """With the line, the column, the value and what to do, for every field of every row."""
    text = HEAD + (
        "k7f3k2qx4a,51,Odesa,kyivskyi,b,1,x,p,200\n"
        ",5,odesa,,,1,1,,0\n"
        ",51,odesa,kyivskyi,b,1,1,p,72,more\n"
        ",51,odesa,kyivskyi,b,2,1,p,72\n"
        ",51,odesa,kyivskyi,b,2,1,p,72\n"
        "k7f3k2qx4m,51,odesa,kyivskyi,b,3,1,p,72\n"
        "K7F3K2QX4M,51,odesa,kyivskyi,b,4,1,p,72\n"
        "0000000000,51,odesa,kyivskyi,b,5,1,p,72\n"
    )
    found = inventory.read(listed(tmp_path, text))
    assert [
        (2, "city", "Odesa"),
        (2, "floor", "x"),
        (2, "kit", "k7f3k2qx4a"),
        (2, "retention_h", "200"),
        (3, "building", ""),
        (3, "district", ""),
        (3, "oblast", "5"),
        (3, "purpose", ""),
        (3, "retention_h", "0"),
        (4, "(more)", "['more']"),
        (6, "entrance", "2"),
        (8, "kit", "k7f3k2qx4m"),
        (9, "kit", "0000000000"),
    ] == sorted((flaw.row, flaw.column, flaw.value) for flaw in found.flaws)
    assert all(flaw.fix and flaw.problem for flaw in found.flaws)
    assert not any(word in flaw.problem for flaw in found.flaws for word in ("pattern", "parse"))
    check = next(flaw for flaw in found.flaws if flaw.column == "kit")
    assert "the check character is wrong: k7f3k2qx4 ends in m" in check.problem


@pytest.mark.parametrize("sign", ["\0", "\x1b", "\n", "\u202e", "\ufeff", "\u2028"])
@pytest.mark.parametrize("column", ["building", "entrance", "purpose"])
def test_a_character_that_nobody_sees(tmp_path: Path, sign: str, column: str) -> None:
    """It would go on to labels, terminals and topics' payloads: it is named by its number."""
    row = {"oblast": "51", "city": "odesa", "district": "kyivskyi", "building": "b", "entrance": "1"}
    row |= {"floor": "1", "purpose": "p", "retention_h": "72"}
    row |= {column: f"a{sign}b"}
    cells = ",".join(f'"{row.get(name, "")}"' for name in HEAD.strip().split(","))
    [flaw] = inventory.read(listed(tmp_path, HEAD + cells + "\n")).flaws
    assert (column, f"a{sign}b") == (flaw.column, flaw.value)
    assert f"U+{ord(sign):04X}" in flaw.problem


def test_digits_of_another_script(tmp_path: Path) -> None:
    """A topic is ASCII: what looks like a number to Unicode is none."""
    [flaw] = inventory.read(listed(tmp_path, HEAD + ",\u0665\u0661,odesa,kyivskyi,b,1,1,p,72\n")).flaws
    assert "oblast" == flaw.column


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("kits.csv", "kit,oblst,city\n", "unknown column 'oblst', no column 'building'"),
        ("kits.csv", "city,city\n", "column 'city' twice"),
        ("kits.csv", b"", "no column 'building'"),
        ("kits.csv", "місто".encode("cp1251"), "not in UTF-8"),
        ("kits.csv", HEAD + '"51', "line 2: no CSV"),
        ("kits.toml", "[[kit]", "no TOML"),
        ("kits.toml", "[kit]\noblast = '51'\n", "other things than"),
        ("kits.toml", "kit = [1]\n", "other things than"),
    ],
)
def test_what_is_no_list(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    """A file that cannot be read as a list at all is refused in one sentence."""
    with pytest.raises(ConfigError, match=said.replace("[", r"\[")) as refused:
        inventory.read(listed(tmp_path, content, name))
    assert name in refused.value.problem
    with pytest.raises(ConfigError, match="cannot be read"):
        inventory.read(tmp_path / "none.csv")


def test_nothing_is_taken_of_a_list_with_a_flaw(tmp_path: Path, registry: Registry) -> None:
    """One wrong row, and the register stays as it was."""
    plan = inventory.plan(inventory.read(listed(tmp_path, HEAD + RIGHT + ",5,,,,,,,\n")), registry.kits())
    with pytest.raises(ConfigError):
        fleet.take_in(registry, plan, "test", NOW)
    assert [] == registry.kits()
    assert [] == registry.trail()


def test_the_same_list_twice(tmp_path: Path, registry: Registry) -> None:
    """A list without ids does not make each kit a second time; the exported one changes nothing."""
    found = inventory.read(listed(tmp_path, HEAD + RIGHT))
    [kit] = fleet.take_in(registry, inventory.plan(found, []), "test", NOW)
    again = inventory.plan(found, registry.kits())
    assert [Flaw(2, "kit", "", f"{kit.kit} hangs there already", again.flaws[0].fix)] == again.flaws
    exported = inventory.read(listed(tmp_path, inventory.text(registry.kits())))
    plan = inventory.plan(exported, registry.kits())
    assert ([], [], [], [kit.kit]) == (plan.flaws, plan.new, plan.changed, [row.kit for row in plan.same])


def test_a_kit_that_moves(tmp_path: Path, registry: Registry) -> None:
    """A row with a known id changes what is known; the territory where the kit still listens is kept."""
    found = inventory.read(listed(tmp_path, HEAD + RIGHT))
    [kit] = fleet.take_in(registry, inventory.plan(found, []), "test", NOW)
    moved = inventory.text(registry.kits()).replace("kyivskyi", "prymorskyi")
    plan = inventory.plan(inventory.read(listed(tmp_path, moved)), registry.kits())
    assert [] == fleet.take_in(registry, plan, "olena", NOW)
    now = registry.kit(kit.kit)
    assert "prymorskyi" == now.site.district
    assert ["kyivskyi"] == [place.district for place in now.former]
    assert ["added", "changed"] == [entry.act for entry in registry.trail(kit.kit)]
    assert "olena" == registry.trail(kit.kit)[-1].by


def test_a_retired_kit_leaves_its_place(tmp_path: Path, registry: Registry) -> None:
    """Another kit may hang where one hung that is gone."""
    found = inventory.read(listed(tmp_path, HEAD + RIGHT))
    [kit] = fleet.take_in(registry, inventory.plan(found, []), "test", NOW)
    registry.move(kit.kit, State.RETIRED, "test", "stolen", NOW)
    assert [] == inventory.plan(found, registry.kits()).flaws
