"""The platform's side of the contract."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from backbone_samples import (
    BOOT,
    JPEG,
    KIT,
    SITE,
    TOPICS,
    Here,
    at,
    cleared,
    clip,
    erased,
    event,
    raised,
    snapshot,
    stat,
)
from hypothesis import given
from hypothesis import strategies as st

from agent.backbone import gaps
from agent.backbone.consumer import (
    REORDER_S,
    STREAMS_MAX,
    Became,
    Consumer,
    Dated,
    Duplicate,
    Fresh,
    Lost,
    Missing,
    Odd,
    Outcome,
    Pulse,
)
from agent.backbone.contract.example import EXAMPLES
from agent.backbone.drafts import HEADER, draft, status
from agent.backbone.heard import Heard, read
from agent.backbone.messages import SiteAddress, origin
from agent.backbone.outbox import Numbers
from agent.backbone.presence import Birth, Stopped
from agent.backbone.publication import Publication
from agent.backbone.standing import SILENT_S, Anchor, Standing

if TYPE_CHECKING:
    from agent.backbone.drafts import Draft

STREAM, OTHER = "9f2c1a7e", "11111111"
KINDS = [event, clip, erased, snapshot, lambda _: raised(), lambda _: cleared(), lambda _: stat()]


def say(
    consumer: Consumer, said: Publication, now: float = 0.0, user: tuple[tuple[str, str], ...] | None = None
) -> list[Outcome]:
    """Let it hear a publication of the kit's own making."""
    return consumer.hear(said.topic, said.payload, said.user if user is None else user, now)


def numbered(seq: int, message: Draft | None = None, stream: str = STREAM) -> Publication:
    return (message or event(seq)).render(stream, seq)


def gap(seq: int, *ranges: tuple[int, int], stream: str = STREAM) -> Publication:
    (body,) = gaps.bodies(KIT, ranges, "full", at(20.0))
    return draft(TOPICS, body).render(stream, seq)


def birth(
    session: int = 1,
    *,
    mono: float = 1.0,
    ts: str | None = None,
    stream: str = STREAM,
    boot: str = BOOT,
    seqs: tuple[int, int] = (1, 1),
) -> Publication:
    """A birth; `seqs` are the oldest number and the next."""
    fields: dict[str, Any] = {
        "stream": stream, "session": session, "sw": "0", "model": "test", "cam": "synthetic", "caps": [],
        "cfg_rev": 0, "seal": "none", "seq_oldest": seqs[0], "seq_next": seqs[1], "detector": "none",
    }  # fmt: skip
    return status(TOPICS, Birth(**origin(KIT, at(mono, boot, ts)), **fields, site=SiteAddress.of(SITE)))


def stopped(session: int, mono: float = 50.0, stream: str = STREAM) -> Publication:
    return status(TOPICS, Stopped(**origin(KIT, at(mono)), stream=stream, why="shutdown", session=session))


def beat(number: int, mono: float, boot: str = BOOT) -> Publication:
    payload = {**EXAMPLES["hb"], "n": number, "mono": mono, "boot": boot, "stream": STREAM}
    return Publication(TOPICS.hb, json.dumps(payload).encode(), qos=0)


def keep(consumer: Consumer, said: Publication, now: float = 0.0) -> Fresh:
    """Hear something new, and store it."""
    (fresh,) = say(consumer, said, now)
    assert isinstance(fresh, Fresh)
    consumer.stored(fresh)
    return fresh


def ack(seq: int, stream: str = STREAM) -> list[tuple[str, bytes]]:
    return [(TOPICS.ack, json.dumps({"stream": stream, "seq": seq}, separators=(",", ":")).encode())]


def restored(consumer: Consumer) -> Consumer:
    """What is left after a power cut."""
    return Consumer(json.loads(json.dumps({kit: consumer.save(kit) for kit in consumer.kits})))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_message_is_counted_and_whole(kind: Any) -> None:  # noqa: ANN401
    """With its number, its fields, its payload, and nothing to find fault with."""
    said = numbered(1, kind(1))
    fresh = keep(Consumer(), said)
    text = dict(said.user).get(HEADER, said.payload)

    assert (KIT, said.topic, STREAM, 1, "") == (
        fresh.kit,
        fresh.topic,
        fresh.stream,
        fresh.seq,
        fresh.trouble,
    )
    assert (json.loads(text), said.payload) == (fresh.message, fresh.payload)


