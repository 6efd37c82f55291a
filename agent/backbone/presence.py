"""The contract with the backbone: the kit's presence, on `st` and `hb`. None of it is worth keeping."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from agent.backbone.envelope import Message
from agent.backbone.fields import (  # noqa: TC001 - pydantic reads them
    AlarmCode,
    Count,
    Hex8,
    KitId,
    Measure,
    Name,
    PublicKey,
    Seal,
    Seq,
    Share,
)
from agent.backbone.messages import SiteAddress, Stamped


class Birth(Stamped):
    """Retained on `st` after every connect: the kit is there, and what it is."""

    stream: Hex8
    state: Literal["online"] = "online"
    session: Seq = Field(description="one more with each connection; a will of an older session is void")
    sw: Name = Field(description="version of the agent")
    model: Name = Field(description="hardware")
    cam: Name = Field(description="kind of source")
    caps: list[Name] = Field(description="what the kit can do")
    cfg_rev: Count = Field(description="revision of the configuration in force, 0 for the file's own")
    seal: Seal
    key: PublicKey | None = Field(
        default=None, description="Ed25519 key that signs the manifests of clips, 32 bytes in base64"
    )
    seq_next: Seq = Field(description="the number that the next outbox message will have")
    seq_oldest: Seq = Field(description="the oldest number that can still be sent again")
    detector: Name
    reset: Literal["power", "watchdog", "reboot"] | None = Field(
        default=None,
        description="what started the board; a kernel that gave up ends in the watchdog, too. Absent where "
        "the board does not tell",
    )
    in_order: bool | None = Field(
        default=None,
        description="the agent had ended before this boot, and was not cut off; absent at its first boot",
    )
    burnin: bool | None = Field(
        default=None, description="whether the kit passed its burn-in; null: it had none"
    )
    site: SiteAddress


class Stopped(Stamped):
    """Retained on `st` before the kit disconnects by itself."""

    stream: Hex8
    state: Literal["stopped"] = "stopped"
    why: Name = Field(
        description="shutdown: on request; restart: by a command, it starts anew; reconfigure: it is back at "
        "once, with other settings; ended: the footage did; failed: an error, it starts anew by itself; "
        "erased: for good, and `receipt` tells what went"
    )
    session: Seq
    receipt: dict[str, JsonValue] | None = Field(
        default=None,
        description="of an erased kit, signed by its key before that was destroyed: Ed25519 over `stairwell "
        "erase receipt v1`, a newline and the canonical JSON (RFC 8785) of all its fields but `sig`",
    )


class Will(Message):
    """Retained on `st` by the broker when the kit is lost."""

    v: Literal[1] = 1
    dev: KitId
    state: Literal["offline"] = "offline"
    why: Literal["lost"] = "lost"
    session: Seq
    boot: Hex8


class QueueState(Message):
    """The outbox."""

    n: Count = Field(description="messages not yet delivered")
    age: Measure | None = Field(default=None, description="seconds that the oldest of them waits")
    dropped: Count = Field(description="since the stream began; each is covered by a gap")
    deferred: Count | None = Field(
        default=None, description="messages that wait in memory because the disk refuses them"
    )


class DiskState(Message):
    """The file system of the state directory."""

    free: Measure = Field(description="GiB")
    share: Share | None = Field(default=None, description="free part of it")
    errors: Count | None = Field(default=None, description="that its file system has counted (ext4)")
    life: Measure | None = Field(
        default=None, description="part of the flash's life that is used up, by itself; absent for SD cards"
    )


class NetState(Message):
    """The way to the broker."""

    rtt: Measure | None = Field(default=None, description="ms from a publish to its PUBACK, median")
    dev: Name | None = Field(default=None, description="network interface that leads out")
    rssi: int | None = Field(default=None, description="dBm of its radio")


class ClipsState(Message):
    """The clip store."""

    n: Count
    mb: Measure


class WearState(Message):
    """What the agent has written to its disks; flash wears out by it."""

    mb: Measure = Field(description="MiB in the last `h` hours, as the kernel counts them")
    h: Measure = Field(description="24, or less if the agent has not run for so long")


class DropState(Message):
    """What had to be left out since the agent started, for want of time or room. Mostly all 0."""

    frames: Count = Field(description="pictures that were not analysed: the processor was behind")
    packets: Count = Field(
        description="pictures that the video lacks: the disk, or the board that encodes, was behind"
    )
    gops: Count = Field(
        description="seconds or so that left the pre-roll early: clips.ring_mb is too small, or `preroll` < 1"
    )
    writes: Count = Field(description="messages given up, because the disk refused them for too long")


class Heartbeat(Stamped):
    """The kit's pulse; every figure was measured just before, and is absent if it could not be."""

    stream: Hex8
    n: Count = Field(description="heartbeats since the agent started")
    up: Measure = Field(description="seconds since the agent started")
    fps: Annotated[list[Measure], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="analysed frames per second: measured, wanted"
    )
    inf_ms: Annotated[list[Measure], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="time of one inference: median, 95th percentile"
    )
    lastframe: Measure | None = Field(default=None, description="seconds since the last picture")
    enc: Measure | None = Field(default=None, description="encoded pictures per second")
    q: QueueState
    disk: DiskState | None = None
    cpu: Measure | None = Field(default=None, description="percent of one core")
    t: float | None = Field(default=None, description="°C of the processor")
    thr: Count | None = Field(
        default=None, description="get_throttled of a Raspberry Pi's firmware: under-voltage, throttling"
    )
    mem: Measure | None = Field(default=None, description="MB of the agent")
    memfree: Share | None = Field(default=None, description="part of the machine's memory that can be had")
    pace: Share = Field(
        default=1.0,
        description="part of the analysis rate that heat, load or want of power leave; recording keeps all",
    )
    preroll: Share = Field(
        default=1.0,
        description="part of the pre-roll, in seconds and in memory, that want of memory leaves",
    )
    net: NetState = NetState()
    ev24: Count = Field(description="events begun since the agent started, at most 24 hours ago")
    clips: ClipsState | None = None
    wear: WearState | None = None
    drop: DropState | None = None
    seal: Seal | None = Field(default=None, description="as in the birth")
    alm: list[AlarmCode] = Field(default=[], description="alarms that are raised")
