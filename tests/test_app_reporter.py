"""The reporter: every message fits the contract, and nothing in it is made up."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import BASE, KIT, Hands, body, change, check, picture, settings
from clips_keys import KIT_KEY, RECIPIENTS

from agent import __version__
from agent.app.ledger import Ledger
from agent.app.reporter import Dropped, Reporter, Stock, topics
from agent.app.want import STEP_S, Strain, Want
from agent.app.wear import Wear
from agent.backbone.orders import ORDERS
from agent.backbone.outbox import Numbers
from agent.capture.snapshot import still
from agent.device import reset
from agent.device.board import Board
from agent.device.clock import Stamp
from agent.device.power import Throttling
from agent.device.storage import Card, Space
from agent.doctor.registry import ALARMS
from agent.types import BestMoment, Box, ClipRecord, Phase

if TYPE_CHECKING:
    from pathlib import Path

    from agent.app.ledger import Progress
    from agent.backbone.drafts import Draft
    from agent.backbone.publication import Publication

STREAM = "9f2c1a7e"
EVENT = "01KAMZ6T3QW8E2R5T7Y9V1J3P5"
CLIP_ID = "01KAMZ7A0000000000000000AA"
NOW = "2026-11-22T00:31:05.412Z"

NUMBERS = Numbers(STREAM, 3, 10, 7, 2, 1.25, 4096, 0)


def reporter(
    directory: Path, clock: Hands, detector: str | None = "ssdlite@b1ec7047", **sections: dict[str, Any]
) -> Reporter:
    chosen = settings(directory, **sections)
    return Reporter(chosen, topics(chosen), clock, STREAM, detector)


def sent(draft: Draft) -> dict[str, Any]:
    """The message as it goes out, proved valid."""
    message = body(draft.render(STREAM, 1))
    check(message)
    return message


def said(publication: Publication) -> dict[str, Any]:
    message = body(publication)
    check(message)
    return message


def clip(**fields: Any) -> ClipRecord:  # noqa: ANN401 - any field
    values: dict[str, Any] = {
        "id": CLIP_ID,
        "path": f"{CLIP_ID}.mp4",
        "events": (EVENT,),
        "started": 990.0004,
        "duration": 12.34567,
        "boot": "bbbbbbbb",
        "ts": None,
        "clk": "none",
        "bytes": 1000,
        "sha256": "0" * 64,
        "codec": "h264",
        "width": 640,
        "height": 480,
        "sealed": "age",
        "recipients": ("0b7e53d09c0fb75f",),
        "manifest": "1" * 64,
        "sig": "A" * 86 + "==",
    }
    return ClipRecord(**{**values, **fields})


def progress(**fields: Any) -> Progress:  # noqa: ANN401 - any counter
    ledger = Ledger()
    for name, value in fields.items():
        setattr(ledger, name, value)
    return ledger.read()


BOARD, CALM = Board(), Want()


def beat(
    kit: Reporter, seen: Progress, stock: Stock | None = None, rtt: float | None = None
) -> dict[str, Any]:
    return said(
        kit.heartbeat(seen, NUMBERS, rtt, stock, None, Dropped(0, 0), 4, ("clips.unsealed",), BOARD, CALM)
    )


def test_a_new_event(tmp_path: Path) -> None:
    """NEW names place, time, box and detector; it has no end."""
    draft = reporter(tmp_path, Hands(ts=NOW)).event(EVENT, change(Phase.NEW))

    message = sent(draft)

    assert f"{BASE}evt/person" == draft.topic
    assert {"city": "odesa", "district": "kyivskyi", "building": "b-17"} == message["site"]
    assert ("new", 1, 999.0, [0.1, 0.2, 0.3, 0.4], "ssdlite@b1ec7047") == tuple(
        message[key] for key in ("phase", "rev", "mono0", "box", "model")
    )
    assert (0.7, 0.9, 2, NOW) == tuple(message[key] for key in ("score", "top", "count", "t0"))
    assert not {"t1", "dur", "why"} & message.keys()


@pytest.mark.parametrize(
    ("source", "kind", "recorded"),
    [
        ("rtsp://user:secret@10.0.0.4/stairs", "rtsp", False),
        ("https://10.0.0.4/stairs", "https", False),
        ("udp://239.0.0.1:1234", "udp", False),
        ("/dev/video0", "v4l2", False),
        ("/home/kit/night.mp4", "file", True),
        ("synthetic:?seconds=5", "synthetic", True),
    ],
)
def test_footage_is_told_from_a_camera(tmp_path: Path, source: str, kind: str, recorded: bool) -> None:
    """Whoever hears an event knows whether it happens now; the birth names the kind of source."""
    kit = reporter(tmp_path, Hands(ts=NOW), capture={"source": source})

    assert recorded is sent(kit.event(EVENT, change(Phase.NEW)))["replay"]
    assert kind == said(kit.birth(3, NUMBERS))["cam"]


def test_an_end_has_its_duration_by_the_monotonic_clock(tmp_path: Path) -> None:
    """`dur` is last evidence less start; `t1` labels the last evidence."""
    message = sent(reporter(tmp_path, Hands(ts=NOW)).event(EVENT, change(Phase.END, 3, 1004.25)))

    assert ("end", 3, 5.25, NOW) == tuple(message[key] for key in ("phase", "rev", "dur", "t1"))


def test_a_clock_that_was_never_set_labels_nothing(tmp_path: Path) -> None:
    """`ts` and `t0` are null, `t1` is absent, order and duration still stand."""
    message = sent(reporter(tmp_path, Hands(ts=None)).event(EVENT, change(Phase.END, 3, 1004.25)))

    assert (None, None, "none") == tuple(message[key] for key in ("ts", "t0", "clk"))
    assert "t1" not in message
    assert (1000.0, 5.25) == (message["mono"], message["dur"])


def test_without_a_detector_no_model_is_named(tmp_path: Path) -> None:
    """An event and a birth do not name a detector that does not work."""
    kit = reporter(tmp_path, Hands(), None)

    assert "model" not in sent(kit.event(EVENT, change(Phase.NEW)))
    assert "unusable" == said(kit.birth(1, NUMBERS))["detector"]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box(-0.1, -0.2, 0.5, 0.5), [0.0, 0.0, 0.4, 0.3]),
        (Box(0.8, 0.9, 0.5, 0.5), [0.8, 0.9, 0.2, 0.1]),
        (Box(1.2, -0.5, 0.1, 0.2), [1.0, 0.0, 0.0, 0.0]),
        (Box(0.123456, 0.2, 0.3, 0.4), [0.1235, 0.2, 0.3, 0.4]),
    ],
)
def test_a_box_is_clipped_to_the_picture(tmp_path: Path, box: Box, expected: list[float]) -> None:
    """A track may reach past the border; a message may not."""
    image = still(picture())
    kit = reporter(tmp_path, Hands())

    assert expected == sent(kit.snapshot(EVENT, BestMoment(1, 999.0, box, 0.5), image))["box"]


def test_an_event_that_a_killed_run_left(tmp_path: Path) -> None:
    """It is stamped with that run's last evidence and says why it ends."""
    last = Stamp("bbbbbbbb", 50.0, NOW, "rtc")

    message = sent(
        reporter(tmp_path, Hands()).ended_by_restart(EVENT, change(Phase.END, 3, 1004.0), None, last)
    )

    assert ("restart", "bbbbbbbb", 50.0, NOW, "rtc", NOW, None) == tuple(
        message[key] for key in ("why", "boot", "mono", "ts", "clk", "t1", "t0")
    )


