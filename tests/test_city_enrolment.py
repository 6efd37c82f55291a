"""Enrolment over real TLS against a real register: who gets a certificate, and everybody who does not."""

from __future__ import annotations

import base64
import contextlib
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID
from town import Town, Wall

from agent.city import authority, certificates, claims, fleet, issued, keyfile, registry, service
from agent.city.desk import RECOVERY
from agent.city.kits import State
from agent.city.office import Office
from agent.device.enrolment import join, renew
from agent.device.est import EstClient
from agent.device.wallet import Wallet
from agent.durable import write_whole
from agent.errors import ConfigError, EnrolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

    from agent.device.enrolfile import EnrolFile

# CPython leaves the socket of a failed TLS handshake to the garbage collector, which warns of it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored.*<ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


@pytest.fixture
def open_town(town: Town) -> Iterator[Town]:
    """A town whose service runs."""
    with town.serving():
        yield town


@pytest.fixture(scope="module")
def standing_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town whose service runs, for tests that change nothing in it, or kits of their own only."""
    town = Town(tmp_path_factory.mktemp("town"))
    with town.serving():
        yield town


def request(
    name: str,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    algorithm: hashes.HashAlgorithm | None = None,
) -> x509.CertificateSigningRequest:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = key or ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .sign(signer, algorithm or hashes.SHA256())
    )


def refusal(ask: Callable[[], object]) -> str:
    """The word with which the city refuses."""
    with pytest.raises(EnrolError) as refused:
        ask()
    assert refused.value.refused, refused.value
    return refused.value.reason


def client(card: EnrolFile) -> EstClient:
    return EstClient(card.url, card.ca)


def test_a_claim_becomes_a_certificate(open_town: Town) -> None:
    """The kit's key never leaves it; what it gets is its own, leads to the root, and is in the trail."""
    card, wallet = open_town.card(), open_town.wallet()
    papers = join(card, wallet, open_town.clock)
    assert card.kit == papers.kit
    assert (
        timedelta(days=91) == papers.certificate.not_valid_after_utc - papers.certificate.not_valid_before_utc
    )
    assert State.CLAIMED is open_town.office.registry.kit(card.kit).state
    assert ["added", "claim made", "issued", "claimed"] == open_town.acts(card.kit)
    link = wallet.directory / "kit"
    assert 0o600 == (link / "kit.key").stat().st_mode & 0o777
    assert 0o700 == link.stat().st_mode & 0o777
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-crl_check_all"]
    command += ["-CAfile", link / "ca.pem", "-CRLfile", open_town.office.directory / "crl.pem"]
    subprocess.run([*command, "-untrusted", link / "kit.pem", link / "kit.pem"], check=True)


def test_who_has_papers_asks_nobody(town: Town) -> None:
    """A first boot that is run again does nothing, and needs no network for it."""
    card = town.card()
    with town.serving():
        first = join(card, town.wallet(), town.clock)
    assert first.certificate == join(card, town.wallet(), town.clock).certificate


def test_a_stolen_claim(open_town: Town) -> None:
    """Used twice, from two keys: the second is refused, and the trail tells that one was not the kit."""
    card = open_town.card()
    join(card, open_town.wallet("kit"), open_town.clock)
    assert "claim-used" == refusal(lambda: join(card, open_town.wallet("thief"), open_town.clock))
    assert "refused claim-used" == open_town.acts(card.kit)[-1]
    assert "one of the two is not the kit" in open_town.office.registry.trail(card.kit)[-1].detail
    with open_town.office.registry.transaction() as db:
        assert 1 == len(issued.of_name(db, card.kit))


def test_claims_that_count_no_more(town: Town) -> None:
    """Expired, replaced by a newer one, taken from a kit that was locked out."""
    expired, replaced, locked = town.card(), town.card(), town.card()
    town.card(replaced.kit)
    fleet.lock_out(town.office, locked.kit, State.RETIRED, issued.CESSATION, "test", "gone", town.clock.now)
    with town.serving():
        assert "claim-withdrawn" == refusal(lambda: join(replaced, town.wallet(), town.clock))
        assert "claim-withdrawn" == refusal(lambda: join(locked, town.wallet(), town.clock))
        join(expired, town.wallet("in time"), town.clock)
    late = town.card()
    town.clock.ahead = timedelta(hours=claims.LIFE_H, minutes=1)
    with town.serving():
        assert "claim-expired" == refusal(
            lambda: client(late).enroll(request(late.kit), late.kit, late.claim)
        )
    assert "refused claim-expired" == town.acts(late.kit)[-1]


