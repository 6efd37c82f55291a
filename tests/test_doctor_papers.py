"""Checks of clock, certificate, keys and privacy, on real certificates."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import KIT, Hands, settings
from clips_keys import RECIPIENTS
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from test_device_account import everything_open

from agent.device.account import Account
from agent.device.identity import Identity
from agent.doctor import papers

if TYPE_CHECKING:
    from pathlib import Path

    from agent.doctor.check import Verdict

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


class Wall(Hands):
    """A kit's clock with a date."""

    def unix_ms(self) -> int:
        """See Clock."""
        return round(1000 * NOW.timestamp())


def issue(
    folder: Path, name: str = KIT, days: float = 60, begins: timedelta = timedelta(days=-30)
) -> dict[str, str]:
    """A certificate and its key as a kit has them; the keys of [backbone] that name them."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begins)
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    (folder / "kit.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "kit.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "kit.pem").chmod(0o600)
    return {"cert_file": str(folder / "kit.crt"), "key_file": str(folder / "kit.pem")}


def ask(code: str, directory: Path, clock: Hands | None = None, **sections: dict[str, Any]) -> Verdict:
    chosen = settings(directory, **sections)
    asked = papers.checks(chosen, clock or Wall(ts=NOW.isoformat()))
    return next(check for check in asked if check.code == code).ask()


def test_kit(tmp_path: Path) -> None:
    """The placeholder is no id."""
    assert ask("id.kit", tmp_path).status == "ok"
    assert ask("id.kit", tmp_path, kit={"id": "0000000000"}).status == "fail"


def test_files(tmp_path: Path) -> None:
    """Named and readable; the first that is not is named."""
    assert ask("id.files", tmp_path).status == "skip"
    assert ask("id.files", tmp_path, backbone={"tls": True}).status == "fail"
    files = issue(tmp_path)
    assert ask("id.files", tmp_path, backbone={"tls": True, **files}).status == "ok"
    (tmp_path / "kit.pem").unlink()
    verdict = ask("id.files", tmp_path, backbone={"tls": True, **files})
    assert verdict.status == "fail"
    assert "kit.pem" in verdict.text.en


def test_a_file_that_the_agent_may_not_read(tmp_path: Path) -> None:
    """Whoever asks, it is the agent's right that counts; what mends it is said whole, and mends it."""
    files = issue(tmp_path)
    secret = tmp_path / "kit.pem"
    state = tmp_path / "state"
    state.mkdir()
    if os.geteuid() == 0:
        os.chown(state, 65_534, 65_534)
        everything_open(tmp_path)
    secret.chmod(0o000)
    verdict = ask("id.files", state, backbone={"tls": True, **files})
    assert (verdict.status, "kit.pem" in verdict.text.uk) == ("fail", True)
    assert verdict.fix is not None
    user = Account.owner(state)
    assert verdict.fix.uk == f"sudo chown {user.name} {secret} && sudo chmod 400 {secret}"
    if os.geteuid() == 0:
        os.chown(secret, user.uid, -1)
    secret.chmod(0o400)
    assert ask("id.files", state, backbone={"tls": True, **files}).status == "ok"


def test_a_directory_in_the_way(tmp_path: Path) -> None:
    """A key in somebody's home is of no use to the agent, whatever the key's own mode is."""
    home = tmp_path / "home"
    home.mkdir()
    files = issue(home)
    state = tmp_path / "state"
    state.mkdir()
    if os.geteuid() == 0:
        os.chown(state, 65_534, 65_534)
        everything_open(tmp_path)
    home.chmod(0o000)
    verdict = ask("id.files", state, backbone={"tls": True, **files})
    home.chmod(0o700)
    if os.geteuid() == 0:
        assert verdict.status == "fail"
        assert verdict.fix is not None
        assert str(home) in verdict.fix.en
    else:
        assert verdict.status == "skip"


def test_a_place_that_may_not_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no right to look cannot say that something is wrong."""

    def denied(_self: Account, path: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Account, "obstacle", denied)
    assert ask("id.files", tmp_path, backbone={"tls": True, **issue(tmp_path)}).status == "skip"


def test_signing(tmp_path: Path) -> None:
    """Made, whole, with another's public half, damaged."""
    assert ask("id.signing", tmp_path).status == "skip"
    Identity.open(tmp_path / "keys")
    assert ask("id.signing", tmp_path).status == "ok"
    other = Identity.open(tmp_path / "other")
    (tmp_path / "keys" / "kit.pub").write_bytes(other.public.pem)
    assert ask("id.signing", tmp_path).status == "warn"
    (tmp_path / "keys" / "kit.key").write_text("dust")
    assert ask("id.signing", tmp_path).status == "fail"


