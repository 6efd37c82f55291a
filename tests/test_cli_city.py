"""The whole way at the command line: a city, a list, a card, the service, a kit that enrols and renews."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from broker import free_port
from commandline import done, stairwell

from agent.cli.fleet_tables import counted
from agent.device.enrolfile import EnrolFile
from agent.device.wallet import Wallet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIST = "oblast,city,district,building,entrance,purpose\n51,odesa,kyivskyi,вул. Левітана 12,2,безпека\n"
SENTENCE = "five words of a sentence"


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """A city whose keys are sealed."""
    directory, secret = tmp_path / "city", tmp_path / "secret"
    secret.write_text(f"{SENTENCE}\n")
    done(
        *("ca", "init", "--name", "odesa", "--url", f"https://localhost:{free_port()}"),
        *("--broker", "localhost", "--delivery", "puback", "--passphrase-file", secret, "--city", directory),
    )
    return directory


@pytest.fixture
def served(city: Path) -> Iterator[subprocess.Popen[str]]:
    """Its service, until the test ends."""
    port = json.loads((city / "city.toml").read_text().split("url = ")[1].split("\n")[0]).rpartition(":")[2]
    command = [sys.executable, "-m", "agent", "enrol", "serve", "--listen", f"127.0.0.1:{port}"]
    command += ["--passphrase-file", str(city.parent / "secret"), "--city", str(city)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert f"answers at 127.0.0.1:{port}\n" == running.stdout.readline()
        yield running
        running.kill()


def test_from_a_list_to_a_renewed_certificate(
    city: Path, served: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Each command does its part; the service ends in order when it is told to."""
    kits, cards, state = tmp_path / "kits.csv", tmp_path / "cards", tmp_path / "state"
    kits.write_text(LIST, "utf-8")
    kit = json.loads(done("fleet", "import", kits, "--json", "--city", city))[0]["kit"]
    card = cards / f"{kit}.toml"
    assert f"{card}\n" == done("fleet", "claim", kit, "--out", cards, "--city", city)
    assert "puback" == EnrolFile.read(card).settings["backbone"]["delivery"]
    assert kit in done("enrol", "join", "--file", card, "--state", state)

    config = tmp_path / "agent.toml"
    papers = state / "tls" / "kit"
    url = card.read_text().split('\nurl = "')[1].split('"')[0]
    config.write_text(
        f'[kit]\nid = "{kit}"\n[state]\ndir = "{state}"\n[backbone]\nenrol_url = "{url}"\n'
        f'ca_file = "{papers}/ca.pem"\ncert_file = "{papers}/kit.pem"\nkey_file = "{papers}/kit.key"\n'
    )
    before = Wallet(state / "tls").current()
    assert "not due\n" == done("enrol", "renew", "--config", config)
    assert "renewed\n" == done("enrol", "renew", "--force", "--config", config)
    after = Wallet(state / "tls").current()
    assert before is not None
    assert after is not None
    assert before.certificate != after.certificate

    given = json.loads(done("ca", "show", kit, "--json", "--city", city))
    assert [f"{one.certificate.serial_number:x}" for one in (before, after)] == [
        one["serial"] for one in given
    ]
    locked = done(
        *("fleet", "revoke", kit, "--why", "stolen", "--passphrase-file", city.parent / "secret"),
        *("--city", city),
    )
    assert locked.startswith("2 certificates taken back")
    refused = stairwell("enrol", "renew", "--force", "--config", config)
    assert (9, True) == (refused.returncode, "revoked: the certificate was taken back" in refused.stderr)
    served.send_signal(signal.SIGTERM)
    assert 0 == served.wait(60)


