"""Messages that the tests of the backbone send."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from agent.backbone.drafts import Draft, draft, status
from agent.backbone.messages import (
    AlarmBody,
    AlarmClearedBody,
    ClipBody,
    ClipErasedBody,
    ClipUploadedBody,
    EventBody,
    Sealing,
    SiteAddress,
    SiteRef,
    SnapshotBody,
    StatBody,
    Words,
    origin,
)
from agent.backbone.presence import Birth, Stopped, Will
from agent.backbone.topics import Topics
from agent.config import Site
from agent.device.clock import Stamp
from agent.types import Phase

if TYPE_CHECKING:
    from agent.backbone.outbox import Numbers
    from agent.backbone.publication import Publication

KIT = "k7f3k2qx4m"
TOPICS = Topics("51", "odesa", "kyivskyi", KIT)
BOOT = "3b0f6c1e"
JPEG = b"\xff\xd8 not quite a picture \xff\xd9"
SITE = Site(oblast="51", city="odesa", district="kyivskyi", building="b-17", entrance="2")
WORDS = Words(uk="камера не дає кадрів", en="no pictures")


def at(mono: float, boot: str = BOOT, ts: str | None = None) -> Stamp:
    return Stamp(boot, mono, ts, "ntp" if ts else "none")


def ulid_of(number: int) -> str:
    return f"{number:026d}"


def event(number: int, phase: Phase = Phase.NEW, kind: str = "person", t: float = 10.0) -> Draft:
    end = phase is Phase.END
    return draft(
        TOPICS,
        EventBody(
            **origin(KIT, at(t)),
            site=SiteRef.of(SITE),
            id=ulid_of(number),
            phase=phase,
            rev=1 if phase is Phase.NEW else 2,
            type=kind,  # type: ignore[arg-type]
            t0=None,
            mono0=t,
            dur=4.0 if end else None,
            score=0.8,
            count=1,
            box=[0.1, 0.2, 0.3, 0.4],
        ),
    )


def snapshot(number: int, jpeg: bytes = JPEG) -> Draft:
    body = SnapshotBody(
        **origin(KIT, at(10.0)),
        event=ulid_of(number),
        box=[0.1, 0.2, 0.3, 0.4],
        bytes=len(jpeg),
        sha256=hashlib.sha256(jpeg).hexdigest(),
        width=480,
        height=270,
    )
    return draft(TOPICS, body, jpeg)


def clip(number: int) -> Draft:
    body = ClipBody(
        **origin(KIT, at(10.0)),
        clip=ulid_of(number),
        events=[ulid_of(1)],
        t0=None,
        mono0=3.0,
        dur=12.5,
        bytes=1000,
        sha256="0" * 64,
        codec="h264",
        width=640,
        height=360,
        sealed=Sealing(fmt="age", keys=["0b7e53d09c0fb75f"]),
        manifest="1" * 64,
        sig="A" * 86 + "==",
    )
    return draft(TOPICS, body)


def uploaded(number: int) -> Draft:
    fields = {"req": ulid_of(9), "host": "store.example", "bytes": 1000, "sha256": "0" * 64}
    return draft(TOPICS, ClipUploadedBody(**origin(KIT, at(10.0)), clip=ulid_of(number), **fields))


def erased(number: int) -> Draft:
    return draft(TOPICS, ClipErasedBody(**origin(KIT, at(10.0)), clip=ulid_of(number), why="retention"))


def raised(code: str = "camera.no_frames") -> Draft:
    return draft(
        TOPICS,
        AlarmBody(
            **origin(KIT, at(10.0)), code=code, sev="major", since=None, mono0=1.0, text=WORDS, fix=WORDS
        ),
    )


def cleared(code: str = "camera.no_frames") -> Draft:
    return draft(TOPICS, AlarmClearedBody(**origin(KIT, at(11.0)), code=code))


def stat() -> Draft:
    fields = {"observed_min": 60.0, "motion_min": 7.5, "person_min": 4.0, "dark_min": 0.0, "covered_min": 0.0}
    body = StatBody(
        **origin(KIT, at(3610.0)),
        **fields,
        t0=None,
        mono0=10.0,
        visits=2,
        muted=0,
        grid=[[0.0] * 8] * 8,
        lines={"stairs": {"up": 1}},
    )
    return draft(TOPICS, body)


class Here:
    """The presence of a kit in tests."""

    def birth(self, session: int, numbers: Numbers) -> Publication:
        """See Presence."""
        return status(
            TOPICS,
            Birth(
                **origin(KIT, at(1.0)),
                stream=numbers.stream,
                session=session,
                sw="0",
                model="test",
                cam="synthetic",
                caps=["person"],
                cfg_rev=0,
                seal="none",
                seq_next=numbers.seq_next,
                seq_oldest=numbers.seq_oldest,
                detector="none",
                site=SiteAddress.of(SITE),
            ),
        )

    def will(self, session: int) -> Publication:
        """See Presence."""
        return status(TOPICS, Will(dev=KIT, session=session, boot=BOOT))

    def stopped(self, session: int, why: str, stream: str) -> Publication:
        """See Presence."""
        return status(TOPICS, Stopped(**origin(KIT, at(2.0)), stream=stream, why=why, session=session))
