"""What the chaos bench kills: kits with the agent's own outbox and link, and the city's platform.

Run as a program it is a server: for each line on stdin (`kit 3`, `platform`) it forks one and says its
process id. It has all modules and no threads, so that they begin at once. Argument: a JSON file with a Plan.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.backbone import link, wire
from agent.doctor.registry import ALARMS
from city import City
from light_kit import LightKit, kit_id, settings
from reference import PLATFORM, connection

if TYPE_CHECKING:
    from agent.backbone.drafts import Draft
    from agent.config import Backbone

NOTE = "{stream} {seq:>12}\n"  # lines of one length: their number is the file's size
NOTE_BYTES = len(NOTE.format(stream="0" * 8, seq=0))
ALARM_EVERY = 20  # messages
REPLAY_PER_S = 1000.0  # what is looked at is loss; the pace of a backlog only makes it take longer


@dataclass(frozen=True)
class Plan:
    """What every part is told."""

    directory: str
    port: int
    certificates: str
    per_kit: int
    rate: float
    delivery: str

    def backbone(self, name: str) -> Backbone:
        """How the one with this certificate connects."""
        found = connection(self.port, Path(self.certificates), name)
        return found.model_copy(update={"will_delay_s": 1, "delivery": self.delivery})

    def state(self, index: int) -> Path:
        """The state directory of kit `index`."""
        return Path(self.directory) / f"kit-{index}"

    def notes(self, index: int) -> Path:
        """Where kit `index` writes down what its outbox has accepted."""
        return Path(self.directory) / f"accepted-{index}"

    @property
    def city(self) -> Path:
        """Where the platform keeps what it hears."""
        return Path(self.directory) / "city"


def hurry() -> None:
    """Shorten the waits, so that a minute sees as many meetings of failures as a day."""
    link.BACKOFF_MIN_S, link.BACKOFF_MAX_S = 0.2, 2.0
    wire.RESEND_NEW_S = wire.RESEND_MIN_S = wire.UNHEARD_RETRY_S = 2.0
    wire.RESEND_MAX_S = wire.UNHEARD_RETRY_MAX_S = 4.0


def run_kit(plan: Plan, index: int) -> None:
    """Say what there is to say until it is enough; go on where the last one was killed."""
    kit = LightKit(
        settings(index, plan.state(index), plan.backbone(kit_id(index))), replay_per_s=REPLAY_PER_S
    )
    kit.start()
    notes = os.open(plan.notes(index), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    said = os.fstat(notes).st_size // NOTE_BYTES
    while kit.courier.alive:
        if said < plan.per_kit:
            seq = kit.say(_message(kit, said)).result(60)
            # Accepted: on disk, as the agent's caller was told. A kill takes nothing from a written file.
            os.write(notes, NOTE.format(stream=kit.stream, seq=seq).encode())
            said += 1
        time.sleep(1 / plan.rate)
    raise RuntimeError(f"the courier died: {kit.courier.error}")


def run_platform(plan: Plan) -> None:
    """Hear, keep, acknowledge."""
    city = City(plan.city)
    platform = city.platform(plan.backbone(PLATFORM), PLATFORM, acknowledge=plan.delivery == "watermark")
    platform.start()
    while platform.alive:
        time.sleep(0.2)
    raise RuntimeError(f"the platform died: {platform.error}")


def serve(plan_file: str) -> None:
    """Fork a part for each line, until there are no more."""
    logging.getLogger("agent").setLevel(logging.CRITICAL)  # what fails is what the bench is about
    plan = Plan(**json.loads(Path(plan_file).read_text("utf-8")))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for who is killed
    hurry()
    for line in sys.stdin:
        part, *rest = line.split()
        child = os.fork()
        if not child:
            _become(plan, part, rest)
        os.write(1, f"{child}\n".encode())


def _become(plan: Plan, part: str, rest: list[str]) -> None:
    try:
        if part == "kit":
            run_kit(plan, int(rest[0]))
        else:
            run_platform(plan)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(1)


def _message(kit: LightKit, number: int) -> Draft:
    if number % ALARM_EVERY == 0:
        kind: Any = next(iter(ALARMS.values()))
        raised = number // ALARM_EVERY % 2 == 0
        return kit.reporter.alarm(kind) if raised else kit.reporter.alarm_over(kind)
    return kit.step(number)


if __name__ == "__main__":
    serve(*sys.argv[1:])
