"""The benches do what they say; the crash bench is the promise of the clip store itself."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from agent.app.steps import Step
from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from device import Amount

ROOT = Path(__file__).parent.parent
MAIN = ROOT / "scripts" / "benches" / "main.py"


def bench(*arguments: str) -> dict[str, Any]:
    """What a bench prints as JSON. Not measured for coverage: that would be what it measures."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, str(MAIN), *arguments, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_two_hundred_times() -> None:
    """SIGKILL at random moments: every announced clip opens, plays and is as signed; nothing lies open."""
    found = bench("crash", "--kills", "200")
    assert (200, 0, 0, 0) == tuple(found[key] for key in ("kills", "unreadable", "plaintext", "lost"))
    assert found["announced"] > 200
    assert found["cut"] > 20
    assert found["worst_loss_s"] <= 1.15


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_recording_costs_little() -> None:
    """Memory beyond the ring is bounded; the CPU figure is there (a loaded machine says little about it)."""
    found = bench("mux", "--seconds", "60", "--repeat", "1")
    assert found["beyond_ring_mb"] <= 16
    assert 0 < found["ratio"] < found["ratio_with_demux"]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The bench of the device as a module."""
    monkeypatch.syspath_prepend(str(MAIN.parent))
    return importlib.import_module("device")


def filmed(**changes: object) -> dict[str, Any]:
    """What a good minute of filming leaves."""
    good = {
        "python": "3.14.0",
        "seconds": 60.0,
        "packets": 900,
        "frames": 600,
        "decoded": 900,
        "rising": True,
        "gap_median_ms": 66.7,
        "gap_p95_ms": 90.0,
        "gap_worst_ms": 200.0,
        "key_gap_worst_s": 1.07,
        "alike": 0.99,
        "main": [[1280, 720]],
        "lores": [[320, 180]],
        "recorded": [[1280, 720]],
        "unmasked": 0,
        "outages": {},
        "unstamped": 0,
        "rss_begin_mb": 150.0,
        "rss_end_mb": 152.0,
        "cpu_percent": 20.0,
        "numbers": True,
        "held": ["camera.busy"],
        "silent": ["camera.timeout", "pictures", "camera.timeout", "end"],
    }
    return good | changes


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, []),
        ({"packets": 880, "decoded": 880}, ["pictures"]),
        ({"decoded": 899}, ["pictures"]),
        ({"rising": False}, ["times"]),
        ({"gap_p95_ms": 110.0}, ["times"]),
        ({"lores": [[320, 180], [640, 360]]}, ["sizes"]),
        ({"unmasked": 1}, ["masks"]),
        ({"outages": {"camera.timeout": 1}}, ["pictures"]),
        ({"rss_end_mb": 160.0}, ["memory"]),
        ({"silent": ["camera.timeout", "end"]}, ["silence"]),
    ],
)
def test_the_camera_is_judged(device: ModuleType, changes: dict[str, object], failed: list[str]) -> None:
    """Each bound is one: what does not hold is named, and nothing else."""
    findings = device.device_camera.judge("forky", filmed(**changes), 60, 75)
    assert failed == [finding.check for finding in findings if not finding.ok]


def test_a_camera_that_hung_ends_by_itself(device: ModuleType) -> None:
    """With the agent's own exit code; to be killed is a failure."""
    judge = device.device_camera.judge_hang
    assert [True, False] == [judge("forky", code, "camera.timeout end", 9).ok for code in (8, 137)]