def test_a_foreign_kit(open_town: Town) -> None:
    """A claim counts for its kit alone, whoever is named where; a guess tells nothing of who exists."""
    card, other = open_town.card(), open_town.card()
    est = client(card)
    asked = {
        "claim-unknown": [
            (request(other.kit), other.kit, card.claim),
            (request(card.kit), card.kit, "0" * len(card.claim)),
            (request("k7f3k2qx4m"), "k7f3k2qx4m", card.claim),
            (request(card.kit), card.kit, ""),
        ],
        "foreign-name": [
            (request(other.kit), card.kit, card.claim),
            (request("platform"), card.kit, card.claim),
        ],
    }
    for word, cases in asked.items():
        for csr, kit, claim in cases:
            assert word == refusal(lambda csr=csr, kit=kit, claim=claim: est.enroll(csr, kit, claim))
    assert "refused claim-unknown" in open_town.acts(other.kit)
    assert "refused foreign-name" in open_town.acts(card.kit)
    join(card, open_town.wallet(), open_town.clock)


@pytest.mark.parametrize(
    "make",
    [
        lambda: (rsa.generate_private_key(65537, 2048), None),
        lambda: (ed25519.Ed25519PrivateKey.generate(), "none"),
        lambda: (ec.generate_private_key(ec.SECP224R1()), None),
        lambda: (ec.generate_private_key(ec.SECP256K1()), None),
        lambda: (ec.generate_private_key(ec.SECP256R1()), hashes.SHA224()),
    ],
    ids=["RSA", "Ed25519", "P-224", "K-256", "SHA-224"],
)
def test_weak_keys(
    standing_town: Town, make: Callable[[], tuple[CertificateIssuerPrivateKeyTypes, object]]
) -> None:
    """What the fleet does not speak, or not for ten years, is refused; the claim stays good."""
    card = standing_town.card()
    key, algorithm = make()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, card.kit)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    csr = builder.sign(key, None if algorithm == "none" else algorithm or hashes.SHA256())  # type: ignore[arg-type]
    assert "weak-key" == refusal(lambda: client(card).enroll(csr, card.kit, card.claim))
    join(card, standing_town.wallet(card.kit), standing_town.clock)


def test_a_replayed_request(town: Town) -> None:
    """A recorded request, with a new claim or, a day later, the old one: refused, and in the trail."""
    card = town.card()
    key = ec.generate_private_key(ec.SECP256R1())
    recorded = request(card.kit, key)
    with town.serving():
        client(card).enroll(recorded, card.kit, card.claim)
        fresh = town.card(card.kit)
        assert "key-used" == refusal(lambda: client(card).enroll(recorded, fresh.kit, fresh.claim))
    assert "refused key-used" == town.acts(card.kit)[-1]
    other = town.card()
    csr = request(other.kit)
    with town.serving():
        client(other).enroll(csr, other.kit, other.claim)
    town.clock.ahead = RECOVERY + timedelta(minutes=1)
    with town.serving():
        assert "claim-used" == refusal(lambda: client(other).enroll(csr, other.kit, other.claim))
    assert "refused claim-used" == town.acts(other.kit)[-1]


