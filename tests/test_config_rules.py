"""agent.config_rules: zones, lines and rules, and how a wrong one is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.config import load
from agent.config_rules import Hours
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

ZONE = '[[view.zones]]\nname = "door"\npolygon = [[0, 0], [1, 0], [1, 1]]\n'
LINE = '[[view.lines]]\nname = "stairs"\nstart = [0, 0.5]\nend = [1, 0.5]\nleft = "up"\nright = "down"\n'


def test_a_whole_view(tmp_path: Path) -> None:
    """Zones, lines and rules that name them, as a file gives them."""
    file = tmp_path / "agent.toml"
    file.write_text(
        ZONE
        + 'persons = "include"\nmotion = "exclude"\nmin_height = 0.1\n'
        + LINE
        + 'zones = ["door"]\n[loitering]\nenabled = true\nzones = ["door"]\n'
        + '[after_hours]\nclosed = ["22:00-06:00", "sat-sun 00:00-24:00"]\ntimezone = "Europe/Warsaw"\n'
    )
    settings = load(file)

    [zone], [line] = settings.view.zones, settings.view.lines
    assert ("door", "include", "exclude", 0.1, 1.0) == (
        zone.name,
        zone.persons,
        zone.motion,
        zone.min_height,
        zone.max_height,
    )
    assert ((0.0, 0.5), (1.0, 0.5), ("door",)) == (line.start, line.end, line.zones)
    assert ("Europe/Warsaw", ("door",)) == (settings.after_hours.timezone, settings.loitering.zones)


def test_everything_but_presence_is_off() -> None:
    """An update of the agent makes no kit say more than it was told to."""
    settings = load()

    assert (False, False, ()) == (
        settings.loitering.enabled,
        settings.gathering.enabled,
        settings.after_hours.closed,
    )
    assert "Europe/Kyiv" == settings.after_hours.timezone


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        (
            ZONE + '[loitering]\nzones = ["dor"]\n',
            "loitering.zones = 'dor': no such zone",
            "did you mean door?",
        ),
        (
            ZONE + '[gathering]\nzones = ["door", "x"]\n',
            "gathering.zones = 'x': no such zone",
            "known are door",
        ),
        ('[after_hours]\nzones = ["door"]\n', "after_hours.zones = 'door': no such zone", "[[view.zones]]"),
        (
            ZONE + LINE + 'zones = ["dore"]\n',
            "view.lines.0.zones = 'dore': no such zone",
            "did you mean door?",
        ),
        (ZONE + ZONE, "two are named door", "config schema"),
        (LINE + LINE, "two are named stairs", "config schema"),
        (ZONE.replace("[1, 1]", "[0.5, 0]"), "view.zones.0.polygon", "config schema"),
        (ZONE.replace("[1, 1]", "[0.5, 0]"), "the polygon encloses nothing", "config schema"),
        (ZONE.replace(", [1, 1]", ""), "view.zones.0.polygon", "config schema"),
        (ZONE.replace("[1, 1]", "[1, 1.2]"), "view.zones.0.polygon.2.1 = 1.2", "config schema"),
        (ZONE.replace("door", "Door"), "view.zones.0.name = 'Door'", "config schema"),
        (ZONE + 'persons = "maybe"\n', "view.zones.0.persons = 'maybe'", "config schema"),
        (
            ZONE + "min_height = 0.5\nmax_height = 0.5\n",
            "min_height must be below max_height",
            "config schema",
        ),
        (LINE.replace("[1, 0.5]", "[0, 0.5]"), "start and end are one point", "config schema"),
        (LINE.replace("down", "up"), "left and right must differ", "config schema"),
        ('[after_hours]\nclosed = ["22-6"]\n', 'write it as "22:00-06:00"', "config schema"),
        ('[after_hours]\nclosed = ["22:00-25:00"]\n', "a day has 24 hours", "config schema"),
        ('[after_hours]\nclosed = ["24:00-06:00"]\n', "a day has 24 hours", "config schema"),
        ('[after_hours]\nclosed = ["06:00-06:00"]\n', "the end is the start", "config schema"),
        (
            '[after_hours]\ntimezone = "Europe/Kiyv"\n',
            "'Europe/Kiyv': no such IANA time zone",
            "config schema",
        ),
        ('[after_hours]\ntimezone = "../etc/passwd"\n', "no such IANA time zone", "config schema"),
        ('[after_hours]\ntimezone = ""\n', "no such IANA time zone", "config schema"),
        ("[gathering]\npersons = 1\n", "gathering.persons = 1", "config schema"),
        ("[loitering]\ndwell_s = 0\n", "loitering.dwell_s = 0", "config schema"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, problem: str, fix: str) -> None:
    """The message names the key, the value and the way out."""
    file = tmp_path / "agent.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)

    assert problem in caught.value.problem
    assert fix in caught.value.fix


def test_a_wrong_zone_in_a_variable_is_named_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever set it there finds it."""
    monkeypatch.setenv("STAIRWELL_LOITERING__ZONES", '["attic"]')
    with pytest.raises(ConfigError, match="environment variable STAIRWELL_LOITERING__ZONES = 'attic'"):
        load()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("22:00-06:00", Hours(frozenset(range(7)), 1320, 360)),
        ("00:00-24:00", Hours(frozenset(range(7)), 0, 1440)),
        ("wed 09:05-10:00", Hours(frozenset({2}), 545, 600)),
        ("mon-fri 08:00-17:00", Hours(frozenset(range(5)), 480, 1020)),
        ("fri-mon 20:00-21:00", Hours(frozenset({4, 5, 6, 0}), 1200, 1260)),
    ],
)
def test_hours_are_read(text: str, expected: Hours) -> None:
    """Days may go over the end of the week."""
    assert expected == Hours.of(text)
