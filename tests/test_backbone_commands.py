"""Orders: answered, done once, remembered over crashes, accounted for."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from backbone_samples import TOPICS
from broker import wait_for
from orders import PLATFORM_KEY, STRANGER, Hands, Obedient, after, message, order, req

from agent.backbone import commands as commands_module
from agent.backbone import docket, lane
from agent.backbone.commands import Commands, Job
from agent.backbone.docket import Outcome
from agent.backbone.orders import ORDERS, Refusal
from agent.backbone.signed import Flaw
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Obedient]:
    made = Obedient(tmp_path / "agent.db")
    yield made
    made.close()


def statuses(kit: Obedient) -> list[str]:
    return [answer["status"] for answer in kit.answers]


def ended(kit: Obedient, count: int) -> list[dict[str, Any]]:
    """Wait until so many orders have ended; the answers that said so."""

    def found() -> list[dict[str, Any]]:
        return [a for a in kit.answers if a["status"] in {"ok", "failed", "rejected", "duplicate"}]

    wait_for(lambda: len(found()) == count)
    return found()


def refusal(kit: Obedient) -> str:
    """The reason of the last and only answer since the answers were cleared."""
    (answer,) = kit.answers
    kit.published.clear()
    assert "rejected" == answer["status"]
    assert answer["text"]
    return str(answer["code"])


@pytest.mark.parametrize("name", sorted(ORDERS))
def test_an_order_is_accepted_done_and_answered(kit: Obedient, name: str) -> None:
    """Two answers, to the requester, with what came of it and the correlation data."""
    payload = order(name)
    kit.tell(message(payload, correlation=b"7"))
    ended(kit, 1)

    assert [name] == [done for done, _ in kit.done]
    assert ["accepted", "ok"] == statuses(kit)
    assert {"said": "done"} == kit.answers[1]["out"]
    assert {(payload["req"], name)} == {(a["req"], a["cmd"]) for a in kit.answers}
    for publication, after_s in kit.published:
        assert (TOPICS.res("tester"), b"7", 600, 1, False, 0.0) == (
            publication.topic,
            publication.correlation,
            publication.expiry_s,
            publication.qos,
            publication.retain,
            after_s,
        )


def test_progress_is_told(kit: Obedient) -> None:
    """Between accepted and the end, in order."""

    def work(job: Job) -> Outcome:
        for share in (0.25, 0.5):
            job.progress(share)
        return Outcome(ok=False, code="server-says-no", text="403")

    kit.outcome = work
    kit.tell(message(order("clip/upload")))
    ended(kit, 1)
    assert ["accepted", "progress", "progress", "failed"] == statuses(kit)
    assert [0.25, 0.5] == [a["progress"] for a in kit.answers if "progress" in a]
    assert ("server-says-no", "403") == (kit.answers[-1]["code"], kit.answers[-1]["text"])


def test_a_repeated_order_is_done_once(kit: Obedient) -> None:
    """While it is under way and after, signed anew, and long after its time: a duplicate with its result."""
    go = threading.Event()
    kit.outcome = lambda _: Outcome(ok=go.wait(10), out={"held": True})
    payload = order("clip/hold")
    kit.tell(message(payload), message(payload))
    wait_for(lambda: len(kit.answers) == 2)
    assert ("duplicate", "accepted") == (kit.answers[1]["status"], kit.answers[1]["was"])
    go.set()
    ended(kit, 2)
    kit.clock.go_on(3600)
    kit.tell(message(payload), message(order("clip/hold", req=payload["req"], exp=after(3660))))

    assert 1 == len(kit.done)
    for answer in kit.answers[-2:]:
        assert ("duplicate", "ok", {"held": True}) == (answer["status"], answer["was"], answer["out"])


def test_one_request_is_one_order(kit: Obedient) -> None:
    """The same `req` for another thing is a mistake, and tells nothing of the first."""
    kit.outcome = Outcome(ok=True, out={"told": "much"})
    payload = order("clip/hold")
    kit.tell(message(payload))
    ended(kit, 1)
    kit.published.clear()
    kit.tell(message(order("echo", req=payload["req"])))
    assert Refusal.REQ_REUSED == refusal(kit)
    assert 1 == len(kit.done)


def test_a_nonce_is_taken_once(kit: Obedient) -> None:
    """Even when the request that had it is long forgotten."""
    payload = order("restart", nonce="n" * 22)
    kit.tell(message(payload))
    ended(kit, 1)
    kit.published.clear()
    kit.tell(message(order("restart", nonce="n" * 22)))
    assert Refusal.REPLAYED == refusal(kit)
    kit.book("DELETE FROM orders")
    kit.tell(message(payload))
    assert Refusal.REPLAYED == refusal(kit)
    assert 1 == len(kit.done)


def test_a_forgotten_order_does_not_come_back_with_the_clock(kit: Obedient, tmp_path: Path) -> None:
    """Its nonce is gone after a day of uptime; its time stays over, whatever the clock shows later."""
    old, later = order("restart"), order("restart", exp=after(docket.KEPT_S + 120))
    kit.tell(message(old))
    ended(kit, 1)
    for _ in range(2):  # the second time nothing is forgotten
        kit.clock.go_on(docket.KEPT_S / 2 + 30)
        kit.tell(message(order("echo", exp=None)))
    ended(kit, 3)
    assert [(0,)] == kit.book("SELECT count(*) FROM order_nonces")
    kit.tell(message(later))
    ended(kit, 4)
    kit.close()

    clock = Hands()
    clock.boot = "bbbbbbbb"
    again = Obedient(tmp_path / "agent.db", clock=clock)
    fresh = [order("restart", exp=after(59)), order("restart", exp=after(61))]
    again.tell(message(old), *map(message, fresh))
    ended(again, 3)
    again.close()
    assert [("rejected", "expired")] * 2 == [(a["status"], a["code"]) for a in again.answers[:2]]
    assert [fresh[1]["req"]] == [job.req for _, job in again.done]


@pytest.mark.parametrize(
    ("ts", "exp", "expected"),
    [
        (None, after(60), Flaw.CLOCK_UNSET),
        (after(61), after(60), Flaw.EXPIRED),
        (after(-20 * 365 * 86400), after(60), Flaw.LIVES_TOO_LONG),
        (after(3600), after(60), Flaw.EXPIRED),
        (after(0), after(86400), Flaw.LIVES_TOO_LONG),
    ],
)
@pytest.mark.parametrize("name", ["reboot", "echo"])
def test_orders_have_their_time(kit: Obedient, ts: str | None, exp: str, expected: Flaw, name: str) -> None:
    """By the kit's clock, whatever that shows; a clock that was never set cannot tell."""
    kit.clock.ts = ts
    kit.tell(message(order(name, exp=exp)))
    assert expected == refusal(kit)
    assert [] == kit.done


