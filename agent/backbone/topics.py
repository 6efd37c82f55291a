"""The kit's topics: `bm/v1/{oblast}/{city}/{district}/{kit}/…`.

Only what never moves is in a topic; building, entrance and precinct travel in payloads.
"""

from __future__ import annotations

from dataclasses import dataclass

ROOT = "bm/v1"
GROUP = "_all"
"""In place of a kit's id: all kits of a district. No id has an underscore."""


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic of one kit."""

    oblast: str
    city: str
    district: str
    kit: str

    @property
    def base(self) -> str:
        """What all topics of the kit begin with, without the last slash."""
        return f"{ROOT}/{self.oblast}/{self.city}/{self.district}/{self.kit}"

    @property
    def st(self) -> str:
        """Birth, stopped and will."""
        return f"{self.base}/st"

    @property
    def hb(self) -> str:
        """Heartbeats."""
        return f"{self.base}/hb"

    def evt(self, kind: str) -> str:
        """Events of one kind."""
        return f"{self.base}/evt/{kind}"

    def snap(self, event: str) -> str:
        """The picture of one event's best moment."""
        return f"{self.base}/snap/{event}"

    @property
    def clip(self) -> str:
        """Clips that came or went."""
        return f"{self.base}/clip"

    def alm(self, code: str) -> str:
        """One alarm; retained while it is raised."""
        return f"{self.base}/alm/{code}"

    @property
    def stat(self) -> str:
        """Hourly figures of what the view was worth."""
        return f"{self.base}/stat"

    @property
    def accept(self) -> str:
        """Acceptances: who signed for the kit on its wall."""
        return f"{self.base}/accept"

    @property
    def gap(self) -> str:
        """What the kit had to drop."""
        return f"{self.base}/gap"

    @property
    def cfg_rep(self) -> str:
        """What became of the city's configuration, and what is in force; retained."""
        return f"{self.base}/cfg/rep"

    @property
    def cfg_des(self) -> str:
        """The configuration that the city wants (down); retained."""
        return f"{self.base}/cfg/des"

    @property
    def ack(self) -> str:
        """The platform's watermark (down)."""
        return f"{self.base}/ack"

    def res(self, requester: str) -> str:
        """Answers to one requester's commands."""
        return f"{self.base}/res/{requester}"

    def cmd(self, name: str) -> str:
        """A command for this kit (down)."""
        return f"{self.base}/cmd/{name}"

    def group_cmd(self, name: str) -> str:
        """A command for all kits of the district (down)."""
        return f"{ROOT}/{self.oblast}/{self.city}/{self.district}/{GROUP}/cmd/{name}"
