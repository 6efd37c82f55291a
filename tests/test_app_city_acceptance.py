"""What the city makes of a kit's record: `stairwell fleet accept`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from commandline import Ended, stairwell

from agent import checkedfile
from agent.city import fleet, inventory
from agent.city.kits import State
from agent.city.office import Office
from agent.city.settings import CitySettings

NOW = datetime.now(UTC).replace(microsecond=0)
SETTINGS = CitySettings(name="odesa", url="https://localhost:8443", broker_host="localhost")
EXAMPLE = Path(__file__).parent.parent / "agent" / "backbone" / "contract" / "examples" / "accept.json"
KIT = json.loads(EXAMPLE.read_text("utf-8"))["dev"]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """A city whose kit of the example was claimed."""
    made = Office.create(tmp_path / "city", SETTINGS, None, "test", NOW)
    site = {"oblast": "51", "city": "odesa", "district": "kyivskyi", "building": "b-17", "entrance": "2"}
    row = inventory.Row(kit=KIT, purpose="p", **site)
    fleet.take_in(made.registry, inventory.Plan(new=[row]), "test", NOW)
    made.registry.move(KIT, State.CLAIMED, "test", "a claim", NOW)
    return made


def taken(office: Office, path: Path) -> Ended:
    """The command with this file."""
    return stairwell("fleet", "accept", path, "--city", office.directory)


def record(directory: Path, **changed: Any) -> Path:  # noqa: ANN401 - any field of the message
    """The example as a file, changed."""
    path = directory / "record.json"
    path.write_text(json.dumps({**json.loads(EXAMPLE.read_text("utf-8")), **changed}), "utf-8")
    return path


def test_a_record_commissions_its_kit_once(office: Office, tmp_path: Path) -> None:
    """The message does it; the same off the card changes nothing; the trail tells who signed, and the key."""
    message = json.loads(EXAMPLE.read_text("utf-8"))
    body = {key: value for key, value in message.items() if key not in {"stream", "seq"}}
    checkedfile.write(tmp_path / "acceptance.json", json.dumps(body).encode())

    first, again = taken(office, EXAMPLE), taken(office, tmp_path / "acceptance.json")

    assert (0, f"{KIT}: commissioned, signed by {message['by']}\n") == (first.returncode, first.stdout)
    assert (0, True) == (again.returncode, "was taken already" in again.stdout)
    assert State.COMMISSIONED is office.registry.kit(KIT).state
    (line,) = [entry for entry in office.registry.trail(KIT) if entry.act == State.COMMISSIONED]
    assert message["by"] in line.detail
    assert "key 21fe31dfa154a261" in line.detail


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dev": "k2m4p6r8tb"}, "not in the register"),
        (
            {"site": {"oblast": "51", "city": "odesa", "district": "kyivskyi", "building": "b-18"}},
            "another place",
        ),
        ({"steps": []}, "no record of a commissioning (steps"),
        ({"steps": [{"step": "aim", "state": "passed", "ts": None, "by": "x"}]}, "steps are missing: view"),
        ({"key": "AAAA"}, "is no"),
        ({"extra": 1}, "no record of a commissioning (extra"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(
    office: Office, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    """It says what is wrong, and the kit stays as it was."""
    ended = taken(office, record(tmp_path, **changed))

    assert (3, True) == (ended.returncode, said in ended.stderr), ended.stderr
    assert State.CLAIMED is office.registry.kit(KIT).state


def test_a_damaged_file_and_a_kit_that_is_locked_out(office: Office, tmp_path: Path) -> None:
    """Neither is taken for anything else."""
    path = tmp_path / "acceptance.json"
    checkedfile.write(path, EXAMPLE.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"odesa", b"lviv!"))
    damaged, absent = taken(office, path), taken(office, tmp_path / "none.json")
    office.registry.move(KIT, State.QUARANTINED, "test", "stolen", NOW)
    locked = taken(office, EXAMPLE)

    assert [3, 3, 3] == [damaged.returncode, absent.returncode, locked.returncode]
    assert "is damaged" in damaged.stderr
    assert "cannot be read" in absent.stderr
    assert "is quarantined" in locked.stderr
