"""What a running agent tells of itself, for tests that play one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.app.status import (
    CameraStatus,
    ClipsStatus,
    ClockStatus,
    DetectorStatus,
    LinkStatus,
    MachineStatus,
    OutboxStatus,
    Status,
)

if TYPE_CHECKING:
    from kits import Kit

BEGAN_S = 12.0  # from the board's start to the agent's
SEES_S = 15.0  # to its first picture
UP_S = 120.0


def status(kit: Kit, **changes: Any) -> Status:  # noqa: ANN401 - any field of a Status
    """What the agent of this kit tells two minutes after its start, all being well and nothing recorded."""
    numbers = kit.journal.ask(lambda tx: kit.outbox.numbers(tx, kit.clock.stamp()))
    told = Status(
        kit=kit.settings.kit.id,
        sw="1.2.3",
        pid=1,
        up=UP_S,
        clock=ClockStatus(ts=None, clk="none", mono=BEGAN_S + UP_S, boot=kit.clock.boot),
        camera=CameraStatus(source="csi", age=0.1, first=SEES_S, frames=600, skipped=0, fps=10.0),
        detector=DetectorStatus(),
        events_24h=0,
        link=LinkStatus(host="broker", connected=True, taken=9, unheard=0, refused=0),
        outbox=OutboxStatus(
            waiting=numbers.waiting,
            bytes=numbers.bytes,
            max_bytes=1000,
            dropped=0,
            stream=numbers.stream,
            seq_next=numbers.seq_next,
        ),
        clips=ClipsStatus(),
        machine=MachineStatus(model="Pi", mem_mb=150.0),
        alarms=[],
    )
    return told.model_copy(update=changes)