def test_a_snapshot_describes_its_picture(tmp_path: Path) -> None:
    """Bytes, hash and size are those of the JPEG, the time is that of the moment."""
    image = still(picture(96, 72))
    draft = reporter(tmp_path, Hands()).snapshot(EVENT, BestMoment(1, 998.5, Box(0, 0, 1, 1), 0.5), image)

    message = sent(draft)

    assert (f"{BASE}snap/{EVENT}", image.jpeg) == (draft.topic, draft.picture)
    assert (len(image.jpeg), hashlib.sha256(image.jpeg).hexdigest(), 96, 72, 998.5) == tuple(
        message[key] for key in ("bytes", "sha256", "width", "height", "mono")
    )


def test_a_clip_is_stamped_with_its_own_boot(tmp_path: Path) -> None:
    """A clip recovered after a restart keeps the time line on which it was recorded."""
    message = sent(reporter(tmp_path, Hands(boot="cccccccc")).clip(clip(truncated=True, part=2)))

    assert ("bbbbbbbb", 990.0, 990.0, 12.346, True, 2) == tuple(
        message[key] for key in ("boot", "mono", "mono0", "dur", "truncated", "part")
    )


def test_a_clip_says_how_it_is_sealed_and_proved(tmp_path: Path) -> None:
    """Format and keys of the seal; digest and signature of its manifest, and the digest before it."""
    kit = reporter(tmp_path, Hands())
    first, second, unsealed = (
        sent(kit.clip(clip(**fields)))
        for fields in ({}, {"prev": "2" * 64}, {"sealed": "none", "recipients": ()})
    )

    assert {"fmt": "age", "keys": ["0b7e53d09c0fb75f"]} == first["sealed"]
    assert ("1" * 64, "A" * 86 + "==") == (first["manifest"], first["sig"])
    assert "prev" not in first
    assert "2" * 64 == second["prev"]
    assert {"fmt": "none", "keys": []} == unsealed["sealed"]


