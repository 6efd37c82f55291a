"""What all kits of a city share: `kits.toml`, checked whole, and the secrets in the files that it names."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
import tomllib
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, ValidationError, model_validator

from agent.config_fields import Section
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

CA_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
"""Public keys that may sign certificates; RSA is left out: nobody founds a CA on it today."""
SSID_BYTES = 32  # IEEE 802.11
PSK = re.compile(r"[ -~]{8,63}|[0-9A-Fa-f]{64}")  # IEEE 802.11: a passphrase, or 256 bits
PIN = re.compile(r"\d{4,8}")  # 3GPP TS 31.101


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("there is no such time zone") from None
    return name


def _ssid(name: str) -> str:
    if len(name.encode()) > SSID_BYTES:
        raise ValueError(f"a network's name has {SSID_BYTES} bytes at most")
    return name


def _user_ca(line: str) -> str:
    kind, *rest = line.split()
    try:
        blob = base64.b64decode(rest[0], validate=True) if rest else b""
    except binascii.Error:
        blob = b""
    # RFC 4253, 6.6: the blob begins with the length and the name of its kind.
    if kind not in CA_KINDS or blob[4 : 4 + len(kind)] != kind.encode():
        raise ValueError(f"not the line of a public key file (.pub) of {', '.join(CA_KINDS)}")
    return line


Network = IPv4Network | IPv6Network
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._@-]{1,100}$")]


class Time(Section):
    """Whose time the kits take."""

    ntp: Annotated[tuple[Host, ...], Field(min_length=1, max_length=8)]
    zone: Annotated[str, AfterValidator(_zone)] = "Europe/Kyiv"


class Firewall(Section):
    """Who may speak to whom."""

    management: tuple[Network, ...]
    servers: Annotated[tuple[Network, ...], Field(min_length=1)]
    cameras: tuple[Network, ...] = ()
    ports: Annotated[tuple[Port, ...], Field(min_length=1)] = (8883, 443, 8443)


class Ssh(Section):
    """Who comes in."""

    user_ca: Annotated[str, Field(pattern=r"^[ -~]+$"), AfterValidator(_user_ca)]


class CameraOverlay(Section):
    """The sensor on the ribbon cable."""

    overlay: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*(,[a-z0-9=-]+)*$", max_length=80)] = "auto"


class Wifi(Section):
    """The city's Wi-Fi, if it has one."""

    ssid: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f\\;]+$"), AfterValidator(_ssid)] | None = None
    psk_file: str | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "UA"

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.ssid is None) != (self.psk_file is None):
            raise ValueError(
                "ssid and psk_file belong together: set both or none; a kit joins no open network"
            )
        return self


class Lte(Section):
    """The modem, if the kits have one."""

    apn: Word | None = None
    user: Word | None = None
    password_file: str | None = None
    pin_file: str | None = None

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.apn is None and (self.user or self.password_file or self.pin_file):
            raise ValueError("user, password_file and pin_file are of a modem: set apn, too")
        return self


class Root(Section):
    """The system's own partition."""

    read_only: bool = False
    # The image has 3 GB, packages take one, and a repair wants room for a second set of them.
    system_gb: Annotated[int, Field(ge=4, le=64)] = 6


class Kits(Section):
    """What all kits of a city share."""

    time: Time
    firewall: Firewall
    ssh: Ssh
    camera: CameraOverlay = CameraOverlay()
    wifi: Wifi = Wifi()
    lte: Lte = Lte()
    root: Root = Root()

    @classmethod
    def read(cls, path: Path) -> Kits:
        """The settings in `path`.

        Raises:
            ConfigError: it cannot be read, is no TOML, or a key or value is wrong; the text names each.
        """
        try:
            return cls(**tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{path}: cannot be read ({error})", fix="name the city's kits.toml, made from the sample"
            ) from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(
                f"{path}: no valid TOML ({error})", fix="correct the line that is named"
            ) from None
        except ValidationError as error:
            raise _explained(path, error) from None


class Secrets(Section):
    """What the files hold that the settings name; None where they name none."""

    psk: str | None = None
    password: str | None = None
    pin: str | None = None

    @classmethod
    def read(cls, kits: Kits, directory: Path) -> Secrets:
        """The secrets of `kits`; names are relative to `directory`, where kits.toml lies.

        Raises:
            ConfigError: a file cannot be read or holds no such secret. The secret itself is never repeated.
        """
        return cls(
            psk=_secret(directory, kits.wifi.psk_file, PSK, "a WPA passphrase (8 to 63 ASCII characters)"),
            password=_secret(directory, kits.lte.password_file, re.compile(r"[!-~]{1,64}"), "a password"),
            pin=_secret(directory, kits.lte.pin_file, PIN, "a PIN (4 to 8 digits)"),
        )


def _secret(directory: Path, name: str | None, form: re.Pattern[str], what: str) -> str | None:
    if name is None:
        return None
    path = directory / name
    try:
        text = path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise ConfigError(
            f"{path}: cannot be read ({reason})", fix="put the secret there, alone on one line"
        ) from None
    if not form.fullmatch(text):
        raise ConfigError(f"{path}: does not hold {what}", fix="put the secret there, alone on one line")
    return text


def _explained(path: Path, error: ValidationError) -> ConfigError:
    """One sentence for each wrong key."""
    problems, fixes = [], []
    for item in error.errors():
        loc = [str(part) for part in item["loc"]]
        place = f"{path}: {'.'.join(loc)}"
        if item["type"] == "missing":
            problems.append(f"{place}: needed, and not set")
            fixes.append("firmware-config/kits.toml shows every key with an example")
        elif item["type"] == "extra_forbidden":
            problems.append(f"{place}: unknown key")
            known = sorted(_fields(loc[:-1]))
            near = difflib.get_close_matches(loc[-1], known, n=1, cutoff=0.5)
            fixes.append(f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}")
        else:
            text = item["msg"].removeprefix("Value error, ")
            problems.append(f"{place} = {item['input']!r:.80}: {text[0].lower()}{text[1:]}")
            fixes.append("firmware-config/kits.toml shows every key with an example")
    return ConfigError("; ".join(problems), fix="; ".join(dict.fromkeys(fixes)))


def _fields(loc: list[str]) -> dict[str, object]:
    model: type[BaseModel] = Kits
    for part in loc:
        below = model.model_fields[part].annotation
        if not (isinstance(below, type) and issubclass(below, Section)):
            break
        model = below
    return dict(model.model_fields)
