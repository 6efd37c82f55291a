"""The city's authority: what OpenSSL, TLS and a wrong hand make of its certificates, keys and lists."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from agent.city import certificates, issued
from agent.city.authority import listed_until
from agent.city.office import Office
from agent.city.registry import Registry
from agent.city.settings import CitySettings
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC).replace(microsecond=0)
SETTINGS = CitySettings(name="odesa", url="https://localhost:8443", broker_host="localhost")
PASSPHRASE = b"five words of a sentence"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office.create(tmp_path / "city", SETTINGS, None, "test", NOW)


def verify(office: Office, certificate: Path, purpose: str) -> str:
    """What OpenSSL says of a certificate, as strictly as it can: empty when all is well."""
    directory = office.directory
    command = ["openssl", "verify", "-x509_strict", "-crl_check_all", "-purpose", purpose]
    command += ["-CAfile", directory / "root.pem", "-untrusted", directory / "ca.pem"]
    done = subprocess.run(
        [*command, "-CRLfile", directory / "crl.pem", certificate],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr


def test_openssl_takes_what_it_gives(office: Office, tmp_path: Path) -> None:
    """Servers are servers and no clients, programs the other way round; all of it strictly by RFC 5280."""
    server, _ = office.issue("broker", ["localhost", "127.0.0.1"], tmp_path, "test", NOW)
    program, _ = office.issue("platform", [], tmp_path, "test", NOW)
    assert "" == verify(office, server, "sslserver")
    assert "" == verify(office, program, "sslclient")
    assert "unsuitable certificate purpose" in verify(office, server, "sslclient")
    assert "unsuitable certificate purpose" in verify(office, program, "sslserver")


def test_what_is_taken_back_is_listed(office: Office, tmp_path: Path) -> None:
    """OpenSSL refuses what the list names, and takes a new certificate of the same name."""
    old, _ = office.issue("platform", [], tmp_path / "old", "test", NOW)
    assert 1 == office.revoke("platform", issued.COMPROMISED, "test", NOW)
    new, _ = office.issue("platform", [], tmp_path / "new", "test", NOW)
    assert "certificate revoked" in verify(office, old, "sslclient")
    assert "" == verify(office, new, "sslclient")
    listed = x509.load_pem_x509_crl((office.directory / "crl.pem").read_bytes())
    assert x509.CRLReason(x509.ReasonFlags.key_compromise) == next(iter(listed)).extensions[0].value
    with pytest.raises(ConfigError, match="has no certificate that counts"):
        office.revoke("nobody", issued.COMPROMISED, "test", NOW)


def test_lists_are_numbered(office: Office) -> None:
    """Each list has a higher number than the one before, and lives for at least a month."""
    numbers = []
    for _ in range(3):
        listed = x509.load_pem_x509_crl(office.write_crl("test", NOW).read_bytes())
        numbers.append(listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
        assert listed.next_update_utc is not None
        assert listed.next_update_utc >= NOW + timedelta(days=30)
    assert sorted(set(numbers)) == numbers


def test_a_client_that_knows_the_root_only(office: Office, tmp_path: Path) -> None:
    """TLS as kits do it: the server sends the intermediate along, and a strict client is content."""
    pem, key = office.issue("broker", ["localhost"], tmp_path, "test", NOW)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(pem, key)
    asking = ssl.create_default_context(cafile=office.directory / "root.pem")
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with serving.wrap_socket(theirs, server_side=True) as tls:
            tls.sendall(b"well")

    thread = threading.Thread(target=serve)
    thread.start()
    with asking.wrap_socket(ours, server_hostname="localhost") as tls:
        assert b"well" == tls.recv(4)
    thread.join()


def test_nothing_outlives_who_signed_it(office: Office) -> None:
    """Near its end the intermediate gives shorter terms, and after it none."""
    authority = office.authority()
    end = authority.signer.certificate.not_valid_after_utc
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    late = authority.sign("platform", key, end - timedelta(days=10))
    assert end == late.not_valid_after_utc
    with pytest.raises(ConfigError, match="stairwell ca renew"):
        authority.sign("platform", key, end + timedelta(seconds=1))


def test_terms(office: Office) -> None:
    """Ten years, three years, ninety days."""
    authority = office.authority()
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    ends = [
        made.not_valid_after_utc - NOW
        for made in (authority.root, authority.signer.certificate, authority.sign("platform", key, NOW))
    ]
    assert [certificates.ROOT_LIFE, certificates.INTERMEDIATE_LIFE, certificates.LEAF_LIFE] == ends
    assert [3652, 1096, 90] == [term.days for term in ends]


def test_the_end_of_the_lists(office: Office) -> None:
    """It is that of the one which ends first; what is no list is told by its file."""
    assert NOW + certificates.CRL_LIFE == listed_until(office.directory)
    late = NOW + certificates.INTERMEDIATE_LIFE - timedelta(days=10)
    office.write_crl("test", late)
    assert NOW + certificates.INTERMEDIATE_LIFE == listed_until(office.directory)
    (office.directory / "crl.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"crl\.pem: no list in PEM"):
        listed_until(office.directory)
    (office.directory / "crl.pem").unlink()
    with pytest.raises(ConfigError, match=r"crl\.pem: cannot be read"):
        listed_until(office.directory)


def test_the_intermediate_gets_a_new_term(office: Office, tmp_path: Path) -> None:
    """With the root's key back in its place; what was given before counts on, and so does the list."""
    before, _ = office.issue("platform", [], tmp_path / "a", "test", NOW)
    later = NOW + timedelta(days=1000)
    renewed = office.authority().renew(None, later)
    office.write_crl("test", NOW, renewed)
    assert later + certificates.INTERMEDIATE_LIFE == renewed.signer.certificate.not_valid_after_utc
    assert renewed.signer.certificate == office.authority().signer.certificate
    (office.directory / "root.key").unlink()
    with pytest.raises(ConfigError, match=r"root\.key: cannot be read"):
        office.authority().renew(None, later)
    # The new intermediate is not valid yet today: OpenSSL is asked for that day.
    moment = str(round((later + timedelta(hours=1)).timestamp()))
    command = ["openssl", "verify", "-attime", moment, "-CAfile", office.directory / "root.pem"]
    fresh, _ = Office.open(office.directory).issue("platform", [], tmp_path / "b", "test", later)
    subprocess.run([*command, "-untrusted", office.directory / "ca.pem", fresh], check=True)
    assert before.exists()


