"""Asks the checks: what depends on something comes after it, the rest side by side, each within its time.

Nothing here changes the kit. A check that hangs is left behind in its thread, which dies with the process.
"""

from __future__ import annotations

import queue
import threading
import time
from fnmatch import fnmatchcase
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from agent.doctor.check import Result, Status, Verdict, denied, fail, skip
from agent.errors import StairwellError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.doctor.check import Check

SIDE_BY_SIDE = 4  # most of them wait for a disk or the network, and the smallest kit has four cores

EXIT_OK, EXIT_WARNINGS, EXIT_FAILURES, EXIT_COULD_NOT_RUN = 0, 1, 2, 3

_HANGS = say("Run it again; if it hangs again, reboot the kit")


def chosen(
    checks: Iterable[Check],
    *,
    only: Sequence[str] = (),
    leave: Sequence[str] = (),
    quick: bool = False,
    offline: bool = False,
) -> list[Check]:
    """The checks that are wanted. `only` and `leave` are patterns of codes (`net.*`).

    What a wanted one depends on is not asked for its sake: who asks for one wants its own answer.
    """
    return [
        check
        for check in checks
        if (not only or any(fnmatchcase(check.code, pattern) for pattern in only))
        and not any(fnmatchcase(check.code, pattern) for pattern in leave)
        and (check.quick or not quick)
        and not (check.online and offline)
    ]


def run(checks: Sequence[Check]) -> Iterator[Result]:
    """Ask all of them; each result as soon as it is there.

    Raises:
        ValueError: two checks have one code.
        graphlib.CycleError: they depend on one another in a circle.
    """
    known = {check.code: check for check in checks}
    if len(known) != len(checks):
        raise ValueError("two checks have one code")
    order = TopologicalSorter(
        {check.code: [code for code in check.depends_on if code in known] for check in checks}
    )
    order.prepare()
    found: dict[str, Verdict] = {}
    answers: queue.SimpleQueue[Result] = queue.SimpleQueue()
    ready: list[str] = []
    asked: dict[str, float] = {}
    while order.is_active():
        ready += order.get_ready()
        while ready and len(asked) < SIDE_BY_SIDE:
            check = known[ready.pop(0)]
            asked[check.code] = time.monotonic()
            _begin(check, _silenced(check, found), answers)
        for result in _answers(answers, asked, known):
            code = result.check.code
            if asked.pop(code, None) is None:
                continue  # it hung, was told so, and answers after all
            found[code] = result.verdict
            order.done(code)
            yield result


def exit_code(results: Iterable[Result]) -> int:
    """0 all is well, 1 warnings, 2 failures."""
    worst = {result.verdict.status for result in results}
    if Status.FAIL in worst:
        return EXIT_FAILURES
    return EXIT_WARNINGS if Status.WARN in worst else EXIT_OK


def _silenced(check: Check, found: dict[str, Verdict]) -> Verdict | None:
    """Why the check need not be asked: what it rests on does not hold."""
    for code in check.depends_on:
        if code in found and found[code].status in {Status.FAIL, Status.SKIP}:
            return skip(say("not asked: {code} comes first", code=code))
    return None


def _begin(check: Check, verdict: Verdict | None, answers: queue.SimpleQueue[Result]) -> None:
    if verdict is not None:
        answers.put(Result(check, verdict, 0.0))
        return
    threading.Thread(target=_ask, args=(check, answers), name=check.code, daemon=True).start()


def _ask(check: Check, answers: queue.SimpleQueue[Result]) -> None:
    """The whole life of a check's thread."""
    began = time.monotonic()
    try:
        verdict = check.ask()
    except PermissionError as error:
        verdict = denied(say("{path}: only the agent and root may look there", path=error.filename or "-"))
    except StairwellError as error:
        verdict = fail(*error.words)
    except OSError as error:
        verdict = skip(say("could not be asked: {error}", error=error))
    except Exception as error:  # noqa: BLE001 - top of the thread: a check with a flaw must not end the others
        verdict = fail(
            say("the check itself is broken: {error!r}", error=error),
            say("Report it to the agent's makers"),
        )
    answers.put(Result(check, verdict, time.monotonic() - began))


def _answers(
    answers: queue.SimpleQueue[Result], asked: dict[str, float], known: dict[str, Check]
) -> list[Result]:
    """The next answer, or what hangs by now."""
    code, end = min(
        ((code, began + known[code].box_s) for code, began in asked.items()), key=lambda pair: pair[1]
    )
    try:
        return [answers.get(timeout=max(0.0, end - time.monotonic()))]
    except queue.Empty:
        check = known[code]
        verdict = check.late or fail(say("no answer within {seconds:g} s", seconds=check.box_s), _HANGS)
        return [Result(check, verdict, check.box_s)]
