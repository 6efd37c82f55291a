"""Where the kit has said that it hangs, and what the broker still retains for it there.

A kit that was moved (its `site` names another district, or the city does) says everything under other topics.
What it left under the old ones would be taken for true for ever: its presence, its settings, its alarms. So
the last base is remembered, outside the database, which may be replaced; what lies under a former one is
cleared until the broker has confirmed it.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from agent import checkedfile
from agent.backbone.publication import Publication
from agent.backbone.topics import Topics
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "topics.json"

log = logging.getLogger(__name__)


class Moves:
    """The kit's addresses, kept in `directory`; `topics` is the one of now. One thread at a time.

    `before` is that of the last start, None at the first.

    Raises:
        StorageError: the directory cannot be read.
    """

    def __init__(self, directory: Path, topics: Topics) -> None:
        self._path = directory / NAME
        self.topics = topics
        self._kept = self._read()
        # Another kit's topics (the card was put into another kit) are not ours to clear.
        ours = [address for address in self._kept if address.kit == topics.kit]
        self.before = ours[0] if ours else None
        self._former = [address for address in ours if address != topics]

    @property
    def moved(self) -> bool:
        """Whether something of ours may lie under former topics."""
        return bool(self._former)

    def arrive(self, leave: Callable[[Topics, Topics], object]) -> None:
        """Take note of a move. `leave(before, here)` sees to the alarms; what it did is on disk then."""
        if self.before is not None:
            leave(self.before, self.topics)
        self._keep([self.topics, *self._former])

    def clear(self, publish: Callable[[Publication, Callable[[], None]], None]) -> None:
        """Take away what is retained under former topics, but for alarms, which go through the outbox.

        `publish` sends to the broker, and calls back once that has it.
        """
        for former in self._former:
            left = {former.st, former.cfg_rep}
            for topic in sorted(left):

                def taken(former: Topics = former, left: set[str] = left, topic: str = topic) -> None:
                    left.discard(topic)
                    if not left:
                        self._forget(former)

                publish(Publication(topic, b"", retain=True, content_type=None), taken)

    def _forget(self, former: Topics) -> None:
        log.info("nothing of this kit lies under %s any more", former.base)
        self._former = [other for other in self._former if other != former]
        self._keep([self.topics, *self._former])

    def _keep(self, addresses: list[Topics]) -> None:
        if addresses == self._kept:
            return
        body = json.dumps([[each.oblast, each.city, each.district, each.kit] for each in addresses])
        try:
            checkedfile.write(self._path, body.encode())
        except StorageError as error:  # the next start finds the same move once more
            log.warning("%s", error)
        else:
            self._kept = addresses

    def _read(self) -> list[Topics]:
        """What is kept, the newest first. If it is damaged, nothing: that is no reason not to start."""
        body = checkedfile.read(self._path)
        if body is None:
            if self._path.exists():
                log.error("%s is damaged: what the kit left under former topics is forgotten", self._path)
            return []
        return [Topics(*address) for address in json.loads(body)]