def test_nothing_is_acknowledged_before_it_is_stored() -> None:
    """Heard is not stored: the kit would forget what a power cut takes from us."""
    consumer = Consumer()
    heard = [say(consumer, numbered(seq))[0] for seq in (1, 2, 3)]
    assert [] == consumer.acks()
    consumer.stored(heard[0])
    assert ack(1) == consumer.acks()
    assert [] == consumer.acks()
    consumer.stored(heard[2])
    assert [] == consumer.acks()
    consumer.stored(heard[1])
    assert ack(3) == consumer.acks()


def test_until_it_is_stored_every_copy_is_fresh() -> None:
    """The first may have been lost with us. Afterwards it is a duplicate, and says that our ack was lost."""
    consumer = Consumer()
    assert isinstance(say(consumer, numbered(1))[0], Fresh)
    keep(consumer, numbered(1))
    assert ack(1) == consumer.acks()
    assert [Duplicate(KIT, STREAM, 1)] == say(consumer, numbered(1))
    assert ack(1) == consumer.acks()


def test_what_is_saved_with_a_message_counts_it() -> None:
    """One transaction for both: killed between commit and ack, or after it, we miss nothing."""
    consumer = Consumer()
    batch = [outcome for said in (numbered(1), gap(3, (2, 2))) for outcome in say(consumer, said)]
    fresh = [outcome for outcome in batch if isinstance(outcome, Fresh)]
    after = Consumer({KIT: json.loads(json.dumps(consumer.save(KIT, storing=fresh)))})

    assert [] == consumer.acks()
    assert ack(3) == after.acks()
    assert [Duplicate(KIT, STREAM, 1)] == say(after, numbered(1))


def test_only_the_ranges_of_a_gap_are_passed() -> None:
    """Between `from` and `to` lie numbers that still come."""
    consumer = Consumer()
    keep(consumer, numbered(1))
    fresh = keep(consumer, gap(7, (2, 3), (5, 5)))
    assert ((2, 3), (5, 5)) == fresh.ranges
    assert ack(3) == consumer.acks()
    assert [(4, 4), (6, 6)] == consumer.account(KIT, STREAM).missing()
    keep(consumer, numbered(4))
    assert ack(5) == consumer.acks()
    keep(consumer, numbered(6))
    assert ack(7) == consumer.acks()


def test_a_gap_counts_once_it_is_stored() -> None:
    """Else the numbers that it names would be missing again after our own power cut."""
    consumer = Consumer()
    say(consumer, gap(2, (1, 1)))

    assert [] == consumer.acks()
    assert 0 == consumer.account(KIT, STREAM).watermark


def test_a_gap_cannot_speak_of_the_future() -> None:
    """Numbers that were not given yet are not excused, nor what is no range at all."""
    consumer = Consumer()
    told = json.loads(gap(5, (1, 1)).payload)
    for wrong in ([[5, 9]], [[4, 2]], [[0, 3]], [[1]], "1-3", None):
        said = Publication(TOPICS.gap, json.dumps({**told, "ranges": wrong}).encode())
        (fresh,) = say(consumer, said)
        assert isinstance(fresh, Fresh)
        assert () == fresh.ranges


def test_what_a_gap_named_and_comes_all_the_same_is_news() -> None:
    """A gap says what the kit gave up, not what we have: a copy may still have been on its way."""
    consumer = Consumer()
    keep(consumer, gap(2, (1, 1)))

    assert 1 == keep(consumer, numbered(1)).seq
    assert [Duplicate(KIT, STREAM, 1)] == say(consumer, numbered(1))


def test_a_birth_tells_what_cannot_be_sent_any_more() -> None:
    """Who restores an old backup, or listens for the first time, learns what is gone, and goes on."""
    consumer = Consumer()
    keep(consumer, numbered(2))
    outcomes = say(consumer, birth(seqs=(5, 9)))

    assert [Lost(KIT, STREAM, ((1, 1), (3, 4)), "the kit has them no more")] == outcomes[1:]
    assert ack(4) == consumer.acks()
    assert [(5, 8)] == consumer.account(KIT, STREAM).missing()