def abilities(message: dict[str, Any]) -> list[str]:
    """What the kit can do, without the commands that it knows."""
    assert [f"cmd/{name}" for name in ORDERS] == [cap for cap in message["caps"] if cap.startswith("cmd/")]
    return [cap for cap in message["caps"] if not cap.startswith("cmd/")]


def test_birth_gives_the_key_that_signs(tmp_path: Path) -> None:
    """Whoever keeps the births can check every clip of the kit."""
    chosen = settings(tmp_path, clips={"seal": "age", "recipients": RECIPIENTS})
    kit = Reporter(chosen, topics(chosen), Hands(), STREAM, None, KIT_KEY.public.text)

    message = said(kit.birth(1, NUMBERS))

    assert ("age", KIT_KEY.public.text) == (message["seal"], message["key"])
    assert ["person", "snapshot", "clip"] == abilities(message)


def test_an_adopted_clip_of_an_unknown_boot_still_fits_the_contract(tmp_path: Path) -> None:
    """A file without an intent has no boot of its own; its message is valid all the same."""
    message = sent(reporter(tmp_path, Hands()).clip(clip(boot="", started=0.0, events=())))

    assert ("00000000", []) == (message["boot"], message["events"])


def test_an_erased_clip(tmp_path: Path) -> None:
    """It says which, and why."""
    message = sent(reporter(tmp_path, Hands()).clip_erased(clip(), "retention"))

    assert (CLIP_ID, "erased", "retention") == tuple(message[key] for key in ("clip", "state", "why"))


@pytest.mark.parametrize("code", sorted(ALARMS))
def test_every_alarm_can_be_raised_and_cleared(tmp_path: Path, code: str) -> None:
    """Each code of the registry fits the contract, in both languages, with its fix."""
    kit = reporter(tmp_path, Hands())
    raised = kit.alarm(ALARMS[code])

    message = sent(raised)

    assert (code, "raised", 1000.0) == tuple(message[key] for key in ("code", "state", "mono0"))
    assert {"uk", "en"} == message["text"].keys() == message["fix"].keys()
    assert raised.retain
    assert (code, "cleared") == tuple(sent(kit.alarm_over(ALARMS[code]))[key] for key in ("code", "state"))
    assert b"" == kit.alarm_over(ALARMS[code]).render(STREAM, 1).payload