def test_what_a_request_asks_for_is_passed_over(open_town: Town) -> None:
    """No request makes an authority or a server of a kit."""
    card = open_town.card()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, card.kit)])
    key = ec.generate_private_key(ec.SECP256R1())
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("broker.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    [given] = client(card).enroll(csr, card.kit, card.claim)
    assert not given.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    with pytest.raises(x509.ExtensionNotFound):
        given.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_new_card_ends_the_old_one(open_town: Town) -> None:
    """What the old card had is taken back and on the list; the kit has to be commissioned anew."""
    card = open_town.card()
    old = join(card, open_town.wallet("old"), open_town.clock)
    open_town.office.registry.move(card.kit, State.COMMISSIONED, "test", "hangs", open_town.clock.now)
    join(open_town.card(card.kit), open_town.wallet("new"), open_town.clock)
    listed = x509.load_pem_x509_crl((open_town.office.directory / "crl.pem").read_bytes())
    assert listed.get_revoked_certificate_by_serial_number(old.certificate.serial_number)
    assert State.CLAIMED is open_town.office.registry.kit(card.kit).state
    assert "revoked" == refusal(
        lambda: renew(card.kit, card.url, open_town.wallet("old"), open_town.clock, force=True)
    )


def test_a_list_that_cannot_be_written(open_town: Town) -> None:
    """A kit is not answered before the card that it had is on the list."""
    card = open_town.card()
    old = join(card, open_town.wallet("old"), open_town.clock)
    path, again = open_town.office.directory / "crl.pem", open_town.card(card.kit)
    in_the_way = path.with_name("crl.pem.new")
    in_the_way.mkdir()
    with pytest.raises(EnrolError) as busy:
        join(again, open_town.wallet("new"), open_town.clock)
    assert (False, "busy") == (busy.value.refused, busy.value.reason)
    in_the_way.rmdir()
    join(again, open_town.wallet("new"), open_town.clock)
    listed = x509.load_pem_x509_crl(path.read_bytes())
    assert listed.get_revoked_certificate_by_serial_number(old.certificate.serial_number)


SERVER = """
    import os, signal, sys, time
    from pathlib import Path
    from agent.city import desk, service
    from agent.city.office import Office
    from agent.device.clock import SystemClock

    real = desk.Desk.enrol
    def struck(self, *arguments):
        given = real(self, *arguments)
        if "die" in sys.argv:
            os.kill(os.getpid(), signal.SIGKILL)
        return given
    desk.Desk.enrol = struck
    running = service.Service(Office.open(Path(sys.argv[1])), "127.0.0.1", int(sys.argv[2]), SystemClock())
    running.start()
    print("ready", flush=True)
    time.sleep(600)
"""


def test_a_service_that_dies_between_issue_and_answer(town: Town) -> None:
    """SIGKILL once the certificate is in the register: the kit asks again and gets that very one, once."""
    card, wallet = town.card(), town.wallet()
    program = textwrap.dedent(SERVER)
    command = [sys.executable, "-c", program, town.office.directory, str(town.port)]
    with subprocess.Popen([*command, "die"], stdout=subprocess.PIPE, text=True) as dying:
        assert dying.stdout is not None
        assert "ready\n" == dying.stdout.readline()
        with pytest.raises(EnrolError) as lost:
            join(card, wallet, town.clock)
        assert not lost.value.refused
        assert -signal.SIGKILL == dying.wait(30)
    with town.office.registry.transaction() as db:
        [given] = issued.of_name(db, card.kit)
    with town.serving():
        papers = join(card, wallet, town.clock)
        assert "claim-used" == refusal(lambda: join(card, town.wallet("thief"), town.clock))
    assert given.serial == issued.serial_of(papers.certificate)
    assert ["issued", "claimed", "given again", "refused claim-used"] == town.acts(card.kit)[2:]


KIT = """
    import os, signal, sys
    from pathlib import Path
    from agent import durable
    from agent.device import enrolment, wallet
    from agent.device.clock import SystemClock
    from agent.device.enrolfile import EnrolFile

    left = int(sys.argv[3])
    def struck(real):
        def act(*arguments, **options):
            global left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return real(*arguments, **options)
        return act
    wallet.write_whole = struck(wallet.write_whole)
    Path.rename = struck(Path.rename)
    Path.symlink_to = struck(Path.symlink_to)
    enrolment.join(EnrolFile.read(Path(sys.argv[1])), wallet.Wallet(Path(sys.argv[2])), SystemClock())
    print("left", left)
"""
STEPS = 9  # before which it is cut off: three files written and renamed, one link made and renamed; then none


def test_a_kit_that_dies_anywhere(open_town: Town) -> None:
    """Cut off before each step on its disk, and run again: in the end one certificate, no claim wasted."""
    program = textwrap.dedent(KIT)
    ends = []
    for step in range(STEPS):
        card = open_town.card()
        path = open_town.directory / f"{card.kit}.toml"
        path.write_text(card.text())
        wallet = open_town.wallet(card.kit)
        command = [sys.executable, "-c", program, path, wallet.directory, str(step)]
        ends.append(subprocess.run(command, capture_output=True, check=False).returncode)
        papers = join(card, Wallet(wallet.directory), open_town.clock)
        with open_town.office.registry.transaction() as db:
            assert [papers.certificate] == [one.certificate for one in issued.of_name(db, card.kit)], step
    assert [-signal.SIGKILL] * (STEPS - 1) + [0] == ends


def test_renewal(town: Town) -> None:
    """Not before half of its life is over; then a new key, while the old certificate counts on."""
    card, wallet = town.card(), town.wallet()
    with town.serving():
        first = join(card, wallet, town.clock)
        assert not renew(card.kit, card.url, wallet, town.clock)
        town.clock.ahead = timedelta(days=46)
        assert renew(card.kit, card.url, wallet, town.clock)
        second = wallet.current()
    assert second is not None
    assert first.certificate.public_key() != second.certificate.public_key()
    assert first.certificate.not_valid_after_utc < second.certificate.not_valid_after_utc
    assert first.kit == second.kit
    assert first.roots == second.roots
    assert {"1", "2", "kit"} == {path.name for path in wallet.directory.iterdir()}
    assert State.CLAIMED is town.office.registry.kit(card.kit).state


def test_a_renewal_whose_answer_was_lost(open_town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kit asks again with the same key, and gets the certificate that it was given."""
    card, wallet = open_town.card(), open_town.wallet()
    join(card, wallet, open_town.clock)
    monkeypatch.setattr(EstClient, "_certificates", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    real = EstClient.cacerts
    monkeypatch.setattr(EstClient, "cacerts", lambda _: [])
    with pytest.raises(KeyboardInterrupt):
        renew(card.kit, card.url, wallet, open_town.clock, force=True)
    monkeypatch.undo()
    assert real is EstClient.cacerts
    assert renew(card.kit, card.url, wallet, open_town.clock, force=True)
    with open_town.office.registry.transaction() as db:
        serials = {one.serial for one in issued.of_name(db, card.kit)}
    papers = wallet.current()
    assert papers is not None
    assert 2 == len(serials)
    assert issued.serial_of(papers.certificate) in serials
    assert "given again" == open_town.acts(card.kit)[-1]


def test_another_kits_certificate(open_town: Town) -> None:
    """It renews its own name alone, and neither a program's nor an older one that was taken back."""
    card, other = open_town.card(), open_town.card()
    wallet = open_town.wallet()
    papers = join(card, wallet, open_town.clock)
    shown = EstClient(card.url, card.ca, papers.files)
    assert "foreign-name" == refusal(lambda: shown.reenroll(request(other.kit)))
    assert "refused foreign-name" == open_town.acts(card.kit)[-1]
    assert "key-used" == refusal(lambda: shown.reenroll(request(card.kit, wallet_key(wallet))))
    assert "refused key-used" == open_town.acts(card.kit)[-1]
    assert "not-yours" == refusal(lambda: client(card).reenroll(request(card.kit)))
    program = open_town.office.issue("platform", [], open_town.directory, "test", open_town.clock.now)
    assert "not-yours" == refusal(lambda: EstClient(card.url, card.ca, program).reenroll(request("platform")))
    fleet.lock_out(
        *(open_town.office, card.kit, State.QUARANTINED, issued.COMPROMISED),
        *("test", "stolen", open_town.clock.now),
    )
    assert "revoked" == refusal(lambda: shown.reenroll(request(card.kit)))


def wallet_key(wallet: Wallet) -> ec.EllipticCurvePrivateKey:
    """The key that the kit works with."""
    key = load_pem_private_key((wallet.directory / "kit" / "kit.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def test_who_has_no_papers_renews_nothing(town: Town) -> None:
    """Without papers, with another kit's, with ended ones, without a clock: each in a sentence of its own."""
    card, wallet = town.card(), town.wallet()
    with pytest.raises(ConfigError, match="no certificate of kit"):
        renew(card.kit, card.url, wallet, town.clock)
    with town.serving():
        join(card, wallet, town.clock)
    with pytest.raises(ConfigError, match="no certificate of kit"):
        renew("k7f3k2qx4m", card.url, wallet, town.clock)
    with pytest.raises(EnrolError, match="the clock was never set"):
        renew(card.kit, card.url, wallet, Wall(clk="none"))
    assert "ended" == refusal(lambda: renew(card.kit, card.url, wallet, Wall(timedelta(days=91))))


def test_who_cannot_be_asked(town: Town) -> None:
    """Nobody there, no such name, another city's server, a clock that is behind: none is a refusal."""
    card = town.card()

    def reason(of: EnrolFile) -> str:
        with pytest.raises(EnrolError) as failed:
            join(of, town.wallet(), town.clock)
        assert not failed.value.refused
        return failed.value.reason

    assert "refused" == reason(card)
    assert "dns" == reason(card.model_copy(update={"url": "https://nowhere.invalid:8443"}))
    other = Town(town.directory / "other")
    with town.serving():
        assert "tls" == reason(card.model_copy(update={"ca": other.office.root_pem()}))
        assert "tls" == reason(card.model_copy(update={"url": card.url.replace("localhost", "127.0.0.1")}))
    for path in town.office.directory.glob("enrol.*"):
        path.unlink()
    with town.serving(Wall(timedelta(days=3))):
        assert "clock" == reason(card)
    assert ["added", "claim made"] == town.acts(card.kit)


def test_an_answer_that_is_none(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of another key, for another kit, or of another city is not believed."""
    card, other = town.card(), Town(town.directory / "other")
    key = ec.generate_private_key(ec.SECP256R1())
    wallet = town.wallet()
    now = town.clock.now
    wrong = [
        town.office.authority().sign(card.kit, key.public_key(), now),
        town.office.authority().sign("k7f3k2qx4m", wallet.key().public_key(), now),
        other.office.authority().sign(card.kit, wallet.key().public_key(), now),
    ]
    monkeypatch.setattr(EstClient, "cacerts", lambda _: list(other.office.authority().chain))
    for certificate in wrong:
        monkeypatch.setattr(EstClient, "enroll", lambda *_, given=certificate: [given])
        with pytest.raises(EnrolError) as refused:
            join(card, wallet, town.clock)
        assert "protocol" == refused.value.reason
        assert None is wallet.current()


def raw(town: Town, sent: bytes) -> bytes:
    """What comes back for these very bytes."""
    context = ssl.create_default_context(cadata=town.office.root_pem())
    with (
        socket.create_connection(("127.0.0.1", town.port), 30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(sent)
        answer = b""
        while piece := tls.recv(4096):
            answer += piece
        return answer


POST = "POST /.well-known/est/simpleenroll HTTP/1.1"
PKCS10 = "Content-Type: application/pkcs10"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"{POST}\r\nContent-Length: 9000", 413),
        (POST, 411),
        (f"{POST}\r\nContent-Length: -1", 411),
        (f"{POST}\r\nTransfer-Encoding: chunked", 411),
        (f"{POST}\r\nContent-Length: 0", 415),
        (f"{POST}\r\n{PKCS10}\r\nContent-Length: 0", 400),
        (f"{POST.replace('simpleenroll', 'fullcmc')}\r\n{PKCS10}\r\nContent-Length: 0", 404),
        ("GET /etc/passwd HTTP/1.1", 404),
        ("DELETE /.well-known/est/cacerts HTTP/1.1", 501),
        ("GET /" + "a" * 70_000 + " HTTP/1.1", 414),
        ("GET /.well-known/est/cacerts HTTP/1.1" + "\r\nX-A: b" * 200, 431),
        ("\x16\x03\x01", 400),
    ],
)
def test_what_is_no_request(standing_town: Town, head: str, status: int) -> None:
    """Too large, without a length, of another kind, for another place: answered shortly, and hung up."""
    answer = raw(standing_town, f"{head}\r\n\r\n".encode())
    # Something that is not even a line of HTTP/1 is answered in HTTP 0.9, without a status line.
    assert f" {status} ".encode() in answer.split(b"\r\n")[0] or f"Error code: {status}".encode() in answer


def test_too_many_requests(open_town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that asks too often is told when to come back; the client knows it for no refusal."""
    monkeypatch.setattr(service, "BURST", 3.0)
    monkeypatch.setattr(service, "PER_S", 0.0)
    card = open_town.card()
    for _ in range(3):
        client(card).cacerts()
    with pytest.raises(EnrolError) as busy:
        client(card).cacerts()
    assert (False, "busy", 10.0) == (busy.value.refused, busy.value.reason, busy.value.retry_after_s)


def test_memory_does_not_grow_with_who_comes_by(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so many addresses at most it is known how often they came."""
    monkeypatch.setattr(service, "ADDRESSES_MAX", 10)
    rates = service._Rates(town.clock)
    for number in range(50):
        assert rates.take(f"10.0.0.{number}")
    assert 10 == len(rates._left)


def test_slow_and_silent_clients(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says nothing, or a letter now and then, is cut off; others are served meanwhile."""
    monkeypatch.setattr(service, "CONNECTION_S", 2.0)
    monkeypatch.setattr(service, "CONNECTIONS_MAX", 2)
    card = town.card()
    context = ssl.create_default_context(cadata=town.office.root_pem())
    with town.serving():
        silent = context.wrap_socket(
            socket.create_connection(("127.0.0.1", town.port)), server_hostname="localhost"
        )
        client(card).cacerts()
        silent.sendall(b"P")
        silent.settimeout(20)
        assert b"" == silent.recv(1)
        silent.close()
        idle = [socket.create_connection(("127.0.0.1", town.port)) for _ in range(3)]
        idle[2].settimeout(20)
        try:
            ended = idle[2].recv(1)
        except ConnectionResetError:
            ended = b""
        for one in idle:
            one.close()
        assert b"" == ended


def test_refusals_do_not_fill_the_disk(open_town: Town) -> None:
    """Who asks in a loop for a kit that there is leaves twenty lines an hour in the trail."""
    card = open_town.card()
    est = client(card)
    for _ in range(25):
        assert "claim-unknown" == refusal(lambda: est.enroll(request(card.kit), card.kit, "x"))
    assert 20 == open_town.acts(card.kit).count("refused claim-unknown")
    assert "claim-unknown" == refusal(lambda: est.enroll(request("k7f3k2qx4m"), "k7f3k2qx4m", "x"))
    assert [] == open_town.acts("k7f3k2qx4m")


def test_the_service_keeps_its_own_certificate(town: Town) -> None:
    """It gives itself one, keeps it over a restart, and takes a new one when half of its life is over."""
    with town.serving():
        first = (town.office.directory / "enrol.pem").read_bytes()
    with town.serving():
        assert first == (town.office.directory / "enrol.pem").read_bytes()
    with town.serving(Wall(timedelta(days=46))):
        second = (town.office.directory / "enrol.pem").read_bytes()
        assert first != second
    moved = town.office.settings.model_copy(update={"url": "https://127.0.0.1:8443"})
    moved.write(town.office.directory)
    with Office.open(town.office.directory) as office:
        service.Service(office, "127.0.0.1", 0, town.clock)._server.server_close()
    assert second != (town.office.directory / "enrol.pem").read_bytes()


def test_a_certificate_without_its_key(town: Town) -> None:
    """A power cut while the service gave itself a new one leaves the new key beside the old certificate."""
    with town.serving():
        first = (town.office.directory / "enrol.pem").read_bytes()
    key = ec.generate_private_key(ec.SECP256R1())
    keyfile.write(town.office.directory / "enrol.key", key, None)
    card = town.card()
    with town.serving():
        assert card.kit == join(card, town.wallet(), town.clock).kit
    assert first != (town.office.directory / "enrol.pem").read_bytes()


def taken_up(running: service.Service, before: object) -> None:
    """Return once something else answers."""
    end = time.monotonic() + 20
    while running.front is before:
        assert time.monotonic() < end, "never taken up"
        time.sleep(0.01)


def test_a_renewed_intermediate_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While kits enrol: each gets its certificate, and those after it the whole term."""
    with monkeypatch.context() as ending:
        ending.setattr(certificates, "INTERMEDIATE_LIFE", timedelta(days=30))
        town = Town(tmp_path)
    monkeypatch.setattr(service, "TEND_S", 0.05)
    cards = [town.card() for _ in range(20)]
    with town.serving() as running, ThreadPoolExecutor(4) as kits:
        before = running.front
        asked = [kits.submit(join, card, town.wallet(card.kit), town.clock) for card in cards]
        first = asked[0].result()
        made = town.office.authority().renew(None, town.clock.now)
        taken_up(running, before)
        last = town.card()
        after = join(last, town.wallet(last.kit), town.clock)
        assert [card.kit for card in cards] == [one.result().kit for one in asked]
        assert made.signer.certificate in client(last).cacerts()
    assert before.signing.signer.certificate.not_valid_after_utc == first.certificate.not_valid_after_utc
    begin, end = after.certificate.not_valid_before_utc, after.certificate.not_valid_after_utc
    assert certificates.BACKDATED + certificates.LEAF_LIFE == end - begin
    chain = x509.load_pem_x509_certificates((town.directory / last.kit / "tls/kit/kit.pem").read_bytes())
    assert [after.certificate, made.signer.certificate] == chain


def test_an_intermediate_that_is_of_no_use(
    town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The service goes on with the one it has, says so once, and takes the right one when it comes."""
    monkeypatch.setattr(service, "TEND_S", 0.05)
    path = town.office.directory / "ca.pem"
    with town.serving() as running:
        before = running.front
        write_whole(path, b"half of it", 0o644)
        end = time.monotonic() + 20
        while "no certificate in PEM" not in caplog.text:
            assert time.monotonic() < end
            time.sleep(0.01)
        card = town.card()
        assert card.kit == join(card, town.wallet(), town.clock).kit
        assert before is running.front
        write_whole(path, authority.pem(*before.signing.chain), 0o644)
        taken_up(running, before)
    assert 1 == caplog.text.count("no certificate in PEM")


def test_a_register_that_cannot_be_used(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody else holds it the kit is told to come back, and its claim stays good."""
    monkeypatch.setattr(registry, "BUSY_S", 0.2)
    card = town.card()
    with Office.open(town.office.directory) as impatient:
        town.office = impatient
        with town.serving():
            with contextlib.closing(sqlite3.connect(impatient.registry.path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(EnrolError) as busy:
                    join(card, town.wallet(), town.clock)
                other.execute("ROLLBACK")
            assert (False, "busy", 10.0) == (busy.value.refused, busy.value.reason, busy.value.retry_after_s)
            assert card.kit == join(card, town.wallet(), town.clock).kit


def test_bodies_are_base64_of_der(standing_town: Town) -> None:
    """Whatever else is sent as a request is refused as none, and so is one that its key did not sign."""
    card = standing_town.card()
    csr = request(card.kit)
    forged = bytearray(csr.public_bytes(Encoding.DER))
    forged[forged.index(card.kit.encode())] ^= 1
    many = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "city"),
            x509.NameAttribute(NameOID.COMMON_NAME, card.kit),
        ]
    )
    named = x509.CertificateSigningRequestBuilder().subject_name(many)
    key = ec.generate_private_key(ec.SECP256R1())
    long = base64.b64encode(named.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))
    desk = service.Desk(standing_town.office, standing_town.office.authority())
    for body, word, said in (
        (b"", "bad-request", "no PKCS #10 request"),
        (b"!", "bad-request", "no PKCS #10 request"),
        (base64.b64encode(b"no DER"), "bad-request", "no PKCS #10 request"),
        (csr.public_bytes(Encoding.PEM), "bad-request", "no PKCS #10 request"),
        (base64.b64encode(forged), "bad-request", "not signed by its own key"),
        (long, "foreign-name", "not one common name"),
    ):
        with pytest.raises(service.RefusalError, match=said) as refused:
            desk.enrol(card.kit, card.claim, body, "test", standing_town.clock.now)
        assert word == refused.value.reason


def test_an_outsiders_client(open_town: Town, tmp_path: Path) -> None:
    """StrongSwan's EST client, which knows nothing of us, gets authorities, a certificate, the next one."""
    card = open_town.card()
    root, chain = tmp_path / "root.pem", open_town.office.directory / "ca.pem"
    root.write_text(card.ca)

    def pki(*arguments: object) -> bytes:
        done = subprocess.run(["pki", *map(str, arguments)], capture_output=True, check=False)
        assert 0 == done.returncode, done.stderr.decode()
        return done.stdout

    pki("--estca", "--url", card.url, "--cacert", root, "--caout", tmp_path / "est", "--outform", "pem")
    assert root.read_bytes() == (tmp_path / "est.pem").read_bytes()
    assert chain.read_bytes() == (tmp_path / "est-1.pem").read_bytes()
    trusted = ("--url", card.url, "--cacert", root, "--cacert", chain, "--outform", "pem")
    papers = []
    claim = ("--userpass", f"{card.kit}:{card.claim}")
    mutual = ("--cert", tmp_path / "a.pem", "--key", tmp_path / "a.key")
    for name, proof in (("a", claim), ("b", mutual)):
        key, csr, pem = (tmp_path / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        key.write_bytes(pki("--gen", "--type", "ecdsa", "--size", "256", "--outform", "pem"))
        csr.write_bytes(pki("--req", "--in", key, "--type", "ecdsa", "--dn", f"CN={card.kit}"))
        pem.write_bytes(pki("--est", "--in", csr, *trusted, *proof))
        papers.append(x509.load_pem_x509_certificate(pem.read_bytes()))
    with open_town.office.registry.transaction() as db:
        assert papers == [one.certificate for one in issued.of_name(db, card.kit)]