def test_a_kit_that_missed_our_ack_is_told_again() -> None:
    """Its birth says what it still keeps; a broker that was killed had forgotten the ack."""
    consumer = Consumer()
    for seq in (1, 2, 3):
        keep(consumer, numbered(seq))
    assert ack(3) == consumer.acks()
    say(consumer, birth(1, seqs=(4, 4)))
    assert [] == consumer.acks()
    say(consumer, birth(2, seqs=(2, 4)))
    assert ack(3) == consumer.acks()


def test_a_new_stream_ends_the_old_one() -> None:
    """What was missing of it is lost, and told once; what is late of it is still stored."""
    consumer = Consumer()
    say(consumer, birth(7, seqs=(1, 4)))
    keep(consumer, numbered(1))
    keep(consumer, numbered(5))
    consumer.acks()
    outcomes = say(consumer, birth(1, mono=90.0, stream=OTHER))

    assert [Lost(KIT, STREAM, ((2, 4),), "the kit began a new stream")] == outcomes[1:]
    assert 2 == keep(consumer, numbered(2)).seq
    keep(consumer, numbered(1, stream=OTHER))
    assert ack(1, OTHER) == consumer.acks()
    assert [] == say(consumer, birth(8, mono=20.0))
    assert [] == say(consumer, stopped(8, mono=95.0))
    assert Standing.ONLINE is consumer.standing(KIT)


def test_streams_are_bounded() -> None:
    """A kit that breaks its database every day fills no memory."""
    consumer = Consumer()
    for number in range(3 * STREAMS_MAX):
        keep(consumer, numbered(1, stream=f"{number:08x}"))

    assert [f"{n:08x}" for n in range(2 * STREAMS_MAX, 3 * STREAMS_MAX)] == consumer.streams(KIT)


def test_a_late_will_is_void() -> None:
    """The broker held it back while the kit had long come again."""
    consumer, here = Consumer(), Here()
    say(consumer, birth(1))
    say(consumer, birth(2, mono=2.0))
    assert [] == say(consumer, here.will(1))
    assert Standing.ONLINE is consumer.standing(KIT)
    (became,) = say(consumer, here.will(2))
    assert isinstance(became, Became)
    assert (Standing.LOST, 2) == (became.standing, (became.message or {})["session"])
    assert [] == say(consumer, here.will(2))
    assert [] == say(consumer, birth(2, mono=1.5))
    assert Standing.LOST is consumer.standing(KIT)


def test_a_wanted_end_is_told_from_a_loss() -> None:
    """Until the next connection."""
    consumer = Consumer()
    assert Standing.UNKNOWN is consumer.standing(KIT)
    say(consumer, birth(1))
    say(consumer, stopped(1))
    assert Standing.STOPPED is consumer.standing(KIT)
    say(consumer, birth(2, mono=51.0))
    assert Standing.ONLINE is consumer.standing(KIT)
    assert [] == say(consumer, stopped(1))


def test_a_birth_that_is_repeated_is_no_news() -> None:
    """The broker retains it, and gives it to who subscribes anew: it says nothing of now."""
    consumer = Consumer()
    say(consumer, birth(1), now=0.0)
    assert [] == say(consumer, birth(1), now=1.0)
    assert 1 == len(say(consumer, birth(1, mono=2.0), now=2.0))


def test_silence_makes_a_kit_stale_and_a_heartbeat_revives_it() -> None:
    """The will may never come: the broker died with it."""
    consumer = Consumer()
    say(consumer, birth(1), now=0.0)
    say(consumer, beat(1, 30.0), now=30.0)
    assert [] == consumer.tick(30.0 + SILENT_S - 1)
    assert [Became(KIT, Standing.SILENT)] == consumer.tick(30.0 + SILENT_S)
    assert [] == consumer.tick(30.0 + SILENT_S + 1)
    assert [Pulse] == [type(o) for o in say(consumer, beat(1, 30.0), now=200.0)]  # a copy is no sign of life
    back, pulse = say(consumer, beat(7, 210.0), now=210.0)
    assert (Became(KIT, Standing.ONLINE), 7) == (back, isinstance(pulse, Pulse) and pulse.message["n"])


