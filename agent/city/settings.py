"""What each kit of a city has to know: where it enrols, which broker it talks to, who opens its clips."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, ValidationError

from agent.agekey import check_recipient
from agent.config import Text200
from agent.config_fields import HttpsUrl, PlatformKey, Receipt, Section, Slug
from agent.device.enrolfile import toml
from agent.durable import write_whole
from agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME = "city.toml"
FILE_MODE = 0o644
FIX = "correct the file; its comments tell what each key means"


Recipients = Annotated[tuple[Annotated[str, AfterValidator(check_recipient)], ...], Field(max_length=8)]


class CitySettings(Section):
    """`city.toml`."""

    name: Slug
    url: HttpsUrl
    broker_host: Annotated[str, Field(min_length=1, max_length=253)]
    broker_port: Annotated[int, Field(ge=1, le=65535)] = 8883
    delivery: Receipt = "watermark"
    recipients: Recipients = ()
    platform_keys: Annotated[tuple[PlatformKey, ...], Field(max_length=7)] = ()
    release_keys: Annotated[tuple[PlatformKey, ...], Field(max_length=8)] = ()
    controller: Text200 = ""
    contact: Text200 = ""
    basis: Text200 = ""
    support_recipients: Recipients = ()

    @classmethod
    def read(cls, directory: Path) -> CitySettings:
        """What the file in a city's directory says.

        Raises:
            ConfigError: it cannot be read, or a key or value is wrong; the text names each.
        """
        path = directory / NAME
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be read ({error.strerror})", fix="make the city with `stairwell ca init`"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: no TOML ({error})", fix=FIX) from None
        if "delivery" not in values:  # of an earlier version: its kits waited for the broker's word
            raise ConfigError(
                f"{path}: delivery is missing: whose word shall new kits wait for?",
                fix='write delivery = "watermark", or "puback" if the platform acknowledges nothing',
            )
        try:
            return cls(**values)
        except ValidationError as error:
            problems = explained(error)
            raise ConfigError(f"{path}: {problems}", fix=FIX) from None

    def write(self, directory: Path) -> None:
        """Put the file into a city's directory.

        Raises:
            OSError: the disk refused.
        """
        text = (
            "# What every kit of the city has to know. It is put on each card that is made from now on.\n"
            f"name = {toml(self.name)}\n\n"
            "# Where kits enrol and renew their certificates (`stairwell enrol serve`, or any EST server).\n"
            f"url = {toml(self.url)}\n\n"
            "# The broker, by the name that stands in its certificate.\n"
            f"broker_host = {toml(self.broker_host)}\n"
            f"broker_port = {self.broker_port}\n\n"
            "# Whose word a message's delivery takes, and so a walk test, a signature, an update's trial:\n"
            '# "watermark": the platform\'s, which has to publish on `ack`; "puback": the broker\'s alone.\n'
            f"delivery = {toml(self.delivery)}\n\n"
            "# Who can open the clips (age1...). Two are better than one: a lost key is lost footage.\n"
            f"recipients = {_lines(self.recipients)}\n\n"
            "# Keys that sign orders beside platform.key of this directory (Ed25519 public keys, base64).\n"
            f"platform_keys = {_lines(self.platform_keys)}\n\n"
            "# Keys whose releases of the agent kits install (`stairwell ca release-key` shows one).\n"
            "# Kits learn them from the card alone; one that knows none must be visited to be updated.\n"
            f"release_keys = {_lines(self.release_keys)}\n\n"
            "# For the passports: who answers for the cameras and their records, where people turn to, the\n"
            "# decision or law that they stand on. What each is for, the register knows.\n"
            f"controller = {toml(self.controller)}\n"
            f"contact = {toml(self.contact)}\n"
            f"basis = {toml(self.basis)}\n\n"
            "# Who can open support bundles (age1...); without one they are not sealed.\n"
            f"support_recipients = {_lines(self.support_recipients)}\n"
        )
        write_whole(directory / NAME, text.encode(), FILE_MODE)


def _lines(values: Sequence[str]) -> str:
    """A list as TOML has it, a line for each."""
    return "[" + "".join(f"\n  {toml(value)}," for value in values) + "\n]" if values else "[]"


def explained(error: ValidationError) -> str:
    """Each wrong key with its value, in one line."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'file'} = {item['input']!r:.80}: "
        f"{item['msg'].removeprefix('Value error, ')}"
        for item in error.errors()
    )
