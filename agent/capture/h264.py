"""The parameter sets of an H.264 stream: what a decoder must know before the first picture.

Sources: ITU-T H.264 7.3.1 (NAL unit header) and annex B (start codes); ISO/IEC 14496-15 5.3.3 (avcC).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SPS, PPS = 7, 8
LAST_SLICE = 5  # NAL types 1..5 carry picture data: parameter sets come before them
START = b"\0\0\1"
AVCC_HEAD = 6  # bytes before the first set


class ParameterSets:
    """SPS and PPS in force, in the container's own form (annex B or avcC)."""

    def __init__(self, extradata: bytes) -> None:
        self.extradata = extradata
        # An avcC record begins with its version, 1; annex B with zeros.
        packed = extradata[:1] == b"\1" and len(extradata) >= AVCC_HEAD
        self._length_size = (extradata[4] & 3) + 1 if packed else 0
        self._known = set(_from_avcc(extradata) if self._length_size else _sets(_split(extradata)))

    def renew(self, packet: bytes) -> bool:
        """Whether the packet brings sets that were not in force; `extradata` then holds them."""
        units = _chop(packet, self._length_size) if self._length_size else _split(packet)
        sets = _sets(units)
        if not sets or self._known.issuperset(sets):
            return False
        self._known = set(sets)
        if self._length_size:
            self.extradata = _avcc(sets, self._length_size)
        else:
            self.extradata = b"".join(b"\0" + START + unit for unit in sets)
        return True


def _kind(unit: bytes) -> int:
    return unit[0] & 0x1F if unit else 0


def _sets(units: Iterator[bytes]) -> list[bytes]:
    """SPS and PPS before the first slice, each once."""
    found: dict[bytes, None] = {}
    for unit in units:
        if 1 <= _kind(unit) <= LAST_SLICE:
            break
        if _kind(unit) in {SPS, PPS}:
            found[unit] = None
    return list(found)


def _split(data: bytes) -> Iterator[bytes]:
    """NAL units of annex B, without start codes and padding."""
    begin = data.find(START)
    while begin >= 0:
        begin += len(START)
        end = data.find(START, begin)
        yield data[begin : end if end >= 0 else len(data)].rstrip(b"\0")
        begin = end


def _chop(data: bytes, length_size: int) -> Iterator[bytes]:
    """NAL units that are each preceded by their length."""
    at = 0
    while at + length_size < len(data):
        size = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        yield data[at : at + size]
        at += size


def _from_avcc(extradata: bytes) -> list[bytes]:
    sets: list[bytes] = []
    at = 5
    for count_mask in (0x1F, 0xFF):  # of SPS: five bits; of PPS: eight
        count = extradata[at] & count_mask if at < len(extradata) else 0
        at += 1
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            sets.append(extradata[at + 2 : at + 2 + size])
            at += 2 + size
    return sets


def _avcc(sets: list[bytes], length_size: int) -> bytes:
    sps = [unit for unit in sets if _kind(unit) == SPS]
    pps = [unit for unit in sets if _kind(unit) == PPS]
    head = b"\1" + (sps[0][1:4] if sps else b"\0\0\0") + bytes([0xFC | (length_size - 1), 0xE0 | len(sps)])
    body = [len(unit).to_bytes(2, "big") + unit for unit in (*sps, *pps)]
    return head + b"".join(body[: len(sps)]) + bytes([len(pps)]) + b"".join(body[len(sps) :])
