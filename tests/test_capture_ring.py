"""The ring of encoded packets."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from agent.capture.ring import PacketRing
from agent.types import Packet, StreamInfo

INFO = StreamInfo("h264", 64, 48, Fraction(1, 1000), b"")


def packet(t: float, *, key: bool = False, size: int = 10) -> Packet:
    return Packet(b"x" * size, round(t * 1000), round(t * 1000), 100, key, t)


def fill(ring: PacketRing, seconds: int, fps: int = 10) -> None:
    for n in range(seconds * fps):
        ring.push(packet(n / fps, key=n % fps == 0))


def times(packets: tuple[Packet, ...]) -> list[float]:
    return [p.t for p in packets]


def test_since_begins_with_the_key_frame_at_or_before() -> None:
    """A clip that asks for 2.5 s begins with the key frame of 2 s and reaches the newest packet."""
    ring = PacketRing(10, 1 << 20)
    fill(ring, 5)
    found = ring.since(2.5)
    assert found[0].keyframe
    assert (2.0, 4.9) == (found[0].t, found[-1].t)
    assert times(found) == times(ring.since(2.0))
    assert ring.since(99)[0].t == 4.0


def test_since_before_all_gives_all() -> None:
    """When the past is not held any more, the oldest held group is where it begins."""
    ring = PacketRing(2, 1 << 20)
    fill(ring, 8)
    assert times(ring.since(0)) == times(ring.since(-5))
    assert ring.since(0)[0].t == 5.0


def test_an_empty_ring_gives_nothing() -> None:
    """Before the first key frame there is nothing to play."""
    ring = PacketRing(2, 1 << 20)
    ring.push(packet(0.0))
    assert () == ring.since(0)
    assert (0, 0.0) == (ring.bytes, ring.seconds)


def test_the_promised_seconds_are_always_there() -> None:
    """A group goes only when the next one alone reaches back far enough."""
    ring = PacketRing(2.5, 1 << 20)
    for n in range(100):
        ring.push(packet(n / 10, key=n % 10 == 0))
        assert ring.seconds >= min(2.5, n / 10)
        assert ring.seconds <= 2.5 + 1.0
    assert ring.dropped_gops == 0


def test_bytes_come_before_seconds() -> None:
    """Memory is bounded whatever it costs in pre-roll, and the loss is counted."""
    ring = PacketRing(60, 250)
    fill(ring, 5)
    assert ring.bytes <= 250
    assert ring.dropped_gops == 3
    assert ring.since(0)[0].keyframe


def test_want_of_memory_shortens_it_and_passes() -> None:
    """Seconds as well as bytes: a ring that is far from its limit of bytes gives memory back, too."""
    ring = PacketRing(4, 1 << 20)
    fill(ring, 10)
    before = ring.bytes
    ring.limit(0.25)
    ring.push(packet(10.0, key=True))
    assert 1.0 <= ring.seconds <= 2.0
    assert ring.bytes < before / 2
    assert 3 == ring.dropped_gops
    ring.limit(1.0)
    for n in range(1, 60):
        ring.push(packet(10.0 + n / 10, key=n % 10 == 0))
    assert ring.seconds >= 4.0
    assert 3 == ring.dropped_gops


def test_want_of_memory_leaves_what_an_event_may_have_begun_in() -> None:
    """The floor stays, however little is left of the rest."""
    ring = PacketRing(6, 1 << 20, floor_s=4)
    ring.limit(0.0)
    fill(ring, 20)
    assert ring.seconds >= 4.0


def test_a_group_that_is_too_large_alone_is_let_go() -> None:
    """Even the group under way goes; what follows it waits for the next key frame."""
    ring = PacketRing(60, 35)
    fill(ring, 1)
    assert (0, 0.0, 1) == (ring.bytes, ring.seconds, ring.dropped_gops)
    ring.push(packet(1.0, key=True))
    assert [1.0] == times(ring.since(0))


def test_a_new_stream_clears_it() -> None:
    """Old packets do not decode with new parameters; time may even begin anew."""
    ring = PacketRing(10, 1 << 20)
    fill(ring, 3)
    ring.stream(INFO)
    assert INFO is ring.info
    assert () == ring.since(0)
    ring.push(packet(0.5, key=True))
    assert (10, 0.0) == (ring.bytes, ring.seconds)


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 2), st.integers(1, 40)), max_size=60),
    st.floats(0, 5),
    st.integers(1, 300),
    st.floats(-1, 60),
)
def test_invariants(
    pushes: list[tuple[bool, float, int]], max_s: float, max_bytes: int, asked: float
) -> None:
    """Whatever comes: bounded bytes, a key frame first, no hole, and as much past as was promised."""
    ring = PacketRing(max_s, max_bytes)
    t, sent = 0.0, []
    for key, step, size in pushes:
        t += step
        sent.append(packet(t, key=key, size=size))
        ring.push(sent[-1])
        held = ring.since(float("-inf"))
        assert sum(len(p.data) for p in held) == ring.bytes <= max_bytes
        if held:
            assert held[0].keyframe
            assert list(held) == sent[-len(held) :]
    held, found = ring.since(float("-inf")), ring.since(asked)
    assert list(found) == list(held)[len(held) - len(found) :]
    if found:
        assert found[0].keyframe
        later = [p.t for p in found[1:] if p.keyframe]
        assert not [k for k in later if k <= asked and k > found[0].t] or found[0].t == max(
            k.t for k in held if k.keyframe and k.t <= asked
        )
    keys = [p.t for p in sent if p.keyframe]
    if keys and not ring.dropped_gops and t - keys[0] >= max_s:
        assert ring.seconds >= max_s - 1e-9