def test_birth(tmp_path: Path) -> None:
    """It says what the kit is and where its stream stands."""
    publication = reporter(tmp_path, Hands(), site={"floor": 3}).birth(7, NUMBERS)

    message = said(publication)

    assert (f"{BASE}st", True) == (publication.topic, publication.retain)
    assert (KIT, STREAM, "online", 7, __version__, "synthetic", 10, 7, "none", 3) == (
        *(message[key] for key in ("dev", "stream", "state", "session", "sw", "cam", "seq_next")),
        *(message["seq_oldest"], message["seal"], message["site"]["floor"]),
    )
    assert ["person", "snapshot", "clip"] == abilities(message)


def test_birth_tells_what_started_the_board(tmp_path: Path) -> None:
    """Once the agent has found it out, and nothing where it could not: absent, not a guess."""
    assert not {"reset", "in_order"} & said(reporter(tmp_path, Hands()).birth(1, NUMBERS)).keys()
    kept = {"boot": Hands().boot, "running": True, "reset": "watchdog", "in_order": False}
    (tmp_path / reset.NAME).write_text(json.dumps(kept))
    message = said(reporter(tmp_path, Hands()).birth(1, NUMBERS))
    assert ("watchdog", False) == (message["reset"], message["in_order"])


def test_birth_of_a_kit_that_does_not_record(tmp_path: Path) -> None:
    """With nobody to seal to it has no clips to offer, and says that it refuses."""
    kit = Reporter(
        settings(tmp_path, clips={"seal": "age"}),
        topics(settings(tmp_path)),
        Hands(),
        STREAM,
        "ssdlite@b1ec7047",
    )

    message = said(kit.birth(1, NUMBERS))

    assert (["person", "snapshot"], "refused") == (abilities(message), message["seal"])


def test_stopped_and_will(tmp_path: Path) -> None:
    """Both are retained on the topic of the birth and name its session."""
    kit = reporter(tmp_path, Hands(boot="cccccccc"))
    stopped, will = kit.stopped(7, "shutdown", STREAM), kit.will(7)

    assert ("shutdown", 7) == (said(stopped)["why"], said(stopped)["session"])
    assert ("lost", 7, "cccccccc") == tuple(said(will)[key] for key in ("why", "session", "boot"))
    assert {(f"{BASE}st", True)} == {(p.topic, p.retain) for p in (stopped, will)}


def test_the_first_heartbeat_makes_no_rate_up(tmp_path: Path) -> None:
    """With nothing measured yet, rates, latencies, round trip and clips are absent, not zero."""
    message = beat(reporter(tmp_path, Hands()), progress())

    assert not {"fps", "enc", "inf_ms", "lastframe", "clips"} & message.keys()
    assert {} == message["net"]
    assert {"n": 2, "age": 1.2, "dropped": 0} == message["q"]
    assert (1, 0.0, 4, ["clips.unsealed"]) == tuple(message[key] for key in ("n", "up", "ev24", "alm"))


def test_rates_are_differences_between_two_heartbeats(tmp_path: Path) -> None:
    """Counters that rise by 50 and 250 in ten seconds are 5 and 25 a second, whatever they were before."""
    clock = Hands()
    kit = reporter(tmp_path, clock)
    beat(kit, progress(analysed=1000, packets=3000))
    clock.t += 10.0

    message = beat(kit, progress(analysed=1050, packets=3250))

    assert ([5.0, 10.0], 25.0) == (message["fps"], message["enc"])
    assert (2, 10.0) == (message["n"], message["up"])


def test_two_heartbeats_at_one_moment_have_no_rate(tmp_path: Path) -> None:
    """No time has passed: nothing can be divided by it."""
    kit = reporter(tmp_path, Hands())
    beat(kit, progress(analysed=1))

    assert "fps" not in beat(kit, progress(analysed=2))


