"""A kit on its wall is commissioned, timed step by step: the commands of an installer, and the city's word.

They are given as root in the kit's machine and answered as JSON. Who walks through the picture is in the
footage and comes when it does, so the seconds of reference, walk and power have waits for it in them.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.app import city_acceptance
from agent.app.signoff import RECORD
from agent.city.kits import State
from agent.errors import StairwellError
from kit_camera import MASKS
from kit_depot import words_of
from kit_machine import AGENT, FIRMWARE, STATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from findings import Finding
    from kit import Run
    from kit_machine import Machine

WHO = "О. Коваленко"
DESPITE = "a container, not a board on a wall"
MASKS_FILE, LABEL_FILE = "/root/masks.toml", "/root/label.svg"
PLATFORMS = "watermark"  # whose word a provisioned kit waits for
BACK_S = 180.0  # from the plug to the agent


@dataclass(frozen=True, slots=True)
class Site:
    """A kit on its wall, and who stands before it."""

    run: Run
    machine: Machine
    kit: str

    def findings(self) -> Iterator[Finding]:
        """All steps, in their order."""
        yield self._step("aim", "the camera's aim is taken", "--yes")
        self.machine.at(MASKS_FILE).write_text(MASKS, "utf-8")
        yield self._step("view", "masks are drawn, and the agent works with them", "--file", MASKS_FILE)
        yield self._step("reference", "the empty view is taken as reference")
        yield self._step("walk", "a person is seen, and acknowledged by the platform within 10 s")
        yield self._power()
        yield self._sign()
        yield self._label()
        yield self._accept()

    def _step(self, name: str, promise: str, *options: str) -> Finding:
        with self._timed(name):
            answer = self._asked(name, *options)
        passed = answer.pop("passed") and answer.get("delivery", PLATFORMS) == PLATFORMS
        return self.run.finding(name, promise, passed, self.run.took[name], **answer)

    def _power(self) -> Finding:
        """The plug is pulled once the kit says so."""
        started = time.monotonic()
        with self._timed("power"):
            begun = self._asked("power")
            noted_s = time.monotonic() - started
            self.machine.cut()
            self.machine.boot(words_of(self.machine.at(FIRMWARE)))
            back_s = self.machine.until("the agent", lambda: self.machine.active(AGENT), BACK_S)
            judged = self._asked("power")
        return self.run.finding(
            "power",
            "the power is cut while it records: it comes back by itself, nothing is lost",
            begun["begun"] and judged["passed"],
            self.run.took["power"],
            noted_s=round(noted_s, 1),
            back_s=round(back_s, 1),
            points={point["point"]: point["ok"] for point in judged["points"]},
        )

    def _sign(self) -> Finding:
        """The doctor misses a board in a container: what it says is in the record, and told here."""
        with self._timed("sign"):
            answer = self._asked("sign", "--by", WHO, "--despite", DESPITE)
        missing = self._asked("status")["missing"]
        told = any(topic.endswith("/accept") for topic in self.run.depot.city.topics(self.kit))
        return self.run.finding(
            "sign",
            "somebody signs, no step is missing, and the platform has it",
            answer["acknowledged"] and answer["delivery"] == PLATFORMS and told and not missing,
            self.run.took["sign"],
            checks=city_acceptance.read(self._record).checks,
        )

    def _label(self) -> Finding:
        with self._timed("label"):
            done = self.machine.run("stairwell", "commission", "label", "--output", LABEL_FILE)
        drawn = not done.returncode and "<svg" in self.machine.text(LABEL_FILE)
        return self.run.finding("label", "the kit's label is made", drawn, self.run.took["label"])

    def _accept(self) -> Finding:
        """The city's side: the record that the kit keeps, as somebody carries it in."""
        depot = self.run.depot
        with self._timed("accept"):
            depot.ask("accept", self._record)
        state = depot.registry.kit(self.kit).state
        return self.run.finding(
            "accept",
            "the city takes the record: the kit is commissioned",
            state is State.COMMISSIONED,
            self.run.took["accept"],
        )

    @property
    def _record(self) -> Path:
        return self.machine.at(f"{STATE}/{RECORD}")

    def _asked(self, *words: str) -> dict[str, Any]:
        """The answer of a command of the commissioning, whether its step passed or not.

        Raises:
            StairwellError: it gave none.
        """
        done = self.machine.run("stairwell", "commission", *words, "--json")
        if not done.stdout:
            raise StairwellError(f"commission {words[0]}: {done.stderr.strip()}", fix="see what it says")
        answer: dict[str, Any] = json.loads(done.stdout)
        answer.pop("v")
        return answer

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.run.took[step] = time.monotonic() - begun
