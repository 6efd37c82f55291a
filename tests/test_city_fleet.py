"""The register at work: a thousand kits by the command line, claims, cards, states and who did what."""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import tomllib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from clips_keys import RECIPIENTS
from commandline import stairwell

from agent.city import claims, fleet, inventory, issued
from agent.city.kits import MOVES, State
from agent.city.office import Office
from agent.city.registry import NAME, Registry
from agent.city.settings import CitySettings
from agent.config import Passport, Settings, load
from agent.device import kitfile
from agent.device.enrolfile import EnrolFile
from agent.errors import ConfigError, StorageError
from agent.kitid import check_kit_id

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC).replace(microsecond=0)
SETTINGS = CitySettings(name="odesa", url="https://localhost:8443", broker_host="localhost")
KITS = 1000


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office.create(tmp_path / "city", SETTINGS, None, "test", NOW)


@pytest.fixture
def kit(office: Office) -> str:
    """One kit in the register."""
    row = inventory.Row(
        oblast="51", city="odesa", district="kyivskyi", building="b", entrance="1", purpose="p"
    )
    [made] = fleet.take_in(office.registry, inventory.Plan(new=[row]), "test", NOW)
    return made.kit


def test_a_thousand_kits(tmp_path: Path) -> None:
    """From a list to a thousand cards by three commands: every id is there once, and so is every claim."""
    city, cards, path = tmp_path / "city", tmp_path / "cards", tmp_path / "kits.csv"
    rows = [f"51,odesa,kyivskyi,вул. Тестова {n // 4},{n % 4 + 1},1,безпека\n" for n in range(KITS)]
    path.write_text("oblast,city,district,building,entrance,floor,purpose\n" + "".join(rows), "utf-8")
    made = stairwell(
        *("ca", "init", "--name", "odesa", "--url", "https://localhost:8443", "--broker", "localhost"),
        *("--open-keys", "--city", city),
    )
    assert 0 == made.returncode, made.stderr
    done = stairwell("fleet", "import", path, "--json", "--city", city)
    assert (0, "1000 new, 0 changed, 0 as before\n") == (done.returncode, done.stderr)
    ids = {check_kit_id(kit["kit"]) for kit in json.loads(done.stdout)}
    assert KITS == len(ids)
    done = stairwell("fleet", "claim", "--all", "--out", cards, "--city", city)
    assert 0 == done.returncode, done.stderr
    files = [EnrolFile.read(card) for card in sorted(cards.iterdir())]
    assert ids == {file.kit for file in files}
    assert KITS == len({file.claim for file in files})
    assert {0o600} == {card.stat().st_mode & 0o777 for card in cards.iterdir()}
    # A second time none loses its claim; one that is named does.
    one, *_ = sorted(ids)
    done = stairwell("fleet", "claim", "--all", "--out", cards, "--city", city)
    assert (0, "") == (done.returncode, done.stdout)
    assert "1000 kits passed over: a claim of each still counts" in done.stderr
    assert files == [EnrolFile.read(card) for card in sorted(cards.iterdir())]
    assert 0 == stairwell("fleet", "claim", one, "--out", cards, "--city", city).returncode
    assert files[0].claim != EnrolFile.read(cards / f"{one}.toml").claim
    # What is written there is what the agent's own settings take.
    Settings(kit={"id": files[0].kit}, **files[0].settings)
    listed = stairwell("fleet", "list", "--state", "manufactured", "--json", "--city", city)
    assert ids == {kit["kit"] for kit in json.loads(listed.stdout)}


def test_a_wrong_list_at_the_command_line(tmp_path: Path, office: Office) -> None:
    """A table of what is wrong, one line that nothing was done, and the exit code of a configuration."""
    path = tmp_path / "kits.csv"
    path.write_text("oblast,city,district,building,entrance,purpose\n5,odesa,Київський,b,1,p\n", "utf-8")
    done = stairwell("fleet", "import", path, "--city", office.directory)
    assert 3 == done.returncode
    assert f"stairwell: {path}: 1 row wrong. Fix: nothing was taken in; correct and retry\n" == done.stderr
    table = [line.split() for line in done.stdout.splitlines()]
    assert [["2", "oblast", "'5'"], ["2", "district", "'Київський'"]] == [line[:3] for line in table[1:]]


