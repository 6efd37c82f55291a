"""What each kit of a city has to know: where it enrols, which broker it talks to, who opens its clips."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, ValidationError

from agent.agekey import check_recipient
from agent.config_fields import HttpsUrl, PlatformKey, Receipt, Section, Slug
from agent.durable import write_whole
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "city.toml"
FILE_MODE = 0o644
FIX = "correct the file; its comments tell what each key means"


class CitySettings(Section):
    """`city.toml`."""

    name: Slug
    url: HttpsUrl
    broker_host: Annotated[str, Field(min_length=1, max_length=253)]
    broker_port: Annotated[int, Field(ge=1, le=65535)] = 8883
    delivery: Receipt = "watermark"
    recipients: Annotated[
        tuple[Annotated[str, AfterValidator(check_recipient)], ...], Field(max_length=8)
    ] = ()
    platform_keys: Annotated[tuple[PlatformKey, ...], Field(max_length=7)] = ()
    release_keys: Annotated[tuple[PlatformKey, ...], Field(max_length=8)] = ()

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
        recipients, keys, release_keys = (
            json.dumps(list(of), indent=2) for of in (self.recipients, self.platform_keys, self.release_keys)
        )
        text = (
            "# What every kit of the city has to know. It is put on each card that is made from now on.\n"
            f"name = {json.dumps(self.name)}\n\n"
            "# Where kits enrol and renew their certificates (`stairwell enrol serve`, or any EST server).\n"
            f"url = {json.dumps(self.url)}\n\n"
            "# The broker, by the name that stands in its certificate.\n"
            f"broker_host = {json.dumps(self.broker_host)}\n"
            f"broker_port = {self.broker_port}\n\n"
            "# Whose word a message's delivery takes, and so a walk test, a signature, an update's trial:\n"
            '# "watermark": the platform\'s, which has to publish on `ack`; "puback": the broker\'s alone.\n'
            f"delivery = {json.dumps(self.delivery)}\n\n"
            "# Who can open the clips (age1...). Two are better than one: a lost key is lost footage.\n"
            f"recipients = {recipients}\n\n"
            "# Keys that sign orders beside platform.key of this directory (Ed25519 public keys, base64).\n"
            f"platform_keys = {keys}\n\n"
            "# Keys whose releases of the agent kits install (`stairwell ca release-key` shows one).\n"
            "# Kits learn them from the card alone; one that knows none must be visited to be updated.\n"
            f"release_keys = {release_keys}\n"
        )
        write_whole(directory / NAME, text.encode(), FILE_MODE)


def explained(error: ValidationError) -> str:
    """Each wrong key with its value, in one line."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'file'} = {item['input']!r:.80}: "
        f"{item['msg'].removeprefix('Value error, ')}"
        for item in error.errors()
    )
