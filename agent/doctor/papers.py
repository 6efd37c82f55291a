"""Checks of what a kit carries: the time, its certificate and keys, and what it must not show."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from agent.config import Kit
from agent.device import identity
from agent.device.account import Account
from agent.doctor import hours
from agent.doctor.check import Check, Verdict, alarmed, denied, fail, ok, skip, warn
from agent.doctor.remedy import closing, giving, spelled
from agent.reasons import reason
from agent.words import counted, say, verbatim

if TYPE_CHECKING:
    from agent.config import Settings
    from agent.device.clock import Clock

SOON_DAYS, NOW_DAYS = 30, 7  # a certificate lives 90 days and is renewed at half of that
DAY_S = 86_400.0
CREDENTIALS = Path("/run/credentials")
"""Where systemd shows a service its LoadCredential=."""
REASON_H = 72  # EDPB guidelines 3/2019 on video devices: longer storage must be justified

_CERTIFICATE = say("Issue the kit a new certificate (cert_file and key_file in [backbone])")
_LABEL = say("Set kit.id to the id on the kit's label")


def checks(settings: Settings, clock: Clock) -> list[Check]:
    """The checks of this room."""
    kit = Check("id.kit", say("The kit's id"), lambda: _kit(settings))
    files = Check("id.files", say("TLS files"), lambda: _files(settings))
    return [
        kit,
        files,
        Check(
            "id.cert_expiry",
            say("The certificate's term"),
            lambda: _expiry(settings, clock),
            (files.code, "time.set"),
        ),
        Check(
            "id.cn_matches",
            say("The certificate's name"),
            lambda: _name(settings),
            (kit.code, files.code),
        ),
        Check(
            "id.key_matches",
            say("The certificate's key"),
            lambda: _pair(settings),
            (files.code,),
        ),
        Check("id.signing", say("The kit's signing key"), lambda: _signing(settings), ("disk.state",)),
        Check("sec.secrets", say("Secrets are closed"), lambda: _secrets(settings)),
        Check("priv.seal", say("Clips are sealed"), lambda: _seal(settings)),
        Check("priv.recipients", say("Who can open clips"), lambda: _recipients(settings)),
        Check("priv.retention", say("Retention"), lambda: _retention(settings)),
        Check("priv.masks", say("Privacy masks"), lambda: _masks(settings)),
        Check("sec.tls", say("The link is encrypted"), lambda: _tls(settings)),
    ]


def _kit(settings: Settings) -> Verdict:
    if settings.kit.id == Kit().id:
        return fail(say("not set"), _LABEL)
    return ok(verbatim(settings.kit.id))


def _files(settings: Settings) -> Verdict:
    """That they are there, and that the agent's user may read them: root may read everything."""
    backbone = settings.backbone
    if not backbone.tls:
        return skip(say("TLS is off"))
    if backbone.cert_file is None:
        return fail(say("backbone.cert_file is not set"), _CERTIFICATE)
    named = [path for path in (backbone.ca_file, backbone.cert_file, backbone.key_file) if path is not None]
    for path in named:
        verdict = _readable(path, settings.state.dir)
        if verdict is not None:
            return verdict
    return ok(say("{n} can be read", n=len(named)))


def _readable(path: Path, state: Path) -> Verdict | None:
    """What is wrong with a file of the agent's; None: nothing, as far as whoever asks may know."""
    try:
        user = Account.agent(state)
    except OSError:
        user = Account.own()
    try:
        # Credentials have an access list, which says nothing in the mode.
        obstacle = None if path.is_relative_to(CREDENTIALS) else user.obstacle(path)
        if obstacle is None and Account.own().may(path):
            path.read_bytes()
    except FileNotFoundError:
        return fail(say("{path}: there is no such file", path=path), _CERTIFICATE)
    except PermissionError:
        return denied(say("{path}: only the agent and root may look there", path=path))
    except OSError as error:
        return fail(say("{path}: cannot be read ({reason})", path=path, reason=reason(error)), _CERTIFICATE)
    if obstacle is None:
        return None
    told = say("{path}: the agent's user {user} may not read it", path=path, user=user.name)
    if obstacle.is_dir():
        return fail(told, say("{path} is closed to it: put the file into /etc/stairwell", path=obstacle))
    by_hand = (("chown", user.name, str(path)), ("chmod", "400", str(path)))
    return fail(told, spelled(by_hand), giving(user.name, path))


def _certificate(settings: Settings) -> x509.Certificate | Verdict:
    path = settings.backbone.cert_file
    if path is None:
        return skip(say("there is no certificate"))
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        return fail(say("{path}: no PEM certificate", path=path), _CERTIFICATE)