def test_what_was_measured_is_in_the_heartbeat(tmp_path: Path) -> None:
    """Latency, age of the picture, round trip, disk, memory and clips."""
    ledger = Ledger()
    ledger.frame(999.5)
    ledger.analyse(999.6, 0.05)

    message = beat(reporter(tmp_path, Hands()), ledger.read(), Stock(3, 5 << 20), 12.345)

    assert ([50.0, 50.0], 0.5, {"rtt": 12.3}, {"n": 3, "mb": 5.0}) == tuple(
        message[key] for key in ("inf_ms", "lastframe", "net", "clips")
    )
    assert message["mem"] > 1


def test_what_was_written_is_in_the_heartbeat(tmp_path: Path) -> None:
    """In MiB and hours, as it was counted; absent where the kernel does not count."""
    kit = reporter(tmp_path, Hands())
    wear = Wear(bytes=3 << 19, seconds=5400.0)
    message = body(kit.heartbeat(progress(), NUMBERS, None, None, wear, Dropped(0, 0), 0, (), BOARD, CALM))
    assert "Heartbeat" == check(message)
    assert {"mb": 1.5, "h": 1.5} == message["wear"]
    assert "wear" not in beat(kit, progress())


def test_what_was_dropped_is_in_the_heartbeat(tmp_path: Path) -> None:
    """Pictures not analysed, not recorded, not kept for the pre-roll; messages given up."""
    seen = progress(skipped=1, packets_dropped=2)
    message = body(
        reporter(tmp_path, Hands()).heartbeat(
            seen, NUMBERS, None, None, None, Dropped(3, 4, 5), 0, (), BOARD, CALM
        )
    )
    assert "Heartbeat" == check(message)
    assert {"frames": 1, "packets": 2, "gops": 3, "writes": 4} == message["drop"]
    assert 5 == message["q"]["deferred"]


def test_a_heartbeat_is_forgotten_when_stale(tmp_path: Path) -> None:
    """QoS 0, and the broker drops it after three periods."""
    kit = reporter(tmp_path, Hands(), backbone={"heartbeat_s": 10})

    publication = kit.heartbeat(progress(), NUMBERS, None, None, None, Dropped(0, 0), 0, (), BOARD, CALM)

    assert (f"{BASE}hb", 0, 30) == (publication.topic, publication.qos, publication.expiry_s)


def test_the_board_in_the_heartbeat(tmp_path: Path) -> None:
    """What was measured is there, what this model cannot tell is absent, and what is left is said."""
    hot = Board(
        celsius=81.5,
        throttling=Throttling(0x50005),
        memory=0.25,
        disk=Space(8 << 30, 2 << 30),
        disk_errors=3,
        card=Card("X", None, None, 0.3, None),
        interface="wlan0",
        signal_dbm=-68,
    )
    want = Want()
    for now in (0.0, STEP_S, 2 * STEP_S):
        want.judge(Strain(celsius=81.5 if now else None, memory=0.05), now)
    kit = reporter(tmp_path, Hands())
    first = body(kit.heartbeat(progress(), NUMBERS, None, None, None, Dropped(0, 0), 0, (), hot, want))
    assert (first["t"], first["thr"], first["memfree"], first["pace"]) == (81.5, 0x50005, 0.25, 0.5)
    assert first["preroll"] == 0.25
    assert first["disk"] == {"free": 2.0, "share": 0.25, "errors": 3, "life": 0.3}
    assert first["net"] == {"dev": "wlan0", "rssi": -68}
    plain = body(kit.heartbeat(progress(), NUMBERS, None, None, None, Dropped(0, 0), 0, (), Board(), CALM))
    assert not {"t", "thr", "memfree", "disk"} & plain.keys()
    assert (plain["pace"], plain["preroll"], plain["net"]) == (1.0, 1.0, {})
