"""What a new card carries so that its kit can enrol: `enrol.toml` on the boot partition.

It has the kit's id, a claim that counts once and for days only, where to enrol, the city's root, and the
settings that the kit's own file begins with. Who has the file can enrol in the kit's place until the kit did:
it is made when the card is made, and the kit deletes it when it has its certificate.
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cryptography import x509
from pydantic import AfterValidator, Field, ValidationError

from agent.config_fields import HttpsUrl, Section
from agent.errors import ConfigError
from agent.kitid import ALPHABET, check_kit_id
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from pathlib import Path

CLAIM_LENGTH = 26  # of base32: 130 bits, of which 128 are by chance
SIZE_MAX = 64 * 1024  # a card that was written wrongly may hold anything
FIX = say("make the card's file anew with `stairwell fleet claim`")

Scalar = str | int | float | bool | list[str]


def check_claim(claim: str) -> str:
    """`claim` itself if it looks like one.

    Raises:
        ValueError: it doesn't; the text says why, and not what it is.
    """
    if len(claim) != CLAIM_LENGTH or set(claim) - set(ALPHABET):
        raise ValueError(f"a claim is {CLAIM_LENGTH} characters of {ALPHABET}")
    return claim


def _check_root(pem: str) -> str:
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise ValueError("no certificates in PEM") from None
    if any(one.issuer != one.subject for one in found):
        raise ValueError("not a root: it is signed by another")
    return pem


class EnrolFile(Section):
    """The file. `settings` are sections and keys as in agent.toml: `kitfile` checks them."""

    v: Literal[1] = 1
    kit: Annotated[str, AfterValidator(check_kit_id)]
    claim: Annotated[str, AfterValidator(check_claim)] = Field(repr=False)
    claim_expires: Annotated[
        str, Field(pattern=r"^[0-9]{4}-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z$")
    ]
    url: HttpsUrl
    ca: Annotated[str, AfterValidator(_check_root)]
    settings: dict[str, dict[str, Scalar]] = Field(default={})

    @classmethod
    def read(cls, path: Path) -> EnrolFile:
        """The file at `path`.

        Raises:
            ConfigError: it cannot be read, or is wrong; the text names each key, and never the claim.
        """
        try:
            with path.open("rb") as file:
                content = file.read(SIZE_MAX + 1)
        except OSError as error:
            raise ConfigError(
                say("{path}: cannot be read ({reason})", path=path, reason=reason(error)), fix=FIX
            ) from None
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: bytes, where: str) -> EnrolFile:
        """The file with this content; `where` is what an error calls it.

        Raises:
            ConfigError: it is wrong; the text names each key, and never the claim.
        """
        try:
            if len(content) > SIZE_MAX:
                raise ValueError(f"larger than {SIZE_MAX} bytes")
            values: dict[str, Any] = tomllib.loads(content.decode())
        except (ValueError, RecursionError) as error:  # of TOML and of UTF-8, too
            raise ConfigError(
                say("{where}: no TOML ({reason})", where=where, reason=error), fix=FIX
            ) from None
        try:
            return cls(**values)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}"
                for item in error.errors(include_input=False)
            )
            raise ConfigError(say("{where}: {problems}", where=where, problems=problems), fix=FIX) from None

    def text(self) -> str:
        """The file's content."""
        head = self.model_dump(exclude={"settings"})
        lines = ["# A secret until the kit has enrolled; then the kit deletes it."]
        lines += [f"{key} = {toml(value)}" for key, value in head.items()]
        for section, table in self.settings.items():
            lines += ["", f"[settings.{section}]"]
            lines += [f"{key} = {toml(value)}" for key, value in table.items()]
        return "\n".join(lines) + "\n"

    @property
    def label(self) -> str:
        """What a label's QR code says: which kit it is, and proof that the label was in hand."""
        return f"BO1:{self.kit}:{self.claim}"


def toml(value: object) -> str:
    """A value as TOML has it. Its basic strings are JSON's, but for the delete character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
