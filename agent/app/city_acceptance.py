"""What a kit's own record of its commissioning is worth to the city, and the state that follows from it.

The record (`accept`, or `acceptance.json` off the kit) is not signed: the broker's ACL ties the message to
its kit, and a file is worth what whoever hands it in is. So it is held against the register: a kit that was
claimed, at its place, whose steps are settled. The trail keeps the fingerprint of the key that it names.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from pydantic import ValidationError

from agent.app.steps import Step
from agent.backbone.messages import Accept, AcceptBody
from agent.city import registry
from agent.city.kits import State
from agent.device.identity import PublicKey
from agent.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from agent.city.registry import Registry

CHECKSUM = re.compile(rb"[0-9a-f]{64}\n")
"""How `acceptance.json` begins; a message has no such line."""


def read(path: Path) -> AcceptBody:
    """The record in a file: the kit's `acceptance.json`, or the payload of its `accept`.

    Raises:
        ConfigError: it cannot be read, is damaged, or is no such record.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror})", fix="name a kit's acceptance.json"
        ) from None
    body = text
    if CHECKSUM.match(text):
        checksum, _, body = text.partition(b"\n")
        body = body.removesuffix(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != checksum:
            raise ConfigError(f"{path}: is damaged", fix="copy it off the kit once more")
    try:
        kind = Accept if b'"seq"' in body else AcceptBody
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the record"
        raise ConfigError(
            f"{path}: is no record of a commissioning ({where}: {first['msg']})",
            fix="name a kit's acceptance.json, or the payload of its `accept`",
        ) from None


def take(register: Registry, record: AcceptBody, by: str, now: datetime) -> bool:
    """Have the kit be commissioned; False: it was by this record already, and nothing is noted.

    Raises:
        ConfigError: the kit is not in the register or not let in, hangs elsewhere, or steps are missing.
    """
    missing = [step for step in Step if step is not Step.SIGN and step not in {s.step for s in record.steps}]
    if missing:
        raise ConfigError(
            f"{record.dev}: steps are missing: {', '.join(missing)}",
            fix="have it commissioned: sudo stairwell commission",
        )
    why = f"signed by {record.by}, {record.ts or 'at a time that is not known'}, key {_fingerprint(record)}"
    if not record.passed:
        why += f", although checks failed: {record.why}"
    with register.transaction() as db:
        kit = registry.kit_of(db, record.dev)
        there, here = record.site.model_dump(exclude_none=True), kit.site.model_dump(exclude_none=True)
        wrong = sorted(key for key, value in there.items() if value != here.get(key))
        if wrong:
            raise ConfigError(
                f"{record.dev}: was signed for at another place ({', '.join(wrong)}: "
                f"{', '.join(str(there[key]) for key in wrong)})",
                fix="correct the list and import it, or have the kit configured and signed for anew",
            )
        told = f"was {State.CLAIMED}: {why}"
        last = db.execute(
            "SELECT detail FROM audit WHERE kit = ? AND act = ? ORDER BY n DESC LIMIT 1",
            (record.dev, State.COMMISSIONED),
        ).fetchone()
        if kit.state in {State.COMMISSIONED, State.ACTIVE} and last is not None and last[0] == told:
            return False
        if kit.state is not State.CLAIMED:
            raise ConfigError(
                f"{record.dev}: is {kit.state}, and a record counts for a kit that is {State.CLAIMED}",
                fix="`stairwell fleet show` tells what was; a new claim leads back to it",
            )
        registry.move(db, record.dev, State.COMMISSIONED, by, why, now)
    return True


def _fingerprint(record: AcceptBody) -> str:
    return PublicKey.of(base64.b64decode(record.key)).fingerprint
