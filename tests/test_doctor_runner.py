"""Asking the checks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from agent.doctor import runner
from agent.doctor.check import Check, Status, Verdict, fail, ok, skip, warn
from agent.words import verbatim

if TYPE_CHECKING:
    from collections.abc import Callable

FIX = verbatim("mend it")
TITLE = verbatim("title")


def check(
    code: str,
    ask: Callable[[], Verdict] = lambda: ok(verbatim("yes")),
    *,
    after: tuple[str, ...] = (),
    box_s: float = 5.0,
    quick: bool = True,
    online: bool = False,
) -> Check:
    return Check(code, TITLE, ask, after, box_s, quick, online)


def statuses(*checks: Check) -> dict[str, str]:
    return {result.check.code: result.verdict.status.value for result in runner.run(checks)}


def broken() -> Verdict:
    return fail(verbatim("no"), FIX)


def test_each_is_answered_once_and_after_what_it_rests_on() -> None:
    """The order of the answers is one of the dependencies, whatever the order of the checks."""
    checks = [check("c", after=("b",)), check("b", after=("a",)), check("a"), check("d")]
    codes = [result.check.code for result in runner.run(checks)]
    assert sorted(codes) == ["a", "b", "c", "d"]
    assert codes.index("a") < codes.index("b") < codes.index("c")


def test_a_failure_silences_what_follows_from_it() -> None:
    """One cause is told, not its ten consequences; a warning silences nothing."""
    asked: list[str] = []

    def witness() -> Verdict:
        asked.append("asked")
        return ok(verbatim("yes"))

    got = statuses(
        check("link", broken),
        check("dns", witness, after=("link",)),
        check("tls", witness, after=("dns",)),
        check("disk", lambda: warn(verbatim("little"), FIX)),
        check("clips", after=("disk",)),
    )
    assert got == {"link": "fail", "dns": "skip", "tls": "skip", "disk": "warn", "clips": "ok"}
    assert not asked


def test_what_is_silenced_says_by_what() -> None:
    """The technician is sent to the cause."""
    results = {r.check.code: r for r in runner.run([check("link", broken), check("dns", after=("link",))])}
    assert "link" in results["dns"].verdict.text.uk
    assert "link" in results["dns"].verdict.text.en


def test_one_that_hangs_is_told_and_holds_up_nobody() -> None:
    """Past its time a check has failed, and what does not rest on it is answered all the same."""
    released = threading.Event()

    def hang() -> Verdict:
        released.wait(60)
        return ok(verbatim("yes"))

    hanging = [check(f"hangs{i}", hang, box_s=0.2) for i in range(runner.SIDE_BY_SIDE + 1)]
    results = {r.check.code: r for r in runner.run([*hanging, check("a"), check("b", after=("hangs0",))])}
    released.set()
    assert {"fail"} == {results[one.code].verdict.status.value for one in hanging}
    assert results["hangs0"].verdict.fix is not None
    assert results["a"].verdict.status == Status.OK
    assert results["b"].verdict.status == Status.SKIP


def test_one_that_is_late_may_have_a_usual_cause() -> None:
    """A name service that is silent is not a kit that hangs."""
    released = threading.Event()

    def hang() -> Verdict:
        released.wait(60)
        return ok(verbatim("yes"))

    late = fail(verbatim("nobody answers"), FIX)
    (result,) = runner.run([Check("a", TITLE, hang, box_s=0.1, late=late)])
    released.set()
    assert late == result.verdict


def test_an_error_of_the_system_is_a_skip_and_one_of_ours_a_failure() -> None:
    """What could not be looked at is not called broken; a flaw of the doctor is not hidden."""

    def denied() -> Verdict:
        raise PermissionError(13, "Permission denied", "/proc/x")

    def failing() -> Verdict:
        raise OSError(5, "Input/output error")

    def flawed() -> Verdict:
        raise ZeroDivisionError

    results = {
        r.check.code: r.verdict
        for r in runner.run([check("a", denied), check("b", flawed), check("c", failing)])
    }
    assert (Status.SKIP, True) == (results["a"].status, results["a"].denied)
    assert (Status.SKIP, False) == (results["c"].status, results["c"].denied)
    assert "/proc/x" in results["a"].text.en
    assert results["b"].status == Status.FAIL
    assert "ZeroDivisionError" in results["b"].text.en


def test_two_of_one_code_are_refused() -> None:
    """A code is an identity."""
    with pytest.raises(ValueError, match="one code"):
        list(runner.run([check("a"), check("a")]))


def test_choice() -> None:
    """Patterns of codes, quick ones, and those that need no network."""
    checks = [check("net.dns", online=True), check("net.link"), check("disk.write", quick=False)]

    def codes(chosen: list[Check]) -> list[str]:
        return [one.code for one in chosen]

    assert codes(runner.chosen(checks, only=["net.*"])) == ["net.dns", "net.link"]
    assert codes(runner.chosen(checks, leave=["net.d*"])) == ["net.link", "disk.write"]
    assert codes(runner.chosen(checks, quick=True)) == ["net.dns", "net.link"]
    assert codes(runner.chosen(checks, offline=True)) == ["net.link", "disk.write"]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([], 0),
        ([ok(verbatim("yes")), skip(verbatim("no"))], 0),
        ([ok(verbatim("yes")), warn(verbatim("little"), FIX)], 1),
        ([warn(verbatim("little"), FIX), broken()], 2),
    ],
)
def test_exit_code(answers: list[Verdict], expected: int) -> None:
    """The worst answer decides; what could not be asked is no fault."""
    checks = [check(f"c{i}", lambda answer=answer: answer) for i, answer in enumerate(answers)]  # type: ignore[misc]
    assert runner.exit_code(runner.run(checks)) == expected
