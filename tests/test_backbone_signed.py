"""Signed orders: only the platform's own, for this kit, in their time."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.backbone.contract.example import EXAMPLES
from agent.backbone.signed import Flaw, Keyring, Kind, lapsed, sign
from agent.device.clock import Stamp
from agent.device.identity import PublicKey

if TYPE_CHECKING:
    from pathlib import Path

KEY, NEXT, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
TOPIC = "bm/v1/51/odesa/kyivskyi/k7f3k2qx4m/cmd/reboot"
ORDER: dict[str, Any] = {
    "cmd": "reboot",
    "args": {"why": "Оновлення", "after": [1, 2.5, None]},
    "exp": "2026-11-22T00:31:05.412Z",
    "nonce": "0123456789abcdefghijkl",
    "target": TOPIC,
}


def public(key: Ed25519PrivateKey) -> str:
    return PublicKey(key.public_key()).text


RING = Keyring([public(KEY), public(NEXT)])


def flaw(document: dict[str, Any], kind: Kind = Kind.COMMAND, topic: str = TOPIC) -> Flaw | None:
    """As the kit looks at it: after a way as text, whose spacing and order are nobody's business."""
    travelled = json.loads(json.dumps(dict(sorted(document.items(), reverse=True)), indent=1))
    return RING.flaw(kind, travelled, topic)


@pytest.mark.parametrize("key", [KEY, NEXT])
def test_each_of_the_platforms_keys_counts(key: Ed25519PrivateKey) -> None:
    """While one is replaced by the next, kits take orders of both."""
    assert flaw(sign(Kind.COMMAND, ORDER, key)) is None


@pytest.mark.parametrize("name", sorted(ORDER))
def test_every_field_is_covered(name: str) -> None:
    """Nothing can be altered or taken away, nor added, known to the kit or not."""
    signed = sign(Kind.COMMAND, ORDER, KEY)
    less = {key: value for key, value in signed.items() if key != name}
    for altered in ({**signed, name: "other"}, less, {**signed, f"{name}2": 1}):
        assert Flaw.BAD_SIGNATURE is flaw(altered)


def test_it_counts_for_its_kind_and_its_topic_only() -> None:
    """A command is no configuration; an order for one kit, or of one name, is none for another."""
    signed = sign(Kind.COMMAND, ORDER, KEY)
    assert Flaw.BAD_SIGNATURE is flaw(signed, Kind.CONFIGURATION)
    assert Flaw.WRONG_TARGET is flaw(signed, topic=TOPIC.replace("k7f3k2qx4m", "0000000000"))
    assert Flaw.WRONG_TARGET is flaw(signed, topic=TOPIC.replace("reboot", "restart"))
    assert Flaw.WRONG_TARGET is flaw(sign(Kind.COMMAND, {"cmd": "reboot"}, KEY))


def test_strangers_are_told_apart() -> None:
    """An unknown key is named as such; one that only claims to be known has not signed."""
    foreign = sign(Kind.COMMAND, ORDER, STRANGER)
    assert Flaw.UNKNOWN_KEY is flaw(foreign)
    assert Flaw.BAD_SIGNATURE is flaw({**foreign, "key": sign(Kind.COMMAND, ORDER, KEY)["key"]})
    assert Flaw.UNKNOWN_KEY is Keyring([]).flaw(Kind.COMMAND, foreign, TOPIC)


@pytest.mark.parametrize("part", ["sig", "key"])
@pytest.mark.parametrize("value", [None, 5, [], ""])
def test_half_a_signature_is_none(part: str, value: object) -> None:
    """What is missing or no text cannot be checked; it is refused and no error."""
    signed = {**sign(Kind.COMMAND, ORDER, KEY), part: value}
    expected = {"sig": Flaw.BAD_SIGNATURE, "key": Flaw.UNKNOWN_KEY}[part] if value == "" else Flaw.UNSIGNED
    assert expected is flaw(signed)


@pytest.mark.parametrize("sig", ["*", "AAAA", "A" * 86 + "==", "ä" * 88, "A" * 100_000])
def test_nonsense_is_no_signature(sig: str) -> None:
    """Whatever its form and length."""
    assert Flaw.BAD_SIGNATURE is flaw({**sign(Kind.COMMAND, ORDER, KEY), "sig": sig})