def test_a_broken_promise_fails_the_bench(
    device: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All are told all the same, of the suites that were asked for."""
    finding = device.device_camera.Finding

    def run(suite: str, amount: Amount) -> list[object]:
        return [finding("lift", suite, "moves", "it moves", ok=amount.minutes > 1, s=0.1)]

    monkeypatch.setitem(device.PARTS, "lift", device.Part(("bookworm", "trixie"), run))
    device.main(part=["lift"], suite=["trixie"], minutes=2)
    assert "1 promises, 0 broken" in capsys.readouterr().out
    with pytest.raises(typer.Exit) as caught:
        device.main(part=["lift"], minutes=1, as_json=True)
    assert 1 == caught.value.exit_code
    told = json.loads(capsys.readouterr().out)
    assert 2 == told["broken"]
    assert ["bookworm", "trixie"] == [finding["where"] for finding in told["findings"]]


def test_a_part_that_cannot_go_on_stops_no_other(
    device: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All parts together are one answer; alone its error is told as every error is."""

    def stuck(suite: str, _: object) -> Iterator[object]:
        yield device.Finding("lift", suite, "opens", "it opens", ok=True, s=0.1)
        raise StairwellError("no cable", fix="lay one")

    def run(suite: str, _: object) -> Iterator[object]:
        yield device.Finding("stairs", suite, "hold", "they hold", ok=True, s=0.1)

    monkeypatch.setitem(device.PARTS, "lift", device.Part(("trixie",), stuck))
    monkeypatch.setitem(device.PARTS, "stairs", device.Part((), run))
    with pytest.raises(typer.Exit):
        device.main(part=["lift", "stairs"], cuts=1, as_json=True)
    told = json.loads(capsys.readouterr().out)["findings"]
    assert ["opens", "run", "hold"] == [finding["check"] for finding in told]
    assert "no cable" in told[1]["found"]["error"]
    with pytest.raises(StairwellError, match="no cable"):
        device.main(part=["lift"], cuts=1)


@pytest.mark.parametrize("option", ["part", "suite"])
def test_what_the_device_bench_does_not_know(device: ModuleType, option: str) -> None:
    """It is refused with what is known, before anything is made."""
    with pytest.raises(StairwellError, match=rf"--{option} lift: unknown\. Fix: known are .*(camera|forky)"):
        device.main(**{option: ["lift"]})


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("options", [{"part": ["lift"]}, {"suite": "lift"}])
def test_what_the_kit_bench_does_not_know(options: dict[str, Any]) -> None:
    """It is refused with what is known, before anything is made."""
    kit = importlib.import_module("kit")
    with pytest.raises(StairwellError, match=r"lift: unknown\. Fix: known are .*(update|trixie)"):
        kit.main(**options)


@pytest.mark.usefixtures("device")
def test_the_end_of_an_order(tmp_path: Path) -> None:
    """Only the last answer to the request itself ends it."""
    lines = [
        "Connection error: refused",
        *(json.dumps({"req": req, "status": status}) for req, status in (("b", "ok"), ("a", "progress"))),
    ]
    (tmp_path / "answers").write_text("\n".join([*lines, ""]))
    ended = importlib.import_module("kit_orders").ended
    assert ended(tmp_path / "answers", "a") is None
    assert {"req": "b", "status": "ok"} == ended(tmp_path / "answers", "b")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_our_source_on_a_real_picamera2() -> None:
    """Where the bench's root was made once: every bound holds for a quarter of a minute."""
    if os.geteuid() != 0 or not list(ROOT.glob("build/roots/forky-camera-*")):
        pytest.skip("`scripts/bench device --part camera` was not run here as root: it makes what this needs")
    told = bench("device", "--part", "camera", "--minutes", "0.25")
    assert (9, 0) == (len(told["findings"]), told["broken"])


def sampled(device: ModuleType, resident_mb: list[float], anonymous_mb: list[float]) -> list[object]:
    """Memory minute by minute, at a tenth of a core."""
    return [
        device.device_memory.Sample(60.0 * minute, resident, anonymous, 6.0 * minute)
        for minute, (resident, anonymous) in enumerate(zip(resident_mb, anonymous_mb, strict=True), 1)
    ]


LEVEL = [88.0, 88.0, 89.0, 89.0, 89.5, 89.5]


@pytest.mark.parametrize(
    ("resident", "anonymous", "code", "kills", "failed"),
    [
        ([150, 165, 170, 170, 171, 172], LEVEL, 0, 0, []),
        ([150, 160, 160, 160, 179, 180], LEVEL, 0, 0, []),  # the page cache's
        ([150, 165, 170, 170, 171, 181], LEVEL, 0, 0, ["resident"]),
        ([181, 160, 160, 160, 160, 160], LEVEL, 0, 0, ["resident"]),
        ([150, 150, 150, 150, 150, 150], [80, 88, 88, 89, 90, 91], 0, 0, ["growth"]),
        ([150, 150, 150], LEVEL[:3], 137, 1, ["whole"]),
        ([150, 150, 150], LEVEL[:3], 0, 1, ["whole"]),
        ([], [], 3, 0, ["whole", "resident", "growth"]),
    ],
)
def test_memory_is_judged(
    device: ModuleType,
    resident: list[float],
    anonymous: list[float],
    code: int,
    kills: int,
    failed: list[str],
) -> None:
    """By the worst minute, and by what is its own in the last third of the time beside the one before it."""
    told = {"events": 1, "missing": 0}
    findings = list(
        device.device_memory.judge(
            "memory", "352 MiB", sampled(device, resident, anonymous), code, kills, 360, told
        )
    )
    assert failed == [finding.check for finding in findings if not finding.ok]
    if resident:
        assert 10 == findings[1].found["cpu_percent"]
    if len(resident) == 6:
        thirds = [sum(anonymous[at : at + 2]) / 2 for at in (0, 2, 4)]
        assert thirds == findings[2].found["thirds_mb"]


def test_what_the_unit_counts_is_judged(device: ModuleType) -> None:
    """Pages of files in use and the kernel's count beside what is resident."""
    samples = [replace(sample, beside_mb=9.0) for sample in sampled(device, [235.0], [128.0])]
    told = {"events": 1, "missing": 0}
    for calm_mb, ok in ((244.0, True), (243.0, False)):
        _, counted, _ = device.device_memory.judge("whole", "forky", samples, 0, 0, 60, told, calm_mb)
        assert ok == counted.ok


def test_the_own_memory_is_read_exactly(device: ModuleType) -> None:
    """A process that takes 32 MiB and touches them has them in the next sample."""
    before = device.device_memory._sample(os.getpid(), 1.0)
    taken = bytearray(os.urandom(1 << 20) * 32)
    after = device.device_memory._sample(os.getpid(), 2.0)
    assert len(taken) / 1e6 == pytest.approx(after.anonymous_mb - before.anonymous_mb, abs=4)
    assert after.anonymous_mb < after.resident_mb


def test_a_container_ends_whole(device: ModuleType) -> None:
    """What systemd-nspawn started is ended, with which that ends by itself: killed, it left the container."""
    script = "sleep 600 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        inside = Path("/proc", process.stdout.readline().strip())
        assert inside.exists()
        device.device_package.container.end(process)
        assert 0 == process.returncode
    assert not inside.exists()
    device.device_package.container.end(process)


@pytest.mark.usefixtures("device")
def test_hands_wait_for_each_step() -> None:
    """The model of a kit's installer leaves out no step of the commissioning, and tells of one not run."""
    hands = importlib.import_module("kit_hands")
    steps = [*Step, "label", "accept"]
    assert steps == [name for name in hands.unknown({}) if name in steps]
    assert 3.0 == hands.waits({"walk": 2.0, "label": 1.0, "event": 9.0})
    assert not {"walk", "label"} & set(hands.unknown({"walk": 2.0, "label": 1.0}))


@pytest.mark.usefixtures("device")
def test_nobody_is_in_the_calm_footage() -> None:
    """What the kit's camera shows as an empty stairwell is one, by the sample's ground truth."""
    camera = importlib.import_module("kit_camera")
    truth = json.loads(camera.PEOPLE.with_suffix(".gt.json").read_text("utf-8"))
    assert camera.CALM_FRAMES < truth["person_present"][0]["start"] * truth["fps"]
    assert all(int(frame) >= camera.CALM_FRAMES for frame in truth["boxes"]["per_frame"])


@pytest.mark.parametrize("told", [{"events": 0, "missing": 0}, {"events": 1, "missing": 1}, {"said": "…"}])
def test_little_memory_of_an_agent_that_does_nothing(device: ModuleType, told: dict[str, object]) -> None:
    """One that sees nobody, or loses what it says, has not shown what it needs."""
    whole, *_ = device.device_memory.judge("memory", "352 MiB", sampled(device, [150], [88]), 0, 0, 360, told)
    assert not whole.ok


def test_what_the_unit_grants(device: ModuleType) -> None:
    """The limits of the memory part are those of the unit that is shipped, and its environment too."""
    grant = device.device_memory.limited.granted(device.device_memory.limited.AGENT)
    assert (288 << 20, 352 << 20) == (grant.high, grant.most)
    assert "2" == grant.environment["MALLOC_ARENA_MAX"]


def suffered(device: ModuleType, **changes: object) -> object:
    """What a kit and its city tell of a captive portal when all is as promised."""
    told = device.device_network.Told(
        causes=["lost", "tls-untrusted"],
        alarms=["net.tls"],
        connections=1,
        cause_s=3.0,
        alarm_s=123.0,
        back_s=30.0,
        delivered_s=60.0,
        said=400,
        missing=0,
        raised=["net.tls"],
    )
    return replace(told, **changes)


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, None),
        ({"cause_s": None}, "the cause is not told in time; the alarm is not raised in time"),
        ({"cause_s": 26.0}, "the cause is not told in time"),
        ({"alarm_s": 139.0}, "the alarm is not raised in time"),
        ({"raised": []}, "the platform has not heard the alarm come and go"),
        ({"alarms": ["net.tls", "net.dns"]}, "an alarm that nothing speaks for"),
        ({"connections": 20}, "a storm of connections"),
        ({"portal": 1}, "something was said to the portal"),
        ({"back_s": 151.0}, "the link is not back in time"),
        ({"delivered_s": None}, "what has waited is not delivered in time"),
        ({"missing": 1}, "messages are lost"),
        ({"said": 0}, "messages are lost"),
    ],
)
def test_a_network_fault_is_judged(
    device: ModuleType, changes: dict[str, object], broken: str | None
) -> None:
    """Each promise is one: what does not hold is named, and nothing else."""
    network = device.device_network
    [portal] = [fault for fault in network.FAULTS if fault.name == "portal-tls"]
    finding = network.judge(portal, suffered(device, **changes), quick=False, took=200)
    assert (broken is None, broken) == (finding.ok, finding.found.get("error"))