def test_slow_heartbeats_are_given_more_time() -> None:
    """On LTE they are a minute apart; one that is lost is no silence."""
    consumer = Consumer()
    say(consumer, birth(1), now=0.0)
    for number in (1, 2):
        say(consumer, beat(number, 60.0 * number), now=60.0 * number)

    assert [] == consumer.tick(120.0 + 190.0)
    assert [Became(KIT, Standing.SILENT)] == consumer.tick(120.0 + 200.0)


def test_silence_is_counted_anew_after_our_own_restart() -> None:
    """While we were down we heard nobody, which says nothing of them."""
    consumer = Consumer()
    say(consumer, birth(1), now=5.0)
    consumer = restored(consumer)

    assert [] == consumer.tick(100_000.0)
    assert [Became(KIT, Standing.SILENT)] == consumer.tick(100_000.0 + SILENT_S)


def test_what_is_missing_for_too_long_is_told_once() -> None:
    """Not while the kit still sends, nor while it is away; again when it is something else."""
    consumer = Consumer()
    say(consumer, birth(1), now=0.0)
    keep(consumer, numbered(1), now=1.0)
    keep(consumer, numbered(3), now=2.0)
    assert [] == consumer.tick(3.0)
    say(consumer, numbered(5), now=4.0)
    say(consumer, beat(1, 30.0), now=REORDER_S)
    assert [] == consumer.tick(4.0 + REORDER_S - 1)
    assert [Missing(KIT, STREAM, ((2, 2), (4, 5)))] == consumer.tick(4.0 + REORDER_S)
    assert [] == consumer.tick(5.0 + REORDER_S)
    keep(consumer, numbered(2), now=130.0)
    say(consumer, beat(2, 60.0), now=130.0 + REORDER_S)
    assert [Missing(KIT, STREAM, ((4, 5),))] == consumer.tick(130.0 + REORDER_S)
    say(consumer, numbered(4), now=260.0)
    say(consumer, stopped(1, mono=70.0), now=261.0)
    assert [] == consumer.tick(270.0 + REORDER_S)


def test_time_before_the_clock_was_set() -> None:
    """One birth with boot, mono and ts dates all of that boot, and nothing of another."""
    consumer = Consumer()
    assert keep(consumer, numbered(1)).at is None  # mono 10
    anchor = Anchor(100.0, "2026-11-22T00:01:40.000Z")
    assert [Dated(KIT, BOOT, anchor)] == say(consumer, birth(1, mono=100.0, ts=anchor.ts))[1:]
    assert "2026-11-22T00:00:10.000Z" == consumer.date(KIT, BOOT, 10.0, None)
    assert "2026-11-22T00:00:10.000Z" == keep(consumer, numbered(2)).at
    assert consumer.date(KIT, "22222222", 10.0, None) is None
    assert "2026-11-22T00:00:10.000Z" == restored(consumer).date(KIT, BOOT, 10.0, None)


def test_a_clock_that_was_set_again_dates_anew() -> None:
    """By more than two seconds; what the kit says afterwards counts as it says it."""
    consumer = Consumer()
    say(consumer, birth(1, mono=100.0, ts="2006-11-22T00:00:00.000Z"))
    assert 1 == len(say(consumer, birth(1, mono=130.0, ts="2006-11-22T00:00:31.900Z")))
    step = Anchor(200.0, "2026-11-22T00:00:00.000Z")
    assert [Dated(KIT, BOOT, step)] == say(consumer, birth(1, mono=200.0, ts=step.ts))[1:]
    assert "2026-11-21T23:59:00.000Z" == consumer.date(KIT, BOOT, 140.0, "2006-11-22T00:00:41.900Z")
    assert "2026-11-22T00:00:05.001Z" == consumer.date(KIT, BOOT, 205.0, "2026-11-22T00:00:05.001Z")
    assert [] == say(consumer, birth(1, mono=150.0, ts="2006-11-22T00:00:51.900Z"))  # a late one


def test_a_kit_that_moved_is_acknowledged_where_it_is() -> None:
    """Its stream goes on under the new address."""
    consumer = Consumer()
    say(consumer, birth(1))
    keep(consumer, numbered(1))
    consumer.acks()
    moved = birth(2, mono=2.0)
    say(consumer, Publication(moved.topic.replace("kyivskyi", "prymorskyi"), moved.payload))
    keep(consumer, numbered(2))

    assert [(TOPICS.ack.replace("kyivskyi", "prymorskyi"), ack(2)[0][1])] == consumer.acks()