def test_claims_are_kept_as_hashes(office: Office, kit: str) -> None:
    """Who reads the register or its journal finds no claim that could be used."""
    [claim] = fleet.make_claims(office.registry, [kit], "test", NOW)
    assert claims.BITS <= claims.DIGIT_BITS * len(claim.text)
    for path in office.directory.glob("fleet.db*"):
        assert claim.text.encode() not in path.read_bytes()
    with office.registry.transaction() as db:
        assert claims.find(db, kit, claim.text)
        assert None is claims.find(db, "k7f3k2qx4m", claim.text)


def test_one_claim_counts(office: Office, kit: str) -> None:
    """A new claim ends the one before; it lives for three days unless something else is wanted."""
    first, second = (fleet.make_claims(office.registry, [kit], "test", NOW)[0] for _ in range(2))
    with office.registry.transaction() as db:
        before, after = claims.find(db, kit, first.text), claims.find(db, kit, second.text)
    assert before
    assert after
    assert before.withdrawn
    assert not after.withdrawn
    assert (NOW + timedelta(hours=72)).strftime("%Y-%m-%dT%H:%M:%SZ") == after.expires
    for hours in (0, -1, 10_000):
        with pytest.raises(ConfigError, match="no life of a claim"):
            fleet.make_claims(office.registry, [kit], "test", NOW, hours)


def test_states_follow_their_order(office: Office, kit: str) -> None:
    """What may follow follows and is told in the trail; all else is refused and changes nothing."""
    for before, after in itertools.product(State, State):
        with office.registry.transaction() as db:
            db.execute("UPDATE kits SET state = ?", (before,))
        lines = len(office.registry.trail(kit))
        if after in MOVES[before]:
            office.registry.move(kit, after, "olena", "a reason", NOW)
            assert after == office.registry.kit(kit).state
            assert f"was {before}: a reason" == office.registry.trail(kit)[-1].detail
        else:
            with pytest.raises(ConfigError, match=f"{before} cannot become {after}"):
                office.registry.move(kit, after, "olena", "a reason", NOW)
            assert (before, lines) == (office.registry.kit(kit).state, len(office.registry.trail(kit)))


def test_states_that_come_about_by_themselves(office: Office, kit: str) -> None:
    """Nobody can say that a kit was claimed, or lock it out without its certificates."""
    for state in ("claimed", "quarantined", "retired", "manufactured"):
        done = stairwell("fleet", "move", kit, "--to", state, "--why", "x", "--city", office.directory)
        assert 64 == done.returncode
        assert "comes about by" in done.stderr


def test_a_card_that_is_lost_before_it_enrols(office: Office, kit: str) -> None:
    """Its claim counts no more, and a new one brings the kit back."""
    [claim] = fleet.make_claims(office.registry, [kit], "test", NOW)
    done = stairwell("fleet", "revoke", kit, "--why", "a lost card", "--city", office.directory)
    assert 0 == done.returncode, done.stderr
    with office.registry.transaction() as db:
        kept = claims.find(db, kit, claim.text)
        assert kept
        assert kept.withdrawn
        assert set() == claims.counting(db, NOW)
    assert State.QUARANTINED == office.registry.kit(kit).state
    fleet.make_claims(office.registry, [kit], "test", NOW)
    with office.registry.transaction() as db:
        assert {kit} == claims.counting(db, NOW)
        assert set() == claims.counting(db, NOW + timedelta(hours=72))


def test_what_a_retired_kit_leaves(office: Office, kit: str) -> None:
    """It never comes back: no claim, no state, no second kit of that id."""
    [claim] = fleet.make_claims(office.registry, [kit], "test", NOW)
    fleet.lock_out(office, kit, State.RETIRED, issued.CESSATION, "test", "the house is gone", NOW)
    with office.registry.transaction() as db:
        kept = claims.find(db, kit, claim.text)
    assert kept
    assert kept.withdrawn
    with pytest.raises(ConfigError, match="is retired"):
        fleet.make_claims(office.registry, [kit], "test", NOW)
    with pytest.raises(ConfigError, match="in the register already"):
        office.registry.add([office.registry.kit(kit)], "test", NOW)


def test_show(office: Office, kit: str) -> None:
    """Everything of one kit, for programs and for people; nothing of it is a secret."""
    [claim] = fleet.make_claims(office.registry, [kit], "test", NOW)
    shown = stairwell("fleet", "show", kit, "--json", "--city", office.directory)
    known = json.loads(shown.stdout)
    assert ["added", "claim made"] == [line["act"] for line in known["trail"]]
    assert [claim.expires] == [one["expires"] for one in known["claims"]]
    table = stairwell("fleet", "show", kit, "--city", office.directory).stdout
    assert kit in table
    assert claim.text not in table + shown.stdout
    unknown = stairwell("fleet", "show", "k7f3k2qx4m", "--city", office.directory)
    assert (3, True) == (unknown.returncode, "not in the register" in unknown.stderr)


