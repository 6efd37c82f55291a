"""Checks of what a kit carries: the time, its certificate and keys, and what it must not show."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from agent.config import Kit
from agent.doctor.check import Check, Verdict, alarmed, fail, ok, skip, warn
from agent.doctor.registry import Text

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Settings
    from agent.device.clock import Clock

SOON_DAYS, NOW_DAYS = 30, 7  # a certificate lives 90 days and is renewed at half of that
DAY_S = 86_400.0
REASON_H = 72  # EDPB guidelines 3/2019 on video devices: longer storage must be justified

_NTP = Text(
    "Відкрийте комплекту доступ до NTP (UDP 123); timedatectl timesync-status покаже сервер",
    "Let the kit reach NTP (UDP 123); `timedatectl timesync-status` shows the server",
)
_CERTIFICATE = Text(
    "Видайте комплекту новий сертифікат (cert_file і key_file у [backbone])",
    "Issue the kit a new certificate (cert_file and key_file in [backbone])",
)
_LABEL = Text("Впишіть kit.id з етикетки комплекту", "Set kit.id to the id on the kit's label")
_MODE = Text("Закрийте файл для інших: chmod 600", "Close the file to others: chmod 600")


def checks(settings: Settings, clock: Clock) -> list[Check]:
    """The checks of this room."""
    kit = Check("id.kit", Text("Номер комплекту", "The kit's id"), lambda: _kit(settings))
    files = Check("id.files", Text("Файли TLS", "TLS files"), lambda: _files(settings))
    return [
        Check("time.set", Text("Годинник виставлено", "The clock is set"), lambda: _set(clock)),
        Check(
            "time.sync",
            Text("Годинник іде за NTP", "The clock follows NTP"),
            lambda: _sync(clock),
            ("time.set",),
        ),
        kit,
        files,
        Check(
            "id.cert_expiry",
            Text("Строк сертифіката", "The certificate's term"),
            lambda: _expiry(settings, clock),
            (files.code, "time.set"),
        ),
        Check(
            "id.cn_matches",
            Text("Ім'я в сертифікаті", "The certificate's name"),
            lambda: _name(settings),
            (kit.code, files.code),
        ),
        Check(
            "id.key_matches",
            Text("Ключ до сертифіката", "The certificate's key"),
            lambda: _pair(settings),
            (files.code,),
        ),
        Check("sec.secrets", Text("Секрети закриті", "Secrets are closed"), lambda: _secrets(settings)),
        Check("priv.seal", Text("Кліпи запечатано", "Clips are sealed"), lambda: _seal(settings)),
        Check(
            "priv.recipients", Text("Хто відкриє кліпи", "Who can open clips"), lambda: _recipients(settings)
        ),
        Check("priv.retention", Text("Строк зберігання", "Retention"), lambda: _retention(settings)),
        Check("priv.masks", Text("Приватні зони", "Privacy masks"), lambda: _masks(settings)),
        Check("sec.tls", Text("Зв'язок шифровано", "The link is encrypted"), lambda: _tls(settings)),
    ]


def _set(clock: Clock) -> Verdict:
    stamp = clock.stamp()
    if stamp.ts is None:
        return fail("годинник не виставлено", "the clock was never set", _NTP)
    return ok(stamp.ts, stamp.ts)


def _sync(clock: Clock) -> Verdict:
    state = clock.stamp().clk
    if state == "ntp":
        return ok("так", "yes")
    return warn(f"ні, час узято з: {state}", f"no, its time comes from: {state}", _NTP)


def _kit(settings: Settings) -> Verdict:
    if settings.kit.id == Kit().id:
        return fail("не задано", "not set", _LABEL)
    return ok(settings.kit.id, settings.kit.id)


def _files(settings: Settings) -> Verdict:
    backbone = settings.backbone
    if not backbone.tls:
        return skip("TLS вимкнено", "TLS is off")
    named = [path for path in (backbone.ca_file, backbone.cert_file, backbone.key_file) if path is not None]
    for path in named:
        try:
            path.read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            return fail(f"{path}: {reason}", f"{path}: {reason}", _CERTIFICATE)
    if backbone.cert_file is None:
        return fail("backbone.cert_file не задано", "backbone.cert_file is not set", _CERTIFICATE)
    return ok(f"{len(named)} прочитано", f"{len(named)} can be read")


def _certificate(settings: Settings) -> x509.Certificate | Verdict:
    path = settings.backbone.cert_file
    if path is None:
        return skip("сертифіката немає", "there is no certificate")
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        return fail(f"{path}: не сертифікат PEM", f"{path}: no PEM certificate", _CERTIFICATE)


def _expiry(settings: Settings, clock: Clock) -> Verdict:
    found = _certificate(settings)
    if isinstance(found, Verdict):
        return found
    now = clock.unix_ms() / 1000
    left = (found.not_valid_after_utc.timestamp() - now) / DAY_S
    date = found.not_valid_after_utc.date().isoformat()
    if now < found.not_valid_before_utc.timestamp():
        since = found.not_valid_before_utc.date().isoformat()
        return fail(f"чинний лише з {since}", f"valid only from {since}", _NTP)
    if left < 0:
        return fail(f"скінчився {date}", f"expired on {date}", _CERTIFICATE)
    uk, en = f"до {date}, лишилося {left:.0f} дн.", f"until {date}, {left:.0f} days left"
    if left < NOW_DAYS:
        return fail(uk, en, _CERTIFICATE)
    return warn(uk, en, _CERTIFICATE) if left < SOON_DAYS else ok(uk, en)


def _name(settings: Settings) -> Verdict:
    found = _certificate(settings)
    if isinstance(found, Verdict):
        return found
    names = [str(one.value) for one in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [settings.kit.id]:
        said = ", ".join(names) or "-"
        return fail(
            f"{said}, а комплект — {settings.kit.id}",
            f"{said}, but the kit is {settings.kit.id}",
            _CERTIFICATE,
        )
    return ok(settings.kit.id, settings.kit.id)


def _pair(settings: Settings) -> Verdict:
    found = _certificate(settings)
    if isinstance(found, Verdict):
        return found
    path = settings.backbone.key_file
    if path is None:
        return skip("ключа немає", "there is no key")
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        return fail(f"{path}: не ключ PEM без пароля", f"{path}: no PEM key without a password", _CERTIFICATE)
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != found.public_key().public_bytes(*form):
        return fail("ключ від іншого сертифіката", "the key is another certificate's", _CERTIFICATE)
    return ok("пасує", "fits")


def _secrets(settings: Settings) -> Verdict:
    """Only the agent's user may read them; a group that is let in by root (0640) is root's decision."""
    backbone = settings.backbone
    secrets = [path for path in (backbone.key_file, backbone.password_file) if path is not None]
    secrets.append(settings.state.dir / "keys" / "kit.key")
    open_ones = [path for path in secrets if _mode(path) & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP)]
    if open_ones:
        names = ", ".join(map(str, open_ones))
        return fail(f"відкриті для інших: {names}", f"open to others: {names}", _MODE)
    return ok(f"{len(secrets)} перевірено", f"{len(secrets)} looked at")


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return 0


def _seal(settings: Settings) -> Verdict:
    if not settings.clips.enabled:
        return skip("запис вимкнено", "recording is off")
    return ok("age", "age") if settings.clips.seal == "age" else alarmed("clips.unsealed")


def _recipients(settings: Settings) -> Verdict:
    clips = settings.clips
    if not clips.enabled or clips.seal == "none":
        return skip("кліпи не запечатуються", "clips are not sealed")
    if clips.refused:
        return alarmed("clips.disabled")
    count = len(clips.recipients)
    if count == 1:
        return warn(
            "лише один ключ: загубиться він — загубляться всі кліпи",
            "one key only: if it is lost, so are all clips",
            Text(
                "Додайте другий ключ (депозитний) у clips.recipients",
                "Add a second key (an escrow's) to clips.recipients",
            ),
        )
    return ok(f"{count} ключі", f"{count} keys")


def _retention(settings: Settings) -> Verdict:
    hours = settings.clips.retention_h
    uk, en = f"{hours:.0f} год", f"{hours:.0f} h"
    if hours > REASON_H:
        return warn(
            f"{uk}: понад 72 год потребує обґрунтування",
            f"{en}: more than 72 h needs a reason on paper",
            Text(
                "Зменште clips.retention_h або запишіть підставу в паспорт",
                "Lower clips.retention_h, or write the reason into the passport",
            ),
        )
    return ok(uk, en)


def _masks(settings: Settings) -> Verdict:
    names = [mask.name for mask in settings.privacy.masks]
    if not names:
        return warn(
            "жодної: двері квартир у кадрі видно",
            "none: doors of flats in the picture are visible",
            Text(
                "Намалюйте [[privacy.masks]] на двері квартир і вікна",
                "Draw [[privacy.masks]] over doors of flats and windows",
            ),
        )
    return ok(", ".join(names), ", ".join(names))


def _tls(settings: Settings) -> Verdict:
    backbone = settings.backbone
    if backbone.tls:
        return ok("TLS", "TLS")
    if backbone.host in {"localhost", "127.0.0.1", "::1"}:
        return warn(
            "TLS вимкнено; брокер на цій машині",
            "TLS is off; the broker is on this machine",
            Text("На справжньому комплекті: backbone.tls = true", "On a real kit: backbone.tls = true"),
        )
    return fail(
        f"TLS вимкнено, а брокер — {backbone.host}: усе йде відкрито",
        f"TLS is off, and the broker is {backbone.host}: all goes in the open",
        Text("Увімкніть backbone.tls", "Set backbone.tls = true"),
    )
