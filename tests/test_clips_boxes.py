"""The reader of cut files, on files of the real muxer."""

from __future__ import annotations

import io
import random
import struct
from fractions import Fraction

import pytest
from clips_footage import decoded, encoded
from hypothesis import given
from hypothesis import strategies as st

from agent.clips.boxes import BOX_MAX, Extent, whole_fragments
from agent.clips.fmp4 import FragmentMuxer


@pytest.fixture(scope="module")
def fragments() -> list[bytes]:
    out: list[bytes] = []
    muxer = FragmentMuxer(encoded().info, out.append)
    for packet in encoded().packets:
        muxer.packet(packet)
    muxer.close()
    return out


def extent(data: bytes) -> Extent:
    return whole_fragments(io.BytesIO(data))


def test_a_closed_clip_is_whole(fragments: list[bytes]) -> None:
    """Every byte, fragment and second, and what the header says of the picture."""
    whole = b"".join(fragments)
    ends = tuple((float(i), len(b"".join(fragments[: i + 1]))) for i in range(6))
    found = extent(whole)
    assert Extent(len(whole), ends, 6.0, "h264", 320, 240) == found
    assert 6 == found.fragments


def test_cut_at_each_boundary(fragments: list[bytes]) -> None:
    """A cut between fragments loses nothing before it, and what is left decodes."""
    for count in range(1, 7):
        part = b"".join(fragments[:count])
        found = extent(part)
        assert (len(part), count, count * 1.0) == (
            found.bytes,
            found.fragments,
            pytest.approx(found.duration),
        )
        assert [Fraction(i, 10) for i in range(count * 10)] == [t for t, _ in decoded(part)]


def test_cut_anywhere(fragments: list[bytes]) -> None:
    """A cut at any byte leaves the fragments that were whole, and they decode to the right pictures."""
    whole = b"".join(fragments)
    pictures = decoded(whole)
    ends = [sum(map(len, fragments[:i])) for i in range(7)]
    chosen = random.Random(1)  # noqa: S311 - a test, not a key
    for at in chosen.sample(range(len(whole)), 50):
        count = max(i for i, end in enumerate(ends) if end <= at)
        found = extent(whole[:at])
        assert (ends[count], count) == (found.bytes, found.fragments)
        if count:
            assert pictures[: count * 10] == decoded(whole[: found.bytes])


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x00" * 4096,
        b"\xff" * 4096,
        b"\x00\x00\x00\x08free",
        struct.pack(">I4sQ", 1, b"moof", 1 << 62),
        struct.pack(">I4s", 0, b"mdat"),
        b"\x00\x00",
    ],
)
def test_rubbish_after_the_end_is_not_counted(fragments: list[bytes], rubbish: bytes) -> None:
    """What a torn write may leave behind the last fragment is cut off."""
    whole = b"".join(fragments)
    assert extent(whole) == extent(whole + rubbish)


def test_a_hole_ends_the_clip(fragments: list[bytes]) -> None:
    """A block of zeros inside a fragment, as a file system may leave it, ends what plays before it."""
    whole = bytearray(b"".join(fragments))
    begin = sum(map(len, fragments[:3]))
    moof = struct.unpack_from(">I", whole, begin)[0]
    whole[begin + moof + 8 : begin + moof + 8 + 512] = bytes(512)
    found = extent(bytes(whole))
    assert (begin, 3) == (found.bytes, found.fragments)


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"\x00\x00\x00\x10ftypiso5\x00\x00\x00\x00"])
def test_no_clip_at_all(data: bytes) -> None:
    """An empty, blank or barely begun file has nothing to play."""
    assert Extent() == extent(data)


def test_an_mp4_with_an_index_is_not_ours(samples: object) -> None:
    """An ordinary MP4 has no fragments: nothing of it is ours to keep."""
    with (samples / "demo_people.mp4").open("rb") as file:  # type: ignore[operator]
        assert Extent() == whole_fragments(file)


def test_a_monstrous_header_is_not_read(fragments: list[bytes]) -> None:
    """A moov beyond all reason is refused before it is loaded."""
    ftyp = fragments[0][:28]
    monster = struct.pack(">I4s", BOX_MAX + 16, b"moov") + bytes(BOX_MAX + 8)
    assert Extent() == extent(ftyp + monster)


@given(data=st.data())
def test_survives_any_damage(fragments: list[bytes], data: st.DataObject) -> None:
    """Whatever bytes are altered: no exception, and never more than there is."""
    whole = bytearray(b"".join(fragments[:2]))
    for _ in range(data.draw(st.integers(1, 8))):
        # Most of what can go wrong is in the boxes at the begin.
        at = data.draw(st.integers(0, 1500) | st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    found = extent(bytes(whole))
    assert 0 <= found.bytes <= len(whole)
    assert found.fragments <= 2


@given(st.binary(max_size=300))
def test_survives_any_bytes(noise: bytes) -> None:
    """Noise is no clip."""
    assert Extent() == extent(noise)
