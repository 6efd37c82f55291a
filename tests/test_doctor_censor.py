"""What leaves the kit in a text: only what is known to be harmless."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.doctor.censor import Censor
from agent.doctor.vocabulary import vocabulary

KEY = bytes(32)


def censor(*literals: str, key: bytes = KEY) -> Censor:
    return Censor(key, vocabulary(), literals)


@pytest.mark.parametrize(
    "text",
    [
        "WARNING agent.backbone.link: the broker refused the connection (5)",
        'File "/usr/lib/stairwell/agent/app/live.py", line 312, in _run',
        "sqlite3.OperationalError: database is locked",
        "[   12.345678] mmcblk0p2: error -110 sending stop command",
        "EXT4-fs (mmcblk0p2): remounting filesystem read-only",
        "stairwell-agent.service: Main process exited, code=killed, status=9/KILL",
        "Raspberry Pi Zero 2 W Rev 1.0",
        "clip 01M8EE0VG00000000000000000 at 2026-11-27T12:00:00.000Z took 1.5 s, 250 ms more, 81 %",
        "listening on 127.0.0.1 and ::1 since 12:30:45.5",
        "clips.max_mb: 8192.0",
    ],
)
def test_what_support_needs_stays(text: str) -> None:
    """Our own words and those of the system, short numbers, times, identities of events."""
    assert text == censor().text(text)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("no route to 10.20.30.40:8883", "10.20.30.40"),
        ("no route to 2001:db8::17", "2001:db8"),
        ("host ip-10-20-30-40.internal", "20"),
        ("interface ip10.20.30.40", "20"),
        ("from ::ffff:10.20.30.40", "20"),
        ("bssid dc:a6:32:01:02:03", "dc:a6"),
        ("associated with ssid Kateryna", "Kateryna"),
        ("rtsp://viewer:letter@camera/stream", "letter"),
        ("password=hunter2", "hunter2"),
        ("token aB3dE9fK2LmN", "aB3d"),
        ("mail to olena.k@odesa.gov.ua", "olena"),
        ("call +380 50 123 45 67", "123"),
        ("age AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", "QQPZ"),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----", "MC4C"),
        ("key MC4CAQAwBQYDK2VwBCIEIDx+9/0==", "MC4C"),
        ("cut -----BEGIN PRIVATE KEY-----\nMC4CAQ", "MC4C"),
        ("вулиця Дерибасівська", "Дерибас"),
        ("serial 10000000a1b2c3d4", "a1b2"),
    ],
)
def test_what_tells_too_much_goes(text: str, secret: str) -> None:
    """Addresses, names, passwords, keys, whatever they are called in the text."""
    assert secret not in censor().text(text)


def test_a_secret_of_harmless_words() -> None:
    """What is known to be secret goes even if each of its words is harmless, in any case."""
    assert "hidden-" in censor("correct clip frame").text("password Correct Clip Frame")
    assert "clip" not in censor("correct clip frame").text("password Correct Clip Frame").lower()


def test_pseudonyms_are_consistent() -> None:
    """The same thing has the same name in every text of a kit, and another one on another kit."""
    first, second = (censor().text(f"from {where} to home") for where in ("10.0.0.7", "10.0.0.8"))
    assert first != second
    assert first == censor().text("from 10.0.0.7 to home")
    assert first == censor().text("from ::ffff:10.0.0.7 to home")
    assert first != censor(key=bytes(31) + b"1").text("from 10.0.0.7 to home")


def test_json() -> None:
    """Values and names of members; numbers and truths stay."""
    told = censor().value({"ip": ["10.0.0.7", 5, None, True], "Kateryna": 1.5})
    assert isinstance(told, dict)
    assert [5, None, True] == told["ip"][1:]  # type: ignore[index]
    assert "10.0.0.7" not in str(told)
    assert "Kateryna" not in str(told)


@given(st.binary(min_size=16, max_size=48), st.text())
@example(bytes([0xD0, *bytes(15)]), "").via("in base32 it has the length and the letters of an event's id")
def test_no_key_gets_through(key: bytes, around: str) -> None:
    """However it is written, and whatever stands around it."""
    for written in (key.hex(), base64.b64encode(key).decode().rstrip("="), base64.b32encode(key).decode()):
        assert written not in censor().text(f"{around} {written}")