def test_without_a_clock_and_an_end_harmless_orders_are_done(kit: Obedient) -> None:
    """A kit without the time can still be asked whether it is there."""
    kit.clock.ts = None
    kit.tell(message(order("echo", exp=None)))
    assert "ok" == ended(kit, 1)[0]["status"]
    assert None is kit.answers[0]["ts"]


def test_what_is_rejected_changes_nothing(kit: Obedient) -> None:
    """No row but in the audit, no order done, and one answer each."""
    good = order("reboot")
    bad = [
        message(b"nonsense"),
        message(bytes(100_000)),
        message({**good, "by": "x"}),
        message(order("reboot", key=STRANGER)),
        message(order("reboot", signed=False)),
        message(order("reboot", exp=after(-1))),
        message(order("reboot"), retain=True),
        message(order("resend", args={"from": "all"})),
        message(order("echo"), response_topic="bm/v1/x"),
    ]
    kit.tell(*bad)
    expected = ["malformed", "too-large", "bad-signature", "unknown-key", "unsigned", "expired", "retained"]
    assert [*expected, "bad-arguments", "bad-reply-address"] == [a["code"] for a in kit.answers]
    assert {"rejected"} == set(statuses(kit))
    assert [] == kit.done
    assert [(0, 0)] == kit.book("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_nonces)")


def test_a_good_order_is_done_after_bad_ones_with_its_req_and_nonce(kit: Obedient) -> None:
    """Nobody takes them away from it beforehand by a forgery."""
    good = order("restart")
    kit.tell(message({**good, "by": "x"}), message({**good, "sig": "A" * 86 + "=="}), message(good))
    assert "ok" == ended(kit, 3)[-1]["status"]


