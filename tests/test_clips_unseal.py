"""Opening sealed clips with the city's keys."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyrage
import pytest
from clips_keys import CITY, ESCROW, RECIPIENTS, STRANGER
from pyrage import x25519

from agent.clips.unseal import read_keys, unseal
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"a stairwell" * 20_000
SEALED = pyrage.encrypt(DATA, [x25519.Recipient.from_str(text) for text in RECIPIENTS])


def opened(sealed: bytes, *keys: x25519.Identity) -> tuple[str, bytes]:
    out = io.BytesIO()
    return unseal(io.BytesIO(sealed), out, keys), out.getvalue()


def test_any_of_the_keys_opens_it() -> None:
    """The city's, the escrow's, or one among others."""
    for keys in ((CITY,), (ESCROW,), (STRANGER, CITY)):
        assert ("whole", DATA) == opened(SEALED, *keys)


def test_a_strangers_key_opens_nothing() -> None:
    """And no byte is handed over."""
    assert ("foreign", b"") == opened(SEALED, STRANGER)


@pytest.mark.parametrize("cut", [0, 10, 300, len(SEALED) // 2, len(SEALED) - 1])
def test_what_is_cut_gives_what_is_authentic(cut: int) -> None:
    """Whole chunks from the beginning, nothing made up."""
    kind, given = opened(SEALED[:cut], CITY)
    assert "broken" == kind
    assert DATA.startswith(given)
    assert 0 == len(given) % 65536


def test_an_altered_chunk_is_not_handed_over() -> None:
    """A bit in the second chunk: the first is given, the second never."""
    altered = bytearray(SEALED)
    altered[-100_000] ^= 1
    kind, given = opened(bytes(altered), CITY)
    assert ("broken", True) == (kind, DATA.startswith(given))
    assert len(given) < len(DATA) - 65536


class Failing(io.BytesIO):
    """A disk that refuses at the second call."""

    calls = 0

    def _fail(self) -> None:
        self.calls += 1
        if self.calls > 1:
            raise OSError(5, "Input/output error")

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file's."""
        self._fail()
        return super().read(size)

    def write(self, data: bytes, /) -> int:  # type: ignore[override] # of what pyrage hands over
        """As a file's."""
        self._fail()
        return super().write(data)


def test_a_disk_that_refuses_is_no_damaged_clip() -> None:
    """Reading and writing: the system's own error, not a verdict."""
    with pytest.raises(OSError, match="Input/output"):
        unseal(Failing(SEALED), io.BytesIO(), [CITY])
    with pytest.raises(OSError, match="Input/output"):
        unseal(io.BytesIO(SEALED), Failing(), [CITY])


def test_reads_what_age_keygen_writes(tmp_path: Path) -> None:
    """Comments are passed over; several keys may stand in one file."""
    path = tmp_path / "city.key"
    path.write_text(f"# created: 2026-11-22\n# public key: {RECIPIENTS[0]}\n{CITY}\n{ESCROW}\n")
    assert [str(CITY), str(ESCROW)] == [str(key) for key in read_keys(path)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "holds no age secret key"),
        (RECIPIENTS[0].encode(), "holds no age secret key"),
        (b"AGE-SECRET-KEY-1QQQQ", "holds a key that is damaged"),
        (b"\xff\xfe", r"cannot be read \(no text\)"),
    ],
)
def test_what_holds_no_key_is_told(tmp_path: Path, content: bytes, problem: str) -> None:
    """The file and what to name instead; nothing of its content."""
    path = tmp_path / "city.key"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=problem) as caught:
        read_keys(path)
    assert "QQQQ" not in str(caught.value)
    with pytest.raises(ConfigError, match="there is no such file"):
        read_keys(tmp_path / "none")