def test_kits_by_hand(city: Path, tmp_path: Path) -> None:
    """What is not done by a claim is done by a command: looked at first, listed, commissioned, retired."""
    kits = tmp_path / "kits.csv"
    kits.write_text(LIST, "utf-8")
    dry = stairwell("fleet", "import", kits, "--dry-run", "--city", city)
    assert (0, "1 new, 0 changed, 0 as before, nothing done\n") == (dry.returncode, dry.stderr)
    assert [] == json.loads(done("fleet", "list", "--json", "--city", city))
    assert "manufactured" in done("fleet", "import", kits, "--city", city)
    kit = json.loads(done("fleet", "list", "--json", "--city", city))[0]["kit"]
    early = stairwell("fleet", "move", kit, "--to", "active", "--why", "x", "--city", city)
    assert "manufactured cannot become active" in early.stderr
    signing = ("--passphrase-file", city.parent / "secret", "--city", city)
    assert "0 certificates" in done("fleet", "retire", kit, "--why", "the house is gone", *signing)
    assert "retired" in done("fleet", "list", "--city", city)
    out = tmp_path / "out.csv"
    done("fleet", "export", "--out", out, "--city", city)
    assert kit in out.read_text("utf-8")
    nowhere = stairwell("fleet", "export", "--out", tmp_path / "none" / "out.csv", "--city", city)
    assert (6, True) == (nowhere.returncode, "--out" in nowhere.stderr)


def test_an_authority_at_work(city: Path, tmp_path: Path) -> None:
    """Certificates are made, listed, taken back; lists and terms are renewed; each tells what it wrote."""
    signing = ("--passphrase-file", city.parent / "secret", "--city", city)
    made = done("ca", "issue", "broker", "--host", "localhost", "--out", tmp_path / "keys", *signing)
    assert [tmp_path / "keys/broker.pem", tmp_path / "keys/broker.key"] == [
        type(tmp_path)(line) for line in made.splitlines()
    ]
    assert "1 certificate taken back" in done("ca", "revoke", "broker", "--compromised", *signing)
    assert "broker" in done("ca", "show", "--city", city)
    assert f"{city / 'crl.pem'}\n" == done("ca", "crl", *signing)
    assert "39 days left" in done("ca", "crl", "--check", "--city", city)
    ending = stairwell("ca", "crl", "--check", "--days", "40", "--city", city)
    assert (2, "", True) == (ending.returncode, ending.stdout, "39 days left" in ending.stderr)
    assert f"{city / 'ca.pem'}: until " in done("ca", "renew", *signing)
    assert "revoked" in done("fleet", "trail", "--city", city)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("ca", "crl", "--passphrase-file", "{city}/root.pem"), 3, "the passphrase is wrong"),
        (("ca", "crl", "--passphrase-file", "{city}/none"), 3, "No such file or directory"),
        (("ca", "issue", "k7f3k2qx4m", "--passphrase-file", "{city}/../secret"), 3, "is a kit's id"),
        (("fleet", "claim", "--out", "{city}"), 64, "give ids of kits, or --all"),
        (("fleet", "show", "k7f3k2qx4m"), 3, "not in the register"),
        (("enrol", "serve", "--listen", "nowhere"), 64, "HOST:PORT is needed"),
    ],
)
def test_what_goes_wrong(city: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    """Each mistake ends with its exit code and a sentence."""
    ended = stairwell(*(each.format(city=city) for each in arguments), "--city", city)
    assert code == ended.returncode, ended.stderr
    assert said in ended.stderr + ended.stdout


def test_a_kit_that_was_not_enrolled(tmp_path: Path) -> None:
    """What is missing for a renewal is said with the key that it takes."""
    config = tmp_path / "agent.toml"
    for text, said in (
        ("", "backbone.enrol_url is not set"),
        ('[backbone]\nenrol_url = "https://localhost"\n', "not what enrolment keeps"),
        ('[backbone]\nenrol_url = "http://localhost"\n', "an address of the form https"),
    ):
        config.write_text(text)
        ended = stairwell("enrol", "renew", "--config", config)
        assert 3 == ended.returncode
        assert said in ended.stderr
    ended = stairwell("enrol", "join", "--file", config, "--state", tmp_path)
    assert (3, True) == (ended.returncode, "kit: Field required" in ended.stderr)


def test_one_is_no_plural() -> None:
    """Of one, of none, of two."""
    assert ["1 kit", "0 kits", "2 kits"] == [counted(n, "kit") for n in (1, 0, 2)]