def _expiry(settings: Settings, clock: Clock) -> Verdict:
    found = _certificate(settings)
    if isinstance(found, Verdict):
        return found
    now = clock.unix_ms() / 1000
    left = (found.not_valid_after_utc.timestamp() - now) / DAY_S
    date = found.not_valid_after_utc.date().isoformat()
    if now < found.not_valid_before_utc.timestamp():
        since = found.not_valid_before_utc.date().isoformat()
        return fail(say("valid only from {date}", date=since), hours.NTP)
    if left < 0:
        return fail(say("expired on {date}", date=date), _CERTIFICATE)
    told = counted("until {date}, {n} day left", "until {date}, {n} days left", int(left), date=date)
    if left < NOW_DAYS:
        return fail(told, _CERTIFICATE)
    return warn(told, _CERTIFICATE) if left < SOON_DAYS else ok(told)


def _name(settings: Settings) -> Verdict:
    found = _certificate(settings)
    if isinstance(found, Verdict):
        return found
    names = [str(one.value) for one in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [settings.kit.id]:
        said = ", ".join(names) or "-"
        return fail(
            say("{said}, but the kit is {kit}", said=said, kit=settings.kit.id),
            _CERTIFICATE,
        )
    return ok(verbatim(settings.kit.id))


def _pair(settings: Settings) -> Verdict:
    found = _certificate(settings)
    if isinstance(found, Verdict):
        return found
    path = settings.backbone.key_file
    if path is None:
        return skip(say("there is no key"))
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        return fail(say("{path}: no PEM key without a password", path=path), _CERTIFICATE)
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != found.public_key().public_bytes(*form):
        return fail(say("the key is another certificate's"), _CERTIFICATE)
    return ok(say("fits"))


def _signing(settings: Settings) -> Verdict:
    """That the key which signs clips is whole, and the public half beside it is its own."""
    home = settings.state.dir / identity.KEYS
    try:
        secret = load_pem_private_key((home / identity.SECRET_NAME).read_bytes(), None)
        public = (home / identity.PUBLIC_NAME).read_bytes()
    except FileNotFoundError as error:
        return skip(say("{path}: is made when the agent first starts", path=error.filename))
    except PermissionError as error:
        return denied(say("{path}: only the agent and root may look there", path=error.filename))
    except (ValueError, TypeError):
        return alarmed("identity.replaced")
    if secret.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) != public:
        return warn(
            say("kit.pub is another key's"),
            say("Restart the agent: it writes kit.pub anew. Send that to the city"),
        )
    return ok(say("whole"))


def _secrets(settings: Settings) -> Verdict:
    """Only the agent's user may read them; a group that is let in by root (0640) is root's decision."""
    backbone = settings.backbone
    secrets = [path for path in (backbone.key_file, backbone.password_file) if path is not None]
    secrets.append(settings.state.dir / "keys" / "kit.key")
    open_ones = [path for path in secrets if _mode(path) & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP)]
    if open_ones:
        names = ", ".join(map(str, open_ones))
        remedy = closing("go-rwx", open_ones)
        fix = spelled(remedy or (("chmod", "go-rwx", *map(str, open_ones)),))
        return fail(say("open to others: {names}", names=names), fix, remedy)
    return ok(say("{n} looked at", n=len(secrets)))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return 0


def _seal(settings: Settings) -> Verdict:
    if not settings.clips.enabled:
        return skip(say("recording is off"))
    return ok(verbatim("age")) if settings.clips.seal == "age" else alarmed("clips.unsealed")


def _recipients(settings: Settings) -> Verdict:
    clips = settings.clips
    if not clips.enabled or clips.seal == "none":
        return skip(say("clips are not sealed"))
    if clips.refused:
        return alarmed("clips.disabled")
    count = len(clips.recipients)
    if count == 1:
        return warn(
            say("one key only: if it is lost, so are all clips"),
            say("Add a second key (an escrow's) to clips.recipients"),
        )
    return ok(counted("{n} key", "{n} keys", count))


def _retention(settings: Settings) -> Verdict:
    hours = settings.clips.retention_h
    told = say("{hours:g} h", hours=hours)
    if hours > REASON_H:
        return warn(
            say("{hours:g} h: more than 72 h needs a reason on paper", hours=hours),
            say("Lower clips.retention_h, or write the reason into the passport"),
        )
    return ok(told)


def _masks(settings: Settings) -> Verdict:
    names = [mask.name for mask in settings.privacy.masks]
    if not names:
        return warn(
            say("none: doors of flats in the picture are visible"),
            say("Draw [[privacy.masks]] over doors of flats and windows"),
        )
    return ok(verbatim(", ".join(names)))


def _tls(settings: Settings) -> Verdict:
    backbone = settings.backbone
    if backbone.tls:
        return ok(verbatim("TLS"))
    if backbone.host in {"localhost", "127.0.0.1", "::1"}:
        return warn(
            say("TLS is off; the broker is on this machine"),
            say("On a real kit: backbone.tls = true"),
        )
    return fail(
        say("TLS is off, and the broker is {host}: all goes in the open", host=backbone.host),
        say("Set backbone.tls = true"),
    )