def test_orders_for_a_district_are_spread(kit: Obedient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kit answers, and obeys, after a time of its own; a rejection too."""
    monkeypatch.setattr(commands_module, "GROUP_S", 0.3)
    kit.tell(*(message(order("echo", group=True), group=True) for _ in range(8)))
    kit.tell(message(b"nonsense", TOPICS.group_cmd("echo")))
    ended(kit, 9)
    delays = [
        after_s
        for publication, after_s in kit.published
        if json.loads(publication.payload)["status"] in {"accepted", "rejected"}
    ]
    assert 9 == len(set(delays))
    assert all(0 <= delay <= 0.3 for delay in delays)
    assert 8 == len(kit.done)


def test_too_many_at_once_are_told_so(kit: Obedient) -> None:
    """What cannot be done soon is rejected, and can be given again; other kinds still go."""
    go = threading.Event()
    kit.outcome = lambda _: Outcome(ok=go.wait(10))
    for _ in range(lane.WAITING_MAX + 2):
        kit.tell(message(order("clip/upload")))
        wait_for(lambda: kit.done)
    assert ["accepted"] * (lane.WAITING_MAX + 1) == statuses(kit)[:-1]
    assert ("rejected", "too-many") == (kit.answers[-1]["status"], kit.answers[-1]["code"])
    kit.published.clear()
    kit.tell(message(order("echo")))
    assert ["accepted"] == statuses(kit)
    go.set()
    ended(kit, lane.WAITING_MAX + 2)


def test_each_kind_that_is_slow_holds_up_itself_only(kit: Obedient) -> None:
    """A technician finds the kit, and hears what is wrong with it, while it uploads."""
    go = threading.Event()
    kit.outcome = lambda _: Outcome(ok=go.wait(10))
    slow = [name for name, kind in ORDERS.items() if kind.slow]
    kit.tell(*(message(order(name)) for name in slow))
    wait_for(lambda: len(kit.done) == len(slow))
    go.set()
    assert {"ok"} == {a["status"] for a in ended(kit, len(slow))}


def test_one_lamp_blinks_for_one_at_a_time(kit: Obedient) -> None:
    """Anybody may ask for it: five minutes each would add up. Whoever hears that it ended may ask at once."""
    go = threading.Event()
    kit.outcome = lambda _: Outcome(ok=go.wait(10))
    kit.tell(message(order("identify")), message(order("identify")), message(order("diagnose")))
    assert [("accepted", None), ("rejected", "too-many"), ("accepted", None)] == [
        (a["status"], a.get("code")) for a in kit.answers
    ]
    go.set()
    ended(kit, 3)
    kit.tell(message(order("identify")))
    assert "ok" == ended(kit, 4)[-1]["status"]


def test_unsigned_orders_are_rationed(kit: Obedient) -> None:
    """Each is a write to the card, and anybody at the broker may give one; the platform's own go on."""
    burst = int(commands_module.UNSIGNED_BURST)
    for number in range(burst + 1):
        kit.tell(message(order("echo")))
        ended(kit, number + 1)
    assert ("rejected", "too-many") == (kit.answers[-1]["status"], kit.answers[-1]["code"])
    kit.tell(message(order("snapshot")))
    kit.clock.go_on(2)
    kit.tell(message(order("echo")))
    assert ["ok", "ok"] == [a["status"] for a in ended(kit, burst + 3)[-2:]]


def test_failures_are_told(kit: Obedient, caplog: pytest.LogCaptureFixture) -> None:
    """What the kit refuses, with the fix; a fault of ours without its details, and it ends nothing."""

    def refuse(_: Job) -> Outcome:
        raise StorageError("clip x: gone", fix="ask for clip/list")

    kit.outcome = refuse
    kit.tell(message(order("clip/hold")))
    ended(kit, 1)
    kit.outcome = lambda _: 1 / 0
    payload = order("echo")
    kit.tell(message(payload))
    ended(kit, 2)
    kit.tell(message(payload))

    one, two, again = ended(kit, 3)
    assert ("failed", "refused", "clip x: gone. Fix: ask for clip/list") == (
        one["status"],
        one["code"],
        one["text"],
    )
    assert ("failed", "fault") == (two["status"], two["code"])
    assert ("duplicate", "failed", "fault") == (again["status"], again["was"], again["code"])
    assert "ZeroDivisionError" in caplog.text
    assert kit.commands.error is None


@pytest.mark.parametrize("raised", [False, True])
def test_a_long_reason_is_cut(kit: Obedient, *, raised: bool) -> None:
    """To what an answer holds; the next order is done, and the repetition is answered too."""

    def work(_: Job) -> Outcome:
        if raised:
            raise StorageError("x" * 5000, fix="none")
        return Outcome(ok=False, code="unreadable", text="x" * 5000)

    kit.outcome = work
    payload = order("clip/hold")
    kit.tell(message(payload))
    ended(kit, 1)
    kit.tell(message(payload))
    kit.outcome = Outcome(ok=False, code="silent", text="")
    kit.tell(message(order("clip/hold")))
    assert ["x" * 1000, "x" * 1000, None] == [a.get("text") for a in ended(kit, 3)]
    assert kit.commands.error is None


def test_secrets_and_long_results_are_not_kept(kit: Obedient, tmp_path: Path) -> None:
    """A picture is never written to the card; who asks again is told that it was, and asks anew."""
    for outcome in (
        Outcome(ok=True, out={"jpeg": "cGljdHVyZQ=="}, secret=True),
        Outcome(ok=True, out={"long": "x" * docket.OUT_MAX}),
    ):
        kit.published.clear()
        kit.outcome = outcome
        payload = order("snapshot")
        kit.tell(message(payload))
        assert outcome.out == ended(kit, 1)[0]["out"]
        kit.tell(message(payload))
        again = ended(kit, 2)[1]
        assert ("duplicate", "ok", None) == (again["status"], again["was"], again.get("out"))
    kit.database.submit(lambda tx: tx.execute("SELECT 1")).result()
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert not any(b"cGljdHVyZQ" in data for data in files)


def test_the_disk_is_asked_first(kit: Obedient) -> None:
    """An order that cannot be noted could be done twice: it is not done at all."""
    kit.database._connection.execute("PRAGMA query_only = ON")
    kit.tell(message(order("restart")))
    assert Refusal.STORAGE == refusal(kit)
    assert [] == kit.done
    kit.database._connection.execute("PRAGMA query_only = OFF")
    kit.tell(message(order("restart")))
    assert "ok" == ended(kit, 1)[0]["status"]


def test_a_result_is_told_even_if_it_cannot_be_noted(kit: Obedient) -> None:
    """The disk refuses after the order was done: its answer comes all the same."""

    def work(_: Job) -> Outcome:
        kit.database._connection.execute("PRAGMA query_only = ON")
        return Outcome(ok=True)

    kit.outcome = work
    kit.tell(message(order("restart")))
    assert "ok" == ended(kit, 1)[0]["status"]
    kit.database._connection.execute("PRAGMA query_only = OFF")
    assert [("accepted",)] == kit.book("SELECT status FROM orders")


KIT_PROGRAM = """
    import json, sys, time
    from pathlib import Path
    from orders import Obedient, message
    kit = Obedient(Path(sys.argv[1]))
    def work(job):
        print("begun", flush=True)
        time.sleep(60)
    kit.outcome = work
    for line in sys.stdin:
        kit.tell(message(json.loads(line), correlation=b"7"))
"""


def killed_while_doing(path: Path, payload: dict[str, Any]) -> None:
    """Let a kit be killed (SIGKILL) between accepting an order and its end."""
    program = path.with_name("kit.py")
    program.write_text(textwrap.dedent(KIT_PROGRAM))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, str(program), str(path)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(payload) + "\n")
        process.stdin.flush()
        assert "begun\n" == process.stdout.readline()
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    ("name", "boot", "status", "code"),
    [
        ("clip/hold", "aaaaaaaa", "failed", "interrupted"),
        ("restart", "aaaaaaaa", "ok", None),
        ("reboot", "aaaaaaaa", "failed", "not-rebooted"),
        ("reboot", "bbbbbbbb", "ok", None),
    ],
)
def test_an_order_that_a_kill_cut_off_is_not_begun_again(
    tmp_path: Path, name: str, boot: str, status: str, code: str | None
) -> None:
    """After the restart it is answered once, to whoever asked; repeated it is a duplicate, and not done."""
    payload = order(name)
    killed_while_doing(tmp_path / "agent.db", payload)
    clock = Hands()
    clock.boot = boot
    kit = Obedient(tmp_path / "agent.db", clock=clock)
    (answer,) = kit.answers
    ((publication, _),) = kit.published
    kit.tell(message(payload))
    again = kit.answers[-1]
    kit.close()
    later = Obedient(tmp_path / "agent.db", clock=clock)
    later.close()

    assert (payload["req"], status, code) == (answer["req"], answer["status"], answer.get("code"))
    assert (TOPICS.res("tester"), b"7") == (publication.topic, publication.correlation)
    assert ("duplicate", status, code) == (again["status"], again["was"], again.get("code"))
    assert [] == kit.done == later.answers


