"""The configurations that a city wants of its kits, signed, each for the topic on which its kit listens.

They hold what the register knows (where the kit hangs, how long clips are kept, who opens them) and, over
that, what somebody wants for all of them. A kit that the register moved is told where it listens still and
where it will: it takes the one that reaches it.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.backbone.signed import Kind, sign
from agent.backbone.topics import Topics
from agent.config_remote import refusals
from agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from agent.city.kits import Kit
    from agent.city.office import Office
    from agent.config import Site
    from agent.config_remote import Tables


@dataclass(frozen=True, slots=True)
class Wanted:
    """A message to be published retained, with QoS 1."""

    topic: str
    payload: str


def read_values(path: Path) -> Tables:
    """What somebody wants for all kits: a file with sections and keys as in agent.toml.

    Raises:
        ConfigError: it cannot be read, is no TOML, or has a key that may not be set from afar.
    """
    fix = "sections and keys as in agent.toml, of those that may be set from afar"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", fix=fix) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no TOML ({error})", fix=fix) from None
    loose = {key: "stands in no section" for key, value in values.items() if not isinstance(value, dict)}
    wrong = loose or refusals(values)
    if wrong:
        problems = "; ".join(f"{key}: {why}" for key, why in wrong.items())
        raise ConfigError(f"{path}: {problems}", fix=fix, keys=wrong)
    return values


def desired(office: Office, kits: Sequence[Kit], over: Tables, by: str, now: datetime) -> Iterator[Wanted]:
    """A new revision for each kit, signed with the city's key; `over` stands over what the register says.

    Raises:
        ConfigError: the key cannot be used, or a kit is not in the register any more.
        StorageError: the register cannot be written.
    """
    key = office.platform_key()
    revs = office.registry.next_revs([kit.kit for kit in kits], by, now)
    for kit in kits:
        values = _values(kit, office.settings.recipients, over)
        for site in (kit.site, *kit.former):
            topic = topics(site, kit.kit).cfg_des
            document = {"v": 1, "rev": revs[kit.kit], "values": values, "target": topic}
            yield Wanted(topic, json.dumps(sign(Kind.CONFIGURATION, document, key), ensure_ascii=False))


def topics(site: Site, kit: str) -> Topics:
    """Those of a kit in a place."""
    return Topics(site.oblast, site.city, site.district, kit)


def _values(kit: Kit, recipients: Sequence[str], over: Tables) -> Tables:
    known: dict[str, dict[str, Any]] = {
        "site": kit.site.model_dump(exclude_none=True),
        "clips": {"retention_h": kit.retention_h, **({"recipients": list(recipients)} if recipients else {})},
    }
    return {section: known.get(section, {}) | over.get(section, {}) for section in known.keys() | over.keys()}