def test_a_signature_has_one_form() -> None:
    """Base64 leaves four bits over at its end, of which nobody may make another message."""
    signed = sign(Kind.COMMAND, ORDER, KEY)
    other = chr(ord(signed["sig"][85]) + 1)
    assert Flaw.BAD_SIGNATURE is flaw({**signed, "sig": signed["sig"][:85] + other + "=="})


def test_what_has_no_canonical_form_was_never_signed() -> None:
    """An integer that other readers round, a number that is none, an endless nest."""
    signed = sign(Kind.COMMAND, ORDER, KEY)
    nest: list[Any] = []
    for _ in range(5000):
        nest = [nest]
    for value in (2**60, float("inf"), float("nan"), "\ud800", nest):
        assert Flaw.BAD_SIGNATURE is RING.flaw(Kind.COMMAND, {**signed, "args": value}, TOPIC)


def test_openssl_confirms_what_is_signed(tmp_path: Path) -> None:
    """Whoever writes the platform needs this description only, and no code of ours."""
    signed = sign(Kind.COMMAND, {"b": 1.0, "a": "під'їзд", "nonce": "n" * 22}, KEY)
    key_id = "34750f98bd59fcfc"
    fields = f'{{"a":"під\'їзд","b":1,"key":"{key_id}","nonce":"{"n" * 22}"}}'
    content = f"stairwell command v1\n{fields}"
    files = {
        "key.pem": KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "content": content.encode(),
        "sig": base64.b64decode(signed["sig"]),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin"]
    command += ["-in", "content", "-sigfile", "sig"]
    assert key_id == signed["key"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_each_order_gets_a_nonce_of_its_own() -> None:
    """16 random bytes, unless the signer brings one."""
    one, other = (sign(Kind.COMMAND, {"cmd": "reboot"}, KEY) for _ in range(2))
    assert one["nonce"] != other["nonce"]
    assert [16, 16] == [len(base64.urlsafe_b64decode(s["nonce"] + "==")) for s in (one, other)]
    assert "mine" == sign(Kind.COMMAND, {"nonce": "mine"}, KEY)["nonce"]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-22T00:30:00.000Z", None),
        ("2026-11-22T00:31:05.411Z", None),
        ("2026-11-22T00:31:05.412Z", Flaw.EXPIRED),
        ("2026-11-23T00:00:00.000Z", Flaw.EXPIRED),
        ("2026-11-22T00:21:05.412Z", None),
        ("2026-11-22T00:21:05.411Z", Flaw.LIVES_TOO_LONG),
        ("2006-11-22T00:30:00.000Z", Flaw.LIVES_TOO_LONG),
        (None, Flaw.CLOCK_UNSET),
    ],
)
def test_orders_have_their_time(now: str | None, expected: Flaw | None) -> None:
    """Up to their end, and not from a time in which they could be kept for later."""
    stamp = Stamp("3b0f6c1e", 5.0, now, "ntp" if now else "none")
    assert expected is lapsed("2026-11-22T00:31:05.412Z", stamp, 600.0)


@pytest.mark.parametrize(
    "exp", ["", "tomorrow", "2026-13-01T00:00:00.000Z", "2026-11-22", "2026-11-22T00:00:00+02:00"]
)
def test_an_end_that_is_no_time(exp: str) -> None:
    """It is no matter of opinion when an order ends: UTC, and a date that exists."""
    with pytest.raises(ValueError, match=r"isoformat|month|UTC"):
        lapsed(exp, Stamp("3b0f6c1e", 5.0, None, "none"), 600.0)


def test_the_example_of_the_contract_is_signed() -> None:
    """Whoever writes the platform can compare: its key is in the open."""
    example = EXAMPLES["cmd"]
    assert Keyring([public(KEY)]).flaw(Kind.COMMAND, example, example["target"]) is None
    assert example == sign(Kind.COMMAND, {k: v for k, v in example.items() if k != "sig"}, KEY)