def test_an_order_that_outlives_the_process(tmp_path: Path) -> None:
    """The next process is given it again, without arguments, answers, and takes no other of it meanwhile."""
    payload = order("update")
    killed_while_doing(tmp_path / "agent.db", payload)
    go_on, ends = threading.Event(), Outcome(ok=True, code="confirmed")

    def resume(job: Job) -> Outcome | None:
        return ends if go_on.is_set() or job.stopping.wait(0) or go_on.wait(30) else None

    kit = Obedient(tmp_path / "agent.db", outcome=resume)
    kit.tell(message(payload), message(order("update")))
    assert [("duplicate", "accepted"), ("rejected", None)] == [
        (a["status"], a.get("was")) for a in kit.answers
    ]
    go_on.set()
    ended(kit, 3)
    answer = kit.answers[-1]
    lines = kit.book("SELECT req, status, by, key IS NOT NULL FROM audit")
    kit.close()
    assert ["resumed"] == [name for name, _ in kit.done]
    assert (payload["req"], "ok", "confirmed") == (answer["req"], answer["status"], answer["code"])
    mine = [line[1:] for line in lines if line[0] == payload["req"]]
    assert [("accepted", "tester", 1), ("ok", "tester", 1)] == mine[:1] + mine[-1:]


def test_an_order_that_ends_a_process_again(tmp_path: Path) -> None:
    """What outlives one process may outlive more of them."""
    killed_while_doing(tmp_path / "agent.db", order("update"))
    for _ in range(2):
        kit = Obedient(tmp_path / "agent.db", outcome=lambda _: None)
        wait_for(lambda kit=kit: kit.done)  # type: ignore[misc]
        kit.close()
        assert [] == kit.answers