def test_kits_do_not_mix() -> None:
    """Two kits with the same stream and number are two messages."""
    consumer = Consumer()
    keep(consumer, numbered(1))
    other = numbered(1)
    other = Publication(
        other.topic.replace(KIT, "0000000000"), other.payload.replace(KIT.encode(), b"0" * 10)
    )
    (fresh,) = say(consumer, other)
    assert isinstance(fresh, Fresh)
    assert [KIT, "0000000000"] == consumer.kits


UNKNOWN = {"new": {"field": [1]}, "site": {**EXAMPLES["evt"]["site"], "katottg": 5}}


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        (UNKNOWN, ""),
        ({"type": "levitation"}, "type: "),
        ({"phase": "pause"}, "phase: "),
        ({"score": "much"}, "score: "),
        ({"site": None}, "site: "),
        ({"mono": 1e300}, ""),
        ({"ts": "2026-13-45T99:00:00.000Z"}, ""),
        ({"ts": 12}, "ts: "),
    ],
    ids=str,
)
def test_what_fits_no_contract_of_ours_is_counted_all_the_same(changes: dict[str, Any], trouble: str) -> None:
    """A later kit says more than we know; refused, its number would hold up all that follow."""
    payload = json.dumps({**EXAMPLES["evt"], "seq": 1, **changes}).encode()
    fresh = keep(consumer := Consumer(), Publication(TOPICS.evt("person"), payload))

    assert fresh.trouble.startswith(trouble)
    assert bool(trouble) == bool(fresh.trouble)
    assert changes.items() <= fresh.message.items()
    assert 1 == consumer.account(KIT, STREAM).watermark


@pytest.mark.parametrize(
    ("topic", "payload", "why"),
    [
        ("elsewhere", b"{}", "no topic"),
        ("bm/v2/51/odesa/kyivskyi/k7f3k2qx4m/st", b"{}", "no topic"),
        (f"{TOPICS.base}/weather", b"{}", "no topic"),
        (f"{TOPICS.base}/evt", b"{}", "no topic"),
        (f"{TOPICS.st}/more", b"{}", "no topic"),
        (TOPICS.stat, b"", "EOF"),
        (TOPICS.stat, b"\xff", "expected value"),
        (TOPICS.stat, b"[" * 100_000, "recursion limit"),
        (TOPICS.stat, b"[1]", "Input should be a valid dictionary"),
        (TOPICS.stat, b"{}", "v: Field required"),
        (TOPICS.stat, json.dumps({**EXAMPLES["stat"], "v": 2}).encode(), "v: Input should be 1"),
        (TOPICS.stat, json.dumps({**EXAMPLES["stat"], "dev": "0000000000"}).encode(), "dev: says 0000000000"),
        (TOPICS.stat, json.dumps({**EXAMPLES["stat"], "seq": 0}).encode(), "seq: "),
        (TOPICS.stat, json.dumps({**EXAMPLES["stat"], "stream": 5}).encode(), "stream: "),
        (TOPICS.snap("x"), JPEG, "EOF"),
        (TOPICS.st, json.dumps({**EXAMPLES["st.will"], "state": "asleep"}).encode(), "state: "),
    ],
)
def test_what_cannot_be_counted_is_reported(topic: str, payload: bytes, why: str) -> None:
    """One line for the log, and nothing changes."""
    consumer = Consumer()
    (odd,) = consumer.hear(topic, payload, (), 0.0)

    assert isinstance(odd, Odd)
    assert topic == odd.topic
    assert why in odd.why
    assert [] == consumer.kits


def test_a_picture_that_is_another_is_reported() -> None:
    """Its header tells its hash."""
    said = numbered(1, snapshot(1))
    (fresh,) = say(Consumer(), Publication(said.topic, b"another", user=said.user))

    assert isinstance(fresh, Fresh)
    assert fresh.trouble.startswith("sha256: ")


@pytest.mark.parametrize(
    "topic", [TOPICS.ack, f"{TOPICS.base}/cmd/echo", f"{TOPICS.base}/cfg/des", f"{TOPICS.base}/cfg/rep"]
)
def test_what_is_said_to_kits_is_passed_over(topic: str) -> None:
    """Who subscribes to everything hears his own words."""
    assert [] == Consumer().hear(topic, b"{}", (), 0.0)