@pytest.mark.parametrize(("days", "expected"), [(60, "ok"), (29, "warn"), (6, "fail"), (-1, "fail")])
def test_expiry(days: float, expected: str, tmp_path: Path) -> None:
    """A month ahead is a warning, a week a failure."""
    backbone = issue(tmp_path, days=days)
    assert expected == ask("id.cert_expiry", tmp_path, backbone=backbone).status


def test_a_certificate_of_tomorrow_points_to_the_clock(tmp_path: Path) -> None:
    """The certificate is right then, and the time is not."""
    backbone = issue(tmp_path, begins=timedelta(days=1))
    verdict = ask("id.cert_expiry", tmp_path, backbone=backbone)
    assert verdict.status == "fail"
    assert verdict.fix is not None
    assert "NTP" in verdict.fix.en


def test_name(tmp_path: Path) -> None:
    """Another kit's certificate is another kit's."""
    assert ask("id.cn_matches", tmp_path).status == "skip"
    assert ask("id.cn_matches", tmp_path, backbone=issue(tmp_path)).status == "ok"
    verdict = ask("id.cn_matches", tmp_path, backbone=issue(tmp_path, name="k0000000zz"))
    assert verdict.status == "fail"
    assert "k0000000zz" in verdict.text.en


def test_pair(tmp_path: Path) -> None:
    """A key belongs to its certificate; what is no key or no certificate is said."""
    files = issue(tmp_path)
    assert ask("id.key_matches", tmp_path).status == "skip"
    assert ask("id.key_matches", tmp_path, backbone=files).status == "ok"
    (tmp_path / "other").mkdir()
    other = issue(tmp_path / "other")
    mixed = {**files, "key_file": other["key_file"]}
    assert ask("id.key_matches", tmp_path, backbone=mixed).status == "fail"
    (tmp_path / "kit.pem").write_text("no key")
    assert ask("id.key_matches", tmp_path, backbone=files).status == "fail"
    (tmp_path / "kit.crt").write_text("no certificate")
    for code in ("id.key_matches", "id.cn_matches", "id.cert_expiry"):
        assert ask(code, tmp_path, backbone=files).status == "fail"


def test_secrets(tmp_path: Path) -> None:
    """A key that others may read is no secret."""
    files = issue(tmp_path)
    assert ask("sec.secrets", tmp_path, backbone=files).status == "ok"
    (tmp_path / "kit.pem").chmod(0o644)
    verdict = ask("sec.secrets", tmp_path, backbone=files)
    assert verdict.status == "fail"
    assert "kit.pem" in verdict.text.en


@pytest.mark.parametrize(
    ("clips", "seal", "recipients"),
    [
        ({"seal": "age", "recipients": RECIPIENTS[:2]}, "ok", "ok"),
        ({"seal": "age", "recipients": RECIPIENTS[:1]}, "ok", "warn"),
        ({"seal": "age"}, "ok", "fail"),
        ({"seal": "none"}, "fail", "skip"),
        ({"enabled": False}, "skip", "skip"),
    ],
)
def test_sealing(clips: dict[str, Any], seal: str, recipients: str, tmp_path: Path) -> None:
    """Sealed to two is well; to one, one loss loses all; to nobody, nothing is recorded."""
    assert seal == ask("priv.seal", tmp_path, clips=clips).status
    assert recipients == ask("priv.recipients", tmp_path, clips=clips).status


def test_retention(tmp_path: Path) -> None:
    """Longer than three days needs a reason."""
    assert ask("priv.retention", tmp_path).status == "ok"
    assert ask("priv.retention", tmp_path, clips={"retention_h": 100}).status == "warn"


def test_masks(tmp_path: Path) -> None:
    """A view without masks is worth a word."""
    door = {"name": "door", "polygon": [[0, 0], [0.2, 0], [0.2, 0.5]]}
    assert ask("priv.masks", tmp_path).status == "warn"
    assert ask("priv.masks", tmp_path, privacy={"masks": [door]}).status == "ok"


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [({"tls": True}, "ok"), ({"tls": False}, "warn"), ({"tls": False, "host": "broker.city"}, "fail")],
)
def test_tls(backbone: dict[str, Any], expected: str, tmp_path: Path) -> None:
    """In the open only within this machine."""
    assert expected == ask("sec.tls", tmp_path, backbone=backbone).status
