"""Templates: `@name@` stands for a value. What nothing fills is an error, and is never left standing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACE = re.compile(r"@([a-z][a-z0-9_]*)@")


def fill(text: str, values: Mapping[str, str], where: str) -> str:
    """`text` with every placeholder replaced by its value; `where` names the template in errors.

    A line that is one placeholder alone may become several lines, or, by an empty value, none. What a value
    holds is not looked at for placeholders.

    Raises:
        ConfigError: a placeholder has no value, or a value of several lines stands within a line.
    """
    unknown = sorted({name for name in PLACE.findall(text) if name not in values})
    if unknown:
        raise ConfigError(
            f"{where}: no value for {', '.join(f'@{name}@' for name in unknown)}",
            fix=f"known are {', '.join(sorted(values))}",
        )
    lines = []
    for line in text.splitlines():
        alone = PLACE.fullmatch(line)
        if alone:
            lines += values[alone[1]].splitlines()
            continue
        for name in PLACE.findall(line):
            if "\n" in values[name]:
                raise ConfigError(
                    f"{where}: @{name}@ is several lines, and stands within one",
                    fix="give it a line of its own",
                )
        lines.append(PLACE.sub(lambda found: values[found[1]], line))
    return "\n".join(lines) + "\n"
