"""What is done to kits at the depot: taken in from a list, given claims, locked out, let go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.city import claims, issued
from agent.city.kits import Kit, State, new_id
from agent.city.registry import move
from agent.device.enrolfile import EnrolFile, Scalar
from agent.durable import write_whole
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from cryptography.x509 import ReasonFlags

    from agent.city.claims import Claim
    from agent.city.inventory import Plan, Row
    from agent.city.office import Office
    from agent.city.registry import Registry

CARD_MODE = 0o600


def take_in(registry: Registry, plan: Plan, by: str, now: datetime) -> list[Kit]:
    """Carry out a plan without flaws; the kits that are new, with their ids.

    Raises:
        ConfigError: the plan has flaws, or the register has changed since.
        StorageError: the register cannot be written.
    """
    if plan.flaws:
        raise ConfigError(f"{len(plan.flaws)} flaws in the list", fix="correct them first")
    taken = {kit.kit for kit in registry.kits()} | {row.kit for row in plan.new}
    new = []
    for row in plan.new:
        kit = row.kit or _free(taken)
        taken.add(kit)
        new.append(_kit(row, kit))
    registry.add(new, by, now)
    for row in plan.changed:
        registry.change(row.kit, row.site, row.purpose, row.retention_h, by, now)
    return new


def make_claims(
    registry: Registry, kits: Iterable[str], by: str, now: datetime, life_h: float = claims.LIFE_H
) -> list[Claim]:
    """A new claim for each kit; all or none.

    Raises:
        ConfigError: a kit is not in the register, or gone for good.
        StorageError: the register cannot be written.
    """
    with registry.transaction() as db:
        return [claims.make(db, kit, by, now, life_h) for kit in kits]


def card(office: Office, kit: Kit, claim: Claim, root: str, platform_key: str) -> EnrolFile:
    """What the card of a kit has to carry; `root` is the city's certificate in PEM."""
    city = office.settings
    backbone: dict[str, Scalar] = {
        "host": city.broker_host,
        "port": city.broker_port,
        "delivery": city.delivery,
        "enrol_url": city.url,
        "platform_keys": [platform_key, *city.platform_keys],
    }
    clips: dict[str, Scalar] = {"recipients": list(city.recipients), "retention_h": kit.retention_h}
    update: dict[str, Scalar] = {"release_keys": list(city.release_keys)}
    site: dict[str, Scalar] = kit.site.model_dump(exclude_none=True)
    stated = {"purpose": kit.purpose}
    stated |= {"controller": city.controller, "contact": city.contact, "basis": city.basis}
    passport: dict[str, Scalar] = {key: text for key, text in stated.items() if text}
    support: dict[str, Scalar] = {"recipients": list(city.support_recipients)}
    return EnrolFile(
        kit=kit.kit,
        claim=claim.text,
        claim_expires=claim.expires,
        url=city.url,
        ca=root,
        settings={
            "site": site,
            "backbone": backbone,
            "clips": clips,
            "update": update,
            "passport": passport,
            "support": support,
        },
    )


def write_cards(
    office: Office,
    kits: Sequence[Kit],
    claims: Sequence[Claim],
    out: Path,
    step: Callable[[int], None],
) -> list[Path]:
    """A file `<kit>.toml` in `out` for each card to be made, for their owner's eyes only; `step` counts them.

    Raises:
        ConfigError: a file of the city is missing.
        StorageError: the disk refused.
    """
    root, key = office.root_pem(), office.platform_public()
    written = []
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        for kit, claim in zip(kits, claims, strict=True):
            path = out / f"{kit.kit}.toml"
            write_whole(path, card(office, kit, claim, root, key).text().encode(), CARD_MODE)
            written.append(path)
            step(1)
    except OSError as error:
        raise StorageError(
            f"{out}: cannot be written ({error.strerror})",
            fix="name a directory that you may write to",
            errno=error.errno,
        ) from None
    return written


def lock_out(
    office: Office, kit: str, state: State, reason: ReasonFlags, by: str, why: str, now: datetime
) -> int:
    """Take back all that a kit was given; how many certificates that were. `state` is what it is then.

    Its claim counts no more, either. The broker learns of it by the list that is written.

    Raises:
        ConfigError: the kit is not in the register, that state cannot follow, or the authority cannot sign.
        StorageError: the disk refused.
    """
    signing = office.authority()
    with office.registry.transaction() as db:
        move(db, kit, state, by, why, now)
        claims.withdraw(db, kit, now)
        count = issued.revoke(db, kit, reason, by, now, kit=kit)
    office.write_crl(by, now, signing)
    return count


def _kit(row: Row, kit: str) -> Kit:
    return Kit(kit, State.MANUFACTURED, row.site, row.purpose, row.retention_h, (), 0, "")


def _free(taken: set[str]) -> str:
    while (kit := new_id()) in taken:
        pass
    return kit