def test_a_connection_that_has_to_stand(device: ModuleType) -> None:
    """Delay is no reason to give it up, and it is told."""
    network = device.device_network
    [delay] = [fault for fault in network.FAULTS if fault.name == "delay"]
    stood = suffered(device, causes=[], alarms=[], connections=0, during=50, rtt_ms=1300.0, raised=[])
    for changes, broken in (
        ({}, None),
        ({"connections": 1}, "the connection ended"),
        ({"during": 0}, "nothing arrived meanwhile"),
        ({"rtt_ms": 90.0}, "the delay is not told"),
    ):
        finding = network.judge(delay, replace(stood, **changes), quick=False, took=200)
        assert broken == finding.found.get("error")


def test_network_faults_stay_away_from_this_machine() -> None:
    """Outside of namespaces of its own the city lays no address and no rule, whoever starts it."""
    city = ROOT / "scripts" / "benches" / "network_city.py"
    done = subprocess.run([sys.executable, city, "--quick"], capture_output=True, text=True, check=False)
    assert (1, "") == (done.returncode, done.stdout)
    assert "only in namespaces of its own" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_network_faults(device: ModuleType) -> None:
    """In real namespaces, as root: loss, delay, flapping, portals; no message is lost.

    All at once and short, half a minute for all, most of it a wait between two tries. The long ones, and the
    alarms, are the bench's.
    """
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root's rights")
    found = list(device.device_network.findings_of("--quick"))
    assert 5 == len(found)
    assert [] == [(finding.check, finding.found["error"]) for finding in found if not finding.ok]
