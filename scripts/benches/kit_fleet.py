"""A list of a thousand kits, by a depot's commands: how long each takes, and that nothing comes twice."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent.device.enrolfile import EnrolFile
from agent.kitid import check_kit_id
from findings import Finding
from kit_depot import Depot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FLEET = 1000
FLEET_S = 30.0  # for each command, on a busy machine


def findings_of() -> Iterator[Finding]:
    """A list of a thousand kits, by the commands."""
    with tempfile.TemporaryDirectory() as directory:
        depot = Depot(Path(directory))
        depot.found()
        took: dict[str, float] = {}

        def timed(name: str, step: Callable[[], object]) -> None:
            begun = time.monotonic()
            step()
            took[name] = time.monotonic() - begun

        kits: list[str] = []
        timed("import", lambda: kits.extend(depot.take_in(FLEET)))
        timed("import_again", lambda: depot.ask("import", depot.exported()))
        timed("claim", lambda: depot.ask("claim", "--all", "-o", depot.claims))
        for name in ("list", "export", "acl", "trail"):
            timed(name, lambda name=name: depot.ask(name))
        timed("desired", lambda: depot.ask("desired", "--passphrase-file", depot.passphrase))
        claims = {EnrolFile.read(path).claim for path in depot.claims.glob("*.toml")}
    whole = (len(kits), len(set(kits)), len(claims)) == (FLEET, FLEET, FLEET)
    well = whole and all(map(check_kit_id, kits)) and max(took.values()) < FLEET_S
    promise = f"{FLEET} kits: each command takes seconds, no id and no claim twice"
    figures = {f"{name}_s": round(s, 1) for name, s in took.items()}
    yield Finding("kit", "depot", "fleet", promise, ok=well, s=round(sum(took.values()), 1), found=figures)