def test_results_survive_a_restart(tmp_path: Path) -> None:
    """What was done is still known, and so are the nonces."""
    kit = Obedient(tmp_path / "agent.db")
    payload = order("clip/hold", nonce="n" * 22)
    kit.tell(message(payload))
    ended(kit, 1)
    kit.close()
    kit = Obedient(tmp_path / "agent.db")
    kit.tell(message(payload), message(order("clip/hold", nonce="n" * 22)))
    kit.close()
    assert [("duplicate", {"said": "done"}, None), ("rejected", None, "replayed")] == [
        (a["status"], a.get("out"), a.get("code")) for a in kit.answers
    ]
    assert [] == kit.done


def test_an_order_that_ends_the_process_stays_open(kit: Obedient) -> None:
    """Its answer is the next process's: this one cannot know whether it came back."""
    kit.outcome = None
    kit.tell(message(order("restart")))
    wait_for(lambda: kit.done)
    kit.outcome = Outcome(ok=True)
    kit.tell(message(order("echo")))
    ended(kit, 1)
    assert [("restart", "accepted"), ("echo", "ok")] == kit.book("SELECT cmd, status FROM orders ORDER BY n")


def test_the_book_is_bounded(kit: Obedient, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number and by age, which is counted in uptime: how long the power was off nobody knows."""
    monkeypatch.setattr(docket, "KEPT", 5)
    for number in range(8):
        kit.tell(message(order("restart")))
        ended(kit, number + 1)
    assert [(6, 8)] == kit.book("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_nonces)")
    kit.clock.boot = "bbbbbbbb"
    kit.clock.t = 5.0
    kit.tell(message(order("restart")))
    ended(kit, 9)
    assert [(6, 9)] == kit.book("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_nonces)")
    kit.clock.go_on(docket.KEPT_S + 1)
    kit.tell(message(order("restart", exp=after(60, kit.clock.ts or ""))))
    ended(kit, 10)
    assert [(1, 1)] == kit.book("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_nonces)")


def test_nonces_are_bounded(kit: Obedient, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no more can be remembered, no signed order is taken: forgetting one would let it in again."""
    monkeypatch.setattr(docket, "NONCES_MAX", 2)
    for _ in range(3):
        kit.tell(message(order("restart")))
    wait_for(lambda: len(kit.done) == 2)
    assert 1 == Counter(a.get("code") for a in kit.answers)["too-many"]


def test_each_order_is_accounted_for(
    kit: Obedient, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    """Who ordered what with which key, and what came of it: in the journal and in the audit."""
    root = logging.getLogger()
    request.addfinalizer(partial(root.setLevel, root.level))
    root.setLevel(logging.WARNING)  # the audit's lines come all the same
    payload = order("reboot")
    kit.tell(message(payload), message(order("reboot", req=payload["req"], signed=False)))
    ended(kit, 2)
    rows = kit.book("SELECT cmd, req, by, key, status, code, ts FROM audit ORDER BY n")
    kit.tell(message(payload))

    head = ("reboot", payload["req"], "tester")
    assert {
        (*head, payload["key"], "accepted", None, kit.clock.ts),
        (*head, payload["key"], "ok", None, kit.clock.ts),
        (*head, None, "rejected", "unsigned", kit.clock.ts),
    } == set(rows)
    lines = [record.getMessage() for record in caplog.records if record.name == "audit"]
    assert 4 == len(lines)
    assert f"order reboot {payload['req']} by tester with key {payload['key']} is accepted" == lines[0]
    assert any("is rejected: unsigned (" in line for line in lines)
    assert "is duplicate" in lines[-1]


def test_a_flood_neither_wears_the_card_nor_washes_the_audit_away(
    kit: Obedient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond a ration rejections are counted only; what was done stays, and the oldest goes at last."""
    caplog.set_level(logging.INFO, "audit")
    monkeypatch.setattr(docket, "AUDIT_MAX", 100)
    kit.tell(message(order("restart")))
    ended(kit, 1)
    for _ in range(500):
        kit.tell(message(b"nonsense"))
    burst = int(commands_module.REJECTED_BURST)
    assert [(burst,)] == kit.book("SELECT count(*) FROM audit WHERE status = 'rejected'")
    assert burst + 2 == len([r for r in caplog.records if r.name == "audit"])
    assert [("accepted",), ("ok",)] == kit.book("SELECT status FROM audit WHERE cmd = 'restart' ORDER BY n")
    assert 500 == Counter(statuses(kit))["rejected"]
    kit.clock.go_on(60)
    kit.tell(message(b"nonsense"))
    assert [(500 - burst,)] == kit.book("SELECT passed_over FROM audit ORDER BY n DESC LIMIT 1")
    for _ in range(60):
        kit.clock.go_on(60)
        kit.tell(message(b"nonsense"))
    assert [(100,)] == kit.book("SELECT count(*) FROM audit")


def test_a_stop_ends_what_takes_long(tmp_path: Path) -> None:
    """It is told to, and answers; what waits behind it is answered at the next start."""
    kit = Obedient(tmp_path / "agent.db")
    kit.outcome = lambda job: Outcome(ok=not job.stopping.wait(30), code="interrupted")
    kit.tell(message(order("clip/upload")), message(order("clip/upload")))
    wait_for(lambda: kit.done)
    kit.close()
    assert ["accepted", "accepted", "failed"] == statuses(kit)
    kit = Obedient(tmp_path / "agent.db")
    kit.close()
    assert [("failed", "interrupted")] == [(a["status"], a["code"]) for a in kit.answers]


def test_every_kind_of_order_has_an_executor(kit: Obedient) -> None:
    """One that is missing is found out at the start, not when it is needed."""
    with pytest.raises(ValueError, match="reboot"):
        Commands(
            TOPICS, [PLATFORM_KEY], kit.database, kit.clock, lambda *_: None, {"echo": lambda _: None}, {}
        )
    assert (f"{TOPICS.base}/cmd/#", "bm/v1/51/odesa/kyivskyi/_all/cmd/#") == kit.commands.filters
    assert 26 == len(req())
