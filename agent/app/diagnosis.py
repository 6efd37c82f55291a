"""The doctor from afar: what `stairwell doctor --quick` finds, asked by the agent itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.app.examination import examination
from agent.doctor import runner
from agent.doctor.check import Status
from agent.words import LANGUAGES

if TYPE_CHECKING:
    from agent.app.status import StatusDesk
    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.doctor.check import Result


def diagnosis(settings: Settings, clock: Clock, desk: StatusDesk) -> dict[str, Any]:
    """What is well by its code, the rest with its words and its fix, and what the agent knows of itself.

    Takes some seconds: a check that hangs is given its time.
    """
    checks = runner.chosen(examination(settings, clock), quick=True)
    results = {result.check.code: result for result in runner.run(checks)}
    ordered = [results[check.code] for check in checks]
    return {
        "well": [result.check.code for result in ordered if result.verdict.status is Status.OK],
        "checks": [_told(result) for result in ordered if result.verdict.status is not Status.OK],
        "status": desk.status().model_dump(mode="json"),
    }


def _told(result: Result) -> dict[str, Any]:
    verdict = result.verdict
    told: dict[str, Any] = {
        "code": result.check.code,
        "status": verdict.status.value,
        "text": {language: verdict.text.told(language) for language in LANGUAGES},
    }
    if verdict.fix is not None:
        told["fix"] = {language: verdict.fix.told(language) for language in LANGUAGES}
    return told
