"""What a technician sees of clips on a terminal of 80 columns."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from agent.cli import clip_tables
from agent.clips.check import Finding
from agent.clips.verify import Verdict

if TYPE_CHECKING:
    from rich.console import RenderableType

CLIP = "01M8E22XHHQYQ7YNHS1H2DH1B3"
SHA256 = "0123456789abcdef" * 4


def lines(*shown: RenderableType) -> list[str]:
    """As a terminal of 80 columns shows it."""
    console = Console(width=80, file=io.StringIO(), highlight=False)
    for each in shown:
        console.print(each)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def clip(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    return {
        "clip": CLIP,
        "events": ["a", "b"],
        "start": {"boot": "9922d1ee", "ts": "2026-11-27T08:31:19.124Z"},
        "dur": 1106.3,
        "part": 1,
        "truncated": False,
        "file": {"bytes": 123_456_789, "sha256": SHA256, "sealed": "age", "recipients": ["[red]", "x"]},
        "manifest": {"sha256": SHA256},
        "held": False,
        "announced": True,
        "readback": "good",
        **fields,
    }


def test_a_list_shows_ids_and_times_whole() -> None:
    """Whatever the marks are: they wrap, nothing else does."""
    file = {"bytes": 1_000_000, "sealed": "none"}
    worst = clip(held=True, truncated=True, announced=False, part=12, readback="mismatch", file=file)
    shown = lines(clip_tables.listed([clip(), worst, clip(start={"boot": "9922d1ee", "ts": None})]))

    assert [CLIP, "2026-11-27", "08:31:19", "1106.3", "123.5", "2"] == shown[1].split()
    assert ["DAMAGED", "open", "held", "cut", "unsent", "part", "12"] == " ".join(shown[2:-1]).split()[6:]
    assert [CLIP, "?", "1106.3", "123.5", "2"] == shown[-1].split()


def test_hashes_are_shown_whole() -> None:
    """On one line; what looks like markup is not taken for it."""
    shown = lines(clip_tables.shown(clip()))
    assert f"manifest.sha256 {SHA256}" in shown
    assert "file.recipients [red] x" in shown
    assert {"events          a b", "held            false"} <= set(shown)


def test_verdicts_and_findings_are_read_without_scrolling() -> None:
    """Every word is there, and no line is longer than the terminal."""
    verdict = Verdict(CLIP, Path("x"), "missing link", "number 3 of the chain is not here", ((3.0, 8.0),))
    text = " ".join(
        " ".join(lines(clip_tables.judged([verdict, Verdict(CLIP, Path("x"), "authentic")]))).split()
    )
    assert f"{CLIP} missing link 3.0 to 8.0 number 3 of the chain" in text
    assert f"{CLIP} authentic the sealed file" in text

    finding = Finding(
        "missing", f"{CLIP}.mp4.age", "its file has gone", "find out who took it, and when " * 4
    )
    told = lines(*clip_tables.found([finding], [finding]))
    assert [f"missing, repaired  {CLIP}.mp4.age", f"missing  {CLIP}.mp4.age"] == told[:2]
    assert "its file has gone. Fix: find out" in told[2]
    assert max(map(len, told)) <= 80


def test_one_is_no_plural() -> None:
    """Of one, of none, of two."""
    assert ["1 clip", "0 clips", "2 clips"] == [clip_tables.counted(n, "clip") for n in (1, 0, 2)]