def test_what_only_the_city_knows_reaches_the_kit(tmp_path: Path) -> None:
    """The passport's texts and who opens support bundles: from city.toml and the register, by the card."""
    texts = {"controller": 'ОСББ "Затишок"', "contact": "вул. А, 1\x7f\U0001f4de", "basis": "рішення № 7\\1"}
    settings = SETTINGS.model_copy(update={**texts, "support_recipients": RECIPIENTS})
    office = Office.create(tmp_path / "city", settings, None, "test", NOW)
    assert settings == office.settings
    place = {"oblast": "51", "city": "odesa", "district": "kyivskyi", "building": "b", "entrance": "1"}
    row = inventory.Row(**place, purpose="безпека мешканців")
    [kit] = fleet.take_in(office.registry, inventory.Plan(new=[row]), "test", NOW)
    [claim] = fleet.make_claims(office.registry, [kit.kit], "test", NOW)
    card = fleet.card(office, kit, claim, office.root_pem(), office.platform_public())
    kitfile.write(tmp_path / "agent.toml", EnrolFile.parse(card.text().encode(), "card"), tmp_path)
    known = load(tmp_path / "agent.toml")
    assert Passport(purpose="безпека мешканців", **texts) == known.passport
    assert RECIPIENTS == known.support.recipients


def test_the_card_says_nothing_wrong(office: Office, kit: str) -> None:
    """The file survives being written and read; what is damaged is refused without telling the claim."""
    [claim] = fleet.make_claims(office.registry, [kit], "test", NOW)
    file = fleet.card(office, office.registry.kit(kit), claim, office.root_pem(), office.platform_public())
    assert file == EnrolFile.parse(file.text().encode(), "card")
    assert f"BO1:{kit}:{claim.text}" == file.label
    values = tomllib.loads(file.text())
    for key, value, said in (
        ("kit", "k7f3k2qx4a", "kit: the check character is wrong"),
        ("claim", claim.text[:-1], "claim: a claim is 26 characters"),
        ("url", "http://localhost", "url: an address of the form https"),
        ("ca", "nothing", "ca: no certificates in PEM"),
        ("ca", (office.directory / "ca.pem").read_text(), "ca: not a root"),
        ("claim_expires", "tomorrow", "claim_expires: String should match"),
    ):
        spoilt = "\n".join(
            f"{k} = {json.dumps(v)}" for k, v in {**values, key: value}.items() if k != "settings"
        )
        with pytest.raises(ConfigError, match=said) as refused:
            EnrolFile.parse(spoilt.encode(), "card")
        assert claim.text[:-1] not in str(refused.value)
    for content in (b"\xff\xfe", b"v = ", b"#" * 100_000):
        with pytest.raises(ConfigError, match="card: no TOML"):
            EnrolFile.parse(content, "card")


def test_a_register_with_a_damaged_page(office: Office, kit: str) -> None:
    """Said in a sentence with what to do, by whatever asks next; what is open lets go of it and goes on."""
    office.close()
    path = office.directory / NAME
    with contextlib.closing(sqlite3.connect(path)) as db:
        size = db.execute("PRAGMA page_size").fetchone()[0]
        page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'kits'").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    with Registry(office.directory) as registry:
        for _ in range(2):
            with pytest.raises(StorageError, match="malformed") as caught:
                registry.kit(kit)
            assert "restore its backup" in caught.value.fix
        assert ["created", "added"] == [entry.act for entry in registry.trail()]
    done = stairwell("fleet", "list", "--city", office.directory)
    assert (6, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr


def test_a_full_disk_is_no_damage(office: Office, kit: str) -> None:
    """The other fix is told then, and nothing of the change is there."""
    with office.registry.transaction() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="full") as caught:
        office.registry.note("written", "test", "x" * 100_000, NOW)
    assert "neither full nor read-only" in caught.value.fix
    assert ["added"] == [entry.act for entry in office.registry.trail(kit)]


def test_a_register_that_is_none(tmp_path: Path, office: Office) -> None:
    """Absent, damaged, or of a newer version: said in a sentence, and nothing is written."""
    with pytest.raises(ConfigError, match="there is no register of kits"):
        Registry(tmp_path / "nowhere")
    with office.registry.transaction() as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="of version 99, newer than 1"):
        Registry(office.directory)
    office.close()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match="the register cannot be opened"):
        Registry(damaged)
    assert (damaged / NAME).read_bytes().startswith(b"no database")
