"""`stairwell run` on the sample, within the memory that its unit grants on a kit of 512 MB, at the real pace.

The whole agent in a process of its own: detector, recording and seal, mutual TLS to the reference broker, the
reference platform behind it. Memory and CPU are read each minute, or ten times if that is less.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pyrage import x25519

import limited
import whole_kit
from findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RESIDENT_MB = 180.0  # promised for the Zero 2 W
# Of anonymous memory, from the second third of the time to the last: in half an hour those are ten minutes
# apart, so that a leak of 150 KB a minute is more. What still settles took 0.8 in a run of 50 minutes.
# Resident memory is no measure of growth: pages of files come and go in it as the machine has room.
GROWTH_MB = 1.5
STOP_S = 120.0  # TimeoutStopSec of the unit
MB = 1e6
MOST = limited.granted(limited.AGENT).most // limited.MIB


@dataclass(frozen=True, slots=True)
class Sample:
    """At `s` seconds after the start: memory in MB, CPU used so far in seconds.

    Of the process what is resident and of that what is anonymous; of its group what it has beside that.
    """

    s: float
    resident_mb: float
    anonymous_mb: float
    cpu_s: float
    beside_mb: float = 0.0


def findings_of(minutes: float) -> Iterator[Finding]:
    """Run for so long, then stop it in order and judge."""
    sections = {"capture": {"source": str(whole_kit.PEOPLE), "loop": True}}
    with tempfile.TemporaryDirectory(prefix="stairwell-memory-") as directory:
        program = [sys.executable, "-m", "agent"]
        yield from measured("memory", f"{MOST} MiB", minutes, Path(directory), sections, program)


def measured(
    part: str,
    where: str,
    minutes: float,
    directory: Path,
    sections: dict[str, dict[str, object]],
    program: Sequence[str | Path],
    calm_mb: float | None = None,
) -> Iterator[Finding]:
    """What an agent with these settings does and takes, its files in `directory`; `program` is `stairwell`.

    It becomes the agent's own process, by exec alone. Where `calm_mb` is given, no more than that may be in
    use of what the unit grants; else the resident memory is judged.
    """
    grant = limited.granted(limited.AGENT)
    begun = time.monotonic()
    with whole_kit.city(str(directory)) as city:
        recipient = str(x25519.Identity.generate().to_public())
        file = city.configure(clips={"recipients": [recipient]}, **sections)
        environment = {**whole_kit.environment(), **grant.environment}
        # A kit has its bytecode since the installation; an agent that has to make it keeps 10 MB of that.
        subprocess.run([*program, "run", "--help"], env=environment, stdout=subprocess.DEVNULL, check=True)
        with limited.group(f"stairwell-{part}", grant) as group, (directory / "log").open("w") as log:
            process = subprocess.Popen(
                [*program, "run", "--config", file],
                env=environment,
                preexec_fn=group.join,  # noqa: PLW1509 - no other thread forks meanwhile
                stderr=log,
            )
            try:
                samples = list(_samples(process, group, 60 * minutes))
                process.terminate()
                code = process.wait(STOP_S)
            finally:
                process.kill()
                process.wait()
            kills, peak_mb, kind = group.kills, group.peak / MB, group.kind
        told = city.told if code == 0 else {"said": (directory / "log").read_text()[-2000:]}
    took = round(time.monotonic() - begun, 1)
    told = {"group": kind, "peak_mb": round(peak_mb), **told}
    yield from judge(part, where, samples, code, kills, took, told, calm_mb)


def judge(
    part: str,
    where: str,
    samples: list[Sample],
    code: int,
    kills: int,
    took: float,
    told: dict[str, object],
    calm_mb: float | None = None,
) -> Iterator[Finding]:
    """What was sampled, beside what is promised; `told` are figures of the run."""
    third = max(1, len(samples) // 3)
    before, last = samples[-2 * third : -third] or samples, samples[-third:]
    resident = [sample.resident_mb for sample in samples]
    used_mb = [sample.resident_mb + (sample.beside_mb if calm_mb else 0.0) for sample in samples]
    promise = f"at most {RESIDENT_MB:g} MB are resident"
    if calm_mb:
        promise = f"what its unit counts stays below {calm_mb:g} MB, where want of memory ends"
    growth = _anonymous(last) - _anonymous(before)
    used = [100 * (b.cpu_s - a.cpu_s) / (b.s - a.s) for a, b in itertools.pairwise(samples)]
    yield Finding(
        part,
        where,
        "whole",
        "it runs to the end within what its unit grants, tells of people, loses nothing, stops in order",
        ok=(code, kills) == (0, 0) and bool(told.get("events")) and told.get("missing") == 0,
        s=took,
        found={"exit": code, "killed_for_memory": kills, "samples": len(samples), **told},
    )
    yield Finding(
        part,
        where,
        "resident",
        promise,
        ok=bool(used_mb) and max(used_mb) <= (calm_mb or RESIDENT_MB),
        s=0,
        found={
            "first_mb": resident[0] if resident else None,
            "worst_mb": max(resident, default=None),
            "last_mb": resident[-1] if resident else None,
            "beside_mb": max((sample.beside_mb for sample in samples), default=None),
            "anonymous_mb": samples[-1].anonymous_mb if samples else None,
            "cpu_percent": round(sum(used) / len(used), 1) if used else None,
            "cpu_percent_worst": round(max(used), 1) if used else None,
        },
    )
    yield Finding(
        part,
        where,
        "growth",
        "from the second third of the time to the last its anonymous memory grows by less than "
        f"{GROWTH_MB:g} MB",
        ok=bool(samples) and growth < GROWTH_MB,
        s=0,
        found={
            "growth_mb": round(growth, 1),
            "thirds_mb": [round(_anonymous(part), 1) for part in (samples[: -2 * third], before, last)],
            "anonymous_mb": [sample.anonymous_mb for sample in samples],
            "resident_mb": resident,
        },
    )


def _samples(process: subprocess.Popen[bytes], group: limited.Group, seconds: float) -> Iterator[Sample]:
    """Until the time is over or the process has ended."""
    begun, every = time.monotonic(), min(60.0, seconds / 10)
    for number in itertools.count(1):
        due = begun + number * every
        if due > begun + seconds + every / 2:
            return
        try:
            process.wait(max(0.0, due - time.monotonic()))
        except subprocess.TimeoutExpired:
            sample = _sample(process.pid, time.monotonic() - begun)
            yield replace(sample, beside_mb=round(group.beside / MB, 1))
        else:
            return


def _sample(pid: int, s: float) -> Sample:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()  # exact; the counters of `status` lag
    kib = {name: int(size) for name, size in re.findall(r"(?m)^(Rss|Anonymous): +(\d+) kB$", text)}
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    return Sample(
        round(s, 1),
        round(kib["Rss"] * 1024 / MB, 1),
        round(kib["Anonymous"] * 1024 / MB, 1),
        ticks / os.sysconf("SC_CLK_TCK"),
    )


def _anonymous(samples: list[Sample]) -> float:
    return sum(sample.anonymous_mb for sample in samples) / len(samples) if samples else 0.0