def test_keys_are_sealed(tmp_path: Path) -> None:
    """With a passphrase no key of the city lies open; without it, or with a wrong one, nothing is signed."""
    directory = tmp_path / "city"
    Office.create(directory, SETTINGS, PASSPHRASE, "test", NOW)
    keys = sorted(path.name for path in directory.glob("*.key"))
    assert ["ca.key", "platform.key", "root.key"] == keys
    for name in keys:
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in (directory / name).read_bytes()
        assert 0o600 == (directory / name).stat().st_mode & 0o777
    Office.open(directory, PASSPHRASE).authority()
    with pytest.raises(ConfigError, match="the passphrase is wrong"):
        Office.open(directory, b"another").authority()
    with pytest.raises(ConfigError, match="no passphrase was given"):
        Office.open(directory).platform_key()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.chmod(0o640), "other users may read this private key"),
        (lambda path: path.write_bytes(b"nothing"), "no private key in PEM"),
        (lambda path: path.unlink(), "cannot be read"),
        (
            lambda path: path.write_bytes((path.parent / "root.key").read_bytes()),
            "not the key of ca.pem",
        ),
        (
            lambda path: path.write_bytes((path.parent / "platform.key").read_bytes()),
            "not the key of ca.pem",
        ),
    ],
    ids=["readable", "damaged", "gone", "another's", "another kind"],
)
def test_a_key_that_cannot_be_used(office: Office, spoil: object, said: str) -> None:
    """It is said which file is wrong, and nothing is signed."""
    assert callable(spoil)
    spoil(office.directory / "ca.key")
    with pytest.raises(ConfigError, match=re.escape(said)):
        office.authority()


def test_one_city_a_directory(office: Office) -> None:
    """A second authority is never made over the first."""
    root = (office.directory / "root.pem").read_bytes()
    with pytest.raises(ConfigError, match="there is a city already"):
        Office.create(office.directory, SETTINGS, None, "test", NOW)
    assert root == (office.directory / "root.pem").read_bytes()


def test_a_city_that_was_cut_off_is_made_anew(office: Office) -> None:
    """Without its last file nothing was ever given; with something given it is no new city."""
    (office.directory / "city.toml").unlink()
    again = Office.create(office.directory, SETTINGS, None, "test", NOW)
    again.issue("platform", [], office.directory / "out", "test", NOW)
    (office.directory / "city.toml").unlink()
    with pytest.raises(ConfigError, match="there is a city already"):
        Office.create(office.directory, SETTINGS, None, "test", NOW)


@pytest.mark.parametrize(
    ("name", "said"), [("k7f3k2qx4m", "is a kit's id"), ("Broker", "no name of a program"), ("", "no name")]
)
def test_programs_are_no_kits(office: Office, tmp_path: Path, name: str, said: str) -> None:
    """No program gets a kit's name, which the broker would take for the kit itself."""
    with pytest.raises(ConfigError, match=said):
        office.issue(name, [], tmp_path, "test", NOW)


def test_the_trail_stays(office: Office, tmp_path: Path) -> None:
    """Each thing that was done is told with who did it, and no line can be altered or taken out."""
    office.issue("platform", [], tmp_path, "olena", NOW)
    office.revoke("platform", issued.CESSATION, "taras", NOW)
    trail = office.registry.trail()
    assert ["created", "issued", "revoked", "listed"] == [entry.act for entry in trail]
    assert ["test", "olena", "taras", "taras"] == [entry.by for entry in trail]
    with Registry(office.directory) as registry:
        for statement in ("UPDATE audit SET by = 'nobody'", "DELETE FROM audit"):
            with pytest.raises(Exception, match="the audit trail stays"), registry.transaction() as db:
                db.execute(statement)
    assert trail == office.registry.trail()


CITY = "name = 'odesa'\nurl = 'https://x'\nbroker_host = 'x'\ndelivery = 'puback'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'odesa'\n", "delivery is missing: whose word shall new kits wait for?"),
        ("name = 'odesa'\ndelivery = 'puback'\n", "url = "),
        ("name = 'Odesa'\nurl = 'http://x'\nbroker_host = ''\ndelivery = 'puback'\n", "name = 'Odesa'"),
        (
            "name = 'odesa'\nurl = 'https://x'\nbroker_host = 'x'\ndelivery = 'maybe'\n",
            "delivery = 'maybe': Input should be 'watermark' or 'puback'",
        ),
        (
            f"{CITY}contact = '{'x' * 201}'\n",
            "contact = ",
        ),
        (
            f"{CITY}support_recipients = ['age1']\n",
            "support_recipients.0 = 'age1': ",
        ),
        ("name = ", "no TOML"),
        (None, "cannot be read"),
    ],
)
def test_settings_that_are_wrong(office: Office, text: str | None, said: str) -> None:
    """`city.toml` is checked whole, each wrong key is named; what the tool wrote it reads the same."""
    assert office.settings == Office.open(office.directory).settings
    path = office.directory / "city.toml"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(said)):
        Office.open(office.directory)