TOPIC = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            TOPICS.st,
            TOPICS.hb,
            TOPICS.gap,
            TOPICS.clip,
            TOPICS.evt("person"),
            TOPICS.alm("a.b"),
            TOPICS.snap("x"),
        ]
    ),
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12))
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner))
CHANGED = st.builds(
    lambda name, changes: json.dumps({**EXAMPLES[name], **changes}).encode(),
    st.sampled_from(sorted(EXAMPLES)),
    st.dictionaries(
        st.sampled_from(
            ["stream", "seq", "boot", "mono", "ts", "ranges", "session", "n", "state", "seq_next"]
        ),
        JSON,
        max_size=3,
    ),
)
USER = st.lists(st.tuples(st.sampled_from([HEADER, "x"]), st.text(max_size=20)), max_size=2)


@given(st.lists(st.tuples(TOPIC, st.binary(max_size=40) | CHANGED, USER), max_size=6))
def test_nothing_that_arrives_raises(heard: list[tuple[str, bytes, list[tuple[str, str]]]]) -> None:
    """Topics, payloads and properties of any making, then everything else that a platform asks for."""
    consumer, now = Consumer(), count()
    for topic, payload, user in heard:
        for outcome in consumer.hear(topic, payload, user, float(next(now))):
            if isinstance(outcome, Fresh):
                consumer.stored(outcome)
    consumer.tick(1000.0)
    consumer.acks()
    restored(consumer).tick(5000.0)


SAID = [
    *[numbered(seq, KINDS[seq % len(KINDS)](seq)) for seq in (1, 3, 4, 6, 8, 9)],
    gap(7, (2, 2), (5, 5)),
    birth(1, mono=1.0, seqs=(1, 1)),
    birth(2, mono=20.0, seqs=(3, 7)),
    birth(2, mono=30.0, ts="2026-11-22T00:00:30.000Z", seqs=(3, 8)),
    stopped(1, 15.0),
    Here().will(1),
]


@given(st.permutations(SAID), st.lists(st.sampled_from(SAID)), st.data())
def test_any_order_and_any_copies_give_the_same_end(
    order: list[Publication], copies: list[Publication], data: st.DataObject
) -> None:
    """Delivery as bad as MQTT allows, our own restarts in between: the same messages, mark and presence."""
    said = list(order)
    for copy in copies:
        said.insert(data.draw(st.integers(0, len(said))), copy)
    consumer, kept = Consumer(), []
    for message in said:
        for outcome in say(consumer, message):
            if isinstance(outcome, Fresh):
                consumer.stored(outcome)
                kept.append(outcome.seq)
        if data.draw(st.booleans()):
            consumer = restored(consumer)

    assert [1, 3, 4, 6, 7, 8, 9] == sorted(kept)
    assert 9 == consumer.account(KIT, STREAM).watermark
    assert Standing.ONLINE is consumer.standing(KIT)
    assert "2026-11-22T00:00:10.000Z" == consumer.date(KIT, BOOT, 10.0, None)
    assert [] == consumer.account(KIT, STREAM).missing()
    assert ack(9) == restored(consumer).acks()


def test_numbers_of_a_birth_are_those_of_the_outbox() -> None:
    """The kit's own birth is understood: a consumer knows what was given before it heard any of it."""
    consumer = Consumer()
    say(consumer, Here().birth(1, Numbers(STREAM, 1, 8, 3, 5, 1.0, 100, 0)))

    assert (2, 7) == (consumer.account(KIT, STREAM).watermark, consumer.account(KIT, STREAM).highest)


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        (TOPICS.evt("person"), "evt"),
        (TOPICS.clip, "clip.available"),
        (TOPICS.clip, "clip.uploaded"),
        (TOPICS.clip, "clip.erased"),
        (TOPICS.alm("camera.no_frames"), "alm"),
        (TOPICS.stat, "stat"),
        (TOPICS.gap, "gap"),
    ],
)
def test_what_the_contract_shows_is_known(topic: str, name: str) -> None:
    """Every published example is read without trouble."""
    heard = read(topic, json.dumps(EXAMPLES[name]).encode(), ())
    assert isinstance(heard, Heard)
    assert "" == heard.trouble
