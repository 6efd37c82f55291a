"""The broker's ACL from the register: each kit that is let in, at the place where it hangs and nowhere else.

The reference ACL leaves the territory open, so that a kit may move without an edit of the broker's files.
This one closes it: a stolen certificate cannot claim another district. The price: the broker is given a
new file, and restarted, whenever kits come, move or go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.app.city_desired import topics
from agent.city.kits import LET_IN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.city.kits import Kit

_HEAD = (
    "# Made by `stairwell fleet acl`: make it anew when the register has changed, and restart the broker.\n"
)
_PLATFORM = """
user platform
topic read bm/v1/#
topic write bm/v1/+/+/+/+/cmd/#
topic write bm/v1/+/+/+/+/cfg/des
topic write bm/v1/+/+/+/+/ack
topic read $SYS/#
"""


def acl(kits: Iterable[Kit]) -> str:
    """What each kit may say and hear, and the platform; for Mosquitto."""
    return _HEAD + "".join(_section(kit) for kit in kits if kit.state in LET_IN) + _PLATFORM


def _section(kit: Kit) -> str:
    return f"\nuser {kit.kit}\n" + "".join(f"topic {line}\n" for line in _lines(kit))


def _lines(kit: Kit) -> Iterator[str]:
    """A kit that the register moved may speak at both places until it has heard of it."""
    for site in (kit.site, *kit.former):
        of = topics(site, kit.kit)
        up = (
            of.st,
            of.hb,
            of.evt("+"),
            of.snap("+"),
            of.clip,
            of.stat,
            of.accept,
            of.alm("+"),
            of.gap,
            of.cfg_rep,
            of.res("+"),
        )
        yield from (f"write {topic}" for topic in up)
        yield from (f"read {topic}" for topic in (of.cmd("#"), of.cfg_des, of.ack, of.group_cmd("#")))
